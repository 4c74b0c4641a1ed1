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
