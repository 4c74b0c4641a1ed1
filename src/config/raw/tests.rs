//! Files as they are read, beside what the `toml` crate makes of the same.

use std::path::Path;

use proptest::prelude::*;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::tree::Form;
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
fn keys_and_values_are_so_deep_and_no_deeper() {
    let shapes: [fn(usize) -> String; 4] = [
        |depth| format!("a{} = 1", ".a".repeat(depth)),
        |depth| format!("[a{}]", ".a".repeat(depth)),
        |depth| format!("a = {}{}", "[".repeat(depth), "]".repeat(depth)),
        |depth| format!("a = {}1{}", "{ a = ".repeat(depth), " }".repeat(depth)),
    ];
    for shape in shapes {
        let accepted = |depth| read(&shape(depth)).1.is_some();
        let depths = [1, 78, 79, 80, 81, 82, 1_000];
        let by_toml = depths.map(|depth| DeTable::parse(&shape(depth)).is_ok());
        assert_eq!(depths.map(accepted), by_toml, "{}", shape(3));
        assert!(accepted(78) && !accepted(82), "{}", shape(3));
    }
}

/// A value as both readers have it.
fn shown(tree: &Tree<'_>, part: PartId) -> String {
    match tree.data(part) {
        Data::Text(text) => format!("{text:?}"),
        Data::Integer(number) => number.to_string(),
        Data::Float(number) => format!("{number:?}"),
        Data::Boolean(value) => value.to_string(),
        Data::Moment(moment) => moment.clone(),
        Data::List(list) => {
            let list = list.iter().map(|element| shown(tree, *element));
            format!("[{}]", list.collect::<Vec<_>>().join(", "))
        }
        Data::Table(table) => {
            let keys = table.keys.iter().map(|key| {
                let place = tree.place(*key).unwrap().offset;
                format!("{:?}@{place} = {}", tree.name(*key), shown(tree, *key))
            });
            let keys = keys.collect::<Vec<_>>().join(", ");
            format!(
                "{{{}{keys}}}",
                if table.form == Form::Braces {
                    "in braces: "
                } else {
                    ""
                }
            )
        }
    }
}

fn shown_by_toml(file: &str, value: &Spanned<DeValue<'_>>) -> String {
    match value.get_ref() {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => {
            let number = i64::from_str_radix(number.as_str(), number.radix());
            number.unwrap_or_default().to_string()
        }
        DeValue::Float(number) => format!("{:?}", number.as_str().parse::<f64>().unwrap()),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(moment) => moment.to_string(),
        DeValue::Array(list) => {
            let list = list.iter().map(|one| shown_by_toml(file, one));
            format!("[{}]", list.collect::<Vec<_>>().join(", "))
        }
        DeValue::Table(table) => {
            let is_in_braces = file.as_bytes()[value.span().start] == b'{';
            table_by_toml(file, table, is_in_braces)
        }
    }
}

fn table_by_toml(file: &str, table: &DeTable<'_>, is_in_braces: bool) -> String {
    let keys = table.iter().map(|(key, value)| {
        let (name, place) = (key.get_ref(), key.span().start);
        format!("{name:?}@{place} = {}", shown_by_toml(file, value))
    });
    let keys = keys.collect::<Vec<_>>().join(", ");
    format!(
        "{{{}{keys}}}",
        if is_in_braces { "in braces: " } else { "" }
    )
}

/// What is told of this text, and at which byte.
fn told_of(text: &str, tree: &Tree<'_>, problems: Problems) -> Vec<(String, usize)> {
    let mut sources = Sources::default();
    sources.add(Path::new("f.toml"), text.to_owned());
    let list = problems.into_list(tree, &sources).into_iter();
    let list = list.filter(|problem| problem.message.starts_with("this is not TOML"));
    list.map(|problem| {
        let position = problem.position.unwrap();
        let before = text.split_inclusive('\n').take(position.line - 1);
        let line: usize = before.map(str::len).sum();
        (problem.message, line + position.column - 1)
    })
    .collect()
}

fn key() -> impl Strategy<Value = String> {
    let part = prop_oneof![4 => "[abc]", 1 => Just("'a b'".to_owned()), 1 => Just("\"\\u0061\"".to_owned())];
    prop::collection::vec(part, 1..4).prop_map(|parts| parts.join("."))
}

fn value() -> impl Strategy<Value = String> {
    let plain = prop::sample::select(vec![
        "'x'",
        "\"\\ty\"",
        "\"\"\"\nz\"\"\"",
        "1_000",
        "0xff",
        "99999999999999999999",
        "1.5e3",
        "inf",
        "true",
        "2026-01-31 12:00:00Z",
        "2026-13-31",
        "",
        "tru",
    ]);
    plain
        .prop_map(str::to_owned)
        .prop_recursive(3, 12, 3, |inner| {
            let pair = (key(), inner.clone()).prop_map(|(key, value)| format!("{key} = {value}"));
            let list = |of: BoxedStrategy<String>| {
                prop::collection::vec(of, 0..4).prop_map(|all| all.join(", "))
            };
            prop_oneof![
                list(inner.boxed()).prop_map(|all| format!("[{all}]")),
                list(pair.boxed()).prop_map(|all| format!("{{ {all} }}")),
            ]
        })
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => key().prop_map(|key| format!("[{key}]\n")),
        4 => key().prop_map(|key| format!("[[{key}]] # list\n")),
        8 => (key(), value()).prop_map(|(key, value)| format!("{key} = {value}\n")),
        1 => "[\\[\\]{}=.,a'\" \n]{1,6}",
    ]
}

proptest! {
    #[test]
    fn what_is_read_is_what_the_toml_crate_reads(lines in prop::collection::vec(line(), 0..8)) {
        let text = lines.concat();
        let (by_toml, errors) = DeTable::parse_recoverable(&text);
        let (tree, root, problems) = read(&text);
        let Some(root) = root else {
            let told = told_of(&text, &tree, problems);
            let known = errors.iter().map(|error| {
                let offset = error.span().map_or(0, |span| span.start);
                (format!("this is not TOML: {}", error.message()), offset)
            });
            prop_assert!(known.clone().any(|known| told == [known]), "{told:?}, not {:?}", known.collect::<Vec<_>>());
            return Ok(());
        };
        prop_assert!(errors.is_empty(), "{errors:?}");
        prop_assert_eq!(shown(&tree, root), table_by_toml(&text, by_toml.get_ref(), false));
    }
}
