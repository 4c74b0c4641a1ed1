//! Roles and reasons in which placeholders stand for what a caller's evidence matched.

use super::*;
use crate::grants::GrantedRole;

/// One role, and a listener.
const ROLE: &str = "[account.a]\nid = 1\nrole.one = {}\n\
                    [[listener]]\nname = 'one'\nbind = '127.0.0.1:80'\napis = 'container'\n";

fn role_refused(role: &str, when: &str, said: &str) {
    let text = format!("[[grant]]\nrole = '{role}'\nwhen = {when}");
    each_refused(ROLE, &[(&text, said)]);
}

#[test]
fn roles_are_told_by_what_patterns_match() {
    let text = "[[grant]]\nrole = '{account}/o{role}'\nreason = 'member of {group}'\n\
                when = { group = { regex = 'aws-(?<account>[a-z]+)-(?<role>[a-z]{2,4})' } }";
    let (config, problems) = load(&format!("{ROLE}{text}"));
    assert_eq!(problems, []);
    let grant = &config.grants[0];
    assert!(matches!(grant.role, GrantedRole::Template { .. }));
    assert_eq!(grant.role.to_string(), "{account}/o{role}");
    assert_eq!(grant.reason.to_string(), "member of {group}");
    let by_key = "[[grant]]\nrole = 'a/{unit}'\nwhen = { unit = 'app-*.service' }";
    assert_eq!(
        load(&format!("{ROLE}{by_key}")).0.grants[0]
            .role
            .to_string(),
        "a/{unit}"
    );
}

#[test]
fn a_pattern_that_names_no_role_is_told() {
    let with = |when: &str| {
        told(&format!(
            "{ROLE}[[grant]]\nrole = 'a/{{x}}'\nwhen = {when}\n"
        ))
    };
    let said = |name: &str| format!("who matches by `{name}` gets no role: it names no `x`");
    let literal = with("{ group = [{ regex = 'a-(?<x>o.*)' }, 'adm'] }");
    assert!(literal.contains(&said("adm")), "{literal}");
    let glob = with("{ unit = [{ regex = 'a-(?<x>o.*)' }, 'b-*.service'] }");
    assert!(glob.contains(&said("b-*.service")), "{glob}");
    let both = with("{ unit = [{ regex = 'a-(?<x>o.*)' }, { regex = 'b-(?<x>.*)' }] }");
    assert_eq!(both, "");
}

#[test]
fn placeholders_are_what_the_patterns_name() {
    let group = "{ group = { regex = 'aws-(?<account>[a-z]+)' } }";
    role_refused("{account}/{rol}", group, "`{rol}` is neither a named group");
    role_refused("{accuont}/one", group, "did you mean `account`?");
    role_refused("a/{caller}", "{ uid = 1 }", "hint: there is none");
    role_refused("a/{account", group, "a `{` or `}` stands alone");
    role_refused("{account}", group, "is not written as account/role");
    role_refused("{account}/", group, "is not written as account/role");
    role_refused("b/{account}", group, "there is no account `b`");
    role_refused(
        "a/so me-{account}",
        group,
        "can never make a role: a role's name must be",
    );
    role_refused(
        ".{account}/one",
        group,
        "can never make a role: an account's alias must be",
    );
    role_refused("a/{account}/b", group, "can never make a role");
    role_refused(
        &format!("a/{}{{account}}", "x".repeat(64)),
        group,
        "can never make a role",
    );
    let twice = "{ group = { regex = 'a-(?<x>.+)' }, host = { regex = '(?<x>.+)' } }";
    role_refused("a/{x}", twice, "`{x}` stands for what two keys matched");
    let reason = "[[grant]]\nrole = 'a/one'\nwhen = { uid = 1 }\nreason = 'for {group}'";
    each_refused(ROLE, &[(reason, "`{group}` is neither a named group")]);
}
