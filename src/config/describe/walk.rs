//! Holds a tree against the description: unknown and missing keys, wrong kinds of values, and
//! words that this version does not serve.

use std::path::Path;

use super::{Key, Kind, REGEX, Shape};
use crate::config::duration;
use crate::config::problem::{At, Problems};
use crate::config::raw::{Data, PartId, Tree};
use crate::config::secret_source::SecretSource;
use crate::config::suggest;

/// Checks the whole tree.
pub(in crate::config) fn walk(shape: &Shape, tree: &Tree<'_>, problems: &Problems) {
    Walker { tree, problems }.table(shape, PartId::default());
}

struct Walker<'a> {
    tree: &'a Tree<'a>,
    problems: &'a Problems,
}

impl Walker<'_> {
    /// Checks this table and all below it.
    fn table(&self, shape: &Shape, table: PartId) {
        for part in self.tree.keys(table) {
            let name = self.tree.name(*part);
            match shape.keys.iter().find(|key| key.name == name) {
                Some(key) => self.check(&key.kind, *part),
                None => self.unknown(shape, *part),
            }
        }
        for key in shape.keys.iter().filter(|key| key.required) {
            if self.tree.get(self.tree.keys(table), key.name).is_none() {
                self.problems
                    .error(&At::Part(table), format!("`{}` is missing", key.name))
                    .hint(format!("{}: {}", key.name, key.doc));
            }
        }
    }

    fn unknown(&self, shape: &Shape, part: PartId) {
        let name = self.tree.name(part);
        let hint = suggest::nearest(name, shape.keys.iter().map(|key| key.name)).map_or_else(
            || suggest::hint(name, shape.keys.iter().map(|key| key.name)),
            |near| format!("did you mean `{near}`?"),
        );
        self.problems
            .error(&At::Part(part), format!("`{name}` is no key of this table"))
            .hint(hint);
    }

    fn check(&self, kind: &Kind, part: PartId) {
        let (at, problems) = (&At::Part(part), self.problems);
        match (kind, self.tree.data(part)) {
            (Kind::Pattern, Data::Table(_)) => self.table(&REGEX, part),
            (Kind::Text | Kind::Pattern, Data::Text(text)) => {
                if text.trim().is_empty() || text.contains('\0') {
                    problems.error(at, "this text is empty");
                }
            }
            (Kind::Flag, Data::Boolean(_)) | (Kind::Moment, Data::Moment(_)) => {}
            (Kind::Whole { least, most }, Data::Integer(number)) => {
                if !(*least..=*most).contains(number) {
                    problems.error(at, format!("{number} is not between {least} and {most}"));
                }
            }
            (Kind::Positive, Data::Integer(number)) if *number > 0 => {}
            (Kind::Positive, Data::Float(number)) if *number > 0.0 && number.is_finite() => {}
            (Kind::Positive, Data::Integer(_) | Data::Float(_)) => {
                problems.error(at, "this number must be above zero");
            }
            (Kind::Time, Data::Text(text)) => {
                if let Err(error) = duration::parse(text) {
                    problems
                        .error(at, format!("`{text}` is no length of time"))
                        .hint(error.to_string());
                }
            }
            (Kind::Path, Data::Text(text)) => check_path(text, at, problems),
            (Kind::Secret, Data::Text(text)) => {
                if let Err(error) = SecretSource::parse(text) {
                    problems
                        .error(at, error.to_string())
                        .hint(SecretSource::FORMS);
                }
            }
            (Kind::Word(words), Data::Text(text)) => self.check_word(words, text, part),
            (Kind::Either(kinds), data) => match kinds.iter().find(|one| fits(one, data)) {
                Some(one) => self.check(one, part),
                None => self.wrong_kind(kind, part),
            },
            (_, _) => self.check_parts(kind, part),
        }
    }

    /// The kinds that hold further values.
    fn check_parts(&self, kind: &Kind, whole: PartId) {
        let data = self.tree.data(whole);
        let keys = self.tree.keys(whole);
        match (kind, data) {
            (Kind::Many(one), Data::List(list)) => self.check_each(one, list),
            (Kind::Many(one), _) => self.check(one, whole),
            (Kind::Each(one), Data::Table(_)) => self.check_each(one, keys),
            (Kind::Table(shape), Data::Table(_)) => self.table(shape, whole),
            (Kind::Tables(shape), Data::List(list)) => self.check_each(&Kind::Table(shape), list),
            (Kind::Named(shape), Data::Table(_)) => self.check_each(&Kind::Table(shape), keys),
            (Kind::Texts, Data::Table(_)) => {
                let is_text = |part: &&PartId| matches!(self.tree.data(**part), Data::Text(_));
                for part in keys.iter().filter(|part| !is_text(part)) {
                    self.wrong_kind(&Kind::Text, *part);
                }
            }
            (_, _) => self.wrong_kind(kind, whole),
        }
    }

    fn check_each(&self, kind: &Kind, parts: &[PartId]) {
        for part in parts {
            self.check(kind, *part);
        }
    }

    fn check_word(&self, words: &[&'static str], text: &str, part: PartId) {
        if words.contains(&text) {
            return;
        }
        let key = self.tree.last_key(part);
        let message = format!("`{text}` is none of the words that `{key}` takes");
        let hint = suggest::hint(text, words.iter().copied());
        self.problems.error(&At::Part(part), message).hint(hint);
    }

    fn wrong_kind(&self, kind: &Kind, part: PartId) {
        let data = self.tree.data(part);
        let message = format!("this must be {}, and is {}", kind.name(), data.name());
        self.problems.error(&At::Part(part), message).hint_if(meant(
            kind,
            data,
            &self.tree.last_key(part),
        ));
    }
}

fn check_path(text: &str, at: &At, problems: &Problems) {
    if !Path::new(text).is_absolute() {
        problems
            .error(at, format!("`{text}` is no absolute path"))
            .hint(
                "paths begin with `/`, so that they mean the same wherever the daemon is started",
            );
    } else if text.contains('\0') {
        problems.error(at, "a path holds no NUL");
    }
}

fn fits(kind: &Kind, data: &Data<'_>) -> bool {
    match kind {
        Kind::Text | Kind::Time | Kind::Path | Kind::Secret | Kind::Word(_) => {
            matches!(data, Data::Text(_))
        }
        Kind::Flag => matches!(data, Data::Boolean(_)),
        Kind::Whole { .. } => matches!(data, Data::Integer(_)),
        Kind::Positive => matches!(data, Data::Integer(_) | Data::Float(_)),
        Kind::Moment => matches!(data, Data::Moment(_)),
        Kind::Many(one) => matches!(data, Data::List(_)) || fits(one, data),
        Kind::Either(kinds) => kinds.iter().any(|one| fits(one, data)),
        Kind::Pattern => matches!(data, Data::Text(_) | Data::Table(_)),
        Kind::Table(_) | Kind::Named(_) | Kind::Texts | Kind::Each(_) => {
            matches!(data, Data::Table(_))
        }
        Kind::Tables(_) => matches!(data, Data::List(_)),
    }
}

/// What somebody wrote who thought of another key, or of a table's one word.
fn meant(kind: &Kind, data: &Data<'_>, key: &str) -> Option<String> {
    match (kind, data) {
        (Kind::Table(shape), Data::Text(text)) => {
            let takes = |known: &&Key| matches!(&known.kind, Kind::Word(words) if words.contains(&text.as_ref()));
            let wanted = shape.keys.iter().find(takes)?;
            Some(format!("write `{{ {} = \"{text}\" }}`", wanted.name))
        }
        (Kind::Many(one), data) => meant(one, data, key),
        (Kind::Whole { .. }, Data::Text(text)) if text.parse::<u32>().is_ok() => {
            Some(format!("write {text} without quotes"))
        }
        (Kind::Whole { .. }, Data::Text(_)) => {
            let names = match key.split('#').next()? {
                "uid" => "user",
                "gid" => "group",
                _ => return None,
            };
            Some(format!("`{names}` takes names"))
        }
        (Kind::Tables(_), Data::Table(_)) => Some(format!("write `[[{key}]]`")),
        (_, _) => None,
    }
}

impl Kind {
    /// What it is, as a user calls it.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Text => "a text".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Whole { .. } => "a whole number".to_owned(),
            Self::Positive => "a number".to_owned(),
            Self::Time => "a length of time in quotes".to_owned(),
            Self::Moment => "a date and time with zone".to_owned(),
            Self::Path => "a path in quotes".to_owned(),
            Self::Secret => "where a secret is, in quotes".to_owned(),
            Self::Word(_) => "a word in quotes".to_owned(),
            Self::Many(one) => format!("{} or a list", one.name()),
            Self::Either(kinds) => {
                let names: Vec<String> = kinds.iter().map(Self::name).collect();
                names.join(" or ")
            }
            Self::Table(_) => "a table".to_owned(),
            Self::Tables(_) => "a list of tables".to_owned(),
            Self::Named(_) => "a table of tables".to_owned(),
            Self::Texts => "a table of texts".to_owned(),
            Self::Pattern => "a text or `{ regex = \"…\" }`".to_owned(),
            Self::Each(one) => format!("a table, and each value in it {}", one.name()),
        }
    }
}
