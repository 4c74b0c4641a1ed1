//! `[authority]` and `keystone-roles`.

use super::*;
use crate::secret::ExposeSecret as _;

const KEYSTONE: &str = "[account.a]\nid = 1\nrole.reader = {}\n\
    [[listener]]\nname = 'one'\nbind = '127.0.0.1:80'\napis = 'keystone'\n\
    [people]\nusers-file = '/u'\nadministrators = 'ann'\n";

fn authority(text: &str) -> Authority {
    load(&format!("{KEYSTONE}[authority]\n{text}")).0.authority
}

#[test]
fn what_is_not_said_is_strict() {
    let (config, _) = load(KEYSTONE);
    let (said, found) = (authority(""), config.authority);
    for one in [said, found] {
        assert_eq!(one.signature_age, Duration::from_mins(15));
        assert_eq!(one.token_lifetime, Duration::from_hours(1));
        assert!(one.service_token.is_none() && !one.ec2tokens_without_token);
        assert_eq!(one.replay_cache, 0);
    }
}

#[test]
fn what_is_said_counts() {
    let found = authority(
        "signature-age = '1m'\ntoken-lifetime = '5m'\nservice-token = 'env:KEY'\n\
         ec2tokens-without-token = true\nreplay-cache = 7",
    );
    assert_eq!(found.signature_age, Duration::from_mins(1));
    assert_eq!(found.token_lifetime, Duration::from_mins(5));
    let token = found.service_token.unwrap();
    assert_eq!(token.expose_secret(), "0a".repeat(32));
    assert!(found.ec2tokens_without_token);
    assert_eq!(found.replay_cache, 7);
}

#[test]
fn what_cannot_be_is_refused() {
    each_refused(
        &format!("{KEYSTONE}[authority]"),
        &[
            ("signature-age = '8d'", "`signature-age` is at most 7d"),
            ("token-lifetime = '8d'", "`token-lifetime` is at most 7d"),
            (
                "token-lifetime = '59s'",
                "a token lives for a minute at least",
            ),
            (
                "service-token = 'abcdefghijklmnopqrst'",
                "never written in the file",
            ),
            ("service-token = 'env:SECRET'", "this token can be guessed"),
            ("replay-cache = -1", "replay-cache"),
            (
                "signature_age = '1m'",
                "`signature_age` is no key of this table",
            ),
        ],
    );
    let mut surroundings = surroundings();
    surroundings.with_variable("SPACED", "sixteen characters and more");
    let text = format!("{KEYSTONE}[authority]\nservice-token = 'env:SPACED'");
    let refused = parse_text("f.toml", &text, &surroundings)
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("printable ASCII without spaces"),
        "{refused}"
    );
    assert!(!refused.contains("sixteen"), "{refused}");
    each_refused(
        "[account.a]\nid = 1",
        &[
            (
                "keystone-roles = \"a\\u0007b\"",
                "a role's name is 1 to 255 characters",
            ),
            (
                "keystone-roles = ['a,b']",
                "a role's name is 1 to 255 characters",
            ),
        ],
    );
}

#[test]
fn what_opens_doors_is_warned_of() {
    each_warned(
        &format!("{KEYSTONE}[authority]\nservice-token = 'env:KEY'"),
        &[
            ("signature-age = '0s'", "signatures of any date are taken"),
            (
                "ec2tokens-without-token = true",
                "whoever reaches Keystone's API may",
            ),
        ],
    );
    let nobody = KEYSTONE.replace("administrators = 'ann'\n", "");
    assert!(told(&nobody).contains("nobody may have signatures verified"));
    assert_eq!(
        told(&format!("{nobody}[authority]\nservice-token = 'env:KEY'")),
        told(KEYSTONE)
    );
}

#[test]
fn roles_that_services_let_do_everything_are_warned_of_where_they_are_told() {
    let admin = KEYSTONE.replace("role.reader", "role.Admin");
    let warned = told(&admin);
    assert!(warned.contains("its holders are `Admin`"), "{warned}");
    assert!(warned.contains("(account.a.role.Admin)"), "{warned}");
    let harmless = admin.replace("role.Admin", "keystone-roles = 'reader'\nrole.Admin");
    assert!(!told(&harmless).contains("its holders are"));
    let said = KEYSTONE.replace(
        "role.reader",
        "keystone-roles = ['ResellerAdmin']\nrole.reader",
    );
    let said = told(&said);
    assert!(said.contains("its holders are `ResellerAdmin`"), "{said}");
    assert!(said.contains("(account.a.keystone-roles)"), "{said}");
    let unserved = admin.replace("'keystone'", "'accounts'");
    assert!(!told(&unserved).contains("its holders are"));
}

#[test]
fn the_roles_that_keystone_tells_are_the_accounts() {
    let of = |text: &str| {
        let (config, _) = load(&format!("[account.a]\nid = 1\n{text}"));
        let account = config.accounts.values().next().unwrap();
        account.keystone_roles.clone()
    };
    assert_eq!(of(""), None);
    assert_eq!(of("keystone-roles = []").as_deref(), Some(&[][..]));
    let both = of("keystone-roles = ['reader', 'member']").unwrap();
    assert_eq!(
        both.iter().map(AsRef::as_ref).collect::<Vec<&str>>(),
        ["reader", "member"]
    );
}

#[test]
fn another_authority_needs_a_restart_and_other_roles_do_not() {
    let old = format!("{KEYSTONE}[authority]\nservice-token = 'env:KEY'\n");
    let new = format!(
        "{}[authority]\nservice-token = 'env:LONG'\nsignature-age = '1m'\ntoken-lifetime = '2h'\n\
         ec2tokens-without-token = true\nreplay-cache = 9\n",
        KEYSTONE.replace("role.reader", "keystone-roles = 'reader'\nrole.reader"),
    );
    let mut surroundings = surroundings();
    surroundings.with_variable("LONG", &"other".repeat(5));
    let [old, new] = [old, new].map(|text| parse_text("f.toml", &text, &surroundings).unwrap().0);
    let changes = diff(&old, &new);
    assert_eq!(
        changes.restart,
        [
            "authority.signature-age",
            "authority.token-lifetime",
            "authority.service-token",
            "authority.ec2tokens-without-token",
            "authority.replay-cache",
        ]
    );
    assert_eq!(changes.applied, ["account a changed: keystone-roles"]);
}
