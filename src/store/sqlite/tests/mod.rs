//! The file: what survives, what is refused, and that nothing of a refused one is changed.

mod copies;
mod places;
mod properties;
mod sealing;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::authority::totp::Seed;
use crate::store::{
    AccessKey, AccessKeyDraft, Account, AccountDraft, Connector, ConnectorDraft, ConnectorKind,
    MfaDevice, MfaDeviceDraft, Version,
};
use crate::types::{AccessKeyId, AccountAlias, MfaSerial, Partition, RoleRef};

const SECRET: &str = "a-secret-that-must-not-lie-in-the-open";
const SEED: &str = "MEWXGZLDOJSXILLUNBQXILLNOVZXILLO";
/// What [`secrets`] tells of a store that [`filled`] has filled.
const SECRETS: [&str; 3] = [SECRET, SECRET, SEED];

fn directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
    directory
}

fn state_key(digit: &str) -> StateKey {
    StateKey::parse(&SecretString::from(digit.repeat(64))).unwrap()
}

fn account(alias: &str) -> Account {
    Account {
        id: Uuid::new_v4(),
        version: Version(1),
        alias: AccountAlias::new(alias).unwrap(),
        draft: AccountDraft {
            name: Arc::from(alias.to_uppercase()),
            access_key_id: AccessKeyId::new("AKIAEXAMPLE").unwrap(),
            secret_access_key: SecretString::from(SECRET),
            partition: Partition::new("aws").unwrap(),
        },
    }
}

fn connector(role: &str) -> Connector {
    let role = RoleRef::parse(role).unwrap();
    Connector {
        id: Uuid::new_v4(),
        version: Version(1),
        draft: ConnectorDraft {
            name: Arc::from(role.to_string()),
            account: role.account.clone(),
            kind: ConnectorKind::SessionToken,
            system: false,
            groups: Vec::new(),
            policy: None,
            policy_arns: Vec::new(),
            max_duration: None,
        },
        role,
    }
}

fn access_key(id: &str, user: &str) -> AccessKey {
    AccessKey {
        made: UNIX_EPOCH,
        draft: AccessKeyDraft {
            id: AccessKeyId::new(id).unwrap(),
            secret: SecretString::from(SECRET),
            user: Arc::from(user),
            account: AccountAlias::new("team").unwrap(),
            label: Arc::default(),
        },
    }
}

/// Its seed is the secret of the others, as base32.
fn device(serial: &str) -> MfaDevice {
    MfaDevice {
        made: UNIX_EPOCH,
        used: None,
        draft: MfaDeviceDraft {
            serial: MfaSerial::new(serial).unwrap(),
            seed: Seed::parse(&SecretString::from(SEED)).unwrap(),
            user: Arc::from("ann"),
        },
    }
}

/// A store with one account, one connector of it, one access key and one MFA device.
fn filled(directory: &Path, key: Option<&StateKey>) -> Account {
    let mut store = Sqlite::open(directory, key).unwrap();
    let made = account("team");
    let changes = [
        Change::Account(Arc::new(made.clone())),
        Change::Connector(Arc::new(connector("team/web"))),
        Change::Key(Arc::new(access_key("key-of-ann", "ann"))),
        Change::Device(Arc::new(device("device-of-ann"))),
    ];
    store.write(&changes).unwrap();
    made
}

fn secrets(directory: &Path, key: Option<&StateKey>) -> Result<Vec<String>, Cause> {
    let read = Sqlite::open(directory, key).and_then(|mut store| store.read());
    let kept = read.map_err(cause)?;
    let accounts = kept.accounts.into_iter();
    let accounts = accounts.map(|account| account.draft.secret_access_key);
    let keys = kept.keys.into_iter().map(|made| made.draft.secret);
    let devices = kept.devices.into_iter();
    let devices = devices.map(|device| device.draft.seed.base32());
    let secrets = accounts.chain(keys).chain(devices);
    Ok(secrets.map(|s| s.expose_secret().to_owned()).collect())
}

fn cause(fault: Fault) -> Cause {
    match fault {
        Fault::Kept { cause, .. } => cause,
        Fault::Opening | Fault::Ended => panic!("{fault}"),
    }
}

fn refused(directory: &Path) -> Cause {
    cause(Sqlite::open(directory, None).unwrap_err())
}

/// All files of a directory with what is in them.
fn contents(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    let mut files: Vec<_> = entries
        .filter(|entry| entry.file_type().unwrap().is_file())
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}

fn holds(text: &[u8], part: &str) -> bool {
    text.windows(part.len())
        .any(|window| window == part.as_bytes())
}

#[test]
fn one_rolecall_at_a_time_uses_it() {
    let directory = directory();
    let first = Sqlite::open(directory.path(), None).unwrap();
    assert_eq!(refused(directory.path()), Cause::InUse);
    drop(first);
    drop(Sqlite::open(directory.path(), None).unwrap());
}

#[test]
fn a_lock_of_another_program_is_told_and_loses_nothing() {
    let directory = directory();
    let mut store = Sqlite::open(directory.path(), None).unwrap();
    store.connection.busy_timeout(Duration::ZERO).unwrap();
    let other = Connection::open(directory.path().join(FILE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let change = [Change::Account(Arc::new(account("team")))];
    let told = cause(store.write(&change).unwrap_err());
    assert_eq!(told, Cause::Locked);
    other.execute_batch("ROLLBACK").unwrap();
    store.write(&change).unwrap();
    assert_eq!(store.read().unwrap().accounts.len(), 1);
}

#[test]
fn a_full_disk_is_told_and_keeps_the_old_state() {
    let directory = directory();
    filled(directory.path(), None);
    let mut store = Sqlite::open(directory.path(), None).unwrap();
    let pages = store
        .connection
        .query_row("PRAGMA page_count", [], |row| row.get(0));
    let now: i64 = pages.unwrap();
    store
        .connection
        .pragma_update(None, "max_page_count", now)
        .unwrap();
    let many = (0..500).map(|n| Change::Connector(Arc::new(connector(&format!("team/role-{n}")))));
    let many: Vec<Change> = many.collect();
    assert_eq!(cause(store.write(&many).unwrap_err()), Cause::Full);
    assert_eq!(store.read().unwrap().connectors.len(), 1, "all or none");
    store
        .connection
        .pragma_update(None, "max_page_count", 1_000_000)
        .unwrap();
    store.write(&many).unwrap();
    assert_eq!(store.read().unwrap().connectors.len(), 501);
}

#[test]
fn a_store_that_may_only_be_read_says_so() {
    let directory = directory();
    filled(directory.path(), None);
    let mut store = Sqlite::open(directory.path(), None).unwrap();
    store
        .connection
        .pragma_update(None, "query_only", true)
        .unwrap();
    let change = [Change::Account(Arc::new(account("other")))];
    assert_eq!(cause(store.write(&change).unwrap_err()), Cause::ReadOnly);
}

#[test]
fn a_damaged_file_is_told_and_left_alone() {
    let directory = directory();
    filled(directory.path(), None);
    let file = directory.path().join(FILE);
    let whole = fs::read(&file).unwrap();
    for damage in [0, 100, 4096] {
        let mut broken = whole.clone();
        broken[damage..damage + 90].fill(0xa5);
        fs::write(&file, &broken).unwrap();
        let told = secrets(directory.path(), None).unwrap_err();
        assert!(matches!(told, Cause::Damaged(_)), "at {damage}: {told}");
        assert_eq!(fs::read(&file).unwrap(), broken);
    }
}

#[test]
fn a_later_programs_file_and_anothers_are_left_alone() {
    let directory = directory();
    filled(directory.path(), None);
    let file = directory.path().join(FILE);
    let set = |pragma: &str, value: i32| {
        let connection = Connection::open(&file).unwrap();
        connection.pragma_update(None, pragma, value).unwrap();
    };
    for (pragma, value, right, told) in [
        ("user_version", 9, 2, Cause::Newer(9, 2)),
        ("application_id", 7, 0x7263_6c6c, Cause::Foreign),
    ] {
        set(pragma, value);
        let before = fs::read(&file).unwrap();
        assert_eq!(refused(directory.path()), told);
        assert_eq!(fs::read(&file).unwrap(), before);
        set(pragma, right);
    }
    assert_eq!(secrets(directory.path(), None).unwrap(), SECRETS);
}

/// As the first version left it: a store of an account and a token.
#[test]
fn an_older_programs_file_is_brought_up_and_loses_nothing() {
    let directory = directory();
    let made = filled(directory.path(), None);
    let file = directory.path().join(FILE);
    let older = Connection::open(&file).unwrap();
    older
        .execute_batch(
            "DROP TABLE access_keys; DROP TABLE mfa_devices; DROP TABLE revocations;
             PRAGMA user_version = 1;",
        )
        .unwrap();
    drop(older);
    let copy = directory.path().join("copy");
    let copied = backup(directory.path(), &copy).unwrap();
    assert_eq!((copied.accounts, copied.keys), (1, 0));
    let mut store = Sqlite::open(directory.path(), None).unwrap();
    let kept = store.read().unwrap();
    assert_eq!(kept.accounts[0].id, made.id);
    assert!(kept.keys.is_empty() && kept.devices.is_empty() && kept.revoked.is_empty());
    let key = Change::Key(Arc::new(access_key("new", "ann")));
    store.write(&[key]).unwrap();
    drop(store);
    assert_eq!(
        secrets(directory.path(), None).unwrap(),
        [SECRET, SECRET],
        "its key is the same"
    );
    let restored = restore(directory.path(), &copy, None).unwrap();
    assert_eq!((restored.accounts, restored.keys), (1, 0));
    assert_eq!(secrets(directory.path(), None).unwrap(), [SECRET]);
}

#[test]
fn access_keys_keep_their_order_and_their_ids_are_unique() {
    let directory = directory();
    let mut store = Sqlite::open(directory.path(), None).unwrap();
    let made = |id| Change::Key(Arc::new(access_key(id, "ann")));
    let changes = [made("zz9"), made("bb2"), made("aa1")];
    store.write(&changes).unwrap();
    let again = cause(store.write(&[made("new"), made("bb2")]).unwrap_err());
    assert!(matches!(again, Cause::Failed(_)), "{again}");
    let last = AccessKeyId::new("aa1").unwrap();
    store.write(&[Change::NoKey(last), made("cc3")]).unwrap();
    drop(store);
    let kept = Sqlite::open(directory.path(), None).unwrap().read();
    let kept = kept.unwrap().keys;
    let ids: Vec<&str> = kept.iter().map(|key| key.draft.id.as_str()).collect();
    assert_eq!(ids, ["zz9", "bb2", "cc3"]);
}

#[test]
fn what_others_can_write_is_not_trusted() {
    let directory = directory();
    filled(directory.path(), None);
    let file = directory.path().join(FILE);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o620)).unwrap();
    assert!(matches!(refused(directory.path()), Cause::Exposed(_)));
    fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("/dev/null", &file).unwrap();
    let told = refused(directory.path());
    assert!(matches!(told, Cause::Failed(_)), "{told}");
}

#[test]
fn an_account_in_use_stays_even_if_nobody_looked() {
    let directory = directory();
    let made = filled(directory.path(), None);
    let mut store = Sqlite::open(directory.path(), None).unwrap();
    let told = store.write(&[Change::NoAccount(made.id)]).unwrap_err();
    assert!(matches!(cause(told), Cause::Failed(_)));
    assert_eq!(store.read().unwrap().accounts.len(), 1);
}

/// A copy of the files as they lie there at any moment is what a loss of power leaves: of the log of
/// writes, any beginning.
#[test]
fn whatever_of_the_last_write_was_kept_the_store_is_of_before_or_after_it() {
    let directory = directory();
    let mut store = Sqlite::open(directory.path(), None).unwrap();
    store
        .connection
        .pragma_update(None, "wal_autocheckpoint", 0)
        .unwrap();
    store
        .write(&[Change::Account(Arc::new(account("first")))])
        .unwrap();
    let log = directory.path().join("store.db-wal");
    let before = fs::metadata(&log).unwrap().len();
    let both = ["second", "third"].map(|alias| Change::Account(Arc::new(account(alias))));
    store.write(&both).unwrap();
    let written = fs::read(&log).unwrap();
    let before = usize::try_from(before).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for end in (before..=written.len()).step_by(512).chain([written.len()]) {
        let crashed = self::directory();
        for (name, content) in contents(directory.path()) {
            let content = match &*name {
                "store.db-wal" => &written[..end],
                "store.db-shm" => continue,
                _ => &content,
            };
            let file = crashed.path().join(name);
            fs::write(&file, content).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        }
        let mut after = Sqlite::open(crashed.path(), None).unwrap();
        seen.insert(after.read().unwrap().accounts.len());
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [1, 3]);
}
