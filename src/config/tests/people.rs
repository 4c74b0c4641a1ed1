//! `[people]`.

use super::*;
use crate::grants::Way;

const UNIX: &str = "[[listener]]\nname = 'proxy'\nbind = 'unix:/run/api.sock'\napis = 'accounts'\n";

fn people(text: &str) -> People {
    load(&format!(
        "{SMALL}{UNIX}[[issuer]]\nurl = 'https://a'\n[people]\n{text}"
    ))
    .0
    .people
}

#[test]
fn nobody_proves_a_name_where_nothing_is_said() {
    let (config, _) = load(SMALL);
    assert_eq!(config.people.ways(), []);
    assert!(config.people.administrators.is_empty());
}

#[test]
fn administrators_are_names_and_groups() {
    let found = people("users-file = '/u'\nadministrators = ['ann', '@ops']");
    assert_eq!(
        found.administrators,
        [
            Administrator::Person(Arc::from("ann")),
            Administrator::Group(Arc::from("ops")),
        ]
    );
}

#[test]
fn what_is_not_said_of_a_directory_is_usual() {
    let found = people("ldap = { url = 'ldaps://ldap.example/', base-users = 'ou=people' }");
    let ldap = found.ldap.unwrap();
    assert_eq!(ldap.url, "ldaps://ldap.example");
    assert_eq!(
        (ldap.base_users, ldap.base_groups),
        ("ou=people".to_owned(), "ou=people".to_owned())
    );
    assert_eq!(
        (ldap.user_attribute, ldap.group_attribute),
        ("uid".to_owned(), "cn".to_owned())
    );
    assert!(ldap.bind.is_none() && ldap.ca_file.is_none());
}

#[test]
fn a_proxy_is_known_by_users_of_this_host() {
    let found = people(
        "proxy-header = { listener = 'proxy', uid = ['www-data', 7], lower-case = true, \
         visitor-header = 'X-Forwarded-For' }",
    );
    let expected = ProxyHeader {
        name: "x-remote-user".to_owned(),
        listener: Arc::from("proxy"),
        uids: vec![33, 7],
        subjects: Vec::new(),
        lower_case: true,
        visitor_header: Some("x-forwarded-for".to_owned()),
    };
    assert_eq!(found.proxy_header, Some(expected));
}

#[test]
fn a_proxy_is_known_by_the_subject_of_its_certificate() {
    let tls = "[[listener]]\nname = 'far'\nbind = '127.0.0.1:1340'\napis = 'accounts'\n\
               tls = { certificate = '/c', key = 'env:SECRET', client-ca = '/a' }\n";
    let keys = "proxy-header = { listener = 'far', subject = 'CN=proxy,O=Example' }";
    let (config, _) = load(&format!("{SMALL}{tls}[people]\n{keys}\n"));
    let proxy = config.people.proxy_header.unwrap();
    assert_eq!(proxy.subjects, ["CN=proxy,O=Example"]);
    assert!(proxy.uids.is_empty() && !proxy.lower_case && proxy.visitor_header.is_none());
}

#[test]
fn cookies_of_directories_end_sooner_than_those_of_the_users_file() {
    let minutes = |text: &str| people(text).cookie_lifetime.as_secs() / 60;
    assert_eq!(minutes("users-file = '/u'"), 30);
    assert_eq!(minutes("users-file = '/u'\ncookie-lifetime = '2h'"), 120);
}

#[test]
fn mounts_that_name_no_way_take_all_that_are_there() {
    let text = format!(
        "{SMALL}{UNIX}[[issuer]]\nurl = 'https://a'\n[people]\nusers-file = '/u'\n\
         pam = {{ service = 'login' }}\noidc = {{ issuer = 'https://a' }}\n"
    );
    let (config, _) = load(&text);
    let mounts: Vec<&Mount> = config
        .listeners
        .iter()
        .flat_map(|one| &one.mounts)
        .collect();
    assert_eq!(mounts.len(), 2);
    for mount in mounts {
        assert_eq!(
            mount.authenticate,
            [Way::Oidc, Way::Basic, Way::Pam, Way::Token]
        );
    }
    assert_eq!(config.people.oidc.unwrap().name_claim, "sub");
}

#[test]
fn files_of_people_may_come_later() {
    each_warned(
        SMALL,
        &[
            (
                "[people]\nusers-file = '/etc/users'",
                "/etc/users cannot be read: No such",
            ),
            (
                "[people]\ngroups-file = '/etc/groups'",
                "/etc/groups cannot be read: No such",
            ),
            (
                "[people]\ngroups-file = '/etc/groups'",
                "nothing here proves a name",
            ),
        ],
    );
}

#[test]
fn files_that_others_may_write_are_refused() {
    use std::os::unix::fs::PermissionsExt as _;

    let root = tempfile::tempdir().unwrap();
    for name in ["users", "groups"] {
        let file = root.path().join(name);
        std::fs::write(&file, "").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
    }
    let text = "[people]\nusers-file = '/users'\ngroups-file = '/groups'\n";
    let error = parse_text("f.toml", text, &Surroundings::empty(root.path())).unwrap_err();
    let told = error.to_string();
    assert!(
        told.contains("/users is refused: its group or others may write it"),
        "{told}"
    );
    assert!(told.contains("/groups is refused"), "{told}");
}

#[test]
fn what_would_prove_nothing_or_too_much_is_refused() {
    each_refused(
        &format!("{SMALL}{UNIX}[people]"),
        &[
            ("users-file = 'users'", "users-file"),
            ("administrators = ['@']", "followed by a group's name"),
            ("ldap = { base-users = 'a' }", "`url` is missing"),
            ("ldap = { url = 'ldaps://a' }", "`base-users` is missing"),
            (
                "ldap = { url = 'https://a', base-users = 'a' }",
                "a directory is at `ldaps://HOST`",
            ),
            (
                "ldap = { url = 'ldap://a@b', base-users = 'a' }",
                "a host and perhaps a port",
            ),
            (
                "ldap = { url = 'ldap://a/x', base-users = 'a' }",
                "a host and perhaps a port",
            ),
            (
                "ldap = { url = 'ldap://a:x', base-users = 'a' }",
                "a host and perhaps a port",
            ),
            (
                "ldap = { url = 'ldaps://a', base-users = 'a', bind-dn = 'cn=x' }",
                "`bind-dn` and `bind-password` go together",
            ),
            (
                "ldap = { url = 'ldaps://a', base-users = 'a', user-attribute = 'a)(b' }",
                "an attribute's name is",
            ),
            ("pam = {}", "`service` is missing"),
            ("cookie-lifetime = '9h'", "for 8h at most"),
            ("cookie-lifetime = '10s'", "for a minute at least"),
            (
                "proxy-header = { listener = 'proxy', uid = 33, visitor-header = 'Cookie' }",
                "this header means something else",
            ),
            ("pam = { service = '../x' }", "a file in `/etc/pam.d`"),
            (
                "oidc = { issuer = 'https://b' }",
                "there is no issuer `https://b`",
            ),
            ("proxy-header = { uid = 33 }", "`listener` is missing"),
            (
                "proxy-header = { listener = 'proxy' }",
                "anybody could be this proxy",
            ),
            (
                "proxy-header = { listener = 'other', uid = 33 }",
                "there is no listener `other`",
            ),
            (
                "proxy-header = { listener = 'proxy', uid = 'eve' }",
                "there is no user `eve`",
            ),
            (
                "proxy-header = { listener = 'proxy', uid = 33, name = 'Authorization' }",
                "this header means something else",
            ),
            (
                "proxy-header = { listener = 'proxy', uid = 33, name = 'a b' }",
                "it is no name of a header",
            ),
            (
                "proxy-header = { listener = 'metadata', uid = 33 }",
                "over a unix socket only",
            ),
            (
                "proxy-header = { listener = 'proxy', subject = 'CN=proxy' }",
                "nobody shows a certificate to this listener",
            ),
        ],
    );
}

#[test]
fn other_people_need_a_restart() {
    let with = |people: &str| load(&format!("{SMALL}[people]\n{people}")).0;
    let ldap = "ldap = { url = 'ldaps://a', base-users = 'b', bind-dn = 'c', bind-password = 'env:SECRET' }";
    let other = ldap.replace("env:SECRET", "env:TOKEN");
    assert_eq!(diff(&with(ldap), &with(ldap)), Changes::default());
    for changed in [other.as_str(), "users-file = '/u'", "administrators = 'a'"] {
        assert_eq!(
            diff(&with(ldap), &with(changed)).restart,
            ["people"],
            "{changed}"
        );
    }
}

#[test]
fn people_have_groups_that_this_host_does_not_know() {
    let grant = "[[grant]]\nrole = 'prod/web'\nwhen = { group = ['ops', 'adm'] }\n";
    let (config, _) = load(&format!("{SMALL}{grant}[people]\ngroups-file = '/g'\n"));
    let groups = config
        .grants
        .iter()
        .find_map(|one| one.when.groups.as_ref());
    let groups = groups.unwrap();
    assert_eq!(groups.ids, [(4, Arc::from("adm"))]);
    assert!(
        groups
            .names
            .iter()
            .any(|name| name.single().is_some_and(|name| **name == *"ops"))
    );
    assert!(refused(&format!("{SMALL}{grant}")).contains("there is no group `ops`"));
}
