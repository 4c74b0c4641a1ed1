//! The files of `config/` are what they show.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::*;

const WHOLE: &str = include_str!("../../../config/rolecall.toml");

/// Loads an example on a host that has what it names.
pub(super) fn example(text: &str) -> (Config, Vec<Problem>) {
    let root = tempfile::tempdir().unwrap();
    let policy = root.path().join("etc/rolecall/backup-policy.json");
    fs::create_dir_all(policy.parent().unwrap()).unwrap();
    fs::write(&policy, r#"{"Version": "2012-10-17", "Statement": []}"#).unwrap();
    fs::set_permissions(&policy, Permissions::from_mode(0o644)).unwrap();
    fs::write(root.path().join("etc/rolecall/cluster-keys.json"), "{}").unwrap();
    for file in ["users", "groups"] {
        fs::write(root.path().join("etc/rolecall").join(file), "").unwrap();
    }
    fs::create_dir(root.path().join("credentials")).unwrap();
    for secret in ["ceph-secret", "tls-key", "ldap-password", "service-token"] {
        let file = root.path().join("credentials").join(secret);
        fs::write(file, "a-secret-of-a-length\n").unwrap();
    }
    let mut surroundings = Surroundings::empty(root.path());
    surroundings.with_variable("CREDENTIALS_DIRECTORY", "/credentials");
    surroundings.with_user("www-data", 33);
    surroundings.with_user("backup", 34);
    parse_text("example.toml", text, &surroundings).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_example_loads_without_a_warning() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/config");
    let files = fs::read_dir(directory).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let examples: Vec<_> = paths
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    assert!(examples.len() > 4, "{examples:?}");
    for path in examples {
        let (config, mut problems) = example(&fs::read_to_string(&path).unwrap());
        if path.ends_with("afp-hosts.toml") {
            // As AFP did it.
            problems.retain(|problem| !problem.message.contains("cross the network unencrypted"));
        }
        assert_eq!(problems, [], "{path:?}");
        assert!(!config.listeners.is_empty() && !config.grants.is_empty());
    }
}

/// What the guides show, beside what they take for granted.
#[test]
fn every_snippet_of_the_guides_loads_without_a_warning() {
    for (guide, count) in [
        (include_str!("../../../docs/people.md"), 5),
        (include_str!("../../../docs/authority.md"), 2),
        (include_str!("../../../docs/keystone.md"), 1),
        (include_str!("../../../docs/sts.md"), 1),
    ] {
        let blocks = guide.split("```toml\n").skip(1);
        let snippets: Vec<&str> = blocks
            .map(|block| block.split("```").next().unwrap())
            .collect();
        assert!(snippets.len() >= count, "{snippets:?}");
        for snippet in snippets {
            let (_, problems) = example(&whole(snippet));
            assert_eq!(problems, [], "{snippet}");
        }
    }
}

/// A snippet with what is missing of a configuration.
fn whole(snippet: &str) -> String {
    let lacks = |table: &str| !snippet.contains(table);
    let mut text = snippet.to_owned();
    if lacks("[account.prod]") {
        text += "\n[account.prod]\nid = '123456789012'\n";
    } else if lacks("id = ") {
        text = text.replace("[account.prod]\n", "[account.prod]\nid = '123456789012'\n");
    }
    text += "\n[account.prod.role.deploy]\n";
    if lacks("[[listener]]") {
        text += "[[listener]]\nname = 'people'\nbind = '127.0.0.1:1339'\n";
        text += if lacks("service-token") {
            "apis = 'accounts'\n"
        } else {
            "apis = 'keystone'\n"
        };
        if lacks("[people") {
            text += "[people]\nusers-file = '/etc/rolecall/users'\n";
        }
    }
    if lacks("[[grant]]") {
        text += "[[grant]]\nrole = 'prod/deploy'\nwhen = { principal = 'ann' }\n";
    }
    text
}

#[test]
fn what_the_whole_example_comments_out_as_defaults_is_right() {
    let (config, _) = example(WHOLE);
    let defaults = [
        "tokenless",
        "dialect",
        "rate-limit",
        "idle",
        "connections",
        "linger",
        "drain",
    ];
    let mut written = String::new();
    for line in WHOLE.lines() {
        let plain = line.strip_prefix("# ").unwrap_or(line);
        let key = plain.split(' ').next().unwrap_or_default();
        written.push_str(if defaults.contains(&key) { plain } else { line });
        written.push('\n');
    }
    assert_ne!(written, WHOLE);
    let same = example(&written).0;
    assert_eq!(diff(&config, &same), Changes::default());
}

#[test]
fn the_whole_example_shows_every_key() {
    let page = reference();
    for key in page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
    {
        let mut words = WHOLE.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        assert!(words.any(|word| word == key), "{key} is missing");
    }
}
