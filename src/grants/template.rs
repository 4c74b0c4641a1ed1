//! Texts with placeholders, such as `session-name = "{unit}"`.

use std::fmt;
use std::sync::Arc;

use super::matches_glob;

/// A text with placeholders, parsed when the configuration is read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Part {
    Text(String),
    Name(Placeholder),
    /// A named group of the grant's patterns, or the name of one of its keys.
    Group(Arc<str>),
}

/// What a placeholder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Placeholder {
    /// `{caller}`: the unit, container or user that asks.
    Caller,
    /// `{user}`: the user's name, or its number where it has none.
    User,
    /// `{uid}`: the user's number.
    Uid,
    /// `{unit}`: the system unit.
    Unit,
    /// `{user-unit}`: the unit of a user's manager.
    UserUnit,
    /// `{slice}`: the system slice.
    Slice,
    /// `{container}`: the container's name, or its id.
    Container,
    /// `{container-id}`: the container's id.
    ContainerId,
    /// `{image}`: the container's image.
    Image,
    /// `{namespace}`: the pod's namespace.
    Namespace,
    /// `{pod}`: the pod's name.
    Pod,
    /// `{service-account}`: the pod's service account.
    ServiceAccount,
    /// `{subject}`: the subject of the caller's token.
    Subject,
    /// `{principal}`: who proved a password, token or key.
    Principal,
    /// `{host}`: the name of the caller's host.
    Host,
    /// `{hostname}`: the name of this host.
    Hostname,
}

impl Placeholder {
    const ALL: [(&'static str, Self); 16] = [
        ("caller", Self::Caller),
        ("user", Self::User),
        ("uid", Self::Uid),
        ("unit", Self::Unit),
        ("user-unit", Self::UserUnit),
        ("slice", Self::Slice),
        ("container", Self::Container),
        ("container-id", Self::ContainerId),
        ("image", Self::Image),
        ("namespace", Self::Namespace),
        ("pod", Self::Pod),
        ("service-account", Self::ServiceAccount),
        ("subject", Self::Subject),
        ("principal", Self::Principal),
        ("host", Self::Host),
        ("hostname", Self::Hostname),
    ];

    /// As it is written between braces.
    pub fn name(self) -> &'static str {
        let known = Self::ALL.iter().find(|(_, known)| *known == self);
        known.map_or("", |(name, _)| name)
    }

    /// The one that is written so.
    pub fn of_name(name: &str) -> Option<Self> {
        let known = Self::ALL.iter().find(|(known, _)| *known == name);
        known.map(|(_, placeholder)| *placeholder)
    }

    fn all_names() -> String {
        let names = Self::ALL.iter().map(|(name, _)| format!("{{{name}}}"));
        names.collect::<Vec<_>>().join(", ")
    }
}

/// The text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A brace that nothing closes or opens.
    #[error("a `{{` or `}}` stands alone")]
    Brace,
    /// A name that is no placeholder.
    #[error("`{{{0}}}` is no placeholder; there are {names}", names = Placeholder::all_names())]
    Unknown(String),
    /// A name that is no named group, where only those stand for something.
    #[error("`{{{0}}}` is neither a named group of this grant's patterns nor one of its keys")]
    NoGroup(String),
    /// A name that several keys of a grant give.
    #[error("`{{{0}}}` stands for what two keys matched; give a named group another name")]
    Twice(String),
}

/// The values for one caller. What is not known has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Names {
    /// In the order of the placeholders, each once.
    known: Vec<(Placeholder, Arc<str>)>,
    /// What the named groups of the grant's patterns matched.
    named: Vec<(Arc<str>, Arc<str>)>,
}

impl Names {
    /// The same with this value.
    #[must_use]
    pub fn with(mut self, placeholder: Placeholder, value: impl Into<Arc<str>>) -> Self {
        match self
            .known
            .binary_search_by_key(&placeholder, |(known, _)| *known)
        {
            Ok(at) => drop(self.known.remove(at)),
            Err(_absent) => {}
        }
        let at = self
            .known
            .partition_point(|(known, _)| *known < placeholder);
        self.known.insert(at, (placeholder, value.into()));
        self
    }

    /// The same with this value, where there is one.
    #[must_use]
    pub fn with_known(self, placeholder: Placeholder, value: Option<impl Into<Arc<str>>>) -> Self {
        match value {
            Some(value) => self.with(placeholder, value),
            None => self,
        }
    }

    /// The same with what is known here too, which goes before.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        let known = other.known.iter();
        let names = known.fold(self, |names, (placeholder, value)| {
            names.with(*placeholder, Arc::clone(value))
        });
        names.with_groups(&other.named)
    }

    /// The same with what a grant's named groups matched.
    #[must_use]
    pub fn with_groups(self, named: &[(Arc<str>, Arc<str>)]) -> Self {
        Self {
            named: named.to_vec(),
            ..self
        }
    }

    /// The value of this placeholder. A user without a name is its number, a caller that is nothing
    /// else its user.
    pub fn get(&self, placeholder: Placeholder) -> Option<&Arc<str>> {
        let own = self
            .known
            .binary_search_by_key(&placeholder, |(known, _)| *known)
            .ok()
            .and_then(|at| self.known.get(at))
            .map(|(_, value)| value);
        if placeholder == Placeholder::Caller {
            own.or_else(|| self.get(Placeholder::User))
        } else if placeholder == Placeholder::User {
            own.or_else(|| self.get(Placeholder::Uid))
        } else {
            own
        }
    }

    /// Every placeholder that stands for something, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Placeholder, &Arc<str>)> {
        let all = Placeholder::ALL.iter();
        all.filter_map(|(_, placeholder)| Some((*placeholder, self.get(*placeholder)?)))
    }

    /// What the named groups of the grant's patterns matched.
    pub fn groups(&self) -> &[(Arc<str>, Arc<str>)] {
        &self.named
    }

    fn group(&self, name: &str) -> Option<&Arc<str>> {
        let found = self.named.iter().find(|(known, _)| **known == *name);
        found.map(|(_, value)| value)
    }
}

impl Template {
    /// Parses the text.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        Self::parse_with(text, |name| {
            Placeholder::of_name(name)
                .map(Part::Name)
                .ok_or_else(|| TemplateError::Unknown(name.to_owned()))
        })
    }

    /// Parses a text of a grant, in which its named groups stand for what they match, before
    /// placeholders of the same name.
    pub fn parse_in_grant(text: &str, groups: &[Arc<str>]) -> Result<Self, TemplateError> {
        Self::parse_with(text, |name| {
            if let Some(group) = groups.iter().find(|group| ***group == *name) {
                return Ok(Part::Group(Arc::clone(group)));
            }
            Placeholder::of_name(name)
                .map(Part::Name)
                .ok_or_else(|| TemplateError::Unknown(name.to_owned()))
        })
    }

    /// Parses a text in which only a grant's named groups stand for something.
    pub fn parse_of_groups(text: &str, groups: &[Arc<str>]) -> Result<Self, TemplateError> {
        Self::parse_with(text, |name| {
            let group = groups.iter().find(|group| ***group == *name);
            group
                .map(|group| Part::Group(Arc::clone(group)))
                .ok_or_else(|| TemplateError::NoGroup(name.to_owned()))
        })
    }

    fn parse_with(
        text: &str,
        part: impl Fn(&str) -> Result<Part, TemplateError>,
    ) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((head, tail)) = rest.split_once('{') {
            let (name, after) = tail.split_once('}').ok_or(TemplateError::Brace)?;
            push_text(&mut parts, head)?;
            parts.push(part(name)?);
            rest = after;
        }
        push_text(&mut parts, rest)?;
        Ok(Self(parts))
    }

    /// A text without placeholders.
    pub fn text(text: &str) -> Self {
        Self(vec![Part::Text(text.to_owned())])
    }

    /// `{caller}`: the default of a role session name.
    pub fn caller() -> Self {
        Self(vec![Part::Name(Placeholder::Caller)])
    }

    /// The placeholders in it.
    pub fn placeholders(&self) -> impl Iterator<Item = Placeholder> + '_ {
        self.0.iter().filter_map(|part| match part {
            Part::Name(placeholder) => Some(*placeholder),
            Part::Text(_) | Part::Group(_) => None,
        })
    }

    /// The named groups and keys in it.
    pub fn groups(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.iter().filter_map(|part| match part {
            Part::Group(name) => Some(name),
            Part::Text(_) | Part::Name(_) => None,
        })
    }

    /// Whether it is the same text for everybody.
    pub fn is_fixed(&self) -> bool {
        self.0.iter().all(|part| matches!(part, Part::Text(_)))
    }

    /// Whether it makes this text of some values.
    pub fn may_be(&self, text: &str) -> bool {
        let parts = self.0.iter().map(|part| match part {
            Part::Text(fixed) => fixed,
            Part::Name(_) | Part::Group(_) => "*",
        });
        matches_glob(&parts.collect::<String>(), text)
    }

    /// The text for one caller. An unknown value is empty.
    pub fn fill(&self, names: &Names) -> String {
        let mut text = String::new();
        for part in &self.0 {
            text.push_str(part.value(names).unwrap_or_default());
        }
        text
    }

    /// The text for one caller; `None` where one of its values is not known.
    pub fn fill_known(&self, names: &Names) -> Option<String> {
        let mut text = String::new();
        for part in &self.0 {
            text.push_str(part.value(names)?);
        }
        Some(text)
    }
}

impl Part {
    fn value<'a>(&'a self, names: &'a Names) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Name(placeholder) => names.get(*placeholder).map(AsRef::as_ref),
            Self::Group(name) => names.group(name).map(AsRef::as_ref),
        }
    }
}

fn push_text(parts: &mut Vec<Part>, text: &str) -> Result<(), TemplateError> {
    if text.contains('}') {
        return Err(TemplateError::Brace);
    }
    if !text.is_empty() {
        parts.push(Part::Text(text.to_owned()));
    }
    Ok(())
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.0 {
            match part {
                Part::Text(text) => f.write_str(text)?,
                Part::Name(placeholder) => write!(f, "{{{}}}", placeholder.name())?,
                Part::Group(name) => write!(f, "{{{name}}}")?,
            }
        }
        Ok(())
    }
}
