//! What commands say of roles that upstream does not give: everything to administrators, and to
//! others only that it is so.

use std::os::unix::process::CommandExt;

use nix::unistd::Uid;
use serde_json::Value;

use crate::support::is_root;
use crate::support::process::{BASE_SECRET, Daemon, LISTENER, prod};
use crate::support::sts::{Reply, ScriptedSts};

const SOMEBODY: u32 = 12_345;

/// In upstream's answer only.
const WORDS: &str = "is not authorized to perform: sts:AssumeRole";

fn configuration(sts: &str) -> String {
    let account = prod(sts, "", &["web"]);
    let own = Uid::effective();
    let granted =
        format!("[[grant]]\nrole = \"prod/web\"\nwhen = {{ uid = [{own}, {SOMEBODY}] }}\n");
    format!("{LISTENER}{account}{granted}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_upstream_is_explained_to_administrators_only() {
    let sts = ScriptedSts::start(|_| Reply::error(403, "AccessDenied", WORDS)).await;
    let url = sts.url();
    let test = tokio::task::spawn_blocking(move || {
        let daemon = Daemon::start_with(&configuration(&url), &[BASE_SECRET]);
        let credentials = ["credentials", "--role", "prod/web"];
        let output = daemon.run(&credentials);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("prod/web cannot be obtained"), "{told}");
        assert!(told.contains(WORDS), "{told}");

        let status: Value = serde_json::from_str(&daemon.says(&["status", "--json"])).unwrap();
        let failure = &status["sessions"][0]["failure"];
        assert_eq!(failure["kind"], "denied");
        assert!(
            failure["message"].as_str().unwrap().contains(WORDS),
            "{status}"
        );
        assert!(daemon.says(&["status"]).contains("denied"));

        let refreshed = daemon.run(&["refresh", "prod/web"]);
        assert_eq!(refreshed.status.code(), Some(1));
        assert!(
            String::from_utf8(refreshed.stdout)
                .unwrap()
                .contains("prod/web: denied: ")
        );

        if is_root() {
            let other = daemon
                .command(&credentials)
                .uid(SOMEBODY)
                .gid(SOMEBODY)
                .output();
            let output = other.unwrap();
            let told = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{told}");
            assert!(told.contains("prod/web cannot be obtained"), "{told}");
            assert!(!told.contains(WORDS), "{told}");
        }
    });
    test.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_grant_is_not_told_that_upstream_is_why() {
    let sts = ScriptedSts::start(|_| Reply::error(403, "AccessDenied", WORDS)).await;
    let others = "[account.prod.role.backup]\nprefetch = true\nsession-name = \"backup\"\n\
                  [[grant]]\nrole = \"prod/backup\"\nwhen = { user = \"nobody\" }\n";
    let configuration = format!("{}\n{others}", configuration(&sts.url()));
    let test = tokio::task::spawn_blocking(move || {
        let mut daemon = Daemon::start_with(&configuration, &[BASE_SECRET]);
        daemon.wait_for(|event| event["role"] == "prod/backup");
        let output = daemon.run(&["credentials", "--role", "prod/backup"]);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(77), "{told}");
        assert!(told.contains("not granted to you"), "{told}");
        assert!(!told.contains(WORDS), "{told}");
    });
    test.await.unwrap();
}
