//! What a session's request was made of, as it is written down.
//!
//! Web identities and provided contexts are left out: they carry tokens of callers, which end sooner
//! than sessions do. A session of one is known by its key alone, until the same caller asks again.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::grants::{CallerPolicy, Names, Narrowing, Placeholder, Template, TemplateError};
use crate::sessions::{Assumption, Wish};
use crate::types::{AccountAlias, ExternalId, RoleName, RoleRef, SessionName};

/// The order of the fields is the format.
#[derive(Serialize, Deserialize)]
pub(super) struct WrittenWish<'a> {
    account: &'a str,
    role: &'a str,
    may_be_undeclared: bool,
    #[serde(borrow)]
    names: Vec<(&'a str, &'a str)>,
    #[serde(borrow)]
    groups: Vec<(&'a str, &'a str)>,
    #[serde(borrow)]
    narrowing: Option<WrittenNarrowing<'a>>,
    principal: Option<&'a str>,
    #[serde(borrow)]
    assumption: Option<WrittenAssumption<'a>>,
}

#[derive(Serialize, Deserialize)]
struct WrittenNarrowing<'a> {
    policy: Option<&'a str>,
    #[serde(borrow)]
    policy_arns: Vec<&'a str>,
    duration: Option<Duration>,
    #[serde(borrow)]
    tags: Vec<(&'a str, WrittenTemplate<'a>)>,
    #[serde(borrow)]
    session_name: Option<WrittenTemplate<'a>>,
    #[serde(borrow)]
    source_identity: Option<WrittenTemplate<'a>>,
    policy_is_replaced: bool,
}

/// The text, and which of its names are groups.
#[derive(Serialize, Deserialize)]
struct WrittenTemplate<'a>(String, #[serde(borrow)] Vec<&'a str>);

#[derive(Serialize, Deserialize)]
struct WrittenAssumption<'a> {
    session_name: Option<&'a str>,
    duration: Option<Duration>,
    policy: Option<&'a str>,
    #[serde(borrow)]
    policy_arns: Vec<&'a str>,
    #[serde(borrow)]
    tags: Vec<(&'a str, &'a str)>,
    #[serde(borrow)]
    transitive_tags: Vec<&'a str>,
    source_identity: Option<&'a str>,
    external_id: Option<&'a str>,
    mfa: bool,
    chain_depth: u8,
}

impl<'a> WrittenWish<'a> {
    /// `None` where it cannot be made again.
    pub(super) fn of(wish: &'a Wish) -> Option<Self> {
        let asked = wish.assumption.as_deref();
        if wish.identity.is_some() || asked.is_some_and(|asked| !asked.provided_contexts.is_empty())
        {
            return None;
        }
        let names = wish.names.iter();
        Some(Self {
            account: wish.role.account.as_str(),
            role: wish.role.role.as_str(),
            may_be_undeclared: wish.may_be_undeclared,
            names: names.map(|(name, value)| (name.name(), &**value)).collect(),
            groups: pairs(wish.names.groups()),
            narrowing: wish.narrowing.as_deref().map(WrittenNarrowing::of),
            principal: wish.principal.as_deref(),
            assumption: asked.map(WrittenAssumption::of),
        })
    }

    /// The wish again; `None` where this is none of this version.
    pub(super) fn wish(&self) -> Option<Wish> {
        let mut names = Names::default();
        for (name, value) in &self.names {
            names = names.with(Placeholder::of_name(name)?, *value);
        }
        let groups = self.groups.iter();
        let groups: Vec<(Arc<str>, Arc<str>)> = groups
            .map(|(name, value)| (Arc::from(*name), Arc::from(*value)))
            .collect();
        let narrowing = match &self.narrowing {
            Some(written) => Some(Arc::new(written.narrowing().ok()?)),
            None => None,
        };
        let assumption = match &self.assumption {
            Some(written) => Some(Arc::new(written.assumption()?)),
            None => None,
        };
        Some(Wish {
            role: RoleRef {
                account: AccountAlias::new(self.account).ok()?,
                role: RoleName::new(self.role).ok()?,
            },
            may_be_undeclared: self.may_be_undeclared,
            names: names.with_groups(&groups),
            narrowing,
            identity: None,
            principal: self.principal.map(Arc::from),
            assumption,
        })
    }
}

impl<'a> WrittenNarrowing<'a> {
    fn of(narrowing: &'a Narrowing) -> Self {
        let tags = narrowing.tags.iter();
        Self {
            policy: narrowing.policy.as_deref(),
            policy_arns: texts(&narrowing.policy_arns),
            duration: narrowing.duration,
            tags: tags
                .map(|(key, value)| (key.as_str(), WrittenTemplate::of(value)))
                .collect(),
            session_name: narrowing.session_name.as_ref().map(WrittenTemplate::of),
            source_identity: narrowing.source_identity.as_ref().map(WrittenTemplate::of),
            policy_is_replaced: narrowing.caller_policy == CallerPolicy::Replaces,
        }
    }

    fn narrowing(&self) -> Result<Narrowing, TemplateError> {
        let template =
            |written: &Option<WrittenTemplate<'_>>| written.as_ref().map(WrittenTemplate::template);
        let tags = self.tags.iter();
        let tags: Result<Vec<_>, _> = tags
            .map(|(key, value)| Ok(((*key).to_owned(), value.template()?)))
            .collect();
        Ok(Narrowing {
            policy: self.policy.map(Arc::from),
            policy_arns: owned(&self.policy_arns),
            duration: self.duration,
            tags: tags?,
            session_name: template(&self.session_name).transpose()?,
            source_identity: template(&self.source_identity).transpose()?,
            caller_policy: if self.policy_is_replaced {
                CallerPolicy::Replaces
            } else {
                CallerPolicy::Refused
            },
        })
    }
}

impl<'a> WrittenTemplate<'a> {
    fn of(template: &'a Template) -> Self {
        Self(
            template.to_string(),
            template.groups().map(AsRef::as_ref).collect(),
        )
    }

    fn template(&self) -> Result<Template, TemplateError> {
        let Self(text, groups) = self;
        let groups: Vec<Arc<str>> = groups.iter().map(|group| Arc::from(*group)).collect();
        Template::parse_in_grant(text, &groups)
    }
}

impl<'a> WrittenAssumption<'a> {
    fn of(assumption: &'a Assumption) -> Self {
        Self {
            session_name: assumption.session_name.as_ref().map(SessionName::as_str),
            duration: assumption.duration,
            policy: assumption.policy.as_deref(),
            policy_arns: texts(&assumption.policy_arns),
            tags: pairs(&assumption.tags),
            transitive_tags: texts(&assumption.transitive_tags),
            source_identity: assumption.source_identity.as_ref().map(SessionName::as_str),
            external_id: assumption.external_id.as_ref().map(ExternalId::as_str),
            mfa: assumption.mfa,
            chain_depth: assumption.chain_depth,
        }
    }

    fn assumption(&self) -> Option<Assumption> {
        let name = |text: Option<&str>| text.map(SessionName::new).transpose().ok();
        let tags = self.tags.iter();
        Some(Assumption {
            session_name: name(self.session_name)?,
            duration: self.duration,
            policy: self.policy.map(Arc::from),
            policy_arns: owned(&self.policy_arns),
            tags: tags
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            transitive_tags: owned(&self.transitive_tags),
            source_identity: name(self.source_identity)?,
            external_id: self.external_id.map(ExternalId::new).transpose().ok()?,
            mfa: self.mfa,
            chain_depth: self.chain_depth,
            provided_contexts: Vec::new(),
        })
    }
}

fn texts(of: &[String]) -> Vec<&str> {
    of.iter().map(String::as_str).collect()
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn pairs<T: AsRef<str>>(of: &[(T, T)]) -> Vec<(&str, &str)> {
    of.iter()
        .map(|(name, value)| (name.as_ref(), value.as_ref()))
        .collect()
}
