//! The tree of what is written: every part knows what it is a part of, so that the path of a key is
//! made for whoever tells a problem, and for nobody else.

use std::borrow::Cow;

use super::Place;

/// Among so many keys one is found soonest by looking at each.
const FEW: usize = 8;

/// All parts of all files, the root first.
#[derive(Clone, Debug)]
pub(in crate::config) struct Tree<'t>(Vec<Part<'t>>);

/// Which part of a tree; the root otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::config) struct PartId(usize);

/// A value, under its key or in its list.
#[derive(Clone, Debug)]
struct Part<'t> {
    within: PartId,
    step: Step<'t>,
    place: Place,
    data: Data<'t>,
}

/// How a part is reached from what it is a part of.
#[derive(Clone, Debug)]
pub(in crate::config) enum Step<'t> {
    /// It is a part of nothing.
    Root,
    /// By this key of a table.
    Key(Cow<'t, str>),
    /// As this element of a list, from 1.
    Element(usize),
}

/// What a value is.
#[derive(Clone, Debug)]
pub(in crate::config) enum Data<'t> {
    Text(Cow<'t, str>),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Moment(String),
    List(Vec<PartId>),
    Table(Table),
}

/// Keys and values.
#[derive(Clone, Debug)]
pub(in crate::config) struct Table {
    /// In the order of their names.
    pub(in crate::config) keys: Vec<PartId>,
    /// Written in braces, all at once.
    pub(in crate::config) is_in_braces: bool,
}

impl Table {
    pub(super) const fn new(is_in_braces: bool) -> Self {
        Self {
            keys: Vec::new(),
            is_in_braces,
        }
    }
}

impl Data<'_> {
    pub(in crate::config) const fn as_table(&self) -> Option<&Table> {
        if let Self::Table(table) = self {
            Some(table)
        } else {
            None
        }
    }

    pub(in crate::config) fn as_list(&self) -> Option<&[PartId]> {
        if let Self::List(list) = self {
            Some(list)
        } else {
            None
        }
    }

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

impl Default for Tree<'_> {
    fn default() -> Self {
        let mut tree = Self(Vec::new());
        tree.add_root();
        tree
    }
}

impl<'t> Tree<'t> {
    /// A table that is a part of nothing yet.
    pub(super) fn add_root(&mut self) -> PartId {
        let data = Data::Table(Table::new(false));
        self.add(PartId::default(), Step::Root, Place::default(), data)
    }

    /// A new part; what it is a part of does not know it yet.
    fn add(&mut self, within: PartId, step: Step<'t>, place: Place, data: Data<'t>) -> PartId {
        self.0.push(Part {
            within,
            step,
            place,
            data,
        });
        PartId(self.0.len() - 1)
    }

    /// A new key of this table, after the others.
    pub(super) fn add_key(
        &mut self,
        table: PartId,
        key: Cow<'t, str>,
        place: Place,
        data: Data<'t>,
    ) -> PartId {
        let part = self.add(table, Step::Key(key), place, data);
        if let Some(table) = self.table_mut(table) {
            table.keys.push(part);
        }
        part
    }

    /// A new element of this list, after the others.
    pub(super) fn add_element(&mut self, list: PartId, place: Place, data: Data<'t>) -> PartId {
        let part = self.add(list, Step::Element(0), place, data);
        self.append(list, part);
        part
    }

    /// Makes this the last element of a list.
    pub(super) fn append(&mut self, list: PartId, part: PartId) {
        let Some(Data::List(elements)) = self.data_mut(list) else {
            return;
        };
        elements.push(part);
        let number = elements.len();
        self.reach(part, list, Some(Step::Element(number)));
    }

    /// Makes these keys of a table that has none of their names.
    pub(super) fn adopt(&mut self, table: PartId, parts: Vec<PartId>) {
        for part in &parts {
            self.reach(*part, table, None);
        }
        if let Some(table) = self.table_mut(table) {
            table.keys.extend(parts);
        }
        self.sort(table);
    }

    /// Has a table take a key in the place of another of its name.
    pub(super) fn replace(&mut self, earlier: PartId, later: PartId) {
        let Some(table) = self.0.get(earlier.0).map(|part| part.within) else {
            return;
        };
        self.reach(later, table, None);
        let keys = self.table_mut(table).map(|table| &mut table.keys);
        let mut keys = keys.into_iter().flatten();
        if let Some(key) = keys.find(|key| **key == earlier) {
            *key = later;
        }
    }

    fn reach(&mut self, part: PartId, within: PartId, step: Option<Step<'t>>) {
        if let Some(part) = self.0.get_mut(part.0) {
            part.within = within;
            part.step = step.unwrap_or_else(|| part.step.clone());
        }
    }

    /// Takes a key away from this table.
    pub(in crate::config) fn remove(&mut self, table: PartId, name: &str) -> Option<PartId> {
        let index = self.search(self.keys(table), name).ok()?;
        Some(self.table_mut(table)?.keys.remove(index))
    }

    fn sort(&mut self, table: PartId) {
        let keys = self.table_mut(table).map(|table| &mut table.keys);
        let Some(mut keys) = keys.filter(|keys| keys.len() > 1).map(std::mem::take) else {
            return;
        };
        // What is sorted already, as two files are, costs little.
        keys.sort_by(|one, other| self.name(*one).cmp(self.name(*other)));
        if let Some(table) = self.table_mut(table) {
            table.keys = keys;
        }
    }

    fn table_mut(&mut self, part: PartId) -> Option<&mut Table> {
        match self.data_mut(part) {
            Some(Data::Table(table)) => Some(table),
            Some(_) | None => None,
        }
    }

    fn data_mut(&mut self, part: PartId) -> Option<&mut Data<'t>> {
        self.0.get_mut(part.0).map(|part| &mut part.data)
    }

    /// What it is.
    pub(in crate::config) fn data(&self, part: PartId) -> &Data<'t> {
        const NOTHING: &Data<'static> = &Data::List(Vec::new());
        self.0.get(part.0).map_or(NOTHING, |part| &part.data)
    }

    /// Where it stands, or its key; the root stands nowhere.
    pub(in crate::config) fn place(&self, part: PartId) -> Option<Place> {
        let part = self.0.get(part.0)?;
        (!matches!(part.step, Step::Root)).then_some(part.place)
    }

    /// The keys of this table; none if it is no table.
    pub(in crate::config) fn keys(&self, part: PartId) -> &[PartId] {
        let table = self.data(part).as_table();
        table.map_or(&[], |table| &table.keys)
    }

    /// Whether these are tables, and not none.
    pub(super) fn are_tables(&self, list: &[PartId]) -> bool {
        let is_table = |part: &PartId| self.data(*part).as_table().is_some();
        !list.is_empty() && list.iter().all(is_table)
    }

    /// The key under which it stands; elements of lists have none.
    pub(in crate::config) fn name(&self, part: PartId) -> &str {
        match self.0.get(part.0).map(|part| &part.step) {
            Some(Step::Key(key)) => key,
            Some(Step::Root | Step::Element(_)) | None => "",
        }
    }

    /// The value of this name among the keys of a table.
    pub(in crate::config) fn get(&self, keys: &[PartId], name: &str) -> Option<PartId> {
        if keys.len() <= FEW {
            return keys.iter().copied().find(|key| self.name(*key) == name);
        }
        let index = self.search(keys, name).ok()?;
        keys.get(index).copied()
    }

    fn search(&self, keys: &[PartId], name: &str) -> Result<usize, usize> {
        keys.binary_search_by(|key| self.name(*key).cmp(name))
    }

    /// The path of its key, such as `account.prod.role.web` or `grant#3.when`.
    pub(in crate::config) fn path(&self, part: PartId) -> String {
        let Some(Part { within, step, .. }) = self.0.get(part.0) else {
            return String::new();
        };
        match step {
            Step::Root => String::new(),
            Step::Element(number) => format!("{}#{number}", self.path(*within)),
            Step::Key(key) => {
                let key = written(key);
                match self.path(*within).as_str() {
                    "" => key.into_owned(),
                    before => format!("{before}.{key}"),
                }
            }
        }
    }

    /// The last key of that path.
    pub(in crate::config) fn last_key(&self, part: PartId) -> String {
        match self.0.get(part.0) {
            Some(Part {
                step: Step::Element(number),
                within,
                ..
            }) => format!("{}#{number}", self.last_key(*within)),
            Some(Part {
                step: Step::Key(key),
                ..
            }) => written(key).into_owned(),
            Some(_) | None => String::new(),
        }
    }
}

/// A key as files have it.
fn written(key: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !key.is_empty() && key.chars().all(plain) {
        Cow::Borrowed(key)
    } else {
        Cow::Owned(format!("{key:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_keys_and_numbers() {
        let mut tree = Tree::default();
        let root = PartId::default();
        let at = |offset| Place { file: 0, offset };
        let list = tree.add_key(root, "list".into(), at(1), Data::List(Vec::new()));
        let table = Data::Table(Table::new(false));
        let first = tree.add_element(list, at(2), table.clone());
        let second = tree.add_element(list, at(3), table);
        let odd = tree.add_key(second, "a \"b\"".into(), at(4), Data::Integer(1));
        assert_eq!(tree.path(root), "");
        assert_eq!(tree.path(first), "list#1");
        assert_eq!(tree.path(odd), r#"list#2."a \"b\"""#);
        assert_eq!(tree.last_key(odd), r#""a \"b\"""#);
        assert_eq!(tree.last_key(second), "list#2");
        assert_eq!((tree.place(root), tree.place(odd)), (None, Some(at(4))));
    }
}
