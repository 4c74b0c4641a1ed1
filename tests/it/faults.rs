//! What goes wrong upstream, and what callers see of it: cold, and while a session is held.
//!
//! The rows are run one by one against the daemon and a scripted STS, and must stand in
//! `docs/faults.md` just so. `FAULTS=write` in the environment writes the document anew.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rolecall::clock::Clock;
use rolecall::listener::Passed;
use rolecall::sessions::Selector;
use rolecall::types::RoleRef;

use crate::support::client::{LIST, ask, imds_get, imds_token};
use crate::support::daemon::{TestDaemon, upstream, with_secret};
use crate::support::sts::{Credentials, Reply, ScriptedSts};
use crate::support::written;

const DOCUMENT: &str = "/latest/meta-data/iam/security-credentials/demo";

/// One thing that goes wrong.
struct Fault {
    what: &'static str,
    reply: fn() -> Reply,
    /// Role list and document of a cold role, and the container answer.
    cold: (u16, u16, u16),
    /// The kind of the failure, as the log and `rolecall status` name it.
    kind: &'static str,
}

fn session(change: impl FnOnce(&mut Credentials)) -> Reply {
    let mut credentials = Credentials::default();
    change(&mut credentials);
    Reply::session("AssumeRole", &credentials)
}

fn expiring(at: &str) -> Reply {
    session(|credentials| at.clone_into(&mut credentials.expiration))
}

const FAULTS: &[Fault] = &[
    Fault {
        what: "AccessDenied (403)",
        reply: || {
            Reply::error(
                403,
                "AccessDenied",
                "not authorized to perform: sts:AssumeRole",
            )
        },
        cold: (404, 404, 403),
        kind: "denied",
    },
    Fault {
        what: "AccessDenied with an S3-shaped body, as Ceph sends it",
        reply: || Reply::s3_error(403, "AccessDenied"),
        cold: (404, 404, 403),
        kind: "denied",
    },
    Fault {
        what: "Throttling (400)",
        reply: || Reply::error(400, "Throttling", "Rate exceeded"),
        cold: (503, 503, 503),
        kind: "throttled",
    },
    Fault {
        what: "InternalFailure (500)",
        reply: || Reply::error(500, "InternalFailure", "sorry"),
        cold: (503, 503, 503),
        kind: "unavailable",
    },
    Fault {
        what: "503 with a page of HTML",
        reply: || Reply::new(503, "<html><body>Service Unavailable</body></html>"),
        cold: (503, 503, 503),
        kind: "unavailable",
    },
    Fault {
        what: "200 with a page of HTML",
        reply: || Reply::new(200, "<html><body>Welcome!</body></html>"),
        cold: (404, 404, 500),
        kind: "misconfigured",
    },
    Fault {
        what: "half an answer, then the connection closed",
        reply: || Reply::Half("<AssumeRoleResponse><AssumeRoleResult><Credentials>".to_owned()),
        cold: (503, 503, 503),
        kind: "unavailable",
    },
    Fault {
        what: "the connection reset",
        reply: || Reply::Reset,
        cold: (503, 503, 503),
        kind: "unavailable",
    },
    Fault {
        what: "a session whose expiration lies in the past",
        reply: || expiring("2001-01-01T00:00:00Z"),
        cold: (404, 404, 500),
        kind: "misconfigured",
    },
    Fault {
        what: "an expiration without zone",
        reply: || expiring("2099-01-01T00:00:00"),
        cold: (404, 404, 500),
        kind: "misconfigured",
    },
    Fault {
        what: "an expiration that is no date",
        reply: || expiring("tomorrow"),
        cold: (404, 404, 500),
        kind: "misconfigured",
    },
    Fault {
        what: "a session without secret",
        reply: || session(|credentials| credentials.secret_access_key.clear()),
        cold: (404, 404, 500),
        kind: "misconfigured",
    },
];

/// An STS whose answers the test changes.
async fn scripted() -> (ScriptedSts, Arc<Mutex<fn() -> Reply>>) {
    let reply: Arc<Mutex<fn() -> Reply>> = Arc::new(Mutex::new(|| session(|_| {})));
    let current = Arc::clone(&reply);
    let sts = ScriptedSts::start(move |_| (current.lock().unwrap())()).await;
    (sts, reply)
}

fn daemon(sts: &ScriptedSts) -> TestDaemon {
    let text = upstream(&sts.url());
    TestDaemon::start_in(with_secret(), &text, Clock::System, Passed::default())
}

/// Runs one fault; what was seen, as a row of the table.
async fn run(fault: &Fault) -> String {
    let (sts, reply) = scripted().await;
    *reply.lock().unwrap() = fault.reply;
    let cold = daemon(&sts);
    let at = cold.address("metadata");
    let token = imds_token(at).await;
    let list = imds_get(at, &token, LIST).await;
    let document = imds_get(at, &token, DOCUMENT).await;
    let authorization = std::fs::read_to_string(cold.directory.path().join("token")).unwrap();
    let headers = [("Authorization", authorization.as_str())];
    let container = ask(cold.address("container"), "GET", "/creds", &headers).await;
    let seen = (list.status, document.status, container.status);
    assert_eq!(
        seen,
        fault.cold,
        "{}: {:?}",
        fault.what,
        cold.daemon.vending.sessions().report()
    );
    assert_eq!(
        (list.body.as_str(), document.body.as_str()),
        ("", ""),
        "{}",
        fault.what
    );
    assert!(!container.body.contains("Secret"), "{}", container.body);
    let report = cold.daemon.vending.sessions().report();
    let failure = report
        .first()
        .and_then(|held| held.failure.as_ref())
        .unwrap();
    assert_eq!(
        failure.error.kind.as_str(),
        fault.kind,
        "{}: {failure:?}",
        fault.what
    );

    *reply.lock().unwrap() = || session(|_| {});
    let warm = daemon(&sts);
    let at = warm.address("metadata");
    let token = imds_token(at).await;
    let held = imds_get(at, &token, DOCUMENT).await;
    assert_eq!(held.status, 200, "{}", fault.what);
    *reply.lock().unwrap() = fault.reply;
    let selector = Selector::Role(RoleRef::parse("local/demo").unwrap());
    let refreshed = warm.daemon.vending.sessions().refresh(&selector).await;
    assert!(
        refreshed.iter().all(|(_, result)| result.is_err()),
        "{}: {refreshed:?}",
        fault.what
    );
    let after = imds_get(at, &token, DOCUMENT).await;
    assert_eq!(
        (after.status, &after.body),
        (200, &held.body),
        "{}",
        fault.what
    );
    format!(
        "| {} | {} | {} | {} | {} | the same session, 200 |",
        fault.what, list.status, document.status, container.status, fault.kind
    )
}

impl Fault {
    /// What stands above the rows.
    const HEAD: &'static str = "\
# Faults\n\n\
What callers see when upstream fails, written by `tests/it/faults.rs`, which runs every row against\n\
the daemon and a scripted STS. *Cold* is a role of which no session is held yet: its role list, its\n\
document and its container answer. *Held* is a role whose session was obtained before: the failure\n\
of its renewal changes nothing, until a minute before the session ends.\n\n\
404 makes an SDK stop; 503 makes it try again. Bodies of refusals are empty on metadata listeners and\n\
`{\"code\",\"message\"}` on container listeners; what upstream said is in the log only.\n\n\
| upstream answers | cold list | cold document | cold container | kind in log and status | held |\n\
|---|---|---|---|---|---|\n";
}

#[tokio::test]
async fn the_table_of_faults_is_as_documented() {
    let mut table = Fault::HEAD.to_owned();
    for fault in FAULTS {
        writeln!(table, "{}", run(fault).await).unwrap();
    }
    if std::env::var_os("FAULTS").is_some_and(|value| value == "write") {
        std::fs::write(written::place("docs/faults.md"), &table).unwrap();
    }
    let command = "FAULTS=write cargo test --test it faults";
    written::assert_current("docs/faults.md", &table, command);
}

/// By the pausable clock: a busy machine costs none of it.
#[tokio::test(start_paused = true)]
async fn a_silent_sts_costs_callers_no_more_than_they_bear() {
    let (sts, reply) = scripted().await;
    *reply.lock().unwrap() = || Reply::Hang;
    let daemon = daemon(&sts);
    let at = daemon.address("metadata");
    let begun = tokio::time::Instant::now();
    let token = imds_token(at).await;
    assert!(
        begun.elapsed() < Duration::from_millis(400),
        "the token never waits"
    );
    for (agent, bears) in [
        ("Boto3/1.44", 1000),
        ("aws-sdk-go-v2/1.17", 500),
        ("Unknown/1", 500),
    ] {
        let headers = [
            ("X-aws-ec2-metadata-token", token.as_str()),
            ("User-Agent", agent),
        ];
        for (target, status) in [(LIST, 200), (DOCUMENT, 503)] {
            let begun = tokio::time::Instant::now();
            let answer = ask(at, "GET", target, &headers).await;
            assert_eq!(answer.status, status, "{agent} {target}");
            assert!(
                begun.elapsed() < Duration::from_millis(bears),
                "{agent} {target}"
            );
        }
    }
}
