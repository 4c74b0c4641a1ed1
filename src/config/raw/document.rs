//! One TOML file, entered into the tree.

use std::borrow::Cow;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Data, PartId, Place, Table, Tree};
use crate::config::problem::{At, Problems};

/// Reads one file; its root. After a syntax error the rest of it is not looked at.
pub(in crate::config) fn parse<'t>(
    file: usize,
    text: &'t str,
    tree: &mut Tree<'t>,
    problems: &Problems,
) -> Option<PartId> {
    let (table, errors) = DeTable::parse_recoverable(text);
    // What follows the first error is often its echo.
    if let Some(error) = errors.first() {
        let offset = error.span().map_or(0, |span| span.start);
        let at = At::File(Place { file, offset });
        problems.error(&at, format!("this is not TOML: {}", error.message()));
        return None;
    }
    let root = tree.add_root();
    let mut document = Document {
        file,
        text,
        tree,
        problems,
    };
    document.enter_keys(root, table.into_inner());
    Some(root)
}

struct Document<'t, 'a> {
    file: usize,
    text: &'t str,
    tree: &'a mut Tree<'t>,
    problems: &'a Problems,
}

impl<'t> Document<'t, '_> {
    const fn place(&self, offset: usize) -> Place {
        Place {
            file: self.file,
            offset,
        }
    }

    fn enter_keys(&mut self, table: PartId, keys: DeTable<'t>) {
        for (key, value) in keys {
            let place = self.place(key.span().start);
            self.enter(table, Some(key.into_inner()), place, value);
        }
    }

    /// Enters a value: under its key, or else as the next element of a list.
    fn enter(
        &mut self,
        within: PartId,
        key: Option<Cow<'t, str>>,
        place: Place,
        value: Spanned<DeValue<'t>>,
    ) {
        let begins = value.span().start;
        let add = |tree: &mut Tree<'t>, data| match key {
            Some(key) => tree.add_key(within, key, place, data),
            None => tree.add_element(within, place, data),
        };
        match value.into_inner() {
            DeValue::Table(keys) => {
                let from = self.text.get(begins..);
                let is_in_braces = from.is_some_and(|text| text.starts_with('{'));
                let table = add(self.tree, Data::Table(Table::new(is_in_braces)));
                self.enter_keys(table, keys);
            }
            DeValue::Array(elements) => {
                let list = add(self.tree, Data::List(Vec::new()));
                for element in elements {
                    let stands = self.place(element.span().start);
                    self.enter(list, None, stands, element);
                }
            }
            DeValue::Integer(number) => {
                let read = i64::from_str_radix(number.as_str(), number.radix());
                let is_too_large = read.is_err();
                let part = add(self.tree, Data::Integer(read.unwrap_or_default()));
                if is_too_large {
                    let at = At::Part(part);
                    self.problems.error(&at, "this number is too large");
                }
            }
            DeValue::Float(number) => {
                let number = number.as_str().parse().unwrap_or(f64::NAN);
                add(self.tree, Data::Float(number));
            }
            DeValue::String(text) => drop(add(self.tree, Data::Text(text))),
            DeValue::Boolean(value) => drop(add(self.tree, Data::Boolean(value))),
            DeValue::Datetime(moment) => drop(add(self.tree, Data::Moment(moment.to_string()))),
        }
    }
}
