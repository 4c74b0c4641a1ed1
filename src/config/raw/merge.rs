//! Drop-ins: tables merge, lists of tables append, anything else may be set once.

use super::{Data, PartId, Tree};
use crate::config::problem::{At, Problems};

/// Adds the table `later` to `table`. What both set is a problem that names both places, unless the
/// later file may override.
pub(in crate::config) fn merge(
    tree: &mut Tree<'_>,
    table: PartId,
    later: PartId,
    may_override: bool,
    problems: &Problems,
) {
    let mut new = Vec::new();
    for key in tree.keys(later).to_vec() {
        match tree.get(tree.keys(table), tree.name(key)) {
            Some(earlier) => merge_key(tree, earlier, key, may_override, problems),
            None => new.push(key),
        }
    }
    tree.adopt(table, new);
}

fn merge_key(
    tree: &mut Tree<'_>,
    earlier: PartId,
    later: PartId,
    may_override: bool,
    problems: &Problems,
) {
    match (tree.data(earlier), tree.data(later)) {
        (Data::Table(_), Data::Table(more)) if !(may_override && more.is_in_braces) => {
            merge(tree, earlier, later, may_override, problems);
        }
        (Data::List(list), Data::List(more)) if tree.are_tables(list) && tree.are_tables(more) => {
            for element in more.clone() {
                tree.append(earlier, element);
            }
        }
        (_, _) if may_override => tree.replace(earlier, later),
        (_, _) => {
            problems
                .error(&At::Part(later), "this is already set in another file")
                .and(&At::Part(earlier))
                .hint("begin the later file with `override = true` if it is meant to win");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::raw::parse;

    fn merged<'t>(first: &'t str, second: &'t str, may_override: bool) -> (Tree<'t>, bool) {
        let problems = Problems::default();
        let mut tree = Tree::default();
        for (file, text) in [first, second].into_iter().enumerate() {
            let root = parse(file, text, &mut tree, &problems).unwrap();
            merge(&mut tree, PartId::default(), root, may_override, &problems);
        }
        (tree, problems.refused())
    }

    fn part(tree: &Tree<'_>, path: &str) -> PartId {
        let steps = path.split('.');
        steps.fold(PartId::default(), |at, step| {
            tree.get(tree.keys(at), step).unwrap()
        })
    }

    fn at<'a, 't>(tree: &'a Tree<'t>, path: &str) -> &'a Data<'t> {
        tree.data(part(tree, path))
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
        let Data::List(grants) = at(&table, "grant") else {
            panic!("{table:?}")
        };
        let paths = grants.iter().map(|grant| table.path(*grant));
        assert_eq!(paths.collect::<Vec<_>>(), ["grant#1", "grant#2"]);
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
        assert_eq!(table.keys(part(&table, "c")).len(), 1);
    }
}
