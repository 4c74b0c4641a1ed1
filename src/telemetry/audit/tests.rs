use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use proptest::prelude::*;
use tracing::field::{Field, Visit};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use super::lines::RETIRED_AT_ONCE;
use super::*;
use crate::grants::GrantId;
use crate::types::{AccessKeyId, RoleRef};

fn audit() -> Audit {
    let wall = SystemTime::UNIX_EPOCH + Duration::from_hours(480_000);
    Audit::new(Clock::simulated(wall))
}

/// A caller called `uid N`, or one that is not identified.
fn party(caller: &str) -> Party {
    let uid = caller.strip_prefix("uid ").map(|uid| uid.parse().unwrap());
    Party {
        name: Arc::from(caller),
        evidence: Arc::from("sock_diag"),
        uid,
        owner: uid,
        share: Share::of(&caller),
    }
}

fn hand_out(audit: &Audit, caller: &str, key: &str) -> Arc<AuditLine> {
    let role = RoleRef::parse("prod/web").unwrap();
    let access_key_id = AccessKeyId::new(key).unwrap();
    let line = LineKey::hand_out(Arc::from(caller), Some(&role), &access_key_id);
    audit.hand_out(line, || HandOut {
        party: party(caller),
        listener: Arc::from("metadata"),
        api: "imds",
        role: Some(role.clone()),
        grant: Some(GrantId::Grant(1)),
        reason: Arc::from("the web server"),
        session_name: Some(Arc::from("nginx.service")),
        source_identity: Some(Arc::from("nginx")),
        access_key_id: access_key_id.clone(),
        expires_at: audit.trail.now() + Duration::from_hours(1),
    })
}

fn denial(audit: &Audit, caller: &str, role: Option<&str>) -> Arc<AuditLine> {
    let role: Option<Arc<str>> = role.map(Arc::from);
    let line = LineKey::denial(Arc::from(caller), "imds", "no grant", role.clone());
    audit.denial(line, Share::of(&caller), || Denial {
        party: party(caller),
        listener: Arc::from("metadata"),
        api: "imds",
        role,
        reason: "no grant",
    })
}

/// (caller, kind, count) of all events.
fn told(audit: &Audit) -> Vec<(String, &'static str, u64)> {
    let events = audit.events_after(0);
    events
        .iter()
        .map(|event| {
            (
                event.party().name.to_string(),
                event.kind.as_str(),
                event.count,
            )
        })
        .collect()
}

fn sums(audit: &Audit) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for (caller, _, count) in told(audit) {
        *sums.entry(caller).or_default() += count;
    }
    sums
}

#[tokio::test(start_paused = true)]
async fn the_first_is_an_event_and_the_rest_a_count() {
    let audit = audit();
    let line = hand_out(&audit, "uid 1000", "ASIA1");
    line.again();
    line.again();
    let same = hand_out(&audit, "uid 1000", "ASIA1");
    assert!(Arc::ptr_eq(&line, &same));
    assert_eq!(told(&audit), [("uid 1000".to_owned(), "hand-out", 1)]);
    audit.tell_counts();
    audit.tell_counts();
    let all = [
        ("uid 1000".to_owned(), "hand-out", 1),
        ("uid 1000".to_owned(), "count", 3),
    ];
    assert_eq!(told(&audit), all);
}

#[tokio::test(start_paused = true)]
async fn counts_are_told_each_minute() {
    let audit = Arc::new(audit());
    let running = Arc::clone(&audit);
    let mut news = audit.watch();
    let task = tokio::spawn(async move { running.run().await });
    let line = denial(&audit, "uid 7", None);
    line.again();
    let start = tokio::time::Instant::now();
    news.wait_for(|newest| *newest == 2).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 60);
    assert_eq!(told(&audit)[1], ("uid 7".to_owned(), "count", 1));
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn a_new_key_of_the_same_role_is_a_new_event() {
    let audit = audit();
    for key in ["ASIA1", "ASIA2", "ASIA1"] {
        hand_out(&audit, "uid 1000", key);
    }
    let kinds: Vec<_> = told(&audit).into_iter().map(|(_, kind, _)| kind).collect();
    assert_eq!(kinds, ["hand-out", "hand-out"]);
}

#[tokio::test(start_paused = true)]
async fn expired_lines_are_let_go_unless_a_connection_keeps_them() {
    let audit = audit();
    let kept = hand_out(&audit, "uid 1", "ASIA1");
    drop(hand_out(&audit, "uid 2", "ASIA2"));
    tokio::time::advance(Duration::from_hours(2)).await;
    audit.tell_counts();
    assert_eq!(audit.lock().hand_outs.len(), 1);
    drop(kept);
    audit.tell_counts();
    assert_eq!(audit.lock().hand_outs.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_denial_is_a_first_one_again_after_an_hour() {
    let audit = audit();
    denial(&audit, "uid 1", None);
    for _ in 0..=DENIAL_MEMORY {
        audit.tell_counts();
    }
    denial(&audit, "uid 1", None);
    let kinds: Vec<_> = told(&audit).into_iter().map(|(_, kind, _)| kind).collect();
    assert_eq!(kinds, ["denial", "denial"]);
}

#[tokio::test(start_paused = true)]
async fn one_caller_asking_for_many_roles_fills_nothing() {
    let audit = audit();
    let mut news = audit.watch();
    let asked = DENIALS_OF_EACH + 500;
    for number in 0..asked {
        denial(&audit, "uid 1", Some(&format!("prod/role{number}")));
    }
    assert_eq!(audit.lock().denials.len(), DENIALS_OF_EACH + 1);
    // The folded line's own first event is the last that was told.
    assert_eq!(
        *news.borrow_and_update(),
        u64::try_from(DENIALS_OF_EACH).unwrap() + 1
    );
    audit.tell_counts();
    let last = audit.events_after(0).pop().unwrap();
    assert_eq!((last.kind, last.count), (Kind::Count, 499));
    denial(&audit, "uid 2", Some("prod/other"));
    let other = audit.events_after(last.sequence).pop().unwrap();
    let other = serde_json::to_value(&*other).unwrap();
    assert_eq!(
        other["role"], "prod/other",
        "another's denials are told in full"
    );
}

#[tokio::test(start_paused = true)]
async fn one_caller_pushes_out_no_event_of_anothers() {
    let audit = audit();
    hand_out(&audit, "uid 2", "ASIA2");
    denial(&audit, "uid 2", Some("prod/other"));
    hand_out(&audit, "uid 1", "ASIAFIRST");
    for number in 0..3000 {
        hand_out(&audit, "uid 1", &format!("ASIA{number:05}"));
        let line = denial(&audit, "uid 1", Some(&format!("prod/role{number}")));
        line.tell();
    }
    let events = audit.events_after(0);
    assert!(events.is_sorted_by_key(|event| event.sequence));
    assert_eq!(events.len(), 2000, "a thousand of each");
    let others: Vec<_> = events
        .iter()
        .filter(|event| event.party().uid == Some(2))
        .map(|event| event.kind)
        .collect();
    assert_eq!(others, [Kind::HandOut, Kind::Denial]);
    let newest = serde_json::to_value(&**events.last().unwrap()).unwrap();
    assert_eq!(newest["uid"], 1);
}

#[tokio::test(start_paused = true)]
async fn denials_hide_no_hand_out_of_the_same_caller() {
    let audit = audit();
    hand_out(&audit, "uid 1", "ASIA1");
    for _ in 0..5000 {
        denial(&audit, "uid 1", None).tell();
    }
    let first = audit.events_after(0).remove(0);
    assert_eq!((first.kind, first.sequence), (Kind::HandOut, 1));
}

#[tokio::test(start_paused = true)]
async fn many_callers_share_what_is_kept() {
    let audit = audit();
    for number in 0..2000 {
        hand_out(&audit, &format!("uid {number}"), "ASIA1");
    }
    let events = audit.events_after(0);
    assert_eq!((events.len(), events[0].sequence), (1000, 1001));
}

#[tokio::test(start_paused = true)]
async fn one_callers_lines_make_room_before_anothers() {
    let audit = audit();
    drop(hand_out(&audit, "uid 2", "ASIA2"));
    for number in 0..2 * HAND_OUTS {
        hand_out(&audit, "uid 1", &format!("ASIA{number:06}"));
    }
    assert_eq!(audit.handed_out(|party| party.uid == Some(2)).len(), 1);
    let before = audit.events_after(0).len();
    hand_out(&audit, "uid 2", "ASIA2");
    assert_eq!(
        audit.events_after(0).len(),
        before,
        "counted, not told anew"
    );
    let lines = audit.lock();
    let counted: usize = [1, 2]
        .map(|uid| {
            lines
                .hand_outs
                .of(Share::of(&format!("uid {uid}").as_str()))
        })
        .iter()
        .sum();
    assert_eq!(counted, lines.hand_outs.len());
}

/// Adds up the counts of all events in the log.
#[derive(Clone, Default)]
struct Sum(Arc<AtomicU64>);

impl<S: tracing::Subscriber> Layer<S> for Sum {
    fn on_event(&self, event: &tracing::Event<'_>, _context: Context<'_, S>) {
        event.record(&mut self.clone());
    }
}

impl Visit for Sum {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "count" {
            self.0.fetch_add(value, Ordering::Relaxed);
        }
    }

    fn record_debug(&mut self, _field: &Field, _value: &dyn std::fmt::Debug) {}
}

#[tokio::test(start_paused = true)]
async fn lines_are_bounded_and_lose_no_count() {
    let sum = Sum::default();
    let _logged = tracing::subscriber::set_default(Registry::default().with(sum.clone()));
    let audit = audit();
    let given = HAND_OUTS + 10;
    for number in 0..given {
        let key = format!("ASIA{number}");
        hand_out(&audit, "uid 1", &key).again();
    }
    assert_eq!(audit.lock().hand_outs.len(), given - RETIRED_AT_ONCE);
    audit.tell_counts();
    assert_eq!(
        sum.0.load(Ordering::Relaxed),
        u64::try_from(given * 2).unwrap()
    );
}

#[tokio::test(start_paused = true)]
async fn the_ring_keeps_the_newest() {
    let audit = audit();
    for number in 0..1200 {
        hand_out(&audit, "uid 1", &format!("ASIA{number}"));
    }
    let events = audit.events_after(0);
    assert_eq!(events.len(), 1000);
    assert_eq!(events[0].sequence, 201);
    assert_eq!(audit.events_after(1199).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn events_serialise_with_the_documented_fields() {
    let audit = audit();
    hand_out(&audit, "uid 1000", "ASIA1");
    denial(&audit, "not identified", None);
    let events: Vec<_> = audit
        .events_after(0)
        .iter()
        .map(|event| serde_json::to_value(&**event).unwrap())
        .collect();
    let expected = serde_json::json!([
        {
            "sequence": 1, "timestamp": "2024-10-04T00:00:00Z", "event": "hand-out",
            "caller": "uid 1000", "uid": 1000, "evidence": "sock_diag", "listener": "metadata", "api": "imds",
            "role": "prod/web", "grant": 1, "reason": "the web server",
            "session_name": "nginx.service", "source_identity": "nginx", "access_key_id": "ASIA1",
            "expires": "2024-10-04T01:00:00Z", "count": 1,
        },
        {
            "sequence": 2, "timestamp": "2024-10-04T00:00:00Z", "event": "denial",
            "caller": "not identified", "evidence": "sock_diag", "listener": "metadata",
            "api": "imds", "reason": "no grant", "count": 1,
        },
    ]);
    assert_eq!(serde_json::Value::from(events), expected);
}

#[derive(Clone, Debug)]
enum Step {
    HandOut(u8),
    Again(usize),
    Drop(usize),
    Tell,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..4u8).prop_map(Step::HandOut),
        (0..8usize).prop_map(Step::Again),
        (0..8usize).prop_map(Step::Drop),
        Just(Step::Tell),
    ]
}

proptest! {
    #[test]
    fn every_hand_out_is_told_exactly_once(steps in prop::collection::vec(step(), 0..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _inside = runtime.enter();
        let audit = audit();
        let mut kept: Vec<(String, Arc<AuditLine>)> = Vec::new();
        let mut expected: BTreeMap<String, u64> = BTreeMap::new();
        for step in steps {
            match step {
                Step::HandOut(n) => {
                    let caller = format!("uid {n}");
                    let line = hand_out(&audit, &caller, "ASIA1");
                    *expected.entry(caller.clone()).or_default() += 1;
                    kept.push((caller, line));
                }
                Step::Again(n) if n < kept.len() => {
                    kept[n].1.again();
                    *expected.get_mut(&kept[n].0).unwrap() += 1;
                }
                Step::Drop(n) if n < kept.len() => drop(kept.swap_remove(n)),
                Step::Again(_) | Step::Drop(_) => {}
                Step::Tell => audit.tell_counts(),
            }
        }
        drop(kept);
        audit.tell_counts();
        prop_assert_eq!(sums(&audit), expected);
    }
}
