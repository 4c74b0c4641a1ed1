//! What happens to the file by itself, and what others do to it.

use super::*;

#[test]
fn who_is_killed_while_writing_loses_no_more_than_that() {
    let scene = Scene::new();
    let (mut book, _) = scene.open();
    book.write(BTreeMap::new(), &[Settle::Erased]).unwrap();
    book.write(held(&scene.session("prod/web", 1)), &[])
        .unwrap();
    let first = scene.bytes().len();
    book.write(held(&scene.session("prod/db", 2)), &[]).unwrap();
    drop(book);
    let whole = scene.bytes();
    for length in 0..whole.len() {
        scene.put(&whole[..length]);
        let read = scene.read();
        let refused = scene.refused();
        drop(fs::remove_file(
            scene.directory.path().join("sessions.refused"),
        ));
        if refused || length == 0 {
            assert!(read.is_empty() && length < first, "{length}");
        } else if length >= first {
            assert_eq!(read, ["ASIA0000000000000001"], "{length}");
        }
    }
    // As a loss of power leaves a file that was to grow.
    scene.put([&whole[..first], &[0; 300]].concat());
    let (mut book, kept) = scene.open();
    assert_eq!(kept.len(), 1);
    book.write(held(&scene.session("prod/db", 4)), &[]).unwrap();
    drop(book);
    assert_eq!(
        scene.read().len(),
        2,
        "what is written next stands behind what is whole"
    );
}

#[test]
fn whatever_is_changed_in_the_file_nothing_else_than_was_written_is_read() {
    let scene = Scene::new();
    let (mut book, _) = scene.open();
    let written = [scene.session("prod/web", 1), scene.session("prod/db", 2)];
    for session in &written {
        book.write(held(session), &[]).unwrap();
    }
    drop(book);
    let whole = scene.bytes();
    let mut refusals = 0;
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x41;
        scene.put(changed);
        let read = scene.read();
        // A frame whose length is changed is one whose end is missing.
        assert!(read.len() < 2, "byte {at}");
        assert!(
            read.iter().all(|id| id == "ASIA0000000000000001"),
            "byte {at}"
        );
        if scene.refused() {
            refusals += 1;
            assert!(read.is_empty() && !scene.file().exists(), "byte {at}");
            fs::remove_file(scene.directory.path().join("sessions.refused")).unwrap();
        }
    }
    assert!(refusals > whole.len() - 16, "{refusals} of {}", whole.len());
}

#[test]
fn frames_cannot_be_moved_or_left_out() {
    let scene = Scene::new();
    let (mut book, _) = scene.open();
    let mut ends = Vec::new();
    for (number, role) in ["prod/aa", "prod/bb", "prod/cc"].iter().enumerate() {
        book.write(held(&scene.session(role, number)), &[]).unwrap();
        ends.push(scene.bytes().len());
    }
    drop(book);
    let whole = scene.bytes();
    let (head, a, b, c) = (
        &whole[..ends[0] - (ends[1] - ends[0])],
        &whole[ends[0] - (ends[1] - ends[0])..ends[0]],
        &whole[ends[0]..ends[1]],
        &whole[ends[1]..],
    );
    assert_eq!(scene.read().len(), 3);
    for other in [
        [head, b, a, c],
        [head, a, c, &[]],
        [head, b, c, &[]],
        [head, a, a, b],
    ] {
        scene.put(other.concat());
        assert!(scene.read().is_empty());
        assert!(scene.refused());
    }
}

#[test]
fn files_of_others_are_put_aside_and_replaced() {
    let refuses = |spoil: &dyn Fn(&mut Scene)| {
        let mut scene = Scene::new();
        let (mut book, _) = scene.open();
        book.write(held(&scene.session("prod/web", 1)), &[])
            .unwrap();
        drop(book);
        spoil(&mut scene);
        let (mut book, kept) = scene.open();
        assert!(kept.is_empty());
        assert!(scene.refused());
        // It goes on with a file of its own.
        book.write(held(&scene.session("prod/db", 2)), &[]).unwrap();
        drop(book);
        assert_eq!(scene.read(), ["ASIA0000000000000002"]);
    };
    refuses(&|scene| scene.host = "another");
    refuses(&|scene| fs::remove_file(scene.directory.path().join("sessions.keys")).unwrap());
    refuses(&|scene| {
        let newer = [b"rolecall held sessions 2\n", &scene.bytes()[25..]].concat();
        scene.put(newer);
    });
    refuses(&|scene| scene.put("something else"));
}

#[test]
fn a_refusal_says_what_is_wrong() {
    let scene = Scene::new();
    let (mut book, _) = scene.open();
    book.write(held(&scene.session("prod/web", 1)), &[])
        .unwrap();
    let whole = scene.bytes();
    let why = |bytes: &[u8], of: &str| {
        let place = scene.place();
        let moment = record::Moment {
            boot: scene.clock.boot_name(),
            clock: scene.clock.clone(),
        };
        file::read(&mut bytes.to_vec(), &place.seals, &host(of), &moment).unwrap_err()
    };
    let newer = [b"rolecall held sessions 2\n", &whole[25..]].concat();
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() ^= 1;
    let mut first = whole.clone();
    first[60] ^= 1;
    assert_eq!(why(&whole, "another"), Refusal::OtherHost);
    assert_eq!(why(&newer, scene.host), Refusal::OtherVersion);
    assert_eq!(why(&changed, scene.host), Refusal::Changed);
    assert_eq!(why(&first, scene.host), Refusal::OtherKeys);
    assert_eq!(why(&whole[..40], scene.host), Refusal::Damaged);
}

#[test]
fn a_frame_that_did_not_reach_the_disk_takes_none_before_it_along() {
    let scene = Scene::new();
    let (mut book, _) = scene.open();
    for number in 0..4 {
        let session = scene.session(&format!("prod/role{number}"), number);
        book.write(held(&session), &[]).unwrap();
    }
    let before = scene.bytes().len();
    book.write(held(&scene.session("prod/last", 9)), &[])
        .unwrap();
    drop(book);
    let whole = scene.bytes();
    // The file had grown when power was lost, and this sector and those after it were not written.
    let sector = before / 512 * 512 + 512;
    assert!(sector < whole.len());
    scene.put([&whole[..sector], &vec![0; whole.len() - sector]].concat());
    assert_eq!(scene.read().len(), 4);
    assert!(!scene.refused());
}
