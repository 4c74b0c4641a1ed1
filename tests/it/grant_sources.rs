//! Roles that an operator's own program gives.

use std::fs;
use std::time::Duration;

use nix::sys::stat::Mode;
use nix::unistd::{User, geteuid, mkfifo};
use rolecall::clock::Clock;

use crate::support::client::{Connection, LIST, TOKEN, ask, imds_get, imds_token, request};
use crate::support::daemon::{DEADLINE, LOCAL, TestDaemon, noon};

const OWN_GRANT: &str = r#"[[grant]]
role = "local/demo"
when = { uid = {uid} }
reason = "the tests' own user"
"#;

/// The whole with this source in the place of the grant; the name is the script's `$1`.
fn with_source(script: &str, more: &str) -> String {
    let source =
        format!("[[grant-source]]\ncommand = ['/bin/sh', '-c', '''{script}''', 'sh']\n{more}\n");
    assert!(LOCAL.contains(OWN_GRANT));
    LOCAL.replace(OWN_GRANT, &source)
}

fn own_user() -> String {
    User::from_uid(geteuid()).unwrap().unwrap().name
}

#[tokio::test]
async fn a_program_gives_a_role_that_nobody_declared() {
    let script = r#"printf '{"local": [["given", "for %s"], ["second", "x"]]}' "$1""#;
    let daemon = TestDaemon::start(&with_source(script, ""));
    let at = daemon.address("metadata");
    let token = imds_token(at).await;
    let list = imds_get(at, &token, LIST).await;
    assert_eq!((list.status, list.body.as_str()), (200, "given"));
    for role in ["given", "second"] {
        let document = imds_get(at, &token, &format!("{LIST}{role}")).await;
        assert_eq!(document.status, 200, "{role}");
        assert_eq!(document.json()["Code"], "Success");
    }
    assert_eq!(
        imds_get(at, &token, &format!("{LIST}demo")).await.status,
        404
    );
    let events = daemon.daemon.vending.audit().events_after(0);
    let event = serde_json::to_value(&*events[0]).unwrap();
    assert_eq!(event["role"], "local/given");
    assert_eq!(event["grant_source"], 1);
    assert_eq!(event["reason"], format!("for {}", own_user()));
    let page = ask(daemon.address("metrics"), "GET", "/metrics", &[]).await;
    let asked_once = "rolecall_grant_source_lookups_total{result=\"roles\"} 1\n";
    assert!(page.body.contains(asked_once), "{}", page.body);
}

#[tokio::test]
async fn what_a_source_says_has_a_place_among_the_grants() {
    let script = r#"echo '{"local": [["given", "x"]]}'"#;
    let gives = async |more: &str| {
        let text = with_source(script, more) + OWN_GRANT;
        let daemon = TestDaemon::start(&text);
        let at = daemon.address("metadata");
        let token = imds_token(at).await;
        imds_get(at, &token, LIST).await.body
    };
    assert_eq!(gives("").await, "demo");
    assert_eq!(gives("priority = 1").await, "given");
    assert_eq!(gives("priority = 1\nwhen = { uid = 12345 }").await, "demo");
}

#[tokio::test]
async fn a_source_that_fails_gives_nothing_and_grants_decide() {
    for script in [
        "exit 1",
        "echo '{\"local\": [[\"demo\", \"x\"], [\"..\"]]}'",
    ] {
        let daemon = TestDaemon::start(&with_source(script, "priority = 1"));
        let at = daemon.address("metadata");
        let token = imds_token(at).await;
        assert_eq!(imds_get(at, &token, LIST).await.status, 404, "{script}");
        let text = with_source(script, "priority = 1") + OWN_GRANT;
        daemon.write(&text);
        daemon.reload.reload().await.unwrap();
        assert_eq!(imds_get(at, &token, LIST).await.body, "demo", "{script}");
    }
}

#[tokio::test]
async fn a_reload_forgets_what_was_said() {
    let directory = tempfile::tempdir().unwrap();
    let said = directory.path().join("said");
    fs::write(&said, r#"{"local": [["first", "x"]]}"#).unwrap();
    let script = format!("cat {}", said.display());
    let daemon = TestDaemon::start(&with_source(&script, ""));
    let at = daemon.address("metadata");
    let token = imds_token(at).await;
    assert_eq!(imds_get(at, &token, LIST).await.body, "first");
    fs::write(&said, r#"{"local": [["second", "x"]]}"#).unwrap();
    assert_eq!(imds_get(at, &token, LIST).await.body, "first", "remembered");
    daemon.reload.reload().await.unwrap();
    assert_eq!(imds_get(at, &token, LIST).await.body, "second");
    daemon.write(LOCAL);
    daemon.reload.reload().await.unwrap();
    assert_eq!(imds_get(at, &token, LIST).await.body, "demo");
}

#[tokio::test]
async fn a_role_that_is_taken_away_ends_on_a_kept_connection() {
    let directory = tempfile::tempdir().unwrap();
    let said = directory.path().join("said");
    fs::write(&said, r#"{"local": [["given", "x"]]}"#).unwrap();
    let clock = Clock::simulated(noon());
    let Clock::Simulated(simulation) = clock.clone() else {
        unreachable!("it was made so");
    };
    let script = format!("cat {}", said.display());
    let daemon = TestDaemon::start_at(&with_source(&script, ""), clock);
    let at = daemon.address("metadata");
    let token = imds_token(at).await;
    let get = request("GET", &format!("{LIST}given"), &[(TOKEN, &token)]);
    let mut kept = Connection::open(at).await;
    let mut status = async || {
        kept.send(get.as_bytes()).await;
        kept.answer().await.unwrap().status
    };
    assert_eq!(status().await, 200);
    fs::write(&said, "{}").unwrap();
    simulation.suspend(Duration::from_secs(30));
    assert_eq!(status().await, 200, "believed for a minute");
    simulation.suspend(Duration::from_secs(30));
    assert_eq!(status().await, 404);
}

#[tokio::test]
async fn who_waits_for_a_source_is_told_to_come_again_and_nobody_else_waits() {
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("fifo");
    mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    let script = format!("cat {}", fifo.display());
    let other = "[[listener]]\nname = \"other\"\nbind = [\"127.0.0.1:0\"]\napis = [\"imds\"]\n\
                 [limits]\npatience = \"50ms\"\n";
    let when = "when = { anyone = true, listener = \"metadata\" }\npriority = 1";
    let text = with_source(&script, when) + OWN_GRANT + other;
    let daemon = TestDaemon::start(&text);
    let (waits, does_not) = (daemon.address("metadata"), daemon.address("other"));
    let token = imds_token(waits).await;
    assert_eq!(imds_get(waits, &token, LIST).await.status, 503);
    let token = imds_token(does_not).await;
    assert_eq!(imds_get(does_not, &token, LIST).await.body, "demo");
    // A source that was ended meanwhile is asked again after a while.
    let write = move || fs::write(fifo, r#"{"local": [["given", "x"]]}"#).unwrap();
    let written = tokio::task::spawn_blocking(write);
    let token = imds_token(waits).await;
    let given = async { while imds_get(waits, &token, LIST).await.body != "given" {} };
    tokio::time::timeout(DEADLINE, given).await.unwrap();
    written.await.unwrap();
}
