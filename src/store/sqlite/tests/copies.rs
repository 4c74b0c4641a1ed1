//! Backups, and what they replace.

use super::*;

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
