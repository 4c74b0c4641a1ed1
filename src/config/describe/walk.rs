//! Holds a tree against the description: unknown and missing keys, wrong kinds of values, and
//! words that this version does not serve.

use std::path::Path;

use super::{Key, Kind, REGEX, Shape};
use crate::config::duration;
use crate::config::problem::{At, Problems};
use crate::config::raw::{Data, Table, Value};
use crate::config::secret_source::SecretSource;
use crate::config::suggest;

/// Checks this table and all below it.
pub(in crate::config) fn walk(shape: &Shape, table: &Table, at: &At, problems: &Problems) {
    for (name, entry) in &table.entries {
        let at = at.below(name, entry.place);
        match shape.keys.iter().find(|key| key.name == name) {
            Some(key) => check(&key.kind, &entry.value, &at, problems),
            None => unknown(shape, name, &at, problems),
        }
    }
    for key in shape.keys.iter().filter(|key| key.required) {
        if table.get(key.name).is_none() {
            problems
                .error(at, format!("`{}` is missing", key.name))
                .hint(format!("{}: {}", key.name, key.doc));
        }
    }
}

fn unknown(shape: &Shape, name: &str, at: &At, problems: &Problems) {
    let hint = suggest::nearest(name, shape.keys.iter().map(|key| key.name)).map_or_else(
        || suggest::hint(name, shape.keys.iter().map(|key| key.name)),
        |near| format!("did you mean `{near}`?"),
    );
    problems
        .error(at, format!("`{name}` is no key of this table"))
        .hint(hint);
}

fn check(kind: &Kind, value: &Value, at: &At, problems: &Problems) {
    match (kind, &value.data) {
        (Kind::Pattern, Data::Table(table)) => walk(&REGEX, table, at, problems),
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
        (Kind::Word(words), Data::Text(text)) => check_word(words, text, at, problems),
        (Kind::Either(kinds), data) => match kinds.iter().find(|one| fits(one, data)) {
            Some(one) => check(one, value, at, problems),
            None => wrong_kind(kind, data, at, problems),
        },
        (_, _) => check_parts(kind, value, at, problems),
    }
}

/// The kinds that hold further values.
fn check_parts(kind: &Kind, whole: &Value, at: &At, problems: &Problems) {
    let parts = parts(&whole.data, at);
    match (kind, &whole.data) {
        (Kind::Many(one), Data::List(_)) | (Kind::Each(one), Data::Table(_)) => {
            for (part, place) in parts {
                check(one, part, &place, problems);
            }
        }
        (Kind::Many(one), _) => check(one, whole, at, problems),
        (Kind::Table(shape), Data::Table(table)) => walk(shape, table, at, problems),
        (Kind::Tables(shape), Data::List(_)) | (Kind::Named(shape), Data::Table(_)) => {
            for (part, place) in parts {
                check(&Kind::Table(shape), part, &place, problems);
            }
        }
        (Kind::Texts, Data::Table(_)) => {
            for (part, place) in parts {
                if !matches!(part.data, Data::Text(_)) {
                    wrong_kind(&Kind::Text, &part.data, &place, problems);
                }
            }
        }
        (_, data) => wrong_kind(kind, data, at, problems),
    }
}

/// The values in a list or table, with their places.
fn parts<'v>(data: &'v Data, at: &At) -> Vec<(&'v Value, At)> {
    match data {
        Data::List(list) => {
            let numbered = (1..).zip(list);
            numbered
                .map(|(number, part)| (part, at.element(number, part.place)))
                .collect()
        }
        Data::Table(table) => {
            let entries = table.entries.iter();
            entries
                .map(|(name, entry)| (&entry.value, at.below(name, entry.place)))
                .collect()
        }
        Data::Text(_) | Data::Integer(_) | Data::Float(_) | Data::Boolean(_) | Data::Moment(_) => {
            Vec::new()
        }
    }
}

fn last_part(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
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

fn check_word(words: &[&'static str], text: &str, at: &At, problems: &Problems) {
    if words.contains(&text) {
        return;
    }
    let key = last_part(&at.key);
    let message = format!("`{text}` is none of the words that `{key}` takes");
    let hint = suggest::hint(text, words.iter().copied());
    problems.error(at, message).hint(hint);
}

fn fits(kind: &Kind, data: &Data) -> bool {
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

fn wrong_kind(kind: &Kind, data: &Data, at: &At, problems: &Problems) {
    problems
        .error(
            at,
            format!("this must be {}, and is {}", kind.name(), data.name()),
        )
        .hint_if(meant(kind, data, last_part(&at.key)));
}

/// What somebody wrote who thought of another key, or of a table's one word.
fn meant(kind: &Kind, data: &Data, key: &str) -> Option<String> {
    match (kind, data) {
        (Kind::Table(shape), Data::Text(text)) => {
            let takes = |known: &&Key| matches!(&known.kind, Kind::Word(words) if words.contains(&text.as_str()));
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
