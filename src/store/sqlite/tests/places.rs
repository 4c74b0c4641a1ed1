//! Places that hold no more, or may not be written. The file systems are this thread's own, and end
//! with it.

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::Uid;

use super::*;

const NONE: Option<&str> = None;

/// Gives this thread mounts of its own, if it may.
fn own_mounts() -> bool {
    if !Uid::effective().is_root() {
        assert!(
            std::env::var_os("CI").is_none(),
            "this test needs root, and CI must run it"
        );
        eprintln!("nothing is tested: this test needs root");
        return false;
    }
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(NONE, "/", NONE, private, NONE).unwrap();
    true
}

/// A file system of this size.
fn small(directory: &TempDir, kib: u32) {
    let options = format!("size={kib}k,mode=0700");
    let (tmpfs, plain) = (Some("tmpfs"), MsFlags::empty());
    mount(tmpfs, directory.path(), tmpfs, plain, Some(&*options)).unwrap();
}

/// Gives the file system space.
fn small_again(directory: &TempDir) {
    let remount = MsFlags::MS_REMOUNT;
    mount(NONE, directory.path(), NONE, remount, Some("size=64m")).unwrap();
}

fn many() -> Vec<Change> {
    let accounts = (0..1000).map(|n| Change::Account(Arc::new(account(&format!("a{n}")))));
    accounts.collect()
}

#[test]
fn a_file_system_that_is_full_is_told_and_what_was_kept_stays() {
    if !own_mounts() {
        return;
    }
    let directory = directory();
    small(&directory, 256);
    filled(directory.path(), None);
    let mut store = Sqlite::open(directory.path(), None).unwrap();
    let many = many();
    assert_eq!(cause(store.write(&many).unwrap_err()), Cause::Full);
    assert_eq!(store.read().unwrap().accounts.len(), 1, "all or none");
    drop(store);
    assert_eq!(secrets(directory.path(), None).unwrap(), SECRETS);
    let copy = directory.path().join("copy");
    let ballast = directory.path().join("ballast");
    fs::write(&ballast, vec![0; 256 << 10]).unwrap_err();
    let told = cause(backup(directory.path(), &copy).unwrap_err());
    assert_eq!(told, Cause::Full);
    assert!(!copy.exists(), "no half copy is left");
    fs::remove_file(&ballast).unwrap();
    small_again(&directory);
    let mut roomy = Sqlite::open(directory.path(), None).unwrap();
    roomy.write(&many).unwrap();
    assert_eq!(roomy.read().unwrap().accounts.len(), 1001);
}

#[test]
fn a_file_system_that_is_full_from_the_beginning_is_told() {
    if !own_mounts() {
        return;
    }
    let directory = directory();
    small(&directory, 8);
    assert_eq!(refused(directory.path()), Cause::Full);
    small_again(&directory);
    drop(Sqlite::open(directory.path(), None).unwrap());
}

#[test]
fn a_file_system_that_may_only_be_read_is_told() {
    if !own_mounts() {
        return;
    }
    let directory = directory();
    small(&directory, 4096);
    filled(directory.path(), None);
    let read_only = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    mount(NONE, directory.path(), NONE, read_only, NONE).unwrap();
    assert_eq!(refused(directory.path()), Cause::ReadOnly);
    let told = cause(rotate_key(directory.path(), None, None).unwrap_err());
    assert_eq!(told, Cause::ReadOnly);
}
