//! The role that a grant gives: one that is declared, or one whose name its patterns tell.

use std::sync::Arc;

use super::Names;
use crate::config::validate::reader::{Reader, Spot};
use crate::grants::{self, GrantedRole, Template};
use crate::types::{AccountAlias, InvalidText, RoleName};

pub(super) fn role(reader: &Reader<'_>, names: Option<&Names>) -> Option<GrantedRole> {
    let spot = reader.text("role")?;
    if spot.value.contains('{') {
        templated(reader, &spot, names?)
    } else {
        reader.role("role").map(GrantedRole::Fixed)
    }
}

fn templated(reader: &Reader<'_>, spot: &Spot<&str>, names: &Names) -> Option<GrantedRole> {
    let Some((account, role)) = halves(spot.value) else {
        let message = format!("`{}` is not written as account/role", spot.value);
        reader.problems().error(&spot.at, message);
        return None;
    };
    let written = account;
    let account = names.template(reader, spot, account);
    let role = names.template(reader, spot, role);
    let (account, role) = (account?, role?);
    let made = makes(&account, AccountAlias::new).and_then(|()| makes(&role, RoleName::new));
    if let Err(error) = made {
        let message = format!("`{}` can never make a role: {error}", spot.value);
        reader.problems().error(&spot.at, message);
        return None;
    }
    if account.is_fixed() && !reader.context().knows_account(written, &spot.at) {
        return None;
    }
    Some(GrantedRole::Template { account, role })
}

/// What stands on both sides of the slash, which names between braces may hold too.
fn halves(text: &str) -> Option<(&str, &str)> {
    let mut inside = false;
    let slash = text.char_indices().find(|(_, c)| {
        match c {
            '{' => inside = true,
            '}' => inside = false,
            _ => {}
        }
        *c == '/' && !inside
    });
    let (account, role) = text.split_at_checked(slash?.0)?;
    let role = role.strip_prefix('/')?;
    (!account.is_empty() && !role.is_empty()).then_some((account, role))
}

/// Whether some values make a name of this text: the shortest ones do, if any.
fn makes<T>(
    template: &Template,
    parse: impl Fn(&str) -> Result<T, InvalidText>,
) -> Result<(), InvalidText> {
    let with = |value: &str| {
        let value: Arc<str> = Arc::from(value);
        let named = template
            .groups()
            .map(|name| (Arc::clone(name), Arc::clone(&value)));
        let named: Vec<(Arc<str>, Arc<str>)> = named.collect();
        parse(&template.fill(&grants::Names::default().with_groups(&named))).map(drop)
    };
    with("a").or_else(|_short| with("aa"))
}
