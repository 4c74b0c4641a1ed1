//! Grants that narrow the sessions they give.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::grants::{CallerPolicy, Narrowing};

/// A role that says nothing, one that narrows and tags itself, one of each other call.
const ROLES: &str = "\
[account.a]
id = 1
role.one = { duration = '2h' }
role.two = { policy-arns = 'arn:aws:iam::aws:policy/ReadOnlyAccess', tags = { Host = '{hostname}' } }
[account.b]
id = 2
dialect = 'ceph'
endpoint = 'http://127.0.0.1:8000'
role.one = {}
[account.k]
id = 3
credentials = { from = 'key', access-key-id = 'AKIAEXAMPLE', secret-access-key = 'env:SECRET' }
role.session = { kind = 'session-token' }
role.user = { kind = 'federation-token' }
[account.w]
id = 4
credentials = { from = 'web-identity', token-file = '/t' }
role.one = {}
[account.d]
id = 5
defaults.duration = '30m'
role.one = { duration = '2h' }
";

fn grant(role: &str, keys: &str) -> String {
    format!(
        "[[grant]]\nrole = '{role}'\n\
         when = {{ group = {{ regex = 'x-(?<x>.+)-(?<y>.+)' }} }}\n{keys}\n"
    )
}

fn narrowing(role: &str, keys: &str) -> Option<Arc<Narrowing>> {
    let (config, _) = load(&format!("{ROLES}{}", grant(role, keys)));
    config.grants[0].narrowing.clone()
}

#[test]
fn a_grant_makes_less_of_a_role() {
    assert_eq!(narrowing("a/one", ""), None);
    let arn = "arn:aws:iam::aws:policy/ReadOnlyAccess";
    let by = narrowing(
        "a/one",
        &format!(
            "duration = '1h'\npolicy-arns = '{arn}'\ntags = {{ team = '{{x}}' }}\n\
             session-name = '{{x}}-{{caller}}'\nsource-identity = '{{user}}'"
        ),
    );
    let by = by.unwrap();
    assert_eq!(by.duration, Some(Duration::from_hours(1)));
    assert_eq!(by.policy_arns, [arn]);
    assert_eq!(
        by.session_name.as_ref().unwrap().to_string(),
        "{x}-{caller}"
    );
    assert_eq!(by.source_identity.as_ref().unwrap().to_string(), "{user}");
    let tags: Vec<_> = by
        .tags
        .iter()
        .map(|(key, value)| (key.as_str(), value.to_string()))
        .collect();
    assert_eq!(tags, [("team", "{x}".to_owned())]);
    assert!(narrowing("a/two", "duration = '1h'\ntags = { team = 'x' }").is_some());
    assert!(narrowing("{x}/{y}", "duration = '15m'").is_some());
}

#[test]
fn a_grant_says_what_becomes_of_a_callers_policy() {
    let said = |keys| narrowing("a/two", keys).map(|by| by.caller_policy);
    assert_eq!(
        said("caller-policy = 'replace'"),
        Some(CallerPolicy::Replaces)
    );
    assert_eq!(
        said("caller-policy = 'refuse'"),
        Some(CallerPolicy::Refused)
    );
    assert_eq!(said("duration = '15m'"), Some(CallerPolicy::Refused));
    assert_eq!(said(""), None);
}

#[test]
fn a_policy_is_read_from_its_file() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("p.json");
    fs::write(&file, "{ \"Statement\": [] }\n").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let surroundings = Surroundings::empty(root.path());
    let text = "[account.a]\nid = 1\nrole.one = {}\n\
                [[grant]]\nrole = 'a/one'\nwhen = 'anyone'\npolicy-file = '/p.json'\n";
    let (config, _) = parse_text("f.toml", text, &surroundings).unwrap();
    let by = config.grants[0].narrowing.clone().unwrap();
    assert_eq!(by.policy.as_deref(), Some("{\"Statement\":[]}"));
    for (path, said) in [
        ("/q.json", "/q.json: cannot read it"),
        ("p.json", "no absolute path"),
    ] {
        let text = text.replace("/p.json", path);
        let error = parse_text("f.toml", &text, &surroundings)
            .unwrap_err()
            .to_string();
        assert!(error.contains(said), "{error}");
        assert!(error.ends_with(": 1 error"), "{error}");
    }
}

#[test]
fn a_grant_never_widens() {
    let arn = "policy-arns = 'arn:aws:iam::aws:policy/AdministratorAccess'";
    for (role, keys, said) in [
        (
            "a/one",
            "duration = '3h'",
            "this is longer than the 2h of a/one",
        ),
        ("a/one", "duration = '5m'", "STS takes no duration of 5m"),
        ("a/one", "duration = '900500ms'", "in whole seconds"),
        ("a/one", "duration = 'soon'", "`soon` is no length of time"),
        ("a/two", arn, "a/two has a session policy of its own"),
        ("a/one", "policy-arns = 'x'", "a managed policy's ARN is"),
        (
            "a/two",
            "tags = { host = 'x' }",
            "a/two sets the tag `host` already",
        ),
        ("a/one", "tags = { \"aws:x\" = 'x' }", "a tag's key is"),
        ("a/one", "tags = { x = '{z}' }", "`{z}` is no placeholder"),
        ("a/one", "tags = 'x'", "must be a table of texts"),
        ("a/one", "session-name = '{z}'", "`{z}` is no placeholder"),
        ("a/one", "session-name = 7", "must be a text"),
        ("a/one", "source-identity = '{'", "stands alone"),
        ("a/one", "caller-policy = 'allow'", "`allow`"),
        ("b/one", arn, "`policy-arns` is not sent"),
        (
            "k/session",
            "session-name = 'x1'",
            "GetSessionToken has no `session-name`",
        ),
        ("k/session", arn, "GetSessionToken has no `policy-arns`"),
        (
            "k/user",
            "source-identity = 'x1'",
            "GetFederationToken has no `source-identity`",
        ),
        (
            "w/one",
            "tags = { x = 'y' }",
            "AssumeRoleWithWebIdentity has no `tags`",
        ),
        // What only the name tells: whatever it makes, the defaults hold, or the roles declared.
        ("d/{x}", "duration = '3h'", "this is longer than the"),
        ("b/{x}", arn, "`policy-arns` is not sent"),
    ] {
        each_refused(ROLES, &[(&grant(role, keys), said)]);
    }
}

#[test]
fn what_narrows_only_some_of_the_roles_is_told() {
    for (role, keys, said) in [
        (
            "{x}/one",
            "duration = '1h'",
            "this is longer than the 30m of d/",
        ),
        (
            "d/{x}",
            "duration = '1h'",
            "this is longer than the 30m of d/",
        ),
        (
            "a/{x}",
            "policy-arns = 'arn:aws:iam::aws:policy/ReadOnlyAccess'",
            "a/two has a session policy of its own",
        ),
        (
            "a/t{x}",
            "tags = { HOST = 'x' }",
            "a/two sets the tag `HOST` already",
        ),
        ("{x}/{y}", "tags = { team = 'x' }", "is not sent"),
    ] {
        let warning = format!("warning: {said}");
        each_warned(ROLES, &[(&grant(role, keys), said)]);
        let told = told(&format!("{ROLES}{}", grant(role, keys)));
        assert!(told.contains(&warning) || said == "is not sent", "{told}");
        assert!(told.contains("as far as this grant gives"), "{told}");
    }
}
