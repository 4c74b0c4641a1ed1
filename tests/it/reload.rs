//! Reading the configuration again: at once, or not at all.

use std::fs;

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use rolecall::clock::Clock;
use rolecall::listener::Passed;

use crate::support::client::{Connection, TOKEN, imds_get, imds_token, request};
use crate::support::daemon::{LOCAL, TestDaemon, upstream, with_secret};
use crate::support::process::{Daemon, LISTENER};
use crate::support::sts::ScriptedSts;

const DEMO: &str = "/latest/meta-data/iam/security-credentials/demo";

#[tokio::test]
async fn a_refused_file_changes_nothing_and_says_why() {
    let daemon = TestDaemon::start(LOCAL);
    let at = daemon.address("metadata");
    let token = imds_token(at).await;
    let held = imds_get(at, &token, DEMO).await;
    daemon.write(&LOCAL.replace("role = \"local/demo\"", "role = \"local/demmo\""));
    let refused = daemon.reload.reload().await.unwrap_err().to_string();
    assert!(
        refused.contains("demmo") && refused.contains("rolecall.toml:"),
        "{refused}"
    );
    assert_eq!(imds_get(at, &token, DEMO).await.body, held.body);
}

#[tokio::test]
async fn what_needs_a_restart_applies_nothing_and_names_the_keys() {
    let daemon = TestDaemon::start(LOCAL);
    let at = daemon.address("metadata");
    let token = imds_token(at).await;
    let text = LOCAL
        .replace("apis = [\"imds\"]", "apis = [\"imds\"]\nimdsv1 = true")
        .replace("when = { uid = {uid} }", "when = { uid = 12345 }");
    daemon.write(&text);
    let refused = daemon.reload.reload().await.unwrap_err().to_string();
    assert!(
        refused.contains("listener") && refused.contains("restart"),
        "{refused}"
    );
    assert_eq!(
        imds_get(at, &token, DEMO).await.status,
        200,
        "the grant was not applied either"
    );
}

#[tokio::test]
async fn decisions_of_kept_connections_die_with_the_old_grants() {
    let daemon = TestDaemon::start(LOCAL);
    let at = daemon.address("metadata");
    let token = imds_token(at).await;
    let mut kept = Connection::open(at).await;
    let get = request("GET", DEMO, &[(TOKEN, &token)]);
    kept.send(get.as_bytes()).await;
    assert_eq!(kept.answer().await.unwrap().status, 200);
    daemon.write(&LOCAL.replace("when = { uid = {uid} }", "when = { uid = 12345 }"));
    let changes = daemon.reload.reload().await.unwrap();
    assert!(!changes.is_empty());
    kept.send(get.as_bytes()).await;
    assert_eq!(kept.answer().await.unwrap().status, 404);
}

#[tokio::test]
async fn unchanged_sessions_are_kept_and_changed_ones_let_go() {
    let daemon = TestDaemon::start(LOCAL);
    let at = daemon.address("metadata");
    let token = imds_token(at).await;
    let before = imds_get(at, &token, DEMO).await.json();
    daemon.write(&LOCAL.replace("reason = ", "priority = 5\nreason = "));
    daemon.reload.reload().await.unwrap();
    let same = imds_get(at, &token, DEMO).await.json();
    assert_eq!(before["AccessKeyId"], same["AccessKeyId"]);
    let shorter = "[account.local.role.demo]\nduration = \"2h\"";
    daemon.write(&LOCAL.replace("[account.local.role.demo]", shorter));
    daemon.reload.reload().await.unwrap();
    let other = imds_get(at, &token, DEMO).await.json();
    assert_ne!(before["AccessKeyId"], other["AccessKeyId"]);
    let held = daemon.daemon.vending.sessions().report();
    assert_eq!(held.len(), 1, "the session of the old duration is gone");
}

#[tokio::test]
async fn a_role_that_becomes_prefetched_is_fetched_by_the_reload() {
    let daemon = TestDaemon::start(LOCAL);
    assert!(daemon.daemon.vending.sessions().report().is_empty());
    let prefetched = "[account.local.role.demo]\nprefetch = true\nsession-name = \"{user}\"";
    daemon.write(&LOCAL.replace("[account.local.role.demo]", prefetched));
    daemon.reload.reload().await.unwrap();
    assert_eq!(daemon.daemon.vending.sessions().report().len(), 1);
}

#[tokio::test]
async fn a_pipe_in_a_secrets_place_is_refused_and_hangs_nothing() {
    let sts = ScriptedSts::generous().await;
    let text = upstream(&sts.url());
    let daemon = TestDaemon::start_in(with_secret(), &text, Clock::System, Passed::default());
    let secret = daemon.directory.path().join("secret");
    fs::remove_file(&secret).unwrap();
    mkfifo(&secret, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    let refused = daemon.reload.reload().await.unwrap_err().to_string();
    assert!(refused.contains("no regular file"), "{refused}");
    daemon.end().await;
}

#[test]
fn who_is_served_does_not_wait_for_a_file_that_a_reload_reads() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "token").unwrap();
    let account = "[account.prod]\nid = \"123456789012\"\nregion = \"eu-central-1\"\n\
                   [account.prod.role.web]\n[account.prod.credentials]\nfrom = \"web-identity\"\n";
    let mut daemon = Daemon::start(&format!("{LISTENER}{account}token-file = {file:?}\n"));
    fs::remove_file(&file).unwrap();
    mkfifo(&file, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    daemon.signal(Signal::SIGHUP);
    // Opened when the other end is: somebody reads it, and there is nothing to be read.
    let pipe = fs::OpenOptions::new().write(true).open(&file).unwrap();
    assert_eq!(daemon.get("/latest/meta-data/", &[]).0, 401);
    drop(pipe);
    daemon.wait_for(|event| event["target"] == "rolecall::app::reload");
}
