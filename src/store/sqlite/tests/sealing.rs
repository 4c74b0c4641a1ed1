//! Secrets in the file, and the keys that they are sealed with.

use super::*;

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
