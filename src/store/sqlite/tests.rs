//! The file: what survives, what is refused, and that nothing of a refused one is changed.

mod places;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;
use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::authority::totp::Seed;
use crate::store::{
    AccessKey, AccessKeyDraft, Account, AccountDraft, Connector, ConnectorDraft, ConnectorKind,
    MfaDevice, MfaDeviceDraft, Token, TokenDraft, Version,
};
use crate::types::{AccessKeyId, AccountAlias, ExternalId, MfaSerial, Partition, RoleArn, RoleRef};

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
fn no_secret_lies_in_the_open() {
    let directory = directory();
    filled(directory.path(), None);
    for (name, content) in contents(directory.path()) {
        for secret in SECRETS {
            assert!(!holds(&content, secret), "{name}");
        }
    }
    assert_eq!(secrets(directory.path(), None).unwrap(), SECRETS);
    let mode = fs::metadata(directory.path().join(FILE)).unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_wrong_key_is_refused_and_nothing_changes() {
    let directory = directory();
    let right = state_key("1");
    filled(directory.path(), Some(&right));
    let before = contents(directory.path());
    for wrong in [Some(state_key("2")), None] {
        let told = secrets(directory.path(), wrong.as_ref()).unwrap_err();
        assert!(matches!(told, Cause::OtherKey(_)), "{told}");
        assert_eq!(contents(directory.path()), before);
    }
    assert_eq!(secrets(directory.path(), Some(&right)).unwrap(), SECRETS);
}

#[test]
fn a_generated_key_that_is_lost_is_not_replaced() {
    let directory = directory();
    filled(directory.path(), None);
    let ring = directory.path().join("store.keys");
    let kept = fs::read(&ring).unwrap();
    fs::remove_file(&ring).unwrap();
    let told = refused(directory.path());
    assert!(matches!(told, Cause::OtherKey(_)), "{told}");
    assert!(!ring.exists());
    fs::write(&ring, kept).unwrap();
    fs::set_permissions(&ring, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(secrets(directory.path(), None).unwrap(), SECRETS);
}

#[test]
fn a_key_that_is_configured_later_takes_over() {
    let directory = directory();
    filled(directory.path(), None);
    let configured = state_key("3");
    let opened = secrets(directory.path(), Some(&configured));
    assert_eq!(opened.unwrap(), SECRETS);
    fs::remove_file(directory.path().join("store.keys")).unwrap();
    let alone = secrets(directory.path(), Some(&configured));
    assert_eq!(alone.unwrap(), SECRETS);
}

#[test]
fn rotations_seal_everything_again() {
    let directory = directory();
    filled(directory.path(), None);
    let sealed = |store: &Path| {
        let connection = connect(&store.join(FILE), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let all = "SELECT id FROM keys UNION SELECT sealed FROM keys UNION \
            SELECT secret FROM accounts UNION SELECT secret FROM access_keys UNION \
            SELECT secret FROM mfa_devices";
        let mut all = connection.prepare(all).unwrap();
        let rows = all.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
        rows.map(Result::unwrap).collect::<Vec<_>>()
    };
    for _ in 0..3 {
        let before = sealed(directory.path());
        let rotated = rotate_key(directory.path(), None, None).unwrap();
        assert_eq!(rotated, Rotated { secrets: 3 });
        for old in before {
            for (name, content) in contents(directory.path()) {
                let still = content.windows(old.len()).any(|window| window == old);
                assert!(!still, "{name} holds what was sealed before");
            }
        }
        assert_eq!(secrets(directory.path(), None).unwrap(), SECRETS);
    }
    let (first, second) = (state_key("4"), state_key("5"));
    rotate_key(directory.path(), None, Some(&first)).unwrap();
    rotate_key(directory.path(), Some(&first), Some(&second)).unwrap();
    // As after one that was interrupted before its end was told.
    rotate_key(directory.path(), Some(&first), Some(&second)).unwrap();
    let old = secrets(directory.path(), Some(&first)).unwrap_err();
    assert!(matches!(old, Cause::OtherKey(_)), "{old}");
    assert_eq!(secrets(directory.path(), Some(&second)).unwrap(), SECRETS);
    let before = contents(directory.path());
    let wrong = rotate_key(directory.path(), Some(&first), Some(&state_key("6")));
    assert!(matches!(cause(wrong.unwrap_err()), Cause::OtherKey(_)));
    assert_eq!(contents(directory.path()), before);
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
fn a_secret_opens_as_nobody_elses() {
    let directory = directory();
    filled(directory.path(), None);
    let file = directory.path().join(FILE);
    let mut store = Sqlite::open(directory.path(), None).unwrap();
    let other = Change::Key(Arc::new(access_key("key-of-bob", "bob")));
    store.write(&[other]).unwrap();
    drop(store);
    let swap = "UPDATE access_keys SET secret = (SELECT secret FROM access_keys
        WHERE id = 'key-of-bob') WHERE id = 'key-of-ann'";
    Connection::open(file).unwrap().execute(swap, []).unwrap();
    let told = secrets(directory.path(), None).unwrap_err();
    assert!(matches!(told, Cause::Damaged(_)), "{told}");
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

#[test]
fn a_backup_is_brought_back() {
    let directory = directory();
    let key = state_key("7");
    let made = filled(directory.path(), Some(&key));
    let copy = directory.path().join("copy");
    // While a daemon uses it.
    let mut store = Sqlite::open(directory.path(), Some(&key)).unwrap();
    let told = backup(directory.path(), &copy).unwrap();
    let counted = Backup {
        accounts: 1,
        connectors: 1,
        tokens: 0,
        keys: 1,
        devices: 1,
        needs_ring: false,
    };
    assert_eq!(told, counted);
    let again = cause(backup(directory.path(), &copy).unwrap_err());
    assert!(
        matches!(again, Cause::Failed(_)),
        "it replaces nothing: {again}"
    );
    let busy = cause(restore(directory.path(), &copy, Some(&key)).unwrap_err());
    assert_eq!(busy, Cause::InUse);
    store
        .write(&[Change::Account(Arc::new(account("later")))])
        .unwrap();
    drop(store);
    let wrong = cause(restore(directory.path(), &copy, None).unwrap_err());
    assert!(matches!(wrong, Cause::OtherKey(_)), "{wrong}");
    let accounts = || {
        let mut reopened = Sqlite::open(directory.path(), Some(&key)).unwrap();
        reopened.read().unwrap().accounts
    };
    assert_eq!(accounts().len(), 2, "nothing was replaced");
    assert_eq!(
        restore(directory.path(), &copy, Some(&key)).unwrap(),
        counted
    );
    let ids: Vec<Uuid> = accounts().iter().map(|account| account.id).collect();
    assert_eq!(ids, [made.id]);
    assert!(!directory.path().join("store.db.coming").exists());
}

#[test]
fn a_damaged_backup_replaces_nothing_and_a_damaged_store_is_kept_aside() {
    let directory = directory();
    filled(directory.path(), None);
    let copy = directory.path().join("copy");
    assert!(backup(directory.path(), &copy).unwrap().needs_ring);
    let whole = fs::read(&copy).unwrap();
    let mut broken = whole.clone();
    // The beginning of a page: elsewhere there may be nothing.
    broken[8192..8192 + 2000].fill(0x5a);
    fs::write(&copy, &broken).unwrap();
    let before = fs::read(directory.path().join(FILE)).unwrap();
    let told = cause(restore(directory.path(), &copy, None).unwrap_err());
    assert!(matches!(told, Cause::Damaged(_)), "{told}");
    assert_eq!(fs::read(directory.path().join(FILE)).unwrap(), before);
    fs::write(&copy, &whole).unwrap();
    let rubbish = vec![7_u8; 5000];
    fs::write(directory.path().join(FILE), &rubbish).unwrap();
    restore(directory.path(), &copy, None).unwrap();
    assert_eq!(secrets(directory.path(), None).unwrap(), SECRETS);
    let aside = fs::read(directory.path().join("store.db.damaged")).unwrap();
    assert_eq!(aside, rubbish);
}

fn text() -> impl Strategy<Value = String> {
    "[ -~äß東]{1,20}"
}

prop_compose! {
    fn any_connector()(
        name in text(), groups in prop::collection::vec(text(), 0..4),
        policy in prop::option::of(text()), arns in prop::collection::vec(text(), 0..3),
        life in prop::option::of(0..1_000_000_u64), system: bool, version in 0..u64::from(u32::MAX),
        kind in 0..4_u8,
    ) -> Connector {
        let arn = RoleArn::new("arn:aws:iam::123456789012:role/web").unwrap();
        let external_id = (kind == 3).then(|| ExternalId::new("some-id").unwrap());
        let kind = match kind {
            0 => ConnectorKind::FederationToken,
            1 => ConnectorKind::SessionToken,
            _ => ConnectorKind::AssumeRole { arn, external_id },
        };
        let plain = connector("prod/web");
        Connector {
            version: Version(version),
            draft: ConnectorDraft {
                name: Arc::from(name),
                groups: groups.into_iter().map(Arc::from).collect(),
                policy: policy.map(Arc::from),
                policy_arns: arns,
                max_duration: life.map(Duration::from_secs),
                system,
                kind,
                ..plain.draft
            },
            ..plain
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_written_is_read(connector in any_connector(), hash: [u8; 32], user in text(), at in 0..4_000_000_000_u64) {
        let directory = directory();
        let mut store = Sqlite::open(directory.path(), None).unwrap();
        let at = UNIX_EPOCH + Duration::from_secs(at);
        let draft = TokenDraft { user: Arc::from(user), hash, expires: at };
        let token = Token { id: Uuid::new_v4(), made: at, draft };
        let mut key = access_key("key", "ann");
        key.draft.user = Arc::clone(&token.draft.user);
        key.draft.label = Arc::clone(&token.draft.user);
        key.made = at;
        let mut phone = device("device-of-ann");
        phone.used = connector.draft.max_duration.map(|life| life.as_secs());
        phone.draft.user = Arc::clone(&token.draft.user);
        let unused = MfaDevice { used: None, ..phone.clone() };
        let forgotten = Uuid::new_v4();
        let changes = [
            Change::Connector(Arc::new(connector.clone())),
            Change::Token(Arc::new(token.clone())),
            Change::Key(Arc::new(key.clone())),
            Change::Device(Arc::new(unused)),
            Change::Device(Arc::new(phone.clone())),
            Change::Revoked(token.id, UNIX_EPOCH),
            Change::Revoked(token.id, at),
            Change::Revoked(forgotten, at),
            Change::Forgotten(forgotten),
        ];
        store.write(&changes).unwrap();
        drop(store);
        let kept = Sqlite::open(directory.path(), None).unwrap().read().unwrap();
        let read = &kept.connectors[0];
        prop_assert_eq!(&read.draft, &connector.draft);
        prop_assert_eq!((read.id, read.version, &read.role), (connector.id, connector.version, &connector.role));
        prop_assert_eq!(&kept.revoked, &[(token.id, at)]);
        prop_assert_eq!(&kept.tokens, &[token]);
        let told = |it: &AccessKey| format!("{it:?}{}", it.draft.secret.expose_secret());
        prop_assert_eq!(told(&kept.keys[0]), told(&key));
        let shown = |it: &MfaDevice| format!("{it:?}{}", it.draft.seed.base32().expose_secret());
        prop_assert_eq!(shown(&kept.devices[0]), shown(&phone));
    }
}
