//! What is refused, and how it is told.

use super::*;

#[test]
fn ten_different_mistakes_are_told_in_one_run() {
    let text = r#"
[[listner]]
name = "x"

[[listener]]
name = "metadata"
bind = ["127.0.0.1"]
apis = ["imds", "sst"]
imdsv1 = "yes"

[account.prod]
id = "1234"
credentials = { from = "key", access-key-id = "AKIAEXAMPLE", secret-access-key = "wJalrXUtnFEMI" }

[account.prod.role.web]
duration = "5m"
session-name = "{unti}"

[[grant]]
role = "prod/wbe"
when = { user = "nobody-here" }

[authority]
token-lifetime = "8d"

[limits]
drain = "soon"
"#;
    let told = refused(text);
    for (place, message) in [
        ("2:3 (listner)", "`listner` is no key of this table"),
        ("7:9 (listener#1.bind#1)", "needs a port"),
        ("8:17 (listener#1.apis#2)", "`sst`"),
        (
            "9:1 (listener#1.imdsv1)",
            "this must be true or false, and is a text",
        ),
        ("12:1 (account.prod.id)", "twelve digits"),
        (
            "13:62 (account.prod.credentials.secret-access-key)",
            "never written in the file",
        ),
        (
            "16:1 (account.prod.role.web.duration)",
            "STS takes no duration of 5m",
        ),
        (
            "17:1 (account.prod.role.web.session-name)",
            "`{unti}` is no placeholder",
        ),
        ("20:1 (grant#1.role)", "account `prod` has no role `wbe`"),
        (
            "21:10 (grant#1.when.user)",
            "there is no user `nobody-here`",
        ),
        (
            "24:1 (authority.token-lifetime)",
            "`token-lifetime` is at most 7d",
        ),
        ("27:1 (limits.drain)", "`soon` is no length of time"),
    ] {
        let place = format!("--> rolecall.toml:{place}");
        let mut problems = told
            .split("\n\n")
            .filter(|problem| problem.contains(message));
        assert!(
            problems.any(|problem| problem.contains(&place)),
            "{message} at {place}:\n{told}"
        );
    }
    assert!(told.contains("hint: did you mean `listener`?"), "{told}");
    assert!(told.contains("hint: did you mean `web`?"), "{told}");
    assert!(
        told.ends_with("the configuration is refused: 12 errors"),
        "{told}"
    );
    assert!(
        !told.contains("wJalrXUtnFEMI"),
        "a secret is not repeated: {told}"
    );
}

#[test]
fn what_may_be_a_secret_is_not_repeated() {
    for text in [
        "[account.a]\nendpoint = 'https://me:canary@sts.example'",
        "[account.a.credentials]\nfrom = 'endpoint'\nurl = 'http://me:canary@host/'",
        "[account.a.credentials]\nfrom = 'endpoint'\nurl = 'http://host/?token=canary'",
        "[account.a.credentials]\nfrom = 'key'\naccess-key-id = 'AKIA, canary'\nsecret-access-key = 'canary'",
        "[account.a.credentials]\nfrom = 'endpoint'\nurl = 'http://host/'\ntoken = 'canary'",
        "[state]\nkey = 'canary'",
        "[state]\nkey = canary",
        "[state]\nkey = 'env:SECRET'",
    ] {
        assert!(!refused(text).contains("canary"), "{}", refused(text));
    }
}

/// What people write who come from AWS's own files, or from another daemon's.
#[test]
fn what_newcomers_write_is_answered_with_what_they_mean() {
    each_refused(
        ROLES,
        &[
            (
                "[[grant]]\nrole = 'arn:aws:iam::123456789012:role/one'\nwhen = 'anyone'",
                "a role must be written as account/role",
            ),
            (
                "[account.a.role.'team/web']",
                "`arn:aws:iam::123456789012:role/team/web`",
            ),
            (
                "[account.b]\ncredentials = 'environment'",
                "hint: write `{ from = \"environment\" }`",
            ),
            (
                "[[grant]]\nrole = 'a/one'\nwhen = { uid = 'ann' }",
                "hint: `user` takes names",
            ),
            (
                "[[grant]]\nrole = 'a/one'\nwhen = { gid = ['adm'] }",
                "hint: `group` takes names",
            ),
            (
                "[[grant]]\nrole = 'a/one'\nwhen = { uid = '1000' }",
                "hint: write 1000 without quotes",
            ),
            (
                "[grant-source]\nurl = 'https://grants.example'",
                "hint: write `[[grant-source]]`",
            ),
        ],
    );
}
