//! What was let go is in no file any more.

use super::*;

#[test]
fn what_is_forgotten_is_in_the_file_no_more() {
    let scene = Scene::new();
    let (mut book, _) = scene.open();
    book.write(BTreeMap::new(), &[Settle::Erased]).unwrap();
    let (web, db) = (scene.session("prod/web", 1), scene.session("prod/db", 2));
    book.write(held(&web), &[]).unwrap();
    let one = scene.bytes().len();
    book.write(held(&db), &[]).unwrap();
    book.write(gone(&web), &[Settle::Erased]).unwrap();
    let left = scene.bytes().len();
    assert!(left.abs_diff(one) < 4, "{left} of one is {one}");
    book.write(gone(&db), &[]).unwrap();
    book.write(BTreeMap::new(), &[Settle::Erased]).unwrap();
    assert!(
        scene.bytes().len() < 200,
        "nothing but its beginning is left"
    );
    drop(book);
    assert!(scene.read().is_empty());
}

#[test]
fn what_cannot_be_erased_is_removed_or_told() {
    let scene = Scene::new();
    let (mut book, _) = scene.open();
    let web = scene.session("prod/web", 1);
    book.write(held(&web), &[]).unwrap();
    // Nothing can be written anew where a folder stands in the way.
    let way = scene.directory.path().join("sessions.new");
    fs::create_dir(&way).unwrap();
    book.write(gone(&web), &[Settle::Erased]).unwrap();
    assert!(!scene.file().exists());
    // Nor can a folder be removed as a file.
    fs::create_dir(scene.file()).unwrap();
    let told = book.write(held(&web), &[Settle::Erased]).unwrap_err();
    assert!(
        told.to_string().contains("Remove it before the next start"),
        "{told}"
    );
}

#[test]
fn what_is_forgotten_is_not_in_what_was_put_aside_either() {
    let scene = Scene::new();
    let (mut book, _) = scene.open();
    book.write(held(&scene.session("prod/web", 1)), &[])
        .unwrap();
    drop(book);
    let mut changed = scene.bytes();
    *changed.last_mut().unwrap() ^= 1;
    scene.put(changed);
    let (mut book, _) = scene.open();
    assert!(scene.refused());
    book.write(BTreeMap::new(), &[Settle::Erased]).unwrap();
    assert!(!scene.refused());
}

#[test]
fn what_another_daemon_keeps_is_not_removed_to_forget_something() {
    let scene = Scene::new();
    let (mut first, _) = scene.open();
    first
        .write(held(&scene.session("prod/web", 1)), &[])
        .unwrap();
    let (mut second, _) = scene.open();
    let told = second.write(BTreeMap::new(), &[Settle::Erased]);
    let told = told.unwrap_err().to_string();
    assert!(told.contains("another daemon"), "{told}");
    drop((first, second));
    assert_eq!(scene.read(), ["ASIA0000000000000001"]);
}

#[test]
fn nothing_is_left_where_nothing_is_to_be_kept() {
    let scene = Scene::new();
    let names = ["sessions.sealed", "sessions.refused", "sessions.new"];
    let paths = names.map(|name| scene.directory.path().join(name));
    for path in &paths {
        fs::write(path, "x").unwrap();
    }
    assert!(discard(scene.directory.path()).unwrap());
    assert!(paths.iter().all(|path| !path.exists()));
    assert!(!discard(scene.directory.path()).unwrap());
}

#[test]
fn what_was_not_finished_is_removed_at_the_next_start() {
    let scene = Scene::new();
    // The keys are made once, and by way of a file of this name.
    drop(scene.open());
    let unfinished = scene.directory.path().join("sessions.new");
    fs::write(&unfinished, "x").unwrap();
    let (_, kept) = scene.open();
    assert!(kept.is_empty() && !unfinished.exists());
}
