//! `when`: each key as it is accepted, and as it is refused.

use std::net::IpAddr;

use super::*;
use crate::grants::{ContainerFactsWhen, GroupWhen, Pattern, Patterns, PodWhen, TokenWhen, When};

/// A file that offers all there is to know of callers.
const HOST: &str = "\
[account.a]
id = 1
role.one = {}
[[listener]]
name = 'one'
bind = '127.0.0.1:80'
apis = 'container'
[[runtime.engine]]
kind = 'docker'
[[issuer]]
url = 'https://issuer.example'
";

fn grant(when: &str) -> String {
    format!("[[grant]]\nrole = 'a/one'\nwhen = {when}\n")
}

/// What `when` becomes, on that host, where it is accepted without a warning.
fn when(text: &str) -> When {
    let (config, problems) = load(&format!("{HOST}{}", grant(text)));
    assert_eq!(problems, [], "{text}");
    config.grants[0].when.clone()
}

fn becomes(text: &str, expected: &When) {
    assert_eq!(when(text), *expected, "{text}");
}

#[expect(clippy::unnecessary_wraps, reason = "as it stands in a pattern")]
fn patterns(texts: &[&str]) -> Option<Patterns> {
    let patterns = texts.iter().map(|text| match text.strip_prefix('~') {
        Some(regex) => Pattern::regex(regex).unwrap(),
        None => Pattern::new(text),
    });
    Some(Patterns::new(patterns.collect()))
}

#[test]
fn every_text_key_takes_texts_globs_lists_and_expressions() {
    let unit = patterns(&["nginx.service", "web-*.service", r"~a[0-9]+\.service"]);
    becomes(
        "{ unit = ['nginx.service', 'web-*.service', { regex = 'a[0-9]+\\.service' }] }",
        &When {
            unit,
            ..When::default()
        },
    );
    becomes(
        "{ slice = 'system.slice', exe = '/usr/bin/*' }",
        &When {
            slice: patterns(&["system.slice"]),
            exe: patterns(&["/usr/bin/*"]),
            ..When::default()
        },
    );
    becomes(
        "{ user-unit = { regex = 'build-.*\\.service' }, user = 'ann' }",
        &When {
            users: Some(UserIds::new(vec![1000])),
            user_unit: patterns(&[r"~build-.*\.service"]),
            ..When::default()
        },
    );
}

#[test]
fn groups_become_numbers_and_their_patterns_stay() {
    becomes(
        "{ gid = [100, 5], group = ['adm', 'aws-*', { regex = 'x' }] }",
        &When {
            gids: Some(UserIds::new(vec![5, 100])),
            groups: Some(GroupWhen {
                ids: vec![(4, Arc::from("adm"))],
                names: patterns(&["aws-*", "~x"]).unwrap(),
            }),
            ..When::default()
        },
    );
}

#[test]
fn facts_of_containers_and_pods_are_dotted_keys_or_tables() {
    let facts = ContainerFactsWhen {
        name: patterns(&["web"]),
        id: patterns(&["0a*"]),
        image: patterns(&["registry.example/ci/*"]),
        labels: vec![(Arc::from("team"), patterns(&["build", "test"]).unwrap())],
        runtime: patterns(&["docker"]),
    };
    let dotted = "{ container.image = 'registry.example/ci/*', \
                  container.label.\"team\" = ['build', 'test'], container.name = 'web', \
                  container.id = '0a*', container.runtime = 'docker' }";
    let table = "{ container = { image = 'registry.example/ci/*', \
                 label = { team = ['build', 'test'] }, name = 'web', id = '0a*', \
                 runtime = 'docker' } }";
    let expected = When {
        container: Some(ContainerWhen::Facts(Box::new(facts))),
        ..When::default()
    };
    becomes(dotted, &expected);
    becomes(table, &expected);
    becomes(
        "{ pod.namespace = 'shop', pod.service-account = 's3-*', pod.name = 'web-0' }",
        &When {
            pod: Some(PodWhen {
                namespace: patterns(&["shop"]),
                service_account: patterns(&["s3-*"]),
                name: patterns(&["web-0"]),
            }),
            ..When::default()
        },
    );
}

#[test]
fn networks_are_kept_in_the_family_of_callers() {
    let said = "{ address = ['10.0.0.0/8', '192.0.2.7', '::ffff:10.1.0.0/112', '2001:db8::/32'] }";
    let networks = when(said).addresses.unwrap();
    let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
    let expected = ["10.0.0.0/8", "192.0.2.7/32", "10.1.0.0/16", "2001:db8::/32"];
    assert_eq!(networks, expected);
    let inside: IpAddr = "10.1.2.3".parse().unwrap();
    let mapped = when("{ address = '::ffff:10.1.0.0/112' }")
        .addresses
        .unwrap();
    assert!(mapped[0].contains(&inside));
}

#[test]
fn hosts_are_written_as_they_are_looked_up() {
    let host = when("{ host = ['Build-1.Example.ORG.', '*.Example.net'] }").host;
    assert_eq!(host, patterns(&["build-1.example.org", "*.example.net"]));
}

#[test]
fn tokens_tell_their_claims() {
    let claims = vec![
        ("env".to_owned(), patterns(&["a", "b"]).unwrap()),
        ("ref".to_owned(), patterns(&["main"]).unwrap()),
    ];
    becomes(
        "{ token.issuer = 'https://issuer.example', token.subject = 'job:*', \
                token.audience = 'us', token.claim.\"ref\" = 'main', token.claim.env = ['a', 'b'] }",
        &When {
            token: Some(TokenWhen {
                issuer: patterns(&["https://issuer.example"]),
                subject: patterns(&["job:*"]),
                audience: patterns(&["us"]),
                claims,
            }),
            ..When::default()
        },
    );
}

#[test]
fn what_apis_to_come_prove_is_accepted_and_warned_about() {
    let said = "{ principal = 'ann', external-id = 'x', mfa = true, source-identity = 'y' }";
    let text = format!("{HOST}{}", grant(said));
    let (config, _) = load(&text);
    let expected = When {
        principal: patterns(&["ann"]),
        external_id: patterns(&["x"]),
        mfa: Some(true),
        source_identity: patterns(&["y"]),
        ..When::default()
    };
    assert_eq!(config.grants[0].when, expected);
    let told = told(&text);
    for key in ["principal", "external-id", "mfa", "source-identity"] {
        let never = format!("this grant can never match by `{key}`: no listener serves");
        assert!(told.contains(&never), "{never}:\n{told}");
    }
}

fn each_when_refused(cases: &[(&str, &str)]) {
    let cases: Vec<(String, &str)> = cases
        .iter()
        .map(|(when, said)| (grant(when), *said))
        .collect();
    let cases: Vec<(&str, &str)> = cases
        .iter()
        .map(|(text, said)| (text.as_str(), *said))
        .collect();
    each_refused(HOST, &cases);
}

#[test]
fn wrong_values_are_told_at_their_place() {
    each_when_refused(&[
        ("{ unit = [] }", "`unit` names none"),
        ("{ unit = '' }", "this text is empty"),
        (
            "{ unit = 7 }",
            "must be a text or `{ regex = \"…\" }`, and is a whole number",
        ),
        ("{ user-unit = 7, uid = 1 }", "must be a text"),
        (
            "{ slice = { regex = 'a', flags = 'i' } }",
            "`flags` is no key of this table",
        ),
        ("{ slice = {} }", "`regex` is missing"),
        (
            "{ exe = { regex = '(' }, uid = 1 }",
            "`(` is no regular expression",
        ),
        (
            "{ exe = { regex = 'a)(b' }, uid = 1 }",
            "no regular expression",
        ),
        ("{ gid = 'adm' }", "must be a whole number, and is a text"),
        ("{ gid = [] }", "this names nobody"),
        ("{ gid = -1 }", "is not between"),
        ("{ group = ['adm', 'none'] }", "there is no group `none`"),
        ("{ group = '27' }", "a number is written as `gid`"),
        ("{ user = 'a*' }", "users are named one by one"),
        ("{ uid = 1, container = 'all' }", "known: `any`"),
        (
            "{ container = {} }",
            "this says nothing about the container",
        ),
        (
            "{ container.label = {} }",
            "this says nothing about the container",
        ),
        ("{ container.label.a = 1 }", "must be a text"),
        ("{ container.label = 'a' }", "must be a table"),
        ("{ container.nmae = 'a' }", "did you mean `name`?"),
        ("{ container.image = [] }", "`image` names none"),
        ("{ pod = {} }", "this says nothing about the pod"),
        ("{ pod = 'a' }", "must be a table"),
        (
            "{ pod.namespace = { regex = '[' } }",
            "`[` is no regular expression",
        ),
        ("{ token = {} }", "this says nothing about the token"),
        ("{ token.claim = 'a' }", "must be a table"),
        ("{ token.audience = 1 }", "must be a text"),
        ("{ address = 'example.org' }", "`example.org` is no network"),
        ("{ address = '10.0.0.0/33' }", "is no network"),
        ("{ address = [] }", "`address` names none"),
        (
            "{ address = '10.0.0.1/8' }",
            "write `10.0.0.0/8` for the network, or `10.0.0.1` for the one address",
        ),
        ("{ host = [] }", "`host` names none"),
        ("{ principal = true }", "must be a text"),
        ("{ uid = 1, external-id = 1 }", "must be a text"),
        ("{ uid = 1, mfa = 'yes' }", "must be true or false"),
        (
            "{ uid = 1, source-identity = [] }",
            "`source-identity` names none",
        ),
    ]);
    let told = refused(&format!(
        "{HOST}{}",
        grant("{ unit = ['a.service',\n  { regex = '(' }] }")
    ));
    assert!(told.contains(":15:3 (grant#1.when.unit#2)"), "{told}");
}

#[test]
fn what_a_user_can_choose_is_no_proof() {
    each_when_refused(&[
        (
            "{ user-unit = 'a.service' }",
            "`user-unit` alone proves nothing",
        ),
        ("{ exe = '/bin/sh' }", "`exe` alone proves nothing"),
        (
            "{ exe = '/bin/sh', listener = 'one' }",
            "`exe` alone proves nothing",
        ),
        (
            "{ exe = '/bin/sh', container = 'any' }",
            "`exe` alone proves nothing",
        ),
        (
            "{ token.subject = 'a' }",
            "`token.subject` alone proves nothing",
        ),
        ("{ mfa = true }", "this says nothing about the caller"),
        (
            "{ external-id = 'a' }",
            "this says nothing about the caller",
        ),
        (
            "{ source-identity = 'a' }",
            "this says nothing about the caller",
        ),
    ]);
    when("{ exe = '/bin/sh', container.image = 'a' }");
    when("{ exe = '/bin/sh', unit = 'a.service' }");
}

#[test]
fn keys_that_exclude_each_other_are_refused() {
    each_when_refused(&[
        (
            "{ unit = 'a.service', container.id = 'a' }",
            "`unit` and `container` can never match together",
        ),
        (
            "{ slice = 'a.slice', pod.name = 'a' }",
            "`slice` and `pod` can never match together",
        ),
        (
            "{ uid = 1, user-unit = 'a.service', container.id = 'a' }",
            "`user-unit` and `container` can never",
        ),
        (
            "{ uid = 1, exe = '/a', address = '10.0.0.0/8' }",
            "`exe` and `address` can never match",
        ),
        (
            "{ uid = 1, exe = '/a', host = 'a' }",
            "`exe` and `host` can never match",
        ),
        (
            "{ anyone = true, unit = 'a.service' }",
            "`anyone` and `unit` say two things",
        ),
        (
            "{ anyone = true, container.image = 'a' }",
            "`anyone` and `container` say two things",
        ),
        (
            "{ anyone = true, mfa = true }",
            "`anyone` and `mfa` say two things",
        ),
    ]);
    when("{ anyone = true, container = 'any', listener = 'one' }");
}

#[test]
fn what_nothing_can_prove_is_warned_about() {
    let bare = "[account.a]\nid = 1\nrole.one = {}\n\
                [[listener]]\nname = 'one'\nbind = '127.0.0.1:80'\napis = 'container'\n";
    let never = |key: &str, why: &str| format!("this grant can never match by `{key}`: {why}");
    for (when, said) in [
        (
            "{ container.image = 'a' }",
            never("image", "without `[runtime]`"),
        ),
        (
            "{ container.label.x = 'a' }",
            never("label", "without `[runtime]`"),
        ),
        (
            "{ pod.name = 'a' }",
            never("pod", "without `[[issuer]]` or `[runtime]`"),
        ),
        ("{ token.issuer = 'a' }", never("token", "no `[[issuer]]`")),
        (
            "{ address = '10.0.0.0/8' }",
            "`address` tells nobody apart".to_owned(),
        ),
        ("{ host = 'a' }", "`host` tells nobody apart".to_owned()),
        (
            "{ unit = 'nginx' }",
            "`nginx` can never match: the name of a unit".to_owned(),
        ),
        (
            "{ slice = 'system' }",
            "hint: write `system.slice`".to_owned(),
        ),
    ] {
        let told = told(&format!("{bare}{}", grant(when)));
        assert!(told.contains(&said), "{when}: {said}\n{told}");
        assert!(told.starts_with("warning: "), "{told}");
    }
    let runtime = format!("{bare}[[runtime.engine]]\nkind = 'cri'\n");
    let pod = told(&format!(
        "{runtime}{}",
        grant("{ pod.service-account = 'a' }")
    ));
    assert!(
        pod.contains(&never("service-account", "without `[[issuer]]`")),
        "{pod}"
    );
    assert_eq!(
        told(&format!("{bare}{}", grant("{ container.id = 'a' }"))),
        ""
    );
    assert_eq!(
        told(&format!("{runtime}{}", grant("{ container.image = 'a' }"))),
        ""
    );
}

#[test]
fn an_issuer_that_nobody_declares_is_told() {
    let told = told(&format!(
        "{HOST}{}",
        grant("{ token.issuer = 'https://isuer.example' }")
    ));
    assert!(told.contains("no `[[issuer]]` has the URL"), "{told}");
    assert!(
        told.contains("did you mean `https://issuer.example`?"),
        "{told}"
    );
    when("{ token.issuer = ['https://*.example', { regex = 'x' }] }");
}

#[test]
fn roles_that_no_arn_can_be_derived_for_are_told() {
    let grant = "[[grant]]\nrole = '{b}/{x}'\nwhen = { unit = { regex = '(?<b>b)-(?<x>.*)' } }\n";
    let without = told(&format!("[account.b]\nregion = 'eu-central-1'\n{grant}"));
    assert!(
        without.contains("this grant can never give a role"),
        "{without}"
    );
    let declared = "[account.b]\nrole.it.arn = 'arn:aws:iam::000000000001:role/it'\n";
    assert_eq!(told(&format!("{LISTENER}{declared}{grant}")), "");
    assert_eq!(told(&format!("{LISTENER}[account.b]\nid = 1\n{grant}")), "");
}

#[test]
fn a_grant_without_a_reason_says_whom_it_is_for() {
    let reason = |when: &str| {
        let (config, _) = load(&format!("{HOST}{}", grant(when)));
        config.grants[0].reason.to_string()
    };
    assert_eq!(reason("'anyone'"), "anyone");
    assert_eq!(
        reason("{ container.label.team = ['a', { regex = 'b+' }], user = 'ann', uid = [1, 1000] }"),
        "container.label.team a or /b+/, uid 1 or 1000, user ann"
    );
}

#[test]
fn where_several_issuers_are_believed_pods_are_told_with_theirs() {
    let others = "[[issuer]]\nurl = 'https://other.example'\n";
    let without_runtime = HOST.replace("[[runtime.engine]]\nkind = 'docker'\n", "");
    let file = |host: &str, when: &str| format!("{host}{others}{}", grant(when));
    let whole = "{ pod.namespace = 'shop', token.issuer = 'https://other.example' }";
    let bare = "{ pod.namespace = 'shop' }";
    let message = "`pod` tells no cluster";
    assert!(refused(&file(&without_runtime, bare)).contains(message));
    assert!(told(&file(HOST, bare)).contains(message));
    for host in [HOST, &without_runtime] {
        assert!(!told(&file(host, whole)).contains(message));
    }
}
