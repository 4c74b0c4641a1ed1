//! The doors to people's APIs: certificates, the public URL, and what browsers and proxies send.

use std::fs;
use std::path::Path;
use std::process::Command;

use tokio::time::Instant;

use crate::support::client::ask;
use crate::support::daemon::{DEADLINE, TestDaemon};
use crate::support::tls::certificates;

/// People's APIs for this test's own user, with these keys in their listener.
fn api(keys: &str) -> String {
    format!(
        r#"
[[listener]]
name = "api"
bind = "127.0.0.1:0"
apis = ["accounts", "connectors"]
{keys}

[[listener.mount]]
prefix = "/"
authenticate = "peer"

[account.local]
id = "000000000000"
credentials = {{ from = "local" }}
[account.local.role.demo]

[[grant]]
role = "local/demo"
when = {{ uid = {{uid}} }}

[state]
directory = "{{dir}}/state"

[admin]
socket = "{{dir}}/admin.sock"
"#
    )
}

const TLS: &str = "tls = { certificate = '{dir}/chain.pem', key = 'file:{dir}/key.pem', client-ca = '{dir}/ca.pem' }";

const DEMO: &str = "{\"local\":[\"demo\"]}";

/// A daemon that speaks TLS by the certificates in its directory.
fn with_tls(keys: &str) -> TestDaemon {
    let directory = tempfile::tempdir().unwrap();
    certificates(directory.path());
    own(&directory.path().join("key.pem"));
    let text = api(&format!("{TLS}\n{keys}"));
    TestDaemon::start_in(
        directory,
        &text,
        rolecall::clock::Clock::System,
        rolecall::listener::Passed::default(),
    )
}

/// Makes it a file that may hold a secret.
fn own(path: &Path) {
    let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(path, owner_only).unwrap();
}

/// What curl says of this path, with the status before it.
async fn curl(daemon: &TestDaemon, scheme: &str, path: &str, options: &[&str]) -> String {
    let port = daemon.address("api").port();
    let mut command = tokio::process::Command::new("curl");
    command
        .args(["-sS", "--max-time", "20", "--cacert"])
        .arg(daemon.directory.path().join("ca.pem"))
        .args(["-w", "%{stderr}%{http_code}\n"])
        .args(options)
        .arg(format!("{scheme}://localhost:{port}{path}"));
    let output = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    said + &String::from_utf8_lossy(&output.stdout)
}

#[tokio::test]
async fn people_are_served_over_tls_and_told_where_they_speak_none() {
    let daemon = with_tls("");
    let answer = curl(&daemon, "https", "/account", &[]).await;
    assert_eq!(answer, format!("200\n{DEMO}"));
    let two = curl(&daemon, "https", "/account", &["--http2", "--tlsv1.3"]).await;
    assert_eq!(two, format!("200\n{DEMO}"), "HTTP/1.1 is what is offered");
    let plain = curl(&daemon, "http", "/account", &[]).await;
    assert_eq!(plain, "400\nuse https:// here.\r\n");
    let old = curl(&daemon, "https", "/account", &["--tls-max", "1.1"]).await;
    assert!(old.starts_with("curl:"), "{old}");
}

#[tokio::test]
async fn who_shows_a_certificate_has_it_from_an_authority_that_is_named() {
    let daemon = with_tls("");
    let file = |name: &str| daemon.directory.path().join(name).display().to_string();
    let foreign = tempfile::tempdir().unwrap();
    certificates(foreign.path());
    let of_other = |name: &str| foreign.path().join(name).display().to_string();
    let (chain, key) = (file("chain.pem"), file("key.pem"));
    let options = ["--cert", &chain, "--key", &key];
    let known = curl(&daemon, "https", "/account", &options).await;
    assert_eq!(known, format!("200\n{DEMO}"));
    let (chain, key) = (of_other("chain.pem"), of_other("key.pem"));
    let options = ["--cert", &chain, "--key", &key];
    let unknown = curl(&daemon, "https", "/account", &options).await;
    assert!(
        unknown.contains("curl:") && !unknown.contains("demo"),
        "{unknown}"
    );
}

#[tokio::test]
async fn a_certificate_that_is_replaced_is_served_and_a_broken_one_is_not() {
    let daemon = with_tls("");
    let directory = daemon.directory.path();
    let first = fs::read(directory.join("chain.pem")).unwrap();
    let old_authority = directory.join("old-ca.pem");
    fs::copy(directory.join("ca.pem"), &old_authority).unwrap();
    fs::write(directory.join("chain.pem"), "no certificate").unwrap();
    let begun = Instant::now();
    // It is looked at once a second.
    while begun.elapsed().as_millis() < 1500 {
        let answer = curl(&daemon, "https", "/account", &[]).await;
        assert_eq!(answer, format!("200\n{DEMO}"), "the old one stays in force");
    }
    certificates(directory);
    own(&directory.join("key.pem"));
    assert_ne!(fs::read(directory.join("chain.pem")).unwrap(), first);
    let begun = Instant::now();
    loop {
        let answer = curl(&daemon, "https", "/account", &[]).await;
        if answer == format!("200\n{DEMO}") {
            break;
        }
        assert!(begun.elapsed() < DEADLINE, "{answer}");
    }
    let old = old_authority.display().to_string();
    let no_more = curl(&daemon, "https", "/account", &["--cacert", &old]).await;
    assert!(no_more.starts_with("curl:"), "{no_more}");
}

#[tokio::test]
async fn a_silent_client_keeps_nobody_from_a_handshake() {
    let daemon = with_tls("");
    let mut silent = Vec::new();
    for _ in 0..100 {
        let stream = tokio::net::TcpStream::connect(daemon.address("api"))
            .await
            .unwrap();
        silent.push(stream);
    }
    let answer = curl(&daemon, "https", "/account", &[]).await;
    assert_eq!(answer, format!("200\n{DEMO}"));
    drop(silent);
}

#[test]
fn a_certificate_of_another_key_keeps_the_daemon_from_starting() {
    let directory = tempfile::tempdir().unwrap();
    certificates(directory.path());
    let key = directory.path().join("key.pem");
    fs::copy(directory.path().join("ca-key.pem"), &key).unwrap();
    own(&key);
    let file = directory.path().join("rolecall.toml");
    let text = api(TLS)
        .replace("{dir}", directory.path().to_str().unwrap())
        .replace("{uid}", "0");
    fs::write(&file, text).unwrap();
    own(&file);
    for (arguments, code) in [(["serve", "--config"], 78), (["check", "--config"], 78)] {
        let output = Command::new(env!("CARGO_BIN_EXE_rolecall"))
            .args(arguments)
            .arg(&file)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains("certificate and its key"), "{said}");
    }
}

#[tokio::test]
async fn the_public_url_s_host_is_ours_and_its_path_leads_to_every_mount() {
    let daemon = TestDaemon::start(&api("public-url = \"https://aws.example/context\""));
    let at = daemon.address("api");
    for path in ["/account", "/context/account"] {
        let answer = ask(at, "GET", path, &[("Host", "aws.example")]).await;
        assert_eq!((answer.status, &*answer.body), (200, DEMO), "{path}");
    }
    let connectors = "/context/rest/identity-federation-for-aws/2.0/connectors";
    assert_eq!(ask(at, "GET", connectors, &[]).await.status, 200);
    assert_eq!(ask(at, "GET", "/contextaccount", &[]).await.status, 404);
    let foreign = ask(at, "GET", "/account", &[("Host", "evil.example")]).await;
    assert_eq!(foreign.status, 403);
    let origin = ("Origin", "https://aws.example");
    assert_eq!(ask(at, "GET", "/account", &[origin]).await.status, 200);
}

#[tokio::test]
async fn a_page_of_ours_may_ask_and_another_site_s_may_not() {
    let daemon = TestDaemon::start(&api(""));
    let at = daemon.address("api");
    let host = format!("http://{at}");
    let host_name = at.to_string();
    let own = [
        ("Host", &*host_name),
        ("Origin", &*host),
        ("Sec-Fetch-Site", "same-origin"),
        ("Sec-Fetch-Mode", "cors"),
    ];
    let answer = ask(at, "GET", "/account", &own).await;
    assert_eq!((answer.status, &*answer.body), (200, DEMO));
    assert!(
        !answer
            .headers
            .iter()
            .any(|(name, _)| name.starts_with("access-control")),
        "no other site may read it"
    );
    let navigation = [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
    ];
    for foreign in [
        &[
            ("Sec-Fetch-Site", "cross-site"),
            ("Sec-Fetch-Mode", "no-cors"),
        ][..],
        &[("Origin", "http://evil.example")],
        &[("Origin", "null")],
        &[("Referer", "http://evil.example/page")],
        &navigation,
    ] {
        let refused = ask(at, "GET", "/account", foreign).await;
        assert_eq!(refused.status, 403, "{foreign:?}");
        assert!(!refused.body.contains("demo"));
    }
    let servlet = "/plugins/servlet/identity-federation-for-aws/aws-console-login/\
                   00000000-0000-4000-8000-000000000000";
    let linked = ask(at, "GET", servlet, &navigation).await;
    assert_ne!(
        linked.status, 403,
        "a link on any page leads there: {linked:?}"
    );
    let fetched = [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Mode", "no-cors"),
    ];
    assert_eq!(ask(at, "GET", servlet, &fetched).await.status, 403);
}

#[tokio::test]
async fn a_proxy_that_nobody_named_speaks_for_nobody() {
    let daemon = TestDaemon::start(&api(""));
    let at = daemon.address("api");
    for header in ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"] {
        let refused = ask(at, "GET", "/account", &[(header, "192.0.2.7")]).await;
        assert_eq!(refused.status, 403, "{header}");
    }
}
