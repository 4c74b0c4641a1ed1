//! `rolecall state`, by the real binary: copies, what is brought back, and other keys.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use rolecall::authority::StateKey;
use rolecall::clock::Clock;
use rolecall::store::{AccountDraft, Objects, Store};
use rolecall::types::{AccessKeyId, Partition};
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::support::process::{Daemon, rolecall, to_us};

const SECRET: &str = "canary-of-an-account";
const LISTENER: &str = "[[listener]]\nname = \"api\"\nbind = \"127.0.0.1:0\"\napis = [\"imds\"]\n";

/// A state directory, and a configuration that names it and, where one is given, its key.
struct Scene {
    folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let scene = Self { folder };
        scene.configure(None);
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// Says which key is the state's: the file of this name.
    fn configure(&self, key: Option<&str>) {
        let key = key.map(|key| format!("key = \"file:{}\"\n", self.path(key).display()));
        let text = format!(
            "{LISTENER}[state]\ndirectory = {:?}\n{}",
            self.state(),
            key.unwrap_or_default()
        );
        fs::write(self.path("rolecall.toml"), text).unwrap();
    }

    /// A file with a key, which others may not read.
    fn key(&self, name: &str, digit: &str) -> StateKey {
        let file = self.path(name);
        fs::write(&file, digit.repeat(64)).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        key(digit)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let configuration = self.path("rolecall.toml");
        let mut command = rolecall(&["state"]);
        command.args(arguments).arg("--config").arg(configuration);
        command.output().unwrap()
    }

    /// Must succeed, and says this.
    fn says(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {told}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Must end with this code, and says this on standard error.
    fn refused(&self, arguments: &[&str], code: i32) -> String {
        let output = self.run(arguments);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {told}");
        told
    }

    fn copy(&self) -> String {
        self.path("copy").to_str().unwrap().to_owned()
    }

    fn store(&self, key: Option<StateKey>) -> Store {
        Store::at(&self.state(), key, Clock::System)
    }

    /// Makes an account of this name, and leaves the store.
    async fn make(&self, name: &str, key: Option<StateKey>) {
        let store = self.store(key);
        store.create_account(account(name)).await.unwrap();
        left(store, &self.state());
    }

    /// The names of accounts.
    async fn accounts(&self, key: Option<StateKey>) -> Vec<String> {
        let store = self.store(key);
        let objects = opened(&store).await;
        left(store, &self.state());
        let accounts = objects.accounts.values();
        accounts.map(|one| one.draft.name.to_string()).collect()
    }
}

fn key(digit: &str) -> StateKey {
    StateKey::parse(&SecretString::from(digit.repeat(64))).unwrap()
}

fn account(name: &str) -> AccountDraft {
    AccountDraft {
        name: Arc::from(name),
        access_key_id: AccessKeyId::new("AKIAEXAMPLE").unwrap(),
        secret_access_key: SecretString::from(SECRET),
        partition: Partition::new("aws").unwrap(),
    }
}

async fn opened(store: &Store) -> Arc<Objects> {
    let mut changes = store.changes();
    let open = changes.wait_for(Result::is_ok).await.unwrap();
    Arc::clone(open.as_ref().unwrap())
}

/// Ends the store, and waits until its thread has let its file go.
fn left(store: Store, state: &Path) {
    drop(store);
    let lock = fs::File::open(state.join("store.lock")).unwrap();
    lock.lock().unwrap();
}

#[tokio::test]
async fn a_copy_is_brought_back_over_what_came_after_it() {
    let scene = Scene::new();
    scene.make("first", None).await;
    let copy = scene.copy();
    let told = scene.says(&["backup", &copy]);
    let ring = scene.path("state/store.keys");
    let ring = ring.display();
    assert_eq!(
        told,
        format!(
            "{copy}: 1 account, 0 connectors, 0 tokens, 0 access keys, 0 MFA devices\n\
             Its secrets open only with {ring}: keep a copy of that too, elsewhere than {copy}.\n"
        )
    );
    let mode = fs::metadata(&copy).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let content = fs::read(&copy).unwrap();
    let secret = SECRET.as_bytes();
    assert!(!content.windows(secret.len()).any(|part| part == secret));
    scene.make("second", None).await;
    assert_eq!(scene.accounts(None).await.len(), 2);
    let state = scene.state();
    assert_eq!(
        scene.says(&["restore", &copy]),
        format!(
            "{}: 1 account, 0 connectors, 0 tokens, 0 access keys, 0 MFA devices\n",
            state.display()
        )
    );
    assert_eq!(scene.accounts(None).await, ["first"]);
}

#[tokio::test]
async fn no_file_is_replaced_by_a_copy_and_no_half_one_is_brought_back() {
    let scene = Scene::new();
    let nothing = scene.refused(&["backup", &scene.copy()], 1);
    assert!(nothing.contains("there is nothing to copy"), "{nothing}");
    scene.make("first", None).await;
    let (copy, other) = (scene.copy(), scene.path("other"));
    fs::write(&other, "precious").unwrap();
    symlink(&other, &copy).unwrap();
    let taken = scene.refused(&["backup", &copy], 70);
    assert!(taken.contains("File exists"), "{taken}");
    assert_eq!(fs::read_to_string(&other).unwrap(), "precious");
    fs::remove_file(&copy).unwrap();
    scene.says(&["backup", &copy]);
    let whole = fs::read(&copy).unwrap();
    for end in [0, 100, 4096, whole.len() / 2, whole.len() - 1] {
        fs::write(&copy, &whole[..end]).unwrap();
        let told = scene.refused(&["restore", &copy], 70);
        assert!(told.contains("is damaged"), "of {end} bytes: {told}");
        assert_eq!(scene.accounts(None).await, ["first"]);
    }
    let link = scene.path("link");
    symlink(&copy, &link).unwrap();
    fs::write(&copy, &whole).unwrap();
    scene.refused(&["restore", link.to_str().unwrap()], 70);
    let mode = fs::Permissions::from_mode(0o777);
    fs::set_permissions(scene.state(), mode).unwrap();
    let exposed = scene.refused(&["restore", &copy], 77);
    assert!(exposed.contains("sudo -u rolecall"), "{exposed}");
}

#[tokio::test]
async fn keys_are_changed_and_the_old_one_opens_nothing_any_more() {
    let scene = Scene::new();
    let old = scene.key("old", "1");
    scene.configure(Some("old"));
    scene.make("first", Some(old)).await;
    assert_eq!(
        scene.says(&["rotate-key"]),
        "1 secret is sealed with a fresh key.\n"
    );
    assert_eq!(scene.accounts(Some(key("1"))).await, ["first"]);
    scene.key("new", "2");
    let new = format!("file:{}", scene.path("new").display());
    for _ in 0..2 {
        let told = scene.says(&["rotate-key", "--new-key", &new]);
        assert_eq!(
            told,
            "1 secret is sealed with a fresh key, and that and 0 rings of keys with the new state key.\n\
             Put it in the place of `[state] key`, then start the daemon.\n"
        );
    }
    let refused = scene.refused(&["rotate-key"], 78);
    assert!(refused.contains("another key"), "{refused}");
    scene.configure(Some("new"));
    assert_eq!(scene.accounts(Some(key("2"))).await, ["first"]);
    scene.says(&["rotate-key"]);
}

#[test]
fn a_new_key_that_is_none_changes_nothing() {
    let scene = Scene::new();
    let short = scene.path("short");
    fs::write(&short, "abc").unwrap();
    fs::set_permissions(&short, fs::Permissions::from_mode(0o600)).unwrap();
    let short = format!("file:{}", short.display());
    for (new, code) in [
        ("0000", 64),
        ("file:/nowhere", 64),
        ("env:NONE", 64),
        (&short, 78),
    ] {
        let told = scene.refused(&["rotate-key", "--new-key", new], code);
        assert!(told.contains("--new-key"), "{told}");
        assert!(!told.contains("0000"), "it may be the key: {told}");
    }
    assert!(!scene.state().exists());
    let none = "[state]\nkey = \"env:NONE\"\n";
    let text = fs::read_to_string(scene.path("rolecall.toml")).unwrap();
    let text = text.replace("[state]\n", none);
    fs::write(scene.path("rolecall.toml"), text).unwrap();
    let unread = scene.refused(&["rotate-key"], 77);
    assert!(unread.contains("cannot be read here"), "{unread}");
}

#[test]
fn a_running_daemon_is_copied_from_and_nothing_under_it_is_replaced() {
    let mut daemon = Daemon::start(LISTENER);
    let configuration = daemon.path("rolecall.toml");
    let configuration = configuration.to_str().unwrap();
    let new = daemon.path("new");
    fs::write(&new, "3".repeat(64)).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
    let new = format!("file:{}", new.display());
    let rotate = [
        "state",
        "rotate-key",
        "--new-key",
        &new,
        "--config",
        configuration,
    ];
    let restore = ["state", "restore", "/nowhere", "--config", configuration];
    for command in [&rotate[..], &restore] {
        let output = daemon.run(command);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(70), "{told}");
        assert!(told.contains("systemctl stop rolecall"), "{told}");
    }
    assert!(daemon.end(Signal::SIGTERM).success());
    let told = daemon.says(&rotate);
    assert!(told.starts_with("0 secrets are sealed"), "{told}");
    assert!(told.contains("4 rings of keys"), "{told}");
    let ring = fs::read_to_string(daemon.path("state/authority.keys")).unwrap();
    assert!(ring.starts_with("rolecall sealed keys 1\n"), "{ring}");
}

#[test]
fn keys_of_held_sessions_that_an_older_rolecall_left_behind_are_put_aside_once() {
    const TOLD: &str = "the keys of held sessions are sealed with another state key";
    let local = "[account.local]\nid = \"000000000000\"\ncredentials = { from = \"local\" }\n\
                 [account.local.role.demo]\n";
    let configuration = format!("{LISTENER}{local}{}", to_us("local/demo"));
    let mut daemon = Daemon::start(&configuration);
    daemon.says(&["key", "create", "--user", "ann"]);
    daemon.end(Signal::SIGTERM);
    let sealed_with = |name: &str, digit: &str| {
        let key = daemon.path(name);
        fs::write(&key, digit.repeat(64)).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        let key = format!("file:{}", key.display());
        let file = daemon.path("rolecall.toml");
        let file = file.to_str().unwrap();
        daemon.says(&["state", "rotate-key", "--new-key", &key, "--config", file]);
        daemon.rewrite_state(&configuration, &format!("key = {key:?}"));
    };
    sealed_with("first", "1");
    // The older one knows nothing of this ring.
    let ring = daemon.path("state/sessions.keys");
    let left_behind = fs::read(&ring).unwrap();
    sealed_with("second", "2");
    fs::write(&ring, &left_behind).unwrap();

    daemon.restart_ended();
    assert_eq!(daemon.log().matches(TOLD).count(), 1, "{}", daemon.log());
    let aside = daemon.path("state/sessions.keys.refused");
    assert_eq!(fs::read(aside).unwrap(), left_behind);
    let listed = daemon.says(&["key", "list"]);
    assert!(listed.contains("ann"), "{listed}");
    let held = daemon.says(&["credentials"]);
    daemon.restart(Signal::SIGTERM);
    assert_eq!(daemon.says(&["credentials"]), held, "it is held again");
    assert_eq!(daemon.log().matches(TOLD).count(), 1);
}

#[tokio::test]
async fn a_backup_that_is_killed_leaves_no_half_file() {
    let scene = Scene::new();
    scene.make("Prod", None).await;
    let target = scene.path("backups");
    fs::create_dir(&target).unwrap();
    let copy = target.join("copy");
    let arguments = ["backup", copy.to_str().unwrap()];
    for _ in 0..5 {
        let configuration = scene.path("rolecall.toml");
        let mut command = rolecall(&["state"]);
        command.args(arguments).arg("--config").arg(configuration);
        let mut running = command.stdout(Stdio::null()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while fs::read_dir(&target).unwrap().next().is_none() {
            assert!(Instant::now() < deadline, "nothing was written");
        }
        // It has begun to write.
        running.kill().unwrap();
        running.wait().unwrap();
        if copy.exists() {
            let restored = scene.run(&["restore", copy.to_str().unwrap()]);
            let told = String::from_utf8_lossy(&restored.stderr);
            assert!(restored.status.success(), "{told}");
            fs::remove_file(&copy).unwrap();
        }
        // What is left keeps nobody from another.
        scene.says(&arguments);
        assert_eq!(fs::read_dir(&target).unwrap().count(), 1);
        fs::remove_file(&copy).unwrap();
    }
}
