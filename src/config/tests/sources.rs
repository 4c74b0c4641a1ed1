//! `[[grant-source]]`.

use super::*;
use secrecy::ExposeSecret;

fn source(text: &str) -> RolesFrom {
    let (config, warnings) = load(&format!("{LISTENER}[[grant-source]]\n{text}\n"));
    assert_eq!(warnings, []);
    assert_eq!(config.sources.len(), 1);
    config.sources[0].from.clone()
}

#[test]
fn a_program_is_kept_word_for_word() {
    for (text, words) in [
        (
            "command = '/usr/libexec/my-roles'",
            vec!["/usr/libexec/my-roles"],
        ),
        (
            "command = ['/bin/roles', '--for', 'a b']",
            vec!["/bin/roles", "--for", "a b"],
        ),
    ] {
        let RolesFrom::Command(command) = source(text) else {
            panic!("{text}");
        };
        assert_eq!(command, words);
    }
}

#[test]
fn a_service_has_a_url_with_the_name_in_it_or_not() {
    for url in [
        "https://roles.example/for/{name}",
        "https://roles.example/?team=a&user={name}",
        "https://roles.example:8443",
        "http://127.0.0.1:8080/{name}",
        "http://localhost/",
        "http://[::1]:8080/",
    ] {
        let RolesFrom::Service(service) = source(&format!("url = '{url}'")) else {
            panic!("{url}");
        };
        assert_eq!(service.url, url);
        assert!(service.token.is_none() && service.ca_file.is_none());
    }
    let RolesFrom::Service(service) =
        source("url = 'https://h'\ntoken = 'env:TOKEN'\nca-file = '/etc/ca.pem'")
    else {
        panic!("no service");
    };
    assert_eq!(service.token.unwrap().expose_secret(), "canary-token");
    assert_eq!(service.ca_file, Some(PathBuf::from("/etc/ca.pem")));
}

#[test]
fn what_cannot_be_a_source_is_refused() {
    each_refused(
        "[[grant-source]]",
        &[
            ("", "neither `command` nor `url`"),
            (
                "command = '/bin/a'\nurl = 'https://h'",
                "either a `command` or a `url`",
            ),
            ("command = []", "this command is empty"),
            ("command = 'my-roles'", "no absolute path"),
            ("command = ['/bin/a', '{name}']", "stands in URLs only"),
            ("command = '/bin/a'\ntoken = 'env:TOKEN'", "goes with `url`"),
            ("command = '/bin/a'\nca-file = '/ca.pem'", "goes with `url`"),
            ("url = 'http://roles.example/'", "anybody on the way"),
            ("url = 'http://169.254.169.254/'", "anybody on the way"),
            ("url = 'https://{name}.example/'", "cannot be used"),
            ("url = 'https://{name}'", "cannot be used"),
            ("url = 'https://h:{name}/'", "cannot be used"),
            ("url = 'https://me:pw@h/{name}'", "no user and password"),
            ("url = 'roles.example'", "neither http:// nor https://"),
            ("url = 'https://h/#{name}'", "no URL"),
            ("url = 'https://h'\ntoken = 'secret'", "token"),
            ("url = 'https://h'\nca-file = 'ca.pem'", "no absolute path"),
        ],
    );
}

#[test]
fn a_changed_source_is_told() {
    let text = |body: &str| format!("[[grant-source]]\n{body}\n");
    let changed = |old: &str, new: &str| diff(&load(old).0, &load(new).0).applied;
    let (one, other) = (text("command = '/bin/a'"), text("url = 'https://h'"));
    assert_eq!(changed(&one, &one), Vec::<String>::new());
    for new in [
        &other,
        &text("command = '/bin/b'"),
        &text("command = '/bin/a'\npriority = 1"),
        &text("command = '/bin/a'\nwhen = { uid = 7 }"),
    ] {
        assert_eq!(changed(&one, new), ["grant-source 1 changed"], "{new}");
    }
    let token = |name: &str| text(&format!("url = 'https://h'\ntoken = 'env:{name}'"));
    assert_eq!(
        changed(&token("TOKEN"), &token("SECRET")),
        ["grant-source 1 changed"]
    );
    let both = format!("{one}{other}");
    assert_eq!(changed(&one, &both), ["grant-source 2 is new"]);
    assert_eq!(changed(&both, &one), ["grant-source 2 is gone"]);
}
