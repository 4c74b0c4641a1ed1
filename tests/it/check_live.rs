//! `rolecall check --live` against a scripted STS.

use std::fs;

use crate::support::process::{BASE_SECRET, LISTENER, prod, rolecall};
use crate::support::sts::{Credentials, Reply, ScriptedSts};

fn configuration(sts: &str) -> String {
    let account = prod(sts, "dialect = \"generic\"", &["web", "denied"]);
    let granted = r#"
        [[grant]]
        role = "prod/web"
        when = "anyone"
        [[grant]]
        role = "prod/denied"
        priority = 1
        when = { uid = 12345 }
    "#;
    format!("{LISTENER}{account}{granted}")
}

/// The code, what stands on standard output, and on standard error.
async fn check(sts: &ScriptedSts) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rolecall.toml");
    fs::write(&file, configuration(&sts.url())).unwrap();
    let mut command = rolecall(&["check", "--live", "--config", file.to_str().unwrap()]);
    command.envs([BASE_SECRET]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = output.await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_that_can_be_had_pass() {
    let sts = ScriptedSts::generous().await;
    let (code, out, err) = check(&sts).await;
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("works  prod/web: "), "{out}");
    assert!(
        !out.contains("canary") && !err.contains("canary"),
        "{out}{err}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_cannot_be_had_is_named() {
    let sts = ScriptedSts::start(|request| {
        let action = request.field("Action");
        if request.field("RoleArn").ends_with("denied") {
            Reply::error(
                403,
                "AccessDenied",
                "not authorized to perform: sts:AssumeRole",
            )
        } else {
            Reply::session(action, &Credentials::default())
        }
    })
    .await;
    let (code, out, err) = check(&sts).await;
    assert_eq!(code, 1, "{out}{err}");
    assert!(out.contains("works  prod/web: "), "{out}");
    assert!(out.contains("FAILS  prod/denied: "), "{out}");
    assert!(err.contains("1 of 3"), "{err}");
}
