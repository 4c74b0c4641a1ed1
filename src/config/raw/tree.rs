//! The tree of one file.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::Place;
use crate::config::problem::{At, Problems};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(in crate::config) struct Value {
    pub(in crate::config) place: Place,
    pub(in crate::config) data: Data,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(in crate::config) enum Data {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Moment(String),
    List(Vec<Value>),
    Table(Table),
}

/// Keys and values.
#[derive(Clone, Debug, Default)]
pub(in crate::config) struct Table {
    pub(in crate::config) entries: BTreeMap<String, Entry>,
    /// Written in braces, all at once.
    pub(in crate::config) inline: bool,
}

/// One key of a table.
#[derive(Clone, Debug)]
pub(in crate::config) struct Entry {
    /// Where the key stands.
    pub(in crate::config) place: Place,
    pub(in crate::config) value: Value,
}

impl Table {
    pub(in crate::config) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// The tables under this key, with their names.
    pub(in crate::config) fn tables_below(&self, key: &str) -> impl Iterator<Item = (&str, &Self)> {
        let below = match self.get(key).map(|entry| &entry.value.data) {
            Some(Data::Table(table)) => Some(table),
            Some(_) | None => None,
        };
        below
            .into_iter()
            .flat_map(|table| &table.entries)
            .filter_map(|(name, entry)| {
                if let Data::Table(table) = &entry.value.data {
                    Some((name.as_str(), table))
                } else {
                    None
                }
            })
    }
}

impl Data {
    /// What it is, as a user calls it.
    pub(in crate::config) const fn name(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Boolean(_) => "true or false",
            Self::Moment(_) => "a date or time",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// Parses one file. After a syntax error the rest of it is not looked at.
pub(in crate::config) fn parse(file: usize, text: &str, problems: &Problems) -> Option<Table> {
    let (root, errors) = DeTable::parse_recoverable(text);
    // What follows the first error is often its echo.
    if let Some(error) = errors.first() {
        let offset = error.span().map_or(0, |span| span.start);
        let at = At {
            place: Some(Place { file, offset }),
            key: String::new(),
        };
        problems.error(&at, format!("this is not TOML: {}", error.message()));
        return None;
    }
    let tree = Tree {
        file,
        text,
        problems,
    };
    Some(tree.table(root.get_ref(), &At::default(), false))
}

struct Tree<'a> {
    file: usize,
    text: &'a str,
    problems: &'a Problems,
}

impl Tree<'_> {
    const fn place(&self, offset: usize) -> Place {
        Place {
            file: self.file,
            offset,
        }
    }

    fn table(&self, table: &DeTable<'_>, at: &At, inline: bool) -> Table {
        let entry = |key: &str, key_offset: usize, value: &DeValue<'_>, offset: usize| {
            let place = self.place(key_offset);
            let at = at.below(key, place);
            let value = Value {
                place: self.place(offset),
                data: self.data(value, &at, offset),
            };
            (key.to_owned(), Entry { place, value })
        };
        let entries = table
            .iter()
            .map(|(key, value)| {
                entry(
                    key.get_ref(),
                    key.span().start,
                    value.get_ref(),
                    value.span().start,
                )
            })
            .collect();
        Table { entries, inline }
    }

    fn data(&self, value: &DeValue<'_>, at: &At, offset: usize) -> Data {
        match value {
            DeValue::String(text) => Data::Text(text.to_string()),
            DeValue::Integer(number) => Data::Integer(self.integer(number, at)),
            DeValue::Float(number) => Data::Float(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(value) => Data::Boolean(*value),
            DeValue::Datetime(moment) => Data::Moment(moment.to_string()),
            DeValue::Array(list) => Data::List(
                (1..)
                    .zip(list.iter())
                    .map(|(n, one)| self.element(one, at, n))
                    .collect(),
            ),
            DeValue::Table(table) => {
                let inline = self
                    .text
                    .get(offset..)
                    .is_some_and(|text| text.starts_with('{'));
                Data::Table(self.table(table, at, inline))
            }
        }
    }

    fn element(&self, element: &Spanned<DeValue<'_>>, list: &At, number: usize) -> Value {
        let offset = element.span().start;
        let place = self.place(offset);
        let at = list.element(number, place);
        Value {
            place,
            data: self.data(element.get_ref(), &at, offset),
        }
    }

    fn integer(&self, number: &DeInteger<'_>, at: &At) -> i64 {
        i64::from_str_radix(number.as_str(), number.radix()).unwrap_or_else(|_too_large| {
            self.problems.error(at, "this number is too large");
            0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<Table>, Problems) {
        let problems = Problems::default();
        (parse(0, text, &problems), problems)
    }

    #[test]
    fn values_have_their_places() {
        let (table, _) = read("[a]\nb = [1, { c = 0x10 }]\n");
        let a = table.unwrap();
        let a = a.get("a").unwrap();
        assert_eq!(a.place.offset, 1);
        let Data::Table(inner) = &a.value.data else {
            panic!("{a:?}")
        };
        let b = inner.get("b").unwrap();
        assert_eq!(b.place.offset, 4);
        let Data::List(list) = &b.value.data else {
            panic!("{b:?}")
        };
        assert_eq!(list[0].place.offset, 9);
        let Data::Table(inline) = &list[1].data else {
            panic!("{list:?}")
        };
        assert!(inline.inline && !inner.inline);
        assert!(matches!(
            inline.get("c").unwrap().value.data,
            Data::Integer(16)
        ));
    }

    #[test]
    fn a_syntax_error_is_told_once_with_its_place() {
        let (table, problems) = read("a = 1\nb = = 2\nc = \"\n");
        assert!(table.is_none());
        let mut sources = crate::config::raw::Sources::default();
        sources.add(
            std::path::Path::new("f.toml"),
            "a = 1\nb = = 2\nc = \"\n".to_owned(),
        );
        let list = problems.into_list(&sources);
        assert_eq!(list.len(), 1, "{list:?}");
        assert_eq!(list[0].position.as_ref().unwrap().line, 2);
    }

    #[test]
    fn a_number_too_large_is_a_problem_of_its_key() {
        let (table, problems) = read("a.b = 99999999999999999999\n");
        assert!(table.is_some());
        assert!(problems.refused());
    }
}
