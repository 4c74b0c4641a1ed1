//! What a reload is told.

use super::*;

fn between(old: &str, new: &str) -> Changes {
    diff(&load(old).0, &load(new).0)
}

#[test]
fn the_same_text_changes_nothing() {
    assert_eq!(between(SMALL, SMALL), Changes::default());
    assert_eq!(between(FULL, FULL), Changes::default());
}

#[test]
fn what_can_be_applied_is_told_in_words() {
    let new = SMALL
        .replace("duration = \"12h\"", "duration = \"6h\"")
        .replace(
            "[account.prod.role.ci]",
            "[account.prod.role.other]\n[account.prod.role.ci]",
        )
        .replace("region = \"cn-north-1\"", "region = \"cn-northwest-1\"")
        .replace("priority = 5", "priority = 5\nreason = \"builds\"");
    let changes = between(SMALL, &new);
    assert_eq!(changes.restart, Vec::<String>::new());
    assert_eq!(
        changes.applied,
        [
            "account prod changed: region",
            "role prod/web changed: duration",
            "role prod/other is new",
            "a grant of prod/ci is gone (container any, uid 1000 or 33, user ann)",
            "grant 2 is new: prod/ci (builds)",
        ]
    );
}

#[test]
fn another_order_of_the_grants_is_a_change() {
    let ordered = |first: &str, second: &str| {
        let grant = |role: &str| format!("[[grant]]\nrole = 'a/{role}'\nwhen = {{ uid = 7 }}\n");
        format!(
            "[account.a]\nid = 1\nrole.one = {{}}\nrole.two = {{}}\n{}{}",
            grant(first),
            grant(second)
        )
    };
    let changes = between(&ordered("one", "two"), &ordered("two", "one"));
    assert_eq!(changes.applied, ["the grants are tried in another order"]);
}

#[test]
fn what_needs_a_restart_is_named() {
    let new = SMALL.replace("127.0.0.1:1338", "127.0.0.1:1339")
        + "[state]\ndirectory = \"/elsewhere\"\nkey = \"env:KEY\"\n\
           [admin]\nsocket = \"/elsewhere/socket\"\n[limits]\nsessions = 5\n\
           [[listener]]\nname = \"other\"\nbind = \"127.0.0.1:9\"\napis = \"metrics\"\n";
    let changes = between(SMALL, &new);
    assert_eq!(
        changes.restart,
        [
            "[[listener]] metadata: bind",
            "[[listener]] other (added)",
            "state.directory",
            "state.key",
            "admin.socket",
            "limits.sessions",
        ]
    );
    assert_eq!(changes.applied, Vec::<String>::new());
}

#[test]
fn another_secret_is_a_change_and_is_not_shown() {
    let text = "[account.a]\nid = 1\ncredentials = { from = 'key', access-key-id = 'AKIAEXAMPLE', \
                secret-access-key = 'env:SECRET' }\n";
    let changes = between(text, &text.replace("env:SECRET", "env:KEY"));
    assert_eq!(changes.applied, ["account a changed: credentials"]);
}
