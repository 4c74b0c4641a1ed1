//! Whole configurations, read from text and from files.

mod accounts;
mod afp;
mod anything;
mod authority;
mod changes;
mod connectors;
mod consoles;
mod effect;
mod examples;
mod files;
mod grants;
mod issuers;
mod mounts;
mod narrowing;
mod people;
mod prefetch;
mod refused;
mod serving;
mod sources;
mod static_build;
mod templates;
mod when;

use std::time::Duration;

use super::*;
use crate::grants::{ContainerWhen, GrantId, UserIds};
use effect::FULL;

/// Where SDKs ask.
const LISTENER: &str = "[[listener]]\nname = 'one'\nbind = '127.0.0.1:80'\napis = 'container'\n";

/// Two roles, and a listener.
const ROLES: &str = "[account.a]\nid = 1\nrole.one = {}\nrole.two = {}\n\
                     [[listener]]\nname = 'one'\nbind = '127.0.0.1:80'\napis = 'container'\n";

/// Users `www-data` (33) and `ann` (1000), the group `adm` (4), the variable `SECRET`, and no files.
fn surroundings() -> Surroundings {
    let mut surroundings = Surroundings::empty("/nonexistent");
    surroundings.uid = 0;
    surroundings.with_user("www-data", 33);
    surroundings.with_user("ann", 1000);
    surroundings.with_group("adm", 4);
    surroundings.with_variable("SECRET", "canary-secret");
    surroundings.with_variable("TOKEN", "canary-token");
    surroundings.with_variable("KEY", &"0a".repeat(32));
    surroundings
}

fn load(text: &str) -> (Config, Vec<Problem>) {
    parse_text("rolecall.toml", text, &surroundings()).unwrap_or_else(|error| panic!("{error}"))
}

/// All that is told of a text that is refused.
fn refused(text: &str) -> String {
    match parse_text("rolecall.toml", text, &surroundings()) {
        Ok((_, warnings)) => panic!("accepted, with {warnings:?}:\n{text}"),
        Err(error) => error.to_string(),
    }
}

/// All that is told of a text that is accepted.
fn told(text: &str) -> String {
    let (_, problems) = load(text);
    problems
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n\n")
}

fn each_refused(before: &str, cases: &[(&str, &str)]) {
    for (case, said) in cases {
        let told = refused(&format!("{before}\n{case}\n"));
        assert!(told.contains(said), "{case}\nmisses `{said}`:\n{told}");
        assert!(told.ends_with(": 1 error"), "{case}\n{told}");
    }
}

fn each_warned(before: &str, cases: &[(&str, &str)]) {
    for (case, said) in cases {
        let text = format!("{before}\n{case}\n");
        let told = told(&text);
        assert!(told.contains(said), "{case}\nmisses `{said}`:\n{told}");
    }
}

const SMALL: &str = r#"
[[listener]]
name = "metadata"
bind = "127.0.0.1:1338"
apis = "imds"

[account.prod]
id = 12345678901
region = "cn-north-1"
[account.prod.defaults]
duration = "12h"
[account.prod.role.web]
session-name = "web-{user}"
[account.prod.role.ci]
duration = "1h"

[[grant]]
role = "prod/web"
when = { user = "www-data" }
reason = "the web server"

[[grant]]
role = "prod/ci"
when = { uid = [1000, 33], user = ["ann"], container = "any", listener = "meta*" }
priority = 5
"#;

#[test]
fn a_small_configuration_becomes_what_it_says() {
    let (config, warnings) = load(SMALL);
    assert_eq!(warnings, []);
    let web = RoleRef::parse("prod/web").unwrap();
    let (account, role) = config.role(&web).unwrap();
    assert_eq!(account.id.as_ref().unwrap().as_str(), "012345678901");
    assert_eq!(role.arn.as_str(), "arn:aws-cn:iam::012345678901:role/web");
    assert_eq!(role.duration, Duration::from_hours(12));
    assert_eq!(role.session_name.to_string(), "web-{user}");
    assert_eq!(account.roles.len(), 2);
    let ids: Vec<GrantId> = config.grants.iter().map(|grant| grant.id).collect();
    assert_eq!(ids, [2, 1].map(GrantId::Grant), "higher priority first");
    let grant = config.grants.first().unwrap();
    assert_eq!(grant.when.users, Some(UserIds::new(vec![1000])));
    assert_eq!(grant.when.container, Some(ContainerWhen::Any));
    assert_eq!(
        grant.when.listeners.as_deref(),
        Some([Arc::from("metadata")].as_slice())
    );
    let reason = config.grants.last().unwrap().reason.to_string();
    assert_eq!(reason, "the web server");
    assert_eq!(
        config.admin_socket,
        PathBuf::from("/run/rolecall/admin.sock")
    );
    assert_eq!(
        config.state.directory,
        Some(PathBuf::from("/var/lib/rolecall"))
    );
}
