//! Runtimes that hang, lie, answer with megabytes or garbage, or end: nothing blocks, nothing
//! grows, and what they would have told is not known.

use super::scripted_docker::{Docker, Fault, Question};
use super::*;

const FAULTS: [Fault; 5] = [
    Fault::Hangs,
    Fault::Megabytes,
    Fault::Garbage,
    Fault::Closes,
    Fault::Refuses,
];

/// A host with a docker whose container is `a` and a good podman, which also speaks docker, whose
/// container is `b`.
fn begun() -> (
    Host,
    Docker,
    DropGuard,
    Containers,
    AbortOnDropHandle<()>,
    Docker,
) {
    let host = Host::new();
    let bad = Docker::at(&host.path("bad"));
    bad.start_quietly('a', "172.17.0.2");
    host.process(1010, &format!("/docker/{}", id('a')));
    let good = Docker::at(&host.path("good"));
    good.start_quietly('b', "10.88.0.2");
    host.process(1011, &format!("/docker/{}", id('b')));
    let unit = host.unit(&[(EngineKind::Docker, "bad"), (EngineKind::Docker, "good")]);
    let (containers, running) = host.client();
    (host, bad, unit, containers, running, good)
}

#[tokio::test(start_paused = true)]
async fn a_bad_inspection_makes_one_container_unknown() {
    for fault in FAULTS {
        let (_host, bad, _unit, containers, _running, _good) = begun();
        bad.fail(Question::Inspect, Some(fault));
        let asked = tokio::time::Instant::now();
        assert_eq!(containers.told('a').await, Known::NotYet, "{fault:?}");
        assert!(asked.elapsed() <= Duration::from_secs(1), "{fault:?}");
        assert!(containers.told('b').await.yes().is_some(), "{fault:?}");
        assert_eq!(containers.holder("172.17.0.2").await, Known::NotYet);
        assert_eq!(containers.holder("10.88.0.2").await, Known::Yes('b'));
        bad.fail(Question::Inspect, None);
        until("it is known", async || {
            containers.told('a').await.yes().is_some()
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_bad_list_hides_one_runtimes_addresses() {
    for question in [Question::List, Question::Networks] {
        for fault in FAULTS {
            let (_host, bad, _unit, containers, _running, _good) = begun();
            bad.fail(question, Some(fault));
            until("the other is listed", async || {
                containers.holder("10.88.0.2").await == Known::Yes('b')
            })
            .await;
            assert_eq!(
                containers.holder("172.17.0.2").await,
                Known::No,
                "{fault:?}"
            );
            assert!(containers.told('a').await.yes().is_some(), "{fault:?}");
            // It is not waited for again and again.
            let asked = tokio::time::Instant::now();
            assert_eq!(containers.holder("10.88.0.2").await, Known::Yes('b'));
            assert!(asked.elapsed() <= Duration::from_millis(500), "{fault:?}");
            bad.fail(question, None);
            until("it is listed", async || {
                containers.holder("172.17.0.2").await == Known::Yes('a')
            })
            .await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn bad_events_cost_one_runtime_its_voice_until_it_is_back() {
    for fault in FAULTS {
        let (_host, bad, _unit, containers, _running, _good) = begun();
        bad.fail(Question::Events, Some(fault));
        // Whoever follows already begins anew.
        bad.say("{garbage\n");
        assert!(containers.told('b').await.yes().is_some(), "{fault:?}");
        until("the other is listed", async || {
            containers.holder("10.88.0.2").await == Known::Yes('b')
        })
        .await;
        bad.fail(Question::Events, None);
        until("it is back", async || {
            containers.holder("172.17.0.2").await == Known::Yes('a')
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_line_without_end_is_no_event() {
    let (_host, bad, _unit, containers, _running, _good) = begun();
    until("events are followed", async || {
        bad.asked(Question::Events) == 1
    })
    .await;
    for _ in 0..5 {
        bad.say(&"x".repeat(100_000));
    }
    until("they are asked for again", async || {
        bad.asked(Question::Events) == 2
    })
    .await;
    assert!(containers.told('a').await.yes().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_runtime_that_lies_about_an_id_is_not_believed() {
    let (_host, bad, _unit, containers, _running, _good) = begun();
    bad.lie();
    assert_eq!(containers.told('a').await, Known::NotYet);
    assert_eq!(containers.told('f').await, Known::No);
    assert_eq!(containers.holder("172.17.0.2").await, Known::NotYet);
}

#[tokio::test(start_paused = true)]
async fn a_runtime_that_ends_takes_its_containers_along_and_brings_them_back() {
    let (host, bad, _unit, containers, _running, _good) = begun();
    until("both are listed", async || {
        containers.holder("172.17.0.2").await == Known::Yes('a')
    })
    .await;
    bad.die();
    until("it is gone", async || {
        containers.holder("172.17.0.2").await == Known::No
    })
    .await;
    until("it is not asked", async || {
        containers.told('a').await == Known::No
    })
    .await;
    assert_eq!(containers.holder("10.88.0.2").await, Known::Yes('b'));
    bad.end_quietly('a');
    bad.start_quietly('c', "172.17.0.2");
    host.process(1012, &format!("/docker/{}", id('c')));
    bad.serve(&host.path("bad"));
    until("it is back", async || {
        containers.holder("172.17.0.2").await == Known::Yes('c')
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_events_is_no_flood_of_lists() {
    let (_host, _bad, _unit, containers, _running, good) = begun();
    until("events are followed", async || {
        good.asked(Question::Events) == 1
    })
    .await;
    assert!(containers.told('b').await.yes().is_some());
    let before = good.asked(Question::List);
    let begun = tokio::time::Instant::now();
    for _ in 0..10_000 {
        good.tell("start", 'b');
    }
    until("they are read", async || {
        begun.elapsed() > Duration::from_secs(5)
    })
    .await;
    let lists = good.asked(Question::List) - before;
    assert!((1..=30).contains(&lists), "{lists}");
    assert!(containers.told('b').await.yes().is_some());
}
