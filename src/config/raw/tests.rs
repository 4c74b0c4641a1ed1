//! Files as they are read.

use std::path::Path;

use super::*;
use crate::config::problem::Problems;

fn read(text: &str) -> (Tree<'_>, Option<PartId>, Problems) {
    let (mut tree, problems) = (Tree::default(), Problems::default());
    let root = parse(0, text, &mut tree, &problems);
    (tree, root, problems)
}

/// The part at this path.
fn part(tree: &Tree<'_>, root: PartId, path: &[&str]) -> PartId {
    path.iter()
        .fold(root, |at, step| match tree.data(at).as_list() {
            Some(list) => list[step.parse::<usize>().unwrap() - 1],
            None => tree.get(tree.keys(at), step).unwrap(),
        })
}

#[test]
fn values_have_their_places() {
    let (tree, root, _) = read("[a]\nb = [1, { c = 0x10 }]\n");
    let part = |path: &[&str]| part(&tree, root.unwrap(), path);
    let offset = |path: &[&str]| tree.place(part(path)).unwrap().offset;
    assert_eq!(offset(&["a"]), 1);
    assert_eq!(offset(&["a", "b"]), 4);
    assert_eq!(offset(&["a", "b", "1"]), 9);
    let c = part(&["a", "b", "2", "c"]);
    assert!(matches!(tree.data(c), Data::Integer(16)));
    assert_eq!(tree.path(c), "a.b#2.c");
}

#[test]
fn a_syntax_error_is_told_once_with_its_place() {
    let text = "a = 1\nb = = 2\nc = \"\n";
    let (tree, root, problems) = read(text);
    assert_eq!(root, None);
    let mut sources = Sources::default();
    sources.add(Path::new("f.toml"), text.to_owned());
    let list = problems.into_list(&tree, &sources);
    assert_eq!(list.len(), 1, "{list:?}");
    assert_eq!(list[0].position.as_ref().unwrap().line, 2);
}

#[test]
fn a_number_too_large_is_a_problem_of_its_key() {
    let (tree, root, problems) = read("a.b = 99999999999999999999\n");
    assert!(root.is_some());
    assert!(problems.refused());
    let list = problems.into_list(&tree, &Sources::default());
    assert_eq!(list[0].key, "a.b");
}

#[test]
fn no_depth_of_keys_and_values_is_the_end_of_the_stack() {
    let shapes: [fn(usize) -> String; 4] = [
        |depth| format!("a{} = 1", ".a".repeat(depth)),
        |depth| format!("[a{}]", ".a".repeat(depth)),
        |depth| format!("a = {}{}", "[".repeat(depth), "]".repeat(depth)),
        |depth| format!("a = {}1{}", "{ a = ".repeat(depth), " }".repeat(depth)),
    ];
    for shape in shapes {
        assert!(read(&shape(70)).1.is_some(), "{}", shape(3));
        assert!(read(&shape(100_000)).1.is_none(), "{}", shape(3));
    }
}
