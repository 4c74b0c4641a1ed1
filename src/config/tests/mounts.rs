//! People's APIs: where they are served, to whom, and what is refused.

use super::*;
use crate::grants::Way;

const API: &str = "[[listener]]\nname = 'api'\nbind = '127.0.0.1:8169'\n\
                   apis = ['accounts', 'connectors']\n";

/// The only listener of this text.
fn listener(text: &str) -> Listener {
    load(text).0.listeners.remove(0)
}

/// Prefix, APIs and ways of each mount.
fn mounts(text: &str) -> Vec<(String, Vec<Api>, Vec<Way>)> {
    let mounts = listener(text).mounts.into_iter();
    mounts
        .map(|mount| (mount.prefix, mount.apis, mount.authenticate))
        .collect()
}

#[test]
fn what_no_mount_serves_is_where_it_is_by_default() {
    let (both, accounts) = (vec![Api::Accounts, Api::Connectors], vec![Api::Accounts]);
    let token = || vec![Way::Token];
    assert_eq!(
        mounts(API),
        [
            (String::new(), both, token()),
            ("/afp-api/latest".to_owned(), accounts.clone(), token()),
        ]
    );
    let own = format!(
        "{API}[[listener.mount]]\nprefix = '/a/b/'\napis = 'accounts'\nauthenticate = 'peer'\n"
    );
    assert_eq!(
        mounts(&own),
        [
            ("/a/b".to_owned(), accounts, vec![Way::Peer]),
            (String::new(), vec![Api::Connectors], token()),
        ]
    );
    let none = mounts(&ROLES.replace("apis = 'container'", "apis = 'metrics'"));
    assert_eq!(none, []);
}

#[test]
fn a_machine_mount_knows_hosts_by_the_kernel_s_word_for_their_address() {
    let text = format!("{API}[[listener.mount]]\nprefix = '/machine'\nmachine = true\n");
    let listener = listener(&text);
    let mount = listener.mounts.first().unwrap();
    assert!(mount.machine);
    assert_eq!(mount.apis, [Api::Accounts]);
    assert_eq!(mount.authenticate, [Way::Peer]);
    let rest: Vec<_> = listener.mounts[1..].iter().map(|one| &one.apis).collect();
    assert_eq!(rest, [&[Api::Connectors]]);
}

#[test]
fn mounts_that_cannot_be_are_refused() {
    let mount = |keys: &str| format!("[[listener.mount]]\n{keys}");
    let cases = [
        ("prefix = 'a'", "a path begins with `/`"),
        ("prefix = '/a//b'", "segments"),
        ("prefix = '/a/../b'", "segments"),
        ("prefix = '/a%2fb'", "segments"),
        ("prefix = '/a'\napis = []", "one API at least"),
        ("prefix = '/a'\napis = 'imds'", "none of the words"),
        ("prefix = '/a'\nauthenticate = []", "names none"),
        ("prefix = '/a'\nrequire-group = []", "names none"),
        (
            "prefix = '/a'\nauthenticate = ['token', 'token']",
            "named twice",
        ),
        (
            "prefix = '/a'\nauthenticate = 'basic'",
            "`people.users-file`",
        ),
        ("prefix = '/a'\nauthenticate = 'ldap'", "`people.ldap`"),
        ("prefix = '/a'\nauthenticate = 'pam'", "`people.pam`"),
        ("prefix = '/a'\nauthenticate = 'oidc'", "`people.oidc`"),
        (
            "prefix = '/a'\nauthenticate = 'proxy-header'",
            "no proxy is trusted on this listener",
        ),
        (
            "prefix = '/a'\nmachine = true\nauthenticate = 'token'",
            "takes no other proof",
        ),
        (
            "prefix = '/a'\nmachine = true\napis = 'connectors'",
            "serves `accounts` alone",
        ),
        ("apis = 'accounts'", "`prefix` is missing"),
    ];
    for (keys, said) in cases {
        each_refused(API, &[(&mount(keys), said)]);
    }
    let accounts = API.replace(", 'connectors'", "");
    let foreign = mount("prefix = '/a'\napis = 'connectors'");
    each_refused(
        &accounts,
        &[(&foreign, "this listener does not serve `connectors`")],
    );
    let connectors = API.replace("'accounts', ", "");
    let machine = mount("prefix = '/a'\nmachine = true");
    each_refused(&connectors, &[(&machine, "that serves `accounts`")]);
    let metrics = ROLES.replace("apis = 'container'", "apis = 'metrics'");
    let lonely = mount("prefix = '/a'");
    each_refused(&metrics, &[(&lonely, "mounts belong to a listener")]);
}

#[test]
fn behind_a_proxy_nobody_is_the_user_that_it_runs_as() {
    let proxy = API.replace("'127.0.0.1:8169'", "'unix:/run/api.sock'");
    let people = "[people]\nproxy-header = { listener = 'api', uid = 33 }\n";
    let with = |keys: &str| format!("{proxy}[[listener.mount]]\nprefix = '/a'\n{keys}\n{people}");
    let said = "the user that it runs as";
    for keys in [
        "authenticate = ['proxy-header', 'peer']",
        "apis = 'accounts'\nmachine = true",
        "apis = 'accounts'\nmachine = true\nauthenticate = 'peer'",
    ] {
        assert!(refused(&with(keys)).contains(said), "{keys}");
    }
    load(&with("authenticate = ['proxy-header', 'token']"));
}

#[test]
fn no_mount_hides_another() {
    let outer = |keys: &str| format!("{API}[[listener.mount]]\nprefix = '/a'\n{keys}\n");
    let inner = |prefix: &str| format!("[[listener.mount]]\nprefix = '{prefix}'\n");
    for prefix in [
        "/a",
        "/a/",
        "/a/account",
        "/a/status/x",
        "/a/rest",
        "/a/plugins/x",
    ] {
        assert!(refused(&(outer("") + &inner(prefix))).contains("mount"));
    }
    load(&(outer("") + &inner("/a/b") + &inner("/")));
    load(&(outer("apis = 'accounts'") + &inner("/a/rest")));
    let machine = outer("machine = true");
    each_refused(&machine, &[(&inner("/a/latest"), "would hide `/a/latest`")]);
    let metrics = API.replace("'connectors'", "'metrics'");
    each_refused(&metrics, &[(&inner("/metrics"), "would hide `/metrics`")]);
}

#[test]
fn what_is_for_this_host_has_no_door_to_elsewhere() {
    for api in ["imds", "container"] {
        let text = ROLES.replace("apis = 'container'", &format!("apis = '{api}'"));
        for key in [
            "tls = { certificate = '/c', key = 'env:SECRET' }",
            "peers = '10.0.0.0/8'",
            "public-url = 'https://a.example'",
            "mount = [{ prefix = '/a' }]",
        ] {
            each_refused(&text, &[(key, "has no place on a listener of")]);
        }
        let mixed = text.replace(&format!("'{api}'"), &format!("['{api}', 'accounts']"));
        assert!(refused(&mixed).contains("share no listener"));
    }
}

#[test]
fn nobody_sends_a_password_in_the_clear_from_elsewhere() {
    let peers = "peers = ['10.0.0.0/8', '192.0.2.7']";
    each_refused(API, &[(peers, "would cross the network unencrypted")]);
    let tls = "tls = { certificate = '/c', key = 'env:SECRET' }";
    let served = listener(&format!("{API}{peers}\n{tls}\n"));
    let networks: Vec<String> = served.peers.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8", "192.0.2.7/32"]);
    assert!(served.tls.is_some());
    let accounts = API.replace(", 'connectors'", "");
    let machine = format!("{peers}\n[[listener.mount]]\nprefix = '/'\nmachine = true");
    each_warned(&accounts, &[(&machine, "cross the network unencrypted")]);
    let metrics = ROLES.replace("apis = 'container'", "apis = 'metrics'");
    assert_eq!(listener(&format!("{metrics}{peers}\n")).peers.len(), 2);
    each_refused(
        API,
        &[
            ("peers = 'example.org'", "is no network"),
            ("peers = '10.0.0.1/8'", "bits set behind its prefix"),
            (
                "tls = { certificate = '/c', key = '/k' }",
                "never written in the file",
            ),
            (
                "tls = { certificate = 'c', key = 'env:SECRET' }",
                "no absolute path",
            ),
            ("tls = { key = 'env:SECRET' }", "`certificate` is missing"),
        ],
    );
}

#[test]
fn a_public_url_is_an_origin_with_a_path() {
    for (text, url, origin, path) in [
        (
            "https://AWS.example:443/context/",
            "https://aws.example/context",
            "https://aws.example",
            "/context",
        ),
        (
            "http://[::1]:8169",
            "http://[::1]:8169",
            "http://[::1]:8169",
            "",
        ),
        (
            "https://a.example/",
            "https://a.example",
            "https://a.example",
            "",
        ),
    ] {
        let listener = listener(&format!("{API}public-url = '{text}'\n"));
        assert_eq!(listener.public_url.as_deref(), Some(url));
        assert_eq!(listener.public(), Some((origin, path)));
    }
    assert_eq!(listener(API).public(), None);
    each_refused(
        API,
        &[
            ("public-url = 'aws.example'", "neither http:// nor https://"),
            ("public-url = 'https://aws.example/?a=b'", "no query"),
            ("public-url = 'https://aws.example/a%20b'", "segments"),
        ],
    );
    let plain = "public-url = 'http://aws.example'";
    each_warned(API, &[(plain, "unencrypted")]);
}
