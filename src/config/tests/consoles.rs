//! What accounts tell of their consoles and registries.

use super::*;
use crate::types::Region;

const ACCOUNT: &str = "[account.a]\nid = '123456789012'\n";
const CEPH: &str = "[account.a]\ndialect = 'ceph'\nendpoint = 'https://ceph.example'\n";

#[test]
fn a_console_and_a_registry_are_as_they_are_said() {
    let (config, _) = load(
        "[account.a]\nid = '123456789012'\ndescription = 'The shop'\n\
         signin-endpoint = 'http://127.0.0.1:9000'\nconsole-endpoint = 'https://console.example'\n\
         callback-origins = ['https://wiki.example', 'http://127.0.0.1:8080/']\n\
         console-destination = '/s3/home'\nconsole-region = 'eu-west-1'\n\
         ecr-endpoint = 'https://ecr.example'\necr-region = 'eu-west-2'\n",
    );
    let account = config.accounts.values().next().unwrap();
    let region = |name| Some(Region::new(name).unwrap());
    assert_eq!(account.description.as_deref(), Some("The shop"));
    assert_eq!(account.ecr_endpoint.as_deref(), Some("https://ecr.example"));
    assert_eq!(account.ecr_region, region("eu-west-2"));
    let expected = Console {
        signin_endpoint: Some("http://127.0.0.1:9000".to_owned()),
        endpoint: Some("https://console.example".to_owned()),
        callback_origins: ["https://wiki.example/page", "http://127.0.0.1:8080"]
            .map(|url| WebOrigin::of(url).unwrap())
            .into(),
        destination: Some("/s3/home".to_owned()),
        region: region("eu-west-1"),
    };
    assert_eq!(account.console, expected);
}

#[test]
fn nothing_said_is_the_partitions() {
    let (config, _) = load(ACCOUNT);
    let account = config.accounts.values().next().unwrap();
    assert_eq!(account.console, Console::default());
    assert_eq!((&account.ecr_endpoint, &account.ecr_region), (&None, &None));
}

#[test]
fn wrong_consoles_are_refused() {
    each_refused(
        ACCOUNT,
        &[
            ("signin-endpoint = 'http://sso.example'", "could sign in"),
            ("console-endpoint = 'ftp://console.example'", "neither http"),
            ("callback-origins = []", "this list is empty"),
            ("callback-origins = ['wiki.example']", "no origin of a site"),
            (
                "callback-origins = ['https://wiki.example/page']",
                "no origin of a site",
            ),
            (
                "callback-origins = ['https://me@wiki.example']",
                "no origin of a site",
            ),
            (
                "callback-origins = ['https://*.example']",
                "no origin of a site",
            ),
            (
                "console-destination = 's3/home'",
                "no place in this account's console",
            ),
            (
                "console-destination = '//evil.example'",
                "no place in this account's console",
            ),
            (
                "console-destination = 'https://evil.example/'",
                "no place in this account's console",
            ),
            (
                "console-destination = 'https://evilconsole.aws.amazon.com/'",
                "no place in this account's console",
            ),
            (
                "console-destination = 'http://console.aws.amazon.com/'",
                "no place in this account's console",
            ),
            (
                "console-region = 'cn-north-1'",
                "region `cn-north-1` is of partition `aws-cn`",
            ),
            ("ecr-region = 'us-gov-west-1'", "not of `aws`"),
            ("ecr-endpoint = 'ecr.example'", "neither http"),
        ],
    );
}

#[test]
fn a_place_below_the_console_may_be_a_url() {
    for url in [
        "https://console.aws.amazon.com/s3/home#x",
        "https://eu-west-1.console.aws.amazon.com/s3/home?region=eu-west-1",
    ] {
        load(&format!("{ACCOUNT}console-destination = '{url}'\n"));
    }
}

#[test]
fn what_has_no_public_console_names_both_its_endpoints() {
    let isolated = format!("{ACCOUNT}partition = 'aws-iso'\n");
    for account in [CEPH, &isolated] {
        each_refused(
            account,
            &[
                (
                    "signin-endpoint = 'https://sso.example'",
                    "`signin-endpoint` needs `console-endpoint` beside it",
                ),
                (
                    "console-endpoint = 'https://console.example'",
                    "`console-endpoint` needs `signin-endpoint` beside it",
                ),
            ],
        );
        load(&format!(
            "{account}signin-endpoint = 'https://a.example'\nconsole-endpoint = \
             'https://b.example'\nconsole-destination = 'https://b.example/x'\n"
        ));
    }
}

#[test]
fn the_built_in_authority_has_neither() {
    each_refused(
        "[account.a]\ncredentials = { from = 'local' }\n",
        &[
            ("console-region = 'eu-west-1'", "has no console"),
            (
                "callback-origins = 'https://wiki.example'",
                "has no console",
            ),
            ("ecr-region = 'eu-west-1'", "has no registry"),
            ("ecr-endpoint = 'https://ecr.example'", "has no registry"),
        ],
    );
}
