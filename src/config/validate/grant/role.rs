//! The role that a grant gives: one that is declared, or one whose name its patterns tell.

use std::sync::Arc;

use super::Names;
use crate::config::validate::reader::{Reader, Spot};
use crate::grants::{self, GrantedRole, Key, Pattern, Template, When};
use crate::types::{AccountAlias, InvalidText, RoleName};

pub(super) fn role(
    reader: &Reader<'_>,
    when: Option<&When>,
    names: Option<&Names>,
) -> Option<GrantedRole> {
    let spot = reader.text("role")?;
    if !spot.value.contains('{') {
        return reader.granted_role("role").map(GrantedRole::Fixed);
    }
    let role = templated(reader, &spot, names?)?;
    check_alternatives(reader, &spot, when?, &role);
    Some(role)
}

/// Of several patterns of a key each should name the groups that the role is made of: who matches
/// by another gets nothing.
fn check_alternatives(reader: &Reader<'_>, spot: &Spot<&str>, when: &When, role: &GrantedRole) {
    let GrantedRole::Template { account, role } = role else {
        return;
    };
    for name in account.groups().chain(role.groups()) {
        for (key, patterns) in when.texts() {
            let names = |pattern: &&Pattern| pattern.groups().contains(name);
            if key == &**name || !patterns.iter().any(|pattern| names(&pattern)) {
                continue;
            }
            let groups = when.groups.as_ref().filter(|_| key == Key::Group.as_str());
            let literal = groups.and_then(|groups| groups.ids.first());
            let literal = literal.map(|(_, group)| group.to_string());
            let pattern = patterns.iter().find(|pattern| !names(pattern));
            if let Some(without) = literal.or_else(|| pattern.map(ToString::to_string)) {
                let message =
                    format!("who matches by `{without}` gets no role: it names no `{name}`");
                reader.problems().warning(&spot.at, message);
            }
        }
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
