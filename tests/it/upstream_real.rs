//! The STS source against real servers: moto as AWS, with and without checks, and Ceph's gateway.
//! The scripts of `tests/upstreams` install and start them; without them these tests fail.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use rolecall::config::{Account, BaseCredentials, Dialect, Role, RoleKind};
use rolecall::secret::ExposeSecret;
use rolecall::sessions::FailureKind;
use rolecall::types::RoleArn;

use crate::upstream::{account, config, engine, fetch, key, plans, role};
use crate::upstream_probe::probe;

/// A real server, for as long as this lives.
struct Server {
    script: PathBuf,
    directory: tempfile::TempDir,
    exports: BTreeMap<String, String>,
    /// Servers of one kind are installed by one test and used by the next.
    _alone: MutexGuard<'static, ()>,
}

static ALONE: Mutex<()> = Mutex::new(());

impl Server {
    fn start(script: &str, environment: &[(&str, &str)]) -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let script = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/upstreams")
            .join(script);
        let directory = tempfile::tempdir().unwrap();
        let started = Command::new(&script)
            .arg("up")
            .arg(directory.path())
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&started.stderr);
        assert!(started.status.success(), "{}: {said}", script.display());
        let exports = exports(&String::from_utf8(started.stdout).unwrap());
        Self {
            script,
            directory,
            exports,
            _alone: alone,
        }
    }

    fn get(&self, name: &str) -> &str {
        self.exports.get(name).unwrap()
    }

    fn base(&self) -> BaseCredentials {
        key(
            self.get("AWS_ACCESS_KEY_ID"),
            self.get("AWS_SECRET_ACCESS_KEY"),
        )
    }

    /// An account there with this role.
    fn account(&self, dialect: Dialect, role: Role) -> Account {
        let mut real = account("real", self.get("AWS_ENDPOINT_URL"), role);
        real.dialect = dialect;
        real.base = self.base();
        real
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let ended = Command::new(&self.script)
            .arg("down")
            .arg(self.directory.path())
            .status();
        assert!(ended.unwrap().success());
    }
}

/// What a script's `export NAME=value` lines say.
fn exports(printed: &str) -> BTreeMap<String, String> {
    printed
        .lines()
        .filter_map(|line| line.strip_prefix("export "))
        .flat_map(str::split_whitespace)
        .filter_map(|assignment| assignment.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// An issuer of web identities that a server knows, for as long as this lives.
struct Issuer {
    process: Child,
    exports: BTreeMap<String, String>,
}

impl Issuer {
    fn start(server: &Server) -> Self {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/upstreams");
        let mut process = Command::new("bash")
            .arg("-ec")
            .arg(". ./python_environment.sh; python_environment moto moto.txt; exec \"$cache/moto/bin/python\" oidc_issuer.py")
            .current_dir(directory)
            .envs(&server.exports)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let printed: Vec<String> = lines
            .map(Result::unwrap)
            .take_while(|line| !line.is_empty())
            .collect();
        Self {
            process,
            exports: exports(&printed.join("\n")),
        }
    }

    fn get(&self, name: &str) -> &str {
        self.exports.get(name).unwrap()
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn s3app(server: &Server) -> Role {
    let mut s3app = role("real/s3app");
    s3app.arn = RoleArn::new(server.get("ROLE_ARN")).unwrap();
    s3app
}

fn is_an_hour(expires_at: SystemTime) -> bool {
    let life = expires_at.duration_since(rolecall::clock::Clock::System.now());
    (Duration::from_mins(58)..Duration::from_mins(62)).contains(&life.unwrap())
}

#[tokio::test]
async fn moto_issues_every_kind_of_session() {
    let moto = Server::start("moto.sh", &[]);
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "some.web.identity").unwrap();
    for kind in [
        RoleKind::AssumeRole,
        RoleKind::WebIdentity,
        RoleKind::FederationToken,
        RoleKind::SessionToken,
    ] {
        let mut app = s3app(&moto);
        app.kind = kind;
        app.policy = Some(r#"{"Version":"2012-10-17","Statement":[]}"#.into());
        let mut real = moto.account(Dialect::Aws, app);
        if kind == RoleKind::WebIdentity {
            let token_file = token.path().to_owned();
            real.base = BaseCredentials::WebIdentity { token_file };
        }
        let fetched = fetch(real).await.unwrap();
        assert!(
            is_an_hour(fetched.expires_at),
            "{kind:?} {:?}",
            fetched.expires_at
        );
        let whole = fetched
            .expires_at
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        assert_eq!(whole.subsec_nanos(), 0, "moto tells microseconds");
        assert!(fetched.upstream_now.is_some());
        assert!(!fetched.credentials.session_token.expose_secret().is_empty());
    }
}

#[tokio::test]
async fn moto_checks_signatures_and_permissions() {
    let moto = Server::start("moto.sh", &[("MOTO_CHECK", "1")]);
    fetch(moto.account(Dialect::Aws, s3app(&moto)))
        .await
        .unwrap();

    let mut other = s3app(&moto);
    other.arn = RoleArn::new("arn:aws:iam::123456789012:role/other").unwrap();
    let error = fetch(moto.account(Dialect::Aws, other)).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Denied, "{error}");
    assert!(error.message.contains("allow sts:AssumeRole"), "{error}");

    for (id, secret) in [
        (moto.get("AWS_ACCESS_KEY_ID"), "wrong"),
        ("AKIAUNKNOWN000000000", moto.get("AWS_SECRET_ACCESS_KEY")),
    ] {
        let mut wrong = moto.account(Dialect::Aws, s3app(&moto));
        wrong.base = key(id, secret);
        let refused = fetch(wrong).await.unwrap_err();
        assert_eq!(refused.kind, FailureKind::BaseCredentials, "{refused}");
    }
}

#[tokio::test]
async fn ceph_issues_sessions_and_says_why_not() {
    let ceph = Server::start("radosgw.sh", &[]);
    let mut app = s3app(&ceph);
    app.policy = Some(
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#
            .into(),
    );
    app.tags = vec![("team".to_owned(), rolecall::grants::Template::caller())];
    let fetched = fetch(ceph.account(Dialect::Ceph, app)).await.unwrap();
    assert!(is_an_hour(fetched.expires_at), "{:?}", fetched.expires_at);
    let whole = fetched
        .expires_at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    assert_eq!(whole.subsec_nanos(), 0, "Ceph tells nanoseconds");
    assert!(
        !fetched
            .credentials
            .access_key_id
            .as_str()
            .starts_with("ASIA")
    );

    let mut unsigned = ceph.account(Dialect::Ceph, s3app(&ceph));
    unsigned.base = key("NOBODY", "wrong");
    let mut missing = s3app(&ceph);
    missing.arn = RoleArn::new("arn:aws:iam:::role/missing").unwrap();
    let mut long = s3app(&ceph);
    long.duration = Duration::from_hours(12);
    let mut odd = s3app(&ceph);
    odd.policy = Some("no policy".into());
    let mut session = s3app(&ceph);
    session.kind = RoleKind::SessionToken;
    let real = |role| ceph.account(Dialect::Ceph, role);
    for (account, kind, why) in [
        (unsigned, FailureKind::Denied, "403 AccessDenied"),
        (real(missing), FailureKind::Denied, "no such role"),
        (
            real(long),
            FailureKind::Misconfigured,
            "400 InvalidArgument",
        ),
        (
            real(odd),
            FailureKind::Misconfigured,
            "session policy is not valid",
        ),
        (
            real(session),
            FailureKind::Denied,
            "may call GetSessionToken",
        ),
    ] {
        let error = fetch(account).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(why), "{why}: {error}");
    }

    let plans = plans(&config([real(s3app(&ceph))]), &engine(&[]));
    let found = probe(&plans).await;
    assert!(
        found.iter().all(|(_, outcome)| outcome.is_ok()),
        "{found:?}"
    );
    assert_eq!(found.len(), 2, "{found:?}");
}

#[tokio::test]
async fn ceph_verifies_web_identities() {
    let ceph = Server::start("radosgw.sh", &[]);
    let issuer = Issuer::start(&ceph);
    let token = tempfile::NamedTempFile::new().unwrap();
    let real = || {
        let mut web = role("real/web");
        web.arn = RoleArn::new(issuer.get("ROLE_ARN")).unwrap();
        let mut real = ceph.account(Dialect::Ceph, web);
        let token_file = token.path().to_owned();
        real.base = BaseCredentials::WebIdentity { token_file };
        real
    };
    std::fs::write(token.path(), issuer.get("TOKEN")).unwrap();
    let fetched = fetch(real()).await.unwrap();
    assert!(is_an_hour(fetched.expires_at), "{:?}", fetched.expires_at);

    std::fs::write(token.path(), issuer.get("FOREIGN_TOKEN")).unwrap();
    let error = fetch(real()).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Denied, "{error}");
    assert!(error.message.contains("audience"), "{error}");
}
