//! Texts with placeholders, such as `session-name = "{unit}"`.

use std::fmt;

/// A text with placeholders, parsed when the configuration is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Name(Placeholder),
}

/// What a placeholder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Placeholder {
    /// `{caller}`: the unit, container or user that asks.
    Caller,
    /// `{user}`: the user's name, or its number where it has none.
    User,
    /// `{uid}`: the user's number.
    Uid,
    /// `{hostname}`: the name of this host.
    Hostname,
}

impl Placeholder {
    const ALL: [(&'static str, Self); 4] = [
        ("caller", Self::Caller),
        ("user", Self::User),
        ("uid", Self::Uid),
        ("hostname", Self::Hostname),
    ];

    /// As it is written between braces.
    pub fn name(self) -> &'static str {
        let known = Self::ALL.iter().find(|(_, known)| *known == self);
        known.map_or("", |(name, _)| name)
    }
}

/// The text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A brace that nothing closes or opens.
    #[error("a `{{` or `}}` stands alone")]
    Brace,
    /// A name that is no placeholder.
    #[error("`{{{0}}}` is no placeholder; there are {{caller}}, {{user}}, {{uid}}, {{hostname}}")]
    Unknown(String),
}

/// The values for one caller.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Names {
    /// The user's number.
    pub uid: Option<u32>,
    /// The user's name.
    pub user: Option<String>,
    /// The caller's container or unit, where it has one.
    pub place: Option<String>,
    /// The name of this host.
    pub hostname: String,
}

impl Template {
    /// Parses the text.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((head, tail)) = rest.split_once('{') {
            let (name, after) = tail.split_once('}').ok_or(TemplateError::Brace)?;
            push_text(&mut parts, head)?;
            let known = Placeholder::ALL.iter().find(|(known, _)| *known == name);
            let (_, placeholder) = known.ok_or_else(|| TemplateError::Unknown(name.to_owned()))?;
            parts.push(Part::Name(*placeholder));
            rest = after;
        }
        push_text(&mut parts, rest)?;
        Ok(Self(parts))
    }

    /// `{caller}`: the default of a role session name.
    pub fn caller() -> Self {
        Self(vec![Part::Name(Placeholder::Caller)])
    }

    /// The placeholders in it.
    pub fn placeholders(&self) -> impl Iterator<Item = Placeholder> + '_ {
        self.0.iter().filter_map(|part| match part {
            Part::Name(placeholder) => Some(*placeholder),
            Part::Text(_) => None,
        })
    }

    /// The text for one caller. An unknown value is empty.
    pub fn fill(&self, names: &Names) -> String {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Name(placeholder) => text.push_str(&names.value(*placeholder)),
            }
        }
        text
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

impl Names {
    fn value(&self, placeholder: Placeholder) -> String {
        let uid = || self.uid.map(|uid| uid.to_string()).unwrap_or_default();
        let user = || self.user.clone().unwrap_or_else(uid);
        match placeholder {
            Placeholder::Caller => self.place.clone().unwrap_or_else(user),
            Placeholder::User => user(),
            Placeholder::Uid => uid(),
            Placeholder::Hostname => self.hostname.clone(),
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.0 {
            match part {
                Part::Text(text) => f.write_str(text)?,
                Part::Name(placeholder) => write!(f, "{{{}}}", placeholder.name())?,
            }
        }
        Ok(())
    }
}
