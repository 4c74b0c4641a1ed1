//! Connectors of the store as roles: whose they are, and what becomes of their sessions.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rolecall::config::{Administrator, Bind, Config, embedded};
use rolecall::grants::{Grant, GrantId, Pattern, Patterns, Template, UserIds, Way, When};
use rolecall::store::{ConnectorDraft, ConnectorKind};
use rolecall::types::{AccountAlias, RoleArn, RoleRef};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::connectors::REST;
use crate::support::client::{Answer, ask};
use crate::support::daemon::{DEADLINE, TestDaemon};
use crate::support::sts::ScriptedSts;
use crate::upstream::{account, role};

const NAMES: &str = "/latest/meta-data/iam/security-credentials/";

/// The embedded default with an account at this STS; programs of this user are granted `prod/build`.
fn config(directory: &TempDir, sts: &ScriptedSts) -> Config {
    let uid = nix::unistd::geteuid().as_raw();
    let mut config = embedded(uid, directory.path().join("admin.sock")).unwrap();
    config.state.directory = Some(directory.path().join("state"));
    for listener in &mut config.listeners {
        listener.binds = vec![Bind::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))];
        listener.imdsv1 = true;
    }
    let prod = account("prod", &sts.url(), role("prod/web"));
    config.accounts.insert(prod.alias.clone(), prod);
    let when = When {
        users: Some(UserIds::new(vec![uid])),
        ..When::default()
    };
    let build = RoleRef::parse("prod/build").unwrap();
    let grant = Grant::of(GrantId::Grant(1), build, when, Template::text("a test"));
    config.grants = vec![Arc::new(grant)];
    config
}

fn draft(arn: &str, system: bool) -> ConnectorDraft {
    ConnectorDraft {
        name: Arc::from("Build"),
        account: AccountAlias::new("prod").unwrap(),
        kind: ConnectorKind::AssumeRole {
            arn: RoleArn::new(arn).unwrap(),
            external_id: None,
        },
        system,
        groups: vec![Arc::from("devs")],
        policy: None,
        policy_arns: Vec::new(),
        max_duration: Some(Duration::from_hours(2)),
    }
}

async fn get(daemon: &TestDaemon, listener: &str, path: &str) -> Answer {
    ask(daemon.address(listener), "GET", path, &[]).await
}

/// Asks until the store is open: until then the answer is that it is not ready.
async fn served(daemon: &TestDaemon, path: &str) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        let answer = get(daemon, "api", path).await;
        if answer.status == 200 {
            return;
        }
        assert_eq!(answer.status, 502, "{}", answer.body);
        assert!(
            tokio::time::Instant::now() < deadline,
            "the store is opened"
        );
        tokio::task::yield_now().await;
    }
}

const FIRST: &str = "arn:aws:iam::123456789012:role/first";
const SECOND: &str = "arn:aws:iam::123456789012:role/second";

#[tokio::test]
async fn a_stored_connector_is_a_role_from_its_first_moment_to_its_last() {
    let sts = ScriptedSts::generous().await;
    let directory = tempfile::tempdir().unwrap();
    let config = config(&directory, &sts);
    let daemon = TestDaemon::start_with(directory, config);
    let credentials = "/account/prod/build/credentials";
    assert_eq!(get(&daemon, "api", credentials).await.status, 403);
    let store = &daemon.daemon.store;
    let made = store.create_connector(draft(FIRST, false)).await.unwrap();
    let listed = get(&daemon, "api", "/account").await;
    assert_eq!(listed.json(), serde_json::json!({"prod": ["build"]}));
    assert_eq!(get(&daemon, "api", credentials).await.status, 200);
    let asked = |sts: &ScriptedSts| {
        let received = sts.received();
        let last = received.last().unwrap();
        ["RoleArn", "DurationSeconds"].map(|name| last.field(name).to_owned())
    };
    assert_eq!(asked(&sts), [FIRST, "7200"]);
    assert_eq!(get(&daemon, "api", credentials).await.status, 200);
    assert_eq!(sts.received().len(), 1, "the session is held");

    store
        .replace_connector(made.id, draft(SECOND, false), None)
        .await
        .unwrap();
    assert_eq!(get(&daemon, "api", credentials).await.status, 200);
    assert_eq!(asked(&sts), [SECOND, "7200"]);
    store.delete_connector(made.id, None).await.unwrap();
    assert_eq!(get(&daemon, "api", credentials).await.status, 403);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while daemon.daemon.vending.sessions().held() > 0 {
        assert!(
            tokio::time::Instant::now() < deadline,
            "sessions are let go"
        );
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn programs_have_a_stored_connector_only_where_it_is_of_the_system() {
    let sts = ScriptedSts::generous().await;
    let directory = tempfile::tempdir().unwrap();
    let config = config(&directory, &sts);
    let daemon = TestDaemon::start_with(directory, config);
    let store = &daemon.daemon.store;
    assert_eq!(get(&daemon, "default", NAMES).await.status, 404);
    let made = store.create_connector(draft(FIRST, false)).await.unwrap();
    assert_eq!(get(&daemon, "default", NAMES).await.status, 404);
    assert_eq!(sts.received().len(), 0);
    let system = store.replace_connector(made.id, draft(FIRST, true), None);
    system.await.unwrap();
    let names = get(&daemon, "default", NAMES).await;
    assert_eq!((names.status, &*names.body), (200, "build"));
    let document = get(&daemon, "default", &format!("{NAMES}build")).await;
    assert_eq!(document.status, 200);
}

#[tokio::test]
async fn what_was_made_survives_and_gives_way_to_the_configuration() {
    let sts = ScriptedSts::generous().await;
    let directory = tempfile::tempdir().unwrap();
    let first = config(&directory, &sts);
    let daemon = TestDaemon::start_with(directory, first);
    let store = daemon.daemon.store.clone();
    store.create_connector(draft(FIRST, false)).await.unwrap();
    drop(store);
    let (_, directory) = daemon.end().await;
    let again = config(&directory, &sts);
    let daemon = TestDaemon::start_with(directory, again);
    let credentials = "/account/prod/build/credentials";
    served(&daemon, credentials).await;
    let (_, directory) = daemon.end().await;

    let mut declared = config(&directory, &sts);
    let prod = account("prod", &sts.url(), role("prod/build"));
    declared.accounts.insert(prod.alias.clone(), prod);
    let daemon = TestDaemon::start_with(directory, declared);
    served(&daemon, credentials).await;
    let received = sts.received();
    assert_ne!(received.last().unwrap().field("RoleArn"), FIRST);
}

/// Ann, who is in two groups, and Carol, an administrator; Ann is granted `prod/web`, which is
/// declared, and `prod/alpha`, which is stored.
fn with_people(mut config: Config, directory: &TempDir) -> Config {
    let hash = bcrypt::hash("password", 4).unwrap();
    for (name, text) in [
        ("users", format!("ann:{hash}\ncarol:{hash}\n")),
        ("groups", "devs: ann\nops: ann\n".to_owned()),
    ] {
        fs::write(directory.path().join(name), text).unwrap();
    }
    config.people.users_file = Some(directory.path().join("users"));
    config.people.groups_file = Some(directory.path().join("groups"));
    config.people.administrators = vec![Administrator::Person(Arc::from("carol"))];
    for mount in config.listeners.iter_mut().flat_map(|it| &mut it.mounts) {
        mount.authenticate = vec![Way::Basic];
    }
    let grant = |number, role| {
        let when = When {
            principal: Some(Patterns::new(vec![Pattern::new("ann")])),
            ..When::default()
        };
        let role = RoleRef::parse(role).unwrap();
        Arc::new(Grant::of(
            GrantId::Grant(number),
            role,
            when,
            Template::text("a test"),
        ))
    };
    config.grants = vec![grant(1, "prod/web"), grant(2, "prod/alpha")];
    config
}

#[tokio::test]
async fn people_see_each_of_their_connectors_once_in_the_order_of_names() {
    let sts = ScriptedSts::generous().await;
    let directory = tempfile::tempdir().unwrap();
    let config = with_people(config(&directory, &sts), &directory);
    let daemon = TestDaemon::start_with(directory, config);
    for (name, groups) in [
        ("zeta", &["devs", "ops"][..]),
        ("alpha", &["others"]),
        ("beta", &["ops"]),
        ("yota", &["devs"]),
        ("gamma", &["others"]),
        ("beta 2", &["ops", "devs", "others"]),
    ] {
        let draft = ConnectorDraft {
            name: Arc::from(name),
            groups: groups.iter().map(|group| Arc::from(*group)).collect(),
            ..draft(FIRST, false)
        };
        daemon.daemon.store.create_connector(draft).await.unwrap();
    }
    let get = async |name: &str, path: &str| {
        let proof = format!("Basic {}", STANDARD.encode(format!("{name}:password")));
        let headers = [("Authorization", proof.as_str())];
        let answer = ask(daemon.address("api"), "GET", path, &headers).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    };
    let listed = async |name: &str, query: &str| -> Vec<String> {
        let path = format!("{REST}/connectors{query}");
        let list = get(name, &path).await;
        let values = list["values"].as_array().unwrap().clone();
        assert_eq!(list["size"], values.len());
        let names = values.iter().map(|it| it["name"].as_str().unwrap());
        names.map(str::to_owned).collect()
    };
    let own = ["alpha", "beta", "beta 2", "web", "yota", "zeta"];
    assert_eq!(listed("ann", "").await, own);
    assert_eq!(listed("ann", "?start=2&limit=3").await, own[2..5]);
    assert_eq!(listed("ann", "?start=5&limit=9").await, own[5..]);
    let all = [
        "alpha", "beta", "beta 2", "demo", "gamma", "web", "yota", "zeta",
    ];
    assert_eq!(listed("carol", "").await, all);
    let accounts = get("ann", "/account?withid").await;
    let roles = ["alpha", "beta", "beta-2", "web", "yota", "zeta"];
    let id = account("prod", &sts.url(), role("prod/web")).id.unwrap();
    assert_eq!(
        accounts,
        serde_json::json!({"prod": {"id": id.as_str(), "roles": roles}})
    );
}

/// Asks the admin socket, on a connection of its own.
async fn ask_admin(daemon: &TestDaemon, target: &str) -> UnixStream {
    let socket = daemon.directory.path().join("admin.sock");
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nHost: rolecall\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// What it answers.
async fn told(mut stream: UnixStream) -> String {
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    tokio::time::timeout(DEADLINE, read).await.unwrap().unwrap();
    answer
}

#[tokio::test]
async fn commands_that_come_before_the_store_is_open_wait_for_it() {
    let sts = ScriptedSts::generous().await;
    let mut directory = tempfile::tempdir().unwrap();
    let first = config(&directory, &sts);
    let daemon = TestDaemon::start_with(directory, first);
    let store = daemon.daemon.store.clone();
    store.create_connector(draft(FIRST, true)).await.unwrap();
    drop(store);
    (_, directory) = daemon.end().await;
    loop {
        let state = directory.path().join("state");
        let lock = fs::File::open(state.join("store.lock")).unwrap();
        let left = tokio::task::spawn_blocking(move || lock.lock().map(|()| drop(lock)));
        left.await.unwrap().unwrap();
        let other = Connection::open(state.join("store.db")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let again = config(&directory, &sts);
        let daemon = TestDaemon::start_with(directory, again);
        let keys = ask_admin(&daemon, "/v1/keys").await;
        let credentials = ask_admin(&daemon, "/v1/credentials?role=prod/build").await;
        let health = told(ask_admin(&daemon, "/v1/health").await).await;
        assert!(health.starts_with("HTTP/1.1 200"), "{health}");
        other.execute_batch("ROLLBACK").unwrap();
        let answers = [told(keys).await, told(credentials).await];
        (_, directory) = daemon.end().await;
        // Where this takes seconds the store is not waited for any longer than that.
        if !answers[0].contains("is locked") {
            let right = |answer: &String| answer.starts_with("HTTP/1.1 200");
            assert!(answers.iter().all(right), "{answers:?}");
            return;
        }
    }
}
