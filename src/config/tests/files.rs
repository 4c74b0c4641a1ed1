//! Which files are read, and from whom.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

use super::*;

/// A root directory with these files, writable by nobody else.
fn files(files: &[(&str, &str)]) -> (TempDir, Surroundings) {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }
    let surroundings = Surroundings::empty(root.path());
    (root, surroundings)
}

const MAIN: &str = "etc/rolecall/rolecall.toml";
const LISTENER: &str = "[[listener]]\nname = 'a'\nbind = '127.0.0.1:0'\napis = 'imds'\n";

#[test]
fn without_a_file_the_built_in_configuration_is_used() {
    let (_root, mut surroundings) = files(&[]);
    surroundings.with_variable("STATE_DIRECTORY", "/state");
    let (config, warnings) = Config::load(None, &surroundings).unwrap();
    assert_eq!(config.origin, Origin::Embedded);
    assert_eq!(config.state.directory.as_deref(), Some(Path::new("/state")));
    assert_eq!(warnings, []);
}

#[test]
fn the_default_file_is_read_with_its_drop_ins_in_order() {
    let (_root, surroundings) = files(&[
        (MAIN, LISTENER),
        (
            "etc/rolecall/rolecall.d/20-b.toml",
            "override = true\nlog.level = 'debug'\n",
        ),
        (
            "etc/rolecall/rolecall.d/10-a.toml",
            "[log]\nlevel = 'info'\n[account.x]\n",
        ),
        ("etc/rolecall/rolecall.d/30-c.toml.bak", "not TOML"),
        ("etc/rolecall/rolecall.d/.40-d.toml", "not TOML"),
    ]);
    let (config, _) = Config::load(None, &surroundings).unwrap();
    assert_eq!(config.origin, Origin::File(PathBuf::from(DEFAULT_FILE)));
    assert_eq!(config.log.level.as_deref(), Some("debug"));
    assert_eq!(config.accounts.len(), 1);
}

/// What `deploy/` has, each whole with its drop-ins.
#[test]
fn every_deployed_configuration_loads_without_a_warning() {
    macro_rules! deployed {
        ($path:literal) => {
            ($path, include_str!(concat!("../../../deploy/", $path)))
        };
    }
    let sidecar = deployed!("sidecar/rolecall.toml");
    let node = deployed!("node/rolecall.toml");
    let engine = deployed!("node/engine.toml");
    let wholes = [
        vec![sidecar, deployed!("sidecar/profile.toml")],
        vec![
            sidecar,
            deployed!("sidecar/web-identity.toml"),
            deployed!("overlays/shop-plain/linger.toml"),
        ],
        vec![deployed!("network/rolecall.toml")],
        vec![deployed!("exec/rolecall.toml")],
        vec![
            node,
            engine,
            deployed!("node/issuer.toml"),
            deployed!("overlays/nodes-metadata/metadata.toml"),
        ],
        vec![
            node,
            engine,
            deployed!("overlays/nodes-discovery/issuer.toml"),
        ],
    ];
    for whole in wholes {
        let mut parts = vec![(MAIN.to_owned(), whole[0].1)];
        for (path, text) in &whole[1..] {
            let name = Path::new(path).file_name().unwrap().to_str().unwrap();
            parts.push((format!("etc/rolecall/rolecall.d/{name}"), *text));
        }
        for mounted in ["keys.json", "ca.crt"] {
            parts.push((format!("etc/rolecall/cluster/{mounted}"), "{}"));
        }
        let parts: Vec<_> = parts.iter().map(|(path, text)| (&**path, *text)).collect();
        let (_root, surroundings) = files(&parts);
        let (_, problems) = Config::load(None, &surroundings).unwrap();
        assert_eq!(problems, [], "{:?}", whole[0].0);
    }
}

#[test]
fn drop_ins_alone_are_a_configuration_too() {
    let (_root, surroundings) = files(&[("etc/rolecall/rolecall.d/10-a.toml", LISTENER)]);
    let (config, _) = Config::load(None, &surroundings).unwrap();
    assert_eq!(config.listeners.len(), 1);
}

#[test]
fn a_scalar_in_two_files_is_told_with_both_places() {
    let (_root, surroundings) = files(&[
        ("my/rolecall.toml", "[log]\nlevel = 'info'\n"),
        ("my/rolecall.d/10-a.toml", "[log]\n\nlevel = 'debug'\n"),
    ]);
    let error = Config::load(Some(Path::new("/my/rolecall.toml")), &surroundings).unwrap_err();
    assert_eq!(error.exit_code(), 78);
    let text = error.to_string();
    assert!(
        text.contains("--> /my/rolecall.d/10-a.toml:3:1 (log.level)"),
        "{text}"
    );
    assert!(text.contains("and /my/rolecall.toml:2:1"), "{text}");
}

#[test]
fn a_syntax_error_ends_only_its_own_file() {
    let (_root, surroundings) = files(&[
        (
            MAIN,
            "[[grant]]\nrole = 'prod/web'\nwhen = 'anyone'\n[log]\nlevell = 'x'\n",
        ),
        (
            "etc/rolecall/rolecall.d/10-a.toml",
            "[account.prod.role.web\n",
        ),
    ]);
    let text = Config::load(None, &surroundings).unwrap_err().to_string();
    assert!(text.contains("10-a.toml:1:"), "{text}");
    assert!(text.contains("rolecall.toml:5:1 (log.levell)"), "{text}");
    assert!(
        !text.contains("no account"),
        "the broken file may declare it: {text}"
    );
}

#[test]
fn a_named_file_must_be_there() {
    let (_root, surroundings) = files(&[]);
    let error = Config::load(Some(Path::new("/my.toml")), &surroundings).unwrap_err();
    assert!(matches!(error, LoadError::Unreadable { .. }));
    assert_eq!(error.exit_code(), 78);
}

#[test]
fn a_file_that_others_may_write_is_refused() {
    let (root, surroundings) = files(&[(MAIN, LISTENER)]);
    for mode in [0o620, 0o602] {
        fs::set_permissions(root.path().join(MAIN), Permissions::from_mode(mode)).unwrap();
        let error = Config::load(None, &surroundings).unwrap_err();
        assert!(matches!(error, LoadError::Untrusted { .. }), "{error}");
        assert_eq!(error.exit_code(), 77);
    }
}

#[test]
fn a_stranger_s_file_is_for_a_check_only() {
    let (_root, mut surroundings) = files(&[(MAIN, LISTENER)]);
    let owner = surroundings.uid;
    surroundings.uid = owner + 1;
    if owner == 0 {
        std::os::unix::fs::chown(
            surroundings.path(&Path::new("/").join(MAIN)),
            Some(4242),
            None,
        )
        .unwrap();
    }
    let error = Config::load(None, &surroundings).unwrap_err();
    assert!(
        error.to_string().contains("neither to root nor to us"),
        "{error}"
    );
    surroundings.purpose = Purpose::Check;
    let (_, warnings) = Config::load(None, &surroundings).unwrap();
    assert!(
        warnings
            .iter()
            .any(|warning| warning.message.contains("belongs to uid"))
    );
}

#[test]
fn an_unreadable_file_is_no_reason_for_another() {
    let permission = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    let denied = LoadError::Unreadable {
        path: PathBuf::from(DEFAULT_FILE),
        source: permission,
    };
    assert_eq!(denied.exit_code(), 77);
    // A directory in the file's place cannot be read by root either.
    let (root, surroundings) = files(&[]);
    fs::create_dir_all(root.path().join(MAIN)).unwrap();
    fs::set_permissions(root.path().join(MAIN), Permissions::from_mode(0o700)).unwrap();
    let error = Config::load(None, &surroundings).unwrap_err();
    assert!(matches!(error, LoadError::Unreadable { .. }), "{error}");
}

const WITH_SECRET: &str = "\
[account.a]
id = '123456789012'
credentials = { from = 'key', access-key-id = 'AKIAEXAMPLE', secret-access-key = 'PLACE' }
";

#[test]
fn secrets_are_read_where_they_are() {
    let (root, mut surroundings) = files(&[("creds/key", "canary\n"), ("key", "canary")]);
    surroundings.with_variable("CREDENTIALS_DIRECTORY", "/creds");
    surroundings.with_variable("KEY", "canary");
    let load = |place: &str| {
        parse_text(
            "f.toml",
            &WITH_SECRET.replace("PLACE", place),
            &surroundings,
        )
    };
    for place in ["credential:key", "file:/key", "env:KEY"] {
        let (config, _) = load(place).unwrap_or_else(|error| panic!("{error}"));
        let account = config.accounts.values().next().unwrap();
        let BaseCredentials::Key { secret, .. } = &account.base else {
            panic!("{account:?}")
        };
        assert_eq!(secrecy::ExposeSecret::expose_secret(secret), "canary");
        assert!(!format!("{config:?}").contains("canary"));
    }
    fs::set_permissions(root.path().join("key"), Permissions::from_mode(0o644)).unwrap();
    for (place, said) in [
        ("file:/key", "others may read it (mode 0644)"),
        ("file:/other", "cannot read /other"),
        ("credential:other", "cannot read"),
        ("env:OTHER", "the variable OTHER is not set"),
    ] {
        let text = load(place).unwrap_err().to_string();
        assert!(text.contains(said), "{text}");
    }
}

#[test]
fn a_check_does_without_secrets_that_only_the_service_sees() {
    let mut surroundings = surroundings();
    surroundings.purpose = Purpose::Check;
    let text = WITH_SECRET.replace("PLACE", "credential:key");
    let (_, warnings) = parse_text("f.toml", &text, &surroundings).unwrap();
    assert!(
        warnings
            .iter()
            .any(|warning| warning.message.contains("$CREDENTIALS_DIRECTORY"))
    );
    surroundings.purpose = Purpose::Serve;
    assert!(parse_text("f.toml", &text, &surroundings).is_err());
}
