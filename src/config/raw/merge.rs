//! Drop-ins: tables merge, lists of tables append, anything else may be set once.

use std::collections::btree_map;

use super::{Data, Entry, Table, Value};
use crate::config::problem::{At, Problems};

/// Adds `later` to `table`. What both set is a problem that names both places, unless the later
/// file may override.
pub(in crate::config) fn merge(
    table: &mut Table,
    later: Table,
    may_override: bool,
    at: &At,
    problems: &Problems,
) {
    for (key, entry) in later.entries {
        let at = at.below(&key, entry.place);
        match table.entries.entry(key) {
            btree_map::Entry::Vacant(vacant) => {
                vacant.insert(entry);
            }
            btree_map::Entry::Occupied(mut earlier) => {
                let earlier = earlier.get_mut();
                merge_entry(earlier, entry, may_override, &at, problems);
            }
        }
    }
}

fn merge_entry(
    earlier: &mut Entry,
    later: Entry,
    may_override: bool,
    at: &At,
    problems: &Problems,
) {
    match (&mut earlier.value.data, later.value.data) {
        (Data::Table(table), Data::Table(more)) if !(may_override && more.inline) => {
            merge(table, more, may_override, at, problems);
        }
        (Data::List(list), Data::List(more)) if is_tables(list) && is_tables(&more) => {
            list.extend(more);
        }
        (_, data) if may_override => {
            *earlier = Entry {
                place: later.place,
                value: Value {
                    place: later.value.place,
                    data,
                },
            };
        }
        (_, _) => {
            let first = At {
                place: Some(earlier.place),
                key: String::new(),
            };
            problems
                .error(at, "this is already set in another file")
                .and(&first)
                .hint("begin the later file with `override = true` if it is meant to win");
        }
    }
}

fn is_tables(list: &[Value]) -> bool {
    !list.is_empty()
        && list
            .iter()
            .all(|value| matches!(value.data, Data::Table(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::raw::parse;

    fn merged(first: &str, second: &str, may_override: bool) -> (Table, bool) {
        let problems = Problems::default();
        let mut table = parse(0, first, &problems).unwrap();
        let later = parse(1, second, &problems).unwrap();
        merge(&mut table, later, may_override, &At::default(), &problems);
        (table, problems.refused())
    }

    fn at<'a>(table: &'a Table, path: &str) -> &'a Data {
        let (head, rest) = path.split_once('.').unwrap_or((path, ""));
        let data = &table.get(head).unwrap().value.data;
        if rest.is_empty() {
            return data;
        }
        let Data::Table(inner) = data else {
            panic!("{head} is no table")
        };
        at(inner, rest)
    }

    #[test]
    fn tables_merge_and_lists_of_tables_append() {
        let (table, refused) = merged(
            "[account.a]\nregion = 'x'\n[[grant]]\nrole = 'a/b'\n",
            "[account.a.role.web]\n[account.b]\n[[grant]]\nrole = 'a/c'\n",
            false,
        );
        assert!(!refused);
        assert!(matches!(at(&table, "account.a.region"), Data::Text(_)));
        assert!(matches!(at(&table, "account.a.role.web"), Data::Table(_)));
        assert!(matches!(at(&table, "account.b"), Data::Table(_)));
        assert!(matches!(at(&table, "grant"), Data::List(list) if list.len() == 2));
    }

    #[test]
    fn a_scalar_set_twice_is_refused_unless_the_later_file_overrides() {
        let (table, refused) = merged("log.level = 'info'", "log.level = 'debug'", false);
        assert!(refused);
        assert!(matches!(at(&table, "log.level"), Data::Text(text) if text == "info"));
        let (overridden, refused_too) = merged("log.level = 'info'", "log.level = 'debug'", true);
        assert!(!refused_too);
        assert!(matches!(at(&overridden, "log.level"), Data::Text(text) if text == "debug"));
        assert!(merged("a = [1]", "a = [2]", false).1);
        assert!(merged("a = 1", "a.b = 2", false).1);
    }

    #[test]
    fn an_overriding_table_in_braces_replaces_the_whole() {
        let (table, refused) = merged(
            "c = { from = 'profile', profile = 'x' }",
            "c = { from = 'imds' }",
            true,
        );
        assert!(!refused);
        let Data::Table(c) = at(&table, "c") else {
            panic!("{table:?}")
        };
        assert_eq!(c.entries.len(), 1);
    }
}
