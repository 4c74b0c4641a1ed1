//! Accounts, their roles and what they are chained from: each rule with a text that breaks it.

use super::*;

const ACCOUNT: &str = "[account.a]\nid = '123456789012'\n";

fn chain(links: &[(&str, &str)]) -> String {
    let account = |(alias, base): &(&str, &str)| {
        format!(
            "[account.{alias}]\nid = 1\ncredentials = {{ from = 'role', role = '{base}' }}\n\
             [account.{alias}.role.it]\n"
        )
    };
    links.iter().map(account).collect()
}

#[test]
fn chains_may_be_long_but_not_circular() {
    let long = "[account.a]\nid = 1\nrole.it = {}\n".to_owned()
        + &chain(&[("b", "a/it"), ("c", "b/it"), ("d", "c/it")]);
    assert!(!told(&long).contains("wait for each other"));
    let told = refused(&chain(&[
        ("a", "c/it"),
        ("b", "a/it"),
        ("c", "b/it"),
        ("d", "a/it"),
    ]));
    assert!(
        told.contains("a/it → c/it → b/it → a/it") || told.contains("c/it → b/it → a/it → c/it"),
        "{told}"
    );
    assert!(told.ends_with(": 1 error"), "told once: {told}");
    let alone = refused(&chain(&[("a", "a/it")]));
    assert!(
        alone.contains("these roles wait for each other: a/it → a/it"),
        "{alone}"
    );
}

#[test]
fn a_chained_role_lives_an_hour_at_most() {
    let chained = "[account.hub]\nid = 1\nrole.it = {}\n".to_owned() + &chain(&[("a", "hub/it")]);
    each_refused(
        &chained,
        &[
            (
                "duration = '2h'",
                "2h is too long for a chained role: AWS allows 1h",
            ),
            (
                "[account.a.defaults]\nduration = '61m'",
                "(account.a.defaults.duration)",
            ),
        ],
    );
    // GetSessionToken's credentials are a user's: no role is chained from them.
    let from_session = "[account.hub]\ncredentials = { from = 'profile', profile = 'x' }\n\
                        role.it = { kind = 'session-token' }\n"
        .to_owned()
        + &chain(&[("a", "hub/it")])
        + "duration = '2h'\n";
    assert!(!told(&from_session).contains("too long"));
}

#[test]
fn some_sessions_cannot_be_chained_from() {
    let federated = "[account.hub]\ncredentials = { from = 'profile', profile = 'x' }\n\
                     role.it = { kind = 'federation-token' }\n";
    let told = refused(&(federated.to_owned() + &chain(&[("a", "hub/it")])));
    assert!(told.contains("whose sessions may not call STS"), "{told}");
    let minio = "[account.hub]\nid = 1\nrole.it = {}\n[account.a]\ndialect = 'minio'\n\
                 endpoint = 'https://minio.example'\ncredentials = { from = 'role', role = 'hub/it' }\n";
    assert!(refused(minio).contains("MinIO lets no temporary credentials assume a role"));
}

#[test]
fn federation_and_session_tokens_take_long_term_keys_only() {
    for kind in ["federation-token", "session-token"] {
        let with = |credentials: &str| {
            format!(
                "[account.hub]\nid = 1\nrole.it = {{}}\n[account.a]\ncredentials = {credentials}\n\
                 role.user = {{ kind = '{kind}' }}\n"
            )
        };
        for (credentials, said) in [
            (
                "{ from = 'imds' }",
                "the metadata service hands out sessions",
            ),
            (
                "{ from = 'endpoint', url = 'https://b.example/' }",
                "an endpoint hands out sessions",
            ),
            (
                "{ from = 'role', role = 'hub/it' }",
                "a role's credentials are a session's",
            ),
            ("{ from = 'local' }", "the built-in authority has none"),
            (
                "{ from = 'web-identity', token-file = '/t' }",
                "a web identity token is none",
            ),
            ("{ from = 'environment' }", "mostly a session's"),
            (
                "{ from = 'key', access-key-id = 'AKIAEXAMPLE', secret-access-key = 'env:SECRET', \
                 session-token = 'env:TOKEN' }",
                "a key with a session token is a session's",
            ),
        ] {
            let told = refused(&with(credentials));
            assert!(told.contains(said), "{credentials}: {told}");
            assert!(told.contains("takes long-term keys only"), "{told}");
        }
        for credentials in [
            "{ from = 'profile', profile = 'x' }",
            "{ from = 'process', command = '/bin/p' }",
            "{ from = 'key', access-key-id = 'AKIAEXAMPLE', secret-access-key = 'env:SECRET' }",
        ] {
            load(&with(credentials));
        }
    }
}

#[test]
fn the_environment_may_hold_long_term_keys() {
    let text = "[account.a]\nrole.user = { kind = 'session-token' }\n";
    let mut surroundings = surroundings();
    surroundings.with_variable("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE");
    assert!(parse_text("f.toml", text, &surroundings).is_ok());
    surroundings.with_variable("AWS_SESSION_TOKEN", "token");
    let error = parse_text("f.toml", text, &surroundings)
        .unwrap_err()
        .to_string();
    assert!(error.contains("AWS_SESSION_TOKEN is set"), "{error}");
}

#[test]
fn web_identity_roles_need_a_token_and_nothing_else() {
    let with_token =
        "[account.a]\nid = 1\ncredentials = { from = 'web-identity', token-file = '/t' }\n";
    let (config, _) = load(&format!("{with_token}role.it = {{}}"));
    let (_, role) = config.role(&RoleRef::parse("a/it").unwrap()).unwrap();
    assert_eq!(role.kind, RoleKind::WebIdentity);
    each_refused(
        with_token,
        &[("role.it.kind = 'assume-role'", "signs nothing")],
    );
    each_refused(
        ACCOUNT,
        &[("role.it.kind = 'web-identity'", "needs a token")],
    );
}

#[test]
fn durations_keep_to_what_the_call_allows() {
    each_refused(
        ACCOUNT,
        &[
            ("role.it.duration = '14m'", "STS takes no duration of 14m"),
            (
                "role.it.duration = '12h1s'",
                "STS takes no duration of 12h1s",
            ),
            ("role.it.duration = '1h1ms'", "whole seconds"),
            (
                "role.it.duration = 3600",
                "a length of time in quotes, and is a whole number",
            ),
        ],
    );
    let keys = "[account.a]\ncredentials = { from = 'profile', profile = 'x' }\n";
    load(&format!(
        "{keys}role.it = {{ kind = 'session-token', duration = '36h' }}"
    ));
    load("[account.m]\ndialect = 'minio'\nendpoint = 'https://m'\nrole.it.duration = '7d'");
    each_warned(
        ACCOUNT,
        &[
            ("role.it.duration = '59m'", "sessions of less than an hour"),
            ("role.it.duration = '100m'", "sessions of 90 to 110 minutes"),
        ],
    );
    for life in ["1h", "89m", "110m", "12h"] {
        assert!(!told(&format!("{ACCOUNT}role.it.duration = '{life}'")).contains("warning"));
    }
}

#[test]
fn what_a_call_cannot_carry_is_refused() {
    let keys = "[account.a]\ncredentials = { from = 'profile', profile = 'x' }\n";
    each_refused(
        keys,
        &[
            (
                "role.it = { kind = 'session-token', policy-arns = ['arn:aws:iam::aws:policy/X'] }",
                "GetSessionToken has no `policy-arns`",
            ),
            (
                "role.it = { kind = 'session-token', tags = { a = 'b' } }",
                "GetSessionToken has no `tags`",
            ),
            (
                "role.it = { kind = 'federation-token', external-id = 'xx' }",
                "GetFederationToken has no `external-id`",
            ),
        ],
    );
    let token = "[account.a]\nid = 1\ncredentials = { from = 'web-identity', token-file = '/t' }\n";
    each_refused(
        token,
        &[(
            "role.it.source-identity = 'x1'",
            "AssumeRoleWithWebIdentity has no `source-identity`",
        )],
    );
    // What an account's defaults say is for the roles that can carry it.
    load(&format!(
        "{token}defaults = {{ source-identity = 'x1' }}\nrole.it = {{}}"
    ));
}

#[test]
fn tags_keep_to_sts_s_rules() {
    let many: Vec<String> = (0..51).map(|n| format!("k{n} = 'v'")).collect();
    let many = many.join(", ");
    let long_key = "k".repeat(129);
    let long_value = "v".repeat(257);
    each_refused(
        ACCOUNT,
        &[
            (
                &format!("role.it.tags = {{ {many} }}"),
                "fifty session tags at most",
            ),
            (
                &format!("role.it.tags = {{ {long_key} = 'v' }}"),
                "a tag's key is 1 to 128",
            ),
            (
                &format!("role.it.tags = {{ k = '{long_value}' }}"),
                "a tag's value is at most 256",
            ),
            ("role.it.tags = { 'aws:x' = 'v' }", "a tag's key is"),
            ("role.it.tags = { a = 'v', A = 'w' }", "differ in case only"),
            (
                "role.it.tags = { a = '{nope}' }",
                "`{nope}` is no placeholder",
            ),
            (
                "role.it.tags = { a = 1 }",
                "this must be a text, and is a whole number",
            ),
            (
                "role.it = { tags = { host = 'x' }, transitive-tags = ['hots'] }",
                "did you mean `host`?",
            ),
        ],
    );
}

#[test]
fn policies_are_counted() {
    let arns: Vec<String> = (0..11)
        .map(|n| format!("'arn:aws:iam::aws:policy/P{n}'"))
        .collect();
    each_refused(
        ACCOUNT,
        &[
            (
                &format!("role.it.policy-arns = [{}]", arns.join(",")),
                "ten managed policies",
            ),
            (
                "role.it.policy-arns = ['ReadOnlyAccess']",
                "a managed policy's ARN",
            ),
        ],
    );
}

#[test]
fn arns_fit_their_account() {
    each_refused(
        ACCOUNT,
        &[
            (
                "role.it.arn = 'arn:aws:iam::123456789012:user/it'",
                "a role ARN must be",
            ),
            (
                "role.it.arn = 'arn:aws-cn:iam::123456789012:role/it'",
                "of partition `aws-cn`",
            ),
        ],
    );
    each_refused("[account.a]\n", &[("role.it = {}", "this role has no ARN")]);
    each_warned(
        ACCOUNT,
        &[(
            "role.it.arn = 'arn:aws:iam::210987654321:role/it'",
            "this ARN is of account 210987654321",
        )],
    );
    each_refused(
        "",
        &[
            (
                "[account.a]\nregion = 'cn-north-1'\npartition = 'aws'",
                "is of partition `aws-cn`",
            ),
            (
                "[account.a]\nregion = 'eu-west-1'\npartition = 'aws-cn'",
                "is of partition `aws`",
            ),
            (
                "[account.a]\nid = 1234567890123",
                "is not between 0 and 999999999999",
            ),
            ("[account.'a b']\nid = 1", "an account's alias must be"),
            (
                "[account.a]\nid = 1\nrole.x = {}",
                "a role's name must be 2 to 64",
            ),
        ],
    );
}

#[test]
fn base_credentials_are_complete_and_nothing_more() {
    each_refused(
        "[account.a]",
        &[
            (
                "credentials = { from = 'profile' }",
                "`from = \"profile\"` needs `profile`",
            ),
            (
                "credentials = { from = 'imds', profile = 'x' }",
                "`profile` goes with `from = \"profile\"`, not with `imds`",
            ),
            (
                "credentials = { from = 'enviroment' }",
                "did you mean `environment`?",
            ),
            (
                "credentials = { from = 'process', command = ['program'] }",
                "`program` is no absolute path",
            ),
            (
                "credentials = { from = 'process', command = [] }",
                "this command is empty",
            ),
            (
                "credentials = { from = 'endpoint', url = 'ftp://x' }",
                "neither http:// nor https://",
            ),
            (
                "credentials = { from = 'role', role = 'b/it' }",
                "there is no account `b`",
            ),
            ("credentials = { profile = 'x' }", "`from` is missing"),
            (
                "dialect = 'ceph'",
                "only AWS has an endpoint for each region",
            ),
            (
                "credentials = { from = 'local' }\nendpoint = 'https://x'",
                "the built-in authority has no endpoint",
            ),
        ],
    );
    each_warned(
        "[account.a]",
        &[(
            "endpoint = 'http://sts.example'",
            "credentials cross the network to sts.example unencrypted",
        )],
    );
}

#[test]
fn regions_that_aws_cannot_have_are_warned_about() {
    for (region, said) in [
        (
            "eu-central-1a",
            "hint: that is a zone; its region is `eu-central-1`",
        ),
        ("eu-central", "warning: AWS has no region `eu-central`"),
        ("frankfurt", "hint: regions are called as `eu-central-1`"),
    ] {
        let told = told(&format!("[account.a]\nid = 1\nregion = '{region}'"));
        assert!(told.contains(said), "{region}: {told}");
    }
    for account in [
        "region = 'us-gov-west-1'",
        "region = 'eusc-de-east-1'",
        "region = 'default'\nendpoint = 'https://sts.example'",
        "region = 'default'\ndialect = 'ceph'\nendpoint = 'https://rgw.example'",
    ] {
        let told = told(&format!("[account.a]\nid = 1\n{account}"));
        assert!(!told.contains("AWS has no region"), "{account}: {told}");
    }
}
