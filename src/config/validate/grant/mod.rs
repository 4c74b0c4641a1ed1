//! `[[grant]]`: whom it is for (`when`, held against the rules of evidence in `evidence` and
//! against the rest of the file in `offer`), and which role it gives (`role`).

mod evidence;
mod narrowing;
mod offer;
mod role;
mod users;
mod when;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::reader::{Reader, Spot};
use crate::config::suggest;
use crate::grants::{Grant, GrantId, Pattern, Template, TemplateError, When};

pub(super) use narrowing::check as check_narrowing;
pub(super) use offer::Offer;
pub(super) use users::{uid_of, user_of};
pub(super) use when::{network, when};

pub(super) fn grant(reader: &Reader<'_>, number: usize, offer: &Offer<'_>) -> Option<Grant> {
    let when = when(reader, offer);
    let names = when.as_ref().map(Names::of);
    let role = role::role(reader, when.as_ref(), names.as_ref());
    let reason = reason(reader, names.as_ref());
    let narrowing = names.as_ref().map(|it| narrowing::narrowing(reader, it));
    Some(Grant {
        id: GrantId::Grant(number),
        role: role?,
        when: when?,
        priority: reader.whole("priority").map_or(0, |spot| spot.value),
        reason: reason?,
        imdsv1: reader.flag("imdsv1"),
        narrowing: narrowing?.ok()?,
    })
}

/// What the operator says, or else whom it is for.
fn reason(reader: &Reader<'_>, names: Option<&Names>) -> Option<Template> {
    match reader.text("reason") {
        Some(spot) => names?.template(reader, &spot, spot.value),
        None => Some(Template::text(&when::described(reader))),
    }
}

/// The names that stand for what a grant's patterns matched, and how many keys give each.
#[derive(Debug)]
struct Names(BTreeMap<Arc<str>, usize>);

impl Names {
    fn of(when: &When) -> Self {
        let mut names = BTreeMap::new();
        for (key, patterns) in when.texts() {
            let groups = patterns.iter().flat_map(Pattern::groups);
            let mut own: Vec<Arc<str>> = groups.chain([Arc::from(key)]).collect();
            own.sort_unstable();
            own.dedup();
            for name in own {
                *names.entry(name).or_default() += 1;
            }
        }
        Self(names)
    }

    fn list(&self) -> Vec<Arc<str>> {
        self.0.keys().cloned().collect()
    }

    /// A text in which these names stand for something; what is wrong with it is a problem there.
    fn template(&self, reader: &Reader<'_>, spot: &Spot<&str>, text: &str) -> Option<Template> {
        let problems = reader.problems();
        match self.once(Template::parse_of_groups(text, &self.list())) {
            Ok(template) => Some(template),
            Err(error) => {
                let hint = match &error {
                    TemplateError::NoGroup(name) | TemplateError::Unknown(name) => {
                        Some(suggest::hint(name, self.0.keys().map(AsRef::as_ref)))
                    }
                    TemplateError::Brace | TemplateError::Twice(_) => None,
                };
                let message = format!("`{}` cannot be used: {error}", spot.value);
                problems.error(&spot.at, message).hint_if(hint);
                None
            }
        }
    }

    /// The same with the placeholders of roles' templates besides.
    fn template_of_role(&self, text: &str) -> Result<Template, TemplateError> {
        self.once(Template::parse_in_grant(text, &self.list()))
    }

    /// A template none of whose names stands for what two keys matched.
    fn once(&self, parsed: Result<Template, TemplateError>) -> Result<Template, TemplateError> {
        let template = parsed?;
        let twice = template
            .groups()
            .find(|name| self.0.get(*name).is_some_and(|keys| *keys > 1));
        match twice.map(ToString::to_string) {
            Some(name) => Err(TemplateError::Twice(name)),
            None => Ok(template),
        }
    }
}
