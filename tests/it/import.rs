//! `rolecall import afp`, by the real binary: what it prints is what `rolecall check` accepts.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use tempfile::TempDir;

use crate::support::process::rolecall;

const ACCOUNTS: &str = "prod: {id: 123456789012}\nold:\n  id: '012345678901'\nshort: {id: 12345}\n\
                        'with space': {id: 123456789013}\nempty: {}\nodd: {id: abc, note: x}\n";

/// Both directories, and what is made of them.
fn import(application: &[(&str, &str)], accounts: &[(&str, &str)]) -> (TempDir, Output) {
    let directory = tempfile::tempdir().unwrap();
    for (name, files) in [("application", application), ("accounts", accounts)] {
        let folder = directory.path().join(name);
        fs::create_dir(&folder).unwrap();
        for (file, text) in files {
            fs::write(folder.join(file), text).unwrap();
        }
    }
    let folder = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let paths = [folder("application"), folder("accounts")];
    let output = rolecall(&["import", "afp", &paths[0], &paths[1]]).output();
    (directory, output.unwrap())
}

/// The configuration that is printed; `check` accepts it.
fn imported(application: &[(&str, &str)], accounts: &[(&str, &str)]) -> String {
    let (directory, output) = import(application, accounts);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{told}");
    let text = String::from_utf8(output.stdout).unwrap();
    let file = directory.path().join("rolecall.toml");
    fs::write(&file, &text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let checked = rolecall(&["check", "--config", file.to_str().unwrap()]).output();
    let checked = checked.unwrap();
    let told = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert_eq!(checked.status.code(), Some(0), "{told}\n{text}");
    text
}

/// Comments are wrapped: their words in one line.
fn unwrapped(text: &str) -> String {
    let lines = text.lines().map(|line| line.trim_start_matches('#').trim());
    lines.collect::<Vec<_>>().join(" ")
}

#[test]
fn groups_of_the_system_give_the_same_roles() {
    let text = imported(
        &[
            (
                "10-api.yaml",
                "api: {user_identification: {environment_field: REMOTE_USER}}\nlog_level: WARNING\n\
                 logging_handler: {module: logging.handlers, class: SysLogHandler, args: [/dev/log], kwargs: {}}\n\
                 log_format: 'afp: %(message)s'\n",
            ),
            (
                "20-provider.yaml",
                "provider:\n  module: aws_federation_proxy.provider.grp_provider\n  class: Provider\n  \
                 regex: '^aws-(?P<account>[a-z]+)-(?P<role>.+)$'\n\
                 aws: {access_key: AKIAEXAMPLE, secret_key: canary-secret}\n",
            ),
        ],
        &[("accounts.yaml", ACCOUNTS)],
    );
    for line in [
        "role = \"{account}/{role}\"",
        "when = { group = { regex = \"aws-(?<account>[a-z]+)-(?<role>.+)\" } }",
        "[account.prod]\nid = \"123456789012\"\n",
        "[account.old]\nid = \"012345678901\"\n",
        "[account.short]\nid = \"000000012345\"\n",
        "secret-access-key = \"credential:afp-secret-key\"",
        "users-file = ",
        "to = \"syslog\"\nlevel = \"warn\"\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(!text.contains("canary"), "{text}");
    let told = unwrapped(&text);
    for comment in [
        "Not carried over, the account \"with space\": ",
        "Not carried over, the account \"empty\": it has no id",
        "Not carried over, the account \"odd\": its id \"abc\" is not twelve digits.",
        "Not carried over: log_format.",
    ] {
        assert!(told.contains(comment), "{comment}\n{text}");
    }
}

#[test]
fn a_directorys_groups_give_the_same_roles() {
    let text = imported(
        &[(
            "all.yaml",
            "provider:\n  module: aws_federation_proxy.provider.ldap_provider\n  regex: (?P<account>.*)-(?P<role>.*)\n  \
             ldap_uri: ldaps://ldap.example.org\n  ldap_base_users: 'ou=people,dc=example'\n  \
             ldap_base_groups: 'ou=groups,dc=example'\n  ldap_bind_dn: 'cn=afp,dc=example'\n  \
             ldap_bind_password: canary-password\n",
        )],
        &[("accounts.yaml", "prod: {id: 1}\n")],
    );
    for part in [
        "url = \"ldaps://ldap.example.org\", base-users = \"ou=people,dc=example\"",
        "bind-password = \"credential:afp-ldap-password\"",
        "user-attribute = \"sAMAccountName\"",
        "credentials = { from = \"environment\" }",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(
        !text.contains("canary") && !text.contains("users-file"),
        "{text}"
    );
}

#[test]
fn hosts_have_the_same_roles_on_a_machine_mount() {
    let text = imported(
        &[(
            "a.yaml",
            "api: {user_identification: {environment_field: REMOTE_ADDR}}\nprovider:\n  \
             module: aws_federation_proxy.provider.provider_by_ip\n  account_name: data\n  role_prefix: rz_\n  \
             allowed_domains: [valid, Also.Valid]\n",
        )],
        &[("a.yaml", "data: {id: 1}\n")],
    );
    for line in [
        "[[listener.mount]]\nprefix = \"/\"\nmachine = true\n",
        "role = \"data/rz_pro{service}\"\n",
        "role = \"data/rz_{name}\"\n",
        "[a-z0-9-]{2}\\.(valid|also\\.valid)' } }",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(!text.contains("[people]"), "{text}");
}

#[test]
fn what_no_grant_can_say_is_a_comment() {
    for (provider, comment) in [
        (
            "{module: my.own_provider, class: Mine, secret_thing: canary}",
            "Not carried over: the provider \"my.own_provider.Mine\".",
        ),
        (
            "{module: a.grp_provider, regex: '(?P<account>a)(?!x)(?P<role>b)'}",
            "Not carried over: the regular expression",
        ),
        (
            "{module: a.grp_provider, regex: '(?P<account>[a-z]+)'}",
            "it has no group named `role`.",
        ),
        ("{module: a.grp_provider}", "the provider has no `regex`"),
        (
            "{module: a.provider_by_ip, account_name: 'a b', allowed_domains: [valid]}",
            "`account_name` is no name of an account.",
        ),
        (
            "{module: a.provider_by_ip, account_name: data}",
            "`allowed_domains` are no names of domains.",
        ),
    ] {
        let application = format!(
            "api: {{user_identification: {{environment_field: REMOTE_USER}}}}\nprovider: {provider}\n"
        );
        let text = imported(
            &[("a.yaml", &application)],
            &[("a.yaml", "prod: {id: 1}\n")],
        );
        assert!(unwrapped(&text).contains(comment), "{comment}\n{text}");
        assert!(
            !text.contains("[[grant]]\n") && !text.contains("canary"),
            "{text}"
        );
    }
}

#[test]
fn what_cannot_be_read_says_so() {
    let (_, output) = import(&[("a.yaml", "a: [b\n")], &[("a.yaml", "{}")]);
    assert_eq!(output.status.code(), Some(78));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("a.yaml is no YAML"), "{told}");
    let (_, output) = import(&[], &[("a.yaml", "{}")]);
    assert_eq!(output.status.code(), Some(78));
    assert!(output.stdout.is_empty());
}
