//! Reads values out of a tree that the walker has seen. What has the wrong kind is read as absent:
//! the walker has said so already.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::context::Context;
use crate::config::duration;
use crate::config::problem::{At, Problems};
use crate::config::raw::{Data, PartId};
use crate::config::secret_source::{SecretPlace, SecretSource};
use crate::grants::{Pattern, Patterns};
use crate::types::RoleRef;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Spot<T> {
    pub(super) value: T,
    pub(super) at: At,
}

/// A value that is a mistake, which has been told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wrong;

/// A value, absence, or a mistake.
pub(super) type Read<T> = Result<Option<T>, Wrong>;

/// A pattern as written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Written<'a> {
    /// A text, in which `*` is a glob.
    Text(&'a str),
    /// `{ regex = "…" }`.
    Regex(&'a str),
}

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Regex(text) => write!(f, "/{text}/"),
        }
    }
}

/// A table, and another that is asked for what it lacks.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    cx: &'a Context<'a>,
    keys: &'a [PartId],
    fallback: Option<&'a Self>,
    pub(super) at: At,
}

impl<'a> Reader<'a> {
    pub(super) fn root(cx: &'a Context<'a>) -> Self {
        Self::of(cx, PartId::default())
    }

    fn of(cx: &'a Context<'a>, table: PartId) -> Self {
        Self {
            cx,
            keys: cx.tree.keys(table),
            fallback: None,
            at: At::Part(table),
        }
    }

    /// The same table, with another to be asked for what it lacks.
    pub(super) fn or(self, fallback: Option<&'a Self>) -> Self {
        Self { fallback, ..self }
    }

    /// A table that says nothing itself, and is asked for what this one says.
    pub(super) fn only_fallback(&'a self) -> Self {
        Self {
            cx: self.cx,
            keys: &[],
            fallback: Some(self),
            at: self.at,
        }
    }

    pub(super) fn context(&self) -> &'a Context<'a> {
        self.cx
    }

    pub(super) fn problems(&self) -> &'a Problems {
        self.cx.problems
    }

    /// Where this table itself says the key.
    pub(super) fn own(&self, key: &str) -> Option<At> {
        self.cx.tree.get(self.keys, key).map(At::Part)
    }

    /// Where the key is said, or else this table.
    pub(super) fn place(&self, key: &str) -> At {
        self.part(key).map_or(self.at, At::Part)
    }

    fn part(&self, key: &str) -> Option<PartId> {
        let own = self.cx.tree.get(self.keys, key);
        own.or_else(|| self.fallback?.part(key))
    }

    fn data(&self, part: PartId) -> &'a Data<'a> {
        self.cx.tree.data(part)
    }

    fn read<T>(&self, key: &str, read: impl FnOnce(&'a Data<'a>) -> Option<T>) -> Option<Spot<T>> {
        let part = self.part(key)?;
        self.spot(part, read)
    }

    fn spot<T>(
        &self,
        part: PartId,
        read: impl FnOnce(&'a Data<'a>) -> Option<T>,
    ) -> Option<Spot<T>> {
        let value = read(self.data(part))?;
        let at = At::Part(part);
        Some(Spot { value, at })
    }

    pub(super) fn text(&self, key: &str) -> Option<Spot<&'a str>> {
        self.read(key, text)
    }

    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        let flag = |data: &Data<'_>| {
            if let Data::Boolean(flag) = data {
                Some(*flag)
            } else {
                None
            }
        };
        Some(self.read(key, flag)?.value)
    }

    pub(super) fn whole(&self, key: &str) -> Option<Spot<i64>> {
        self.read(key, whole)
    }

    pub(super) fn number(&self, key: &str) -> Option<Spot<f64>> {
        self.read(key, |data| {
            if let Data::Float(number) = data {
                Some(*number)
            } else {
                i32::try_from(whole(data)?).ok().map(f64::from)
            }
        })
    }

    pub(super) fn size(&self, key: &str) -> Option<usize> {
        usize::try_from(self.whole(key)?.value).ok()
    }

    pub(super) fn duration(&self, key: &str) -> Option<Spot<Duration>> {
        self.read(key, |data| duration::parse(text(data)?).ok())
    }

    pub(super) fn moment(&self, key: &str) -> Option<Spot<&'a str>> {
        self.read(key, |data| {
            if let Data::Moment(text) = data {
                Some(text.as_str())
            } else {
                None
            }
        })
    }

    pub(super) fn path(&self, key: &str) -> Option<Spot<PathBuf>> {
        self.read(key, |data| {
            text(data)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        })
    }

    pub(super) fn secret(&self, key: &str) -> Option<SecretString> {
        let source = self.read(key, |data| SecretSource::parse(text(data)?).ok())?;
        source
            .value
            .read(self.cx.surroundings, &source.at, self.cx.problems)
    }

    /// A secret that is read where it is used, if it can be read now.
    pub(super) fn secret_place(&self, key: &str) -> Option<SecretPlace> {
        self.secret(key)?;
        let source = SecretSource::parse(self.text(key)?.value).ok()?;
        Some(SecretPlace::new(source, self.cx.surroundings.clone()))
    }

    /// One text or a list of them.
    pub(super) fn texts(&self, key: &str) -> Vec<Spot<&'a str>> {
        self.many(key, text)
    }

    /// One whole number or a list of them.
    pub(super) fn wholes(&self, key: &str) -> Vec<Spot<i64>> {
        self.many(key, whole)
    }

    fn many<T>(&self, key: &str, read: impl Fn(&'a Data<'a>) -> Option<T>) -> Vec<Spot<T>> {
        let Some(whole) = self.part(key) else {
            return Vec::new();
        };
        let one = [whole];
        let parts = self.data(whole).as_list().unwrap_or(&one).iter();
        parts.filter_map(|part| self.spot(*part, &read)).collect()
    }

    /// One pattern or a list of them, as written.
    pub(super) fn written(&self, key: &str) -> Vec<Spot<Written<'a>>> {
        self.many(key, |data| self.one_written(data))
    }

    fn one_written(&self, data: &'a Data<'a>) -> Option<Written<'a>> {
        match data {
            Data::Text(text) => Some(Written::Text(text)),
            Data::Table(table) => {
                let regex = self.cx.tree.get(&table.keys, "regex")?;
                text(self.data(regex)).map(Written::Regex)
            }
            Data::Integer(_)
            | Data::Float(_)
            | Data::Boolean(_)
            | Data::Moment(_)
            | Data::List(_) => None,
        }
    }

    /// The patterns of this key.
    pub(super) fn patterns(&self, key: &str) -> Read<Patterns> {
        let Some(at) = self.own(key) else {
            return Ok(None);
        };
        let written = self.written(key);
        if written.is_empty() {
            if self.is_empty_list(key) {
                self.problems().error(&at, format!("`{key}` names none"));
            }
            return Err(Wrong);
        }
        // Every one is looked at, so that each mistake is told.
        let patterns: Vec<Option<Pattern>> =
            written.iter().map(|spot| self.pattern(spot)).collect();
        let patterns: Option<Vec<Pattern>> = patterns.into_iter().collect();
        patterns.map(|all| Some(Patterns::new(all))).ok_or(Wrong)
    }

    fn pattern(&self, spot: &Spot<Written<'_>>) -> Option<Pattern> {
        match spot.value {
            Written::Text(text) => Some(Pattern::new(text)),
            Written::Regex(text) => match Pattern::regex(text) {
                Ok(pattern) => Some(pattern),
                Err(error) => {
                    let message = format!("`{text}` is no regular expression: {error}");
                    self.problems().error(&spot.at, message);
                    None
                }
            },
        }
    }

    /// Whether this key is a list of nothing.
    pub(super) fn is_empty_list(&self, key: &str) -> bool {
        let empty = |data: &Data<'_>| matches!(data, Data::List(list) if list.is_empty());
        self.read(key, |data| empty(data).then_some(())).is_some()
    }

    /// Patterns under names that the user chose.
    pub(super) fn patterns_by_name(&self, key: &str) -> Result<Vec<(&'a str, Patterns)>, Wrong> {
        let Some(named) = self.table(key) else {
            return Ok(Vec::new());
        };
        let all: Vec<Result<_, Wrong>> = named
            .keys()
            .map(|name| Ok((name, named.patterns(name)?.ok_or(Wrong)?)))
            .collect();
        all.into_iter().collect()
    }

    /// The names of the keys of this table itself.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let (tree, keys) = (self.cx.tree, self.keys);
        keys.iter().map(|key| tree.name(*key))
    }

    /// Texts under names that the user chose.
    pub(super) fn named_texts(&self, key: &str) -> Vec<(&'a str, Spot<&'a str>)> {
        let texts = self.keys_of(key).iter();
        texts
            .filter_map(|part| Some((self.cx.tree.name(*part), self.spot(*part, text)?)))
            .collect()
    }

    /// The keys of the table that this key is.
    fn keys_of(&self, key: &str) -> &'a [PartId] {
        let table = self.part(key);
        table.map_or(&[], |table| self.cx.tree.keys(table))
    }

    pub(super) fn table(&self, key: &str) -> Option<Self> {
        self.as_table(self.part(key)?)
    }

    fn as_table(&self, part: PartId) -> Option<Self> {
        let is_table = self.data(part).as_table().is_some();
        is_table.then(|| Self::of(self.cx, part))
    }

    pub(super) fn tables(&self, key: &str) -> Vec<Self> {
        let Some(whole) = self.part(key) else {
            return Vec::new();
        };
        let one = [whole];
        let parts = self.data(whole).as_list().unwrap_or(&one).iter();
        parts.filter_map(|part| self.as_table(*part)).collect()
    }

    /// Tables under names that the user chose.
    pub(super) fn named(&self, key: &str) -> Vec<(&'a str, Self)> {
        let tables = self.keys_of(key).iter();
        tables
            .filter_map(|part| Some((self.cx.tree.name(*part), self.as_table(*part)?)))
            .collect()
    }

    /// One of the tables under names that the user chose.
    pub(super) fn named_one(&self, key: &str, name: &str) -> Option<Self> {
        self.as_table(self.cx.tree.get(self.keys_of(key), name)?)
    }

    /// Parses the text of this key; what is wrong with it is a problem there.
    pub(super) fn parsed<T, E: fmt::Display>(
        &self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.text(key)?.parse(self.cx.problems, parse)
    }

    /// Parses the text of this key, which a problem does not repeat: it may hold a secret.
    pub(super) fn parsed_unseen<T, E: fmt::Display>(
        &self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(key)?;
        match parse(text.value) {
            Ok(value) => Some(value),
            Err(error) => {
                let message = format!("`{key}` cannot be used: {error}");
                self.problems().error(&text.at, message);
                None
            }
        }
    }

    /// The role that this key names, where it is declared.
    pub(super) fn role(&self, key: &str) -> Option<RoleRef> {
        let text = self.text(key)?;
        let role = text.parse(self.cx.problems, RoleRef::parse)?;
        self.cx.knows(&role, &text.at).then_some(role)
    }

    /// The role that a grant gives.
    pub(super) fn granted_role(&self, key: &str) -> Option<RoleRef> {
        let text = self.text(key)?;
        let role = text.parse(self.cx.problems, RoleRef::parse)?;
        self.cx.may_be(&role, &text.at).then_some(role)
    }
}

impl Spot<&str> {
    /// Parses the text; what is wrong with it is a problem there.
    pub(super) fn parse<T, E: fmt::Display>(
        &self,
        problems: &Problems,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match parse(self.value) {
            Ok(value) => Some(value),
            Err(error) => {
                problems.error(
                    &self.at,
                    format!("`{}` cannot be used: {error}", self.value),
                );
                None
            }
        }
    }
}

fn text<'a>(data: &'a Data<'_>) -> Option<&'a str> {
    if let Data::Text(text) = data {
        Some(text)
    } else {
        None
    }
}

const fn whole(data: &Data<'_>) -> Option<i64> {
    if let Data::Integer(number) = data {
        Some(*number)
    } else {
        None
    }
}
