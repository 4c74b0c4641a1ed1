//! `[[issuer]]`.

use super::*;

fn issuers(text: &str) -> Vec<Issuer> {
    load(&format!("{SMALL}\n{text}")).0.issuers
}

#[test]
fn an_issuer_that_says_only_its_url_is_a_clusters() {
    let found = issuers("[[issuer]]\nurl = 'https://issuer.example/id/1'");
    let expected = Issuer {
        url: Arc::from("https://issuer.example/id/1"),
        audiences: vec![Arc::from("pods.eks.amazonaws.com")],
        keys: IssuerKeys::Discovery { ca_file: None },
        algorithms: vec![Algorithm::Rs256, Algorithm::Es256],
        tags: false,
        introspection: None,
    };
    assert_eq!(found, [expected]);
}

#[test]
fn keys_are_in_a_file_or_where_discovery_says() {
    let found = issuers(
        "[[issuer]]\nurl = 'kubernetes/serviceaccount'\nkeys = '/etc/keys.json'\naudiences = 'us'\n\
         [[issuer]]\nurl = 'https://b'\nkeys = 'discovery'\nca-file = '/etc/ca.pem'\n\
         [[issuer]]\nurl = 'http://127.0.0.1:8001'\nalgorithms = ['EdDSA']",
    );
    let keys: Vec<&IssuerKeys> = found.iter().map(|issuer| &issuer.keys).collect();
    let ca_file = Some(PathBuf::from("/etc/ca.pem"));
    assert_eq!(
        keys,
        [
            &IssuerKeys::File(PathBuf::from("/etc/keys.json")),
            &IssuerKeys::Discovery { ca_file },
            &IssuerKeys::Discovery { ca_file: None },
        ]
    );
    assert_eq!(found[0].audiences, [Arc::from("us")]);
    assert_eq!(found[2].algorithms, [Algorithm::EdDsa]);
}

#[test]
fn files_that_are_not_there_are_told() {
    each_warned(
        &format!("{SMALL}[[issuer]]\nurl = 'https://a'"),
        &[
            (
                "keys = '/etc/keys.json'",
                "/etc/keys.json cannot be read: No such",
            ),
            (
                "ca-file = '/etc/ca.pem'",
                "/etc/ca.pem cannot be read: No such",
            ),
        ],
    );
}

#[test]
fn what_would_prove_nothing_is_refused() {
    each_refused(
        &format!("{SMALL}[[issuer]]"),
        &[
            ("tags = true", "`url` is missing"),
            ("url = 'issuer.example'", "begins with neither http"),
            ("url = 'http://issuer.example'", "over https only"),
            ("url = 'http://192.0.2.1'", "over https only"),
            ("url = 'https://a?b'", "holds no query"),
            (
                "url = 'https://a'\nkeys = 'keys.json'",
                "whose path begins with `/`",
            ),
            (
                "url = 'https://a'\nkeys = 'https://a/jwks'",
                "whose path begins with `/`",
            ),
            (
                "url = 'https://a'\nkeys = '/k'\nca-file = '/ca'",
                "`ca-file` goes with `keys = \"discovery\"`",
            ),
            ("url = 'https://a'\naudiences = []", "proves nothing"),
            (
                "url = 'https://a'\nalgorithms = []",
                "`algorithms` names none",
            ),
            (
                "url = 'https://a'\nalgorithms = ['none']",
                "`none` is none of the words",
            ),
            (
                "url = 'https://a'\nalgorithms = 'HS256'",
                "`HS256` is none of the words",
            ),
            (
                "url = 'https://a'\n[[issuer]]\nurl = 'https://a'\ntags = true",
                "`https://a` is an issuer already",
            ),
        ],
    );
}

#[test]
fn a_reload_says_what_became_of_issuers() {
    let old = format!(
        "{SMALL}[[issuer]]\nurl = 'https://a'\n[[issuer]]\nurl = 'https://b'\n[[issuer]]\nurl = 'https://c'\n"
    );
    let new = format!(
        "{SMALL}[[issuer]]\nurl = 'https://d'\n[[issuer]]\nurl = 'https://b'\naudiences = 'x'\ntags = true\n\
         [[issuer]]\nurl = 'https://c'\n"
    );
    let changes = diff(&load(&old).0, &load(&new).0);
    assert_eq!(changes.restart, Vec::<String>::new());
    assert_eq!(
        changes.applied,
        [
            "issuer https://a is gone",
            "issuer https://b changed: audiences, tags",
            "issuer https://d is new",
        ]
    );
}

const PASSED: &str =
    "[account.pods]\nid = 12345678901\ncredentials = { from = 'caller-token' }\nrole.app = {}\n";

#[test]
fn callers_tokens_assume_roles_where_an_issuer_verifies_them() {
    let issuer = "[[issuer]]\nurl = 'https://a'\n";
    let (config, problems) = load(&format!("{LISTENER}{PASSED}{issuer}"));
    let app = RoleRef::parse("pods/app").unwrap();
    let (account, role) = config.role(&app).unwrap();
    assert!(matches!(account.base, BaseCredentials::CallerToken));
    assert_eq!(role.kind, RoleKind::WebIdentity);
    assert_eq!(problems.len(), 1, "no grant gives it: {problems:?}");
    let told = refused(PASSED);
    assert!(told.contains("there is no issuer"), "{told}");
    each_refused(
        &format!("{issuer}{PASSED}"),
        &[
            (
                "role.it.kind = 'assume-role'",
                "a web identity token signs nothing",
            ),
            (
                "role.it.kind = 'session-token'",
                "a web identity token is none",
            ),
            ("role.it.prefetch = true", "assumed with its caller's token"),
            (
                "role.it = { prefetch = true, session-name = 'x' }",
                "assumed with its caller's token",
            ),
            (
                "[account.far]\nid = 1\ncredentials = { from = 'role', role = 'pods/app' }\n\
                 role.it = { prefetch = true, session-name = 'x' }",
                "assumed with its caller's token",
            ),
            (
                "role.it.tags = { a = 'b' }",
                "AssumeRoleWithWebIdentity has no `tags`",
            ),
        ],
    );
    let other = format!("{issuer}{}", PASSED.replace("caller-token", "environment"));
    let changes = diff(&load(&other).0, &config);
    assert_eq!(
        changes.applied,
        [
            "account pods changed: credentials",
            "role pods/app changed: kind"
        ]
    );
}

#[test]
fn access_tokens_are_asked_about_where_nobody_can_listen() {
    let issuer = "[[issuer]]\nurl = 'https://a'\n[issuer.introspection]\n";
    let asks = "client-id = 'us'\nclient-secret = 'env:SECRET'\n";
    for url in ["https://a/introspect", "http://127.0.0.1:80/i"] {
        let found = issuers(&format!("{issuer}{asks}url = '{url}'"));
        let introspection = found[0].introspection.as_ref().unwrap();
        assert_eq!(
            (&*introspection.url, &*introspection.client_id),
            (url, "us")
        );
    }
    for (text, told) in [
        (
            format!("{asks}url = 'http://a/i'"),
            "asked about over https only",
        ),
        (format!("{asks}url = 'a'"), "introspection.url"),
        (
            "url = 'https://a'\nclient-id = 'us'".to_owned(),
            "client-secret",
        ),
    ] {
        let refused = refused(&format!("{SMALL}\n{issuer}{text}"));
        assert!(refused.contains(told), "{refused}");
    }
}
