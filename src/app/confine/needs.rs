//! What a configuration has the daemon do that a confined process does only where it is said before.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::config::{BaseCredentials, Bind, Config, LogTarget, RolesFrom};
use crate::source::Environment;

/// What is done in a folder, or with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Use {
    /// Files and folders come, go and change.
    State,
    /// Sockets are made and removed.
    Sockets,
    /// Files are put in the place of others.
    Tokens,
    /// Files are made and written on.
    Log,
}

/// What the daemon needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// What names programs of others.
    pub(super) programs: Vec<String>,
    /// Where it writes.
    pub(super) writes: BTreeSet<(PathBuf, Use)>,
    /// The TCP ports that it binds.
    pub(super) ports: BTreeSet<u16>,
}

impl Needs {
    pub(super) fn of(config: &Config, environment: &Environment) -> Self {
        let mut programs = programs(config);
        programs.extend(profile_with_program(config, environment));
        Self {
            programs,
            writes: writes(config),
            ports: binds(config).filter_map(port).collect(),
        }
    }

    /// Those of the unit that tells of containers: it has no state.
    pub(super) fn of_unit(socket: &Path) -> Self {
        Self {
            writes: folder_of(socket, Use::Sockets).into_iter().collect(),
            ..Self::default()
        }
    }

    /// Whether files may be made and written on at this place.
    pub(super) fn has_folder_for(&self, path: &Path) -> bool {
        let files = self.writes.iter().filter(|(_, used)| *used != Use::Sockets);
        files.into_iter().any(|(place, _)| path.starts_with(place))
    }

    /// Where it writes, each place once.
    pub(super) fn places(&self) -> Vec<String> {
        let places: BTreeSet<_> = self.writes.iter().map(|(place, _)| place).collect();
        let places = places.iter().map(|place| place.display().to_string());
        places.collect()
    }
}

/// The keys that name programs.
pub(super) fn programs(config: &Config) -> Vec<String> {
    let accounts = config.accounts.values();
    let accounts = accounts.filter(|account| matches!(account.base, BaseCredentials::Process(_)));
    let mut keys: Vec<_> = accounts
        .map(|account| format!("account.{}.credentials", account.alias))
        .collect();
    let sources = config.sources.iter();
    let commands = sources.filter(|source| matches!(source.from, RolesFrom::Command(_)));
    keys.extend(commands.map(|source| format!("[[grant-source]] {}", source.number)));
    if config.people.pam.is_some() {
        keys.push("people.pam".to_owned());
    }
    keys
}

/// The file of AWS profiles that has one whose credentials a program prints, where profiles count.
fn profile_with_program(config: &Config, environment: &Environment) -> Option<String> {
    let mut accounts = config.accounts.values();
    let counts = accounts.any(|account| {
        matches!(
            account.base,
            BaseCredentials::Environment | BaseCredentials::Profile(_)
        )
    });
    let file = environment.profiles_with_program().filter(|_| counts)?;
    Some(file.display().to_string())
}

fn writes(config: &Config) -> BTreeSet<(PathBuf, Use)> {
    let sockets = binds(config).filter_map(|bind| match bind {
        Bind::Unix(path) => Some(path),
        Bind::Tcp(_) | Bind::Passed(_) => None,
    });
    let sockets = sockets.chain([&config.admin_socket]);
    let tokens = config
        .listeners
        .iter()
        .flat_map(|listener| &listener.tokens);
    let tokens = tokens.flat_map(|token| [Some(&token.file), token.uri_file.as_ref()]);
    let state = config.state.directory.iter();
    let state = state.map(|directory| (directory.clone(), Use::State));
    state
        .chain(sockets.filter_map(|path| folder_of(path, Use::Sockets)))
        .chain(
            tokens
                .flatten()
                .filter_map(|path| folder_of(path, Use::Tokens)),
        )
        .chain(logs(config))
        .collect()
}

/// Where log files lie: they are made anew when one was moved away. What is no regular file, as a
/// terminal, is only written on.
pub(super) fn logs(config: &Config) -> Vec<(PathBuf, Use)> {
    let files = config.log.to.iter().filter_map(|target| match target {
        LogTarget::File(path) => Some(path),
        LogTarget::Journald | LogTarget::Json | LogTarget::Text | LogTarget::Syslog(_) => None,
    });
    let places = files.flat_map(|path| {
        let special = fs::metadata(path).is_ok_and(|file| !file.is_file());
        if special {
            return vec![(path.clone(), Use::Log)];
        }
        // Of a link both its own folder and that of what it leads to.
        let resolved = fs::canonicalize(path).ok();
        let places = [Some(path.as_path()), resolved.as_deref()];
        let folders = places.into_iter().flatten();
        folders
            .filter_map(|file| folder_of(file, Use::Log))
            .collect()
    });
    places.collect()
}

fn binds(config: &Config) -> impl Iterator<Item = &Bind> {
    config.listeners.iter().flat_map(|listener| &listener.binds)
}

/// Port 0 is any that is free.
fn port(bind: &Bind) -> Option<u16> {
    match bind {
        Bind::Tcp(address) => Some(address.port()),
        Bind::Unix(_) | Bind::Passed(_) => None,
    }
}

fn folder_of(path: &Path, used: Use) -> Option<(PathBuf, Use)> {
    Some((path.parent()?.to_owned(), used))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Surroundings, parse_text};

    const ACCOUNT: &str = "[account.a]\nid = 1\ncredentials = { from = 'local' }\nrole.one = {}\n";

    fn config(text: &str) -> Config {
        let text = format!("{text}\n{ACCOUNT}");
        let parsed = parse_text("rolecall.toml", &text, &Surroundings::empty("/"));
        parsed.unwrap_or_else(|error| panic!("{error}")).0
    }

    fn environment(home: &Path) -> Environment {
        let home = home.to_str().unwrap().to_owned();
        [("HOME".to_owned(), home)].into_iter().collect()
    }

    fn with_program(text: &str) -> Vec<String> {
        Needs::of(&config(text), &Environment::default()).programs
    }

    #[test]
    fn whatever_starts_a_program_is_told() {
        let none: [&str; 0] = [];
        assert_eq!(with_program(""), none);
        let process = "credentials = { from = 'process', command = ['/bin/aws'] }";
        let account = format!("[account.b]\nid = 2\n{process}\nrole.one = {{}}\n");
        assert_eq!(with_program(&account), ["account.b.credentials"]);
        let source = "[[grant-source]]\ncommand = ['/bin/roles']\n";
        assert_eq!(with_program(source), ["[[grant-source]] 1"]);
        assert_eq!(
            with_program("[people.pam]\nservice = 'rolecall'\n"),
            ["people.pam"]
        );
    }

    #[test]
    fn profiles_count_where_they_are_asked_and_one_names_a_program() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join(".aws/config");
        fs::create_dir(home.path().join(".aws")).unwrap();
        let programs = |credentials: &str| {
            let account = "[account.b]\nid = 2\nregion = 'eu-central-1'\nrole.one = {}\n";
            let config = config(&format!("{account}credentials = {credentials}\n"));
            Needs::of(&config, &environment(home.path())).programs
        };
        let named = [file.display().to_string()];
        for (text, is_told) in [
            (None, false),
            (Some("[default]\nregion = eu-central-1\n"), false),
            (Some("[profile x]\ncredential_process = /bin/aws\n"), true),
        ] {
            if let Some(text) = text {
                fs::write(&file, text).unwrap();
            }
            for credentials in [
                "{ from = 'environment' }",
                "{ from = 'profile', profile = 'x' }",
            ] {
                let told = programs(credentials);
                assert_eq!(told == named, is_told, "{text:?} {credentials}");
                assert_eq!(told.is_empty(), !is_told, "{text:?} {credentials}");
            }
            assert!(programs("{ from = 'imds' }").is_empty());
        }
    }

    #[test]
    fn places_and_ports_are_those_of_the_configuration() {
        let logs = tempfile::tempdir().unwrap();
        let at = |name: &str| logs.path().join(name);
        fs::create_dir(at("elsewhere")).unwrap();
        fs::write(at("elsewhere/log"), "").unwrap();
        std::os::unix::fs::symlink(at("elsewhere/log"), at("link")).unwrap();
        let text = format!(
            "[state]\ndirectory = '/srv/state'\n[admin]\nsocket = '/srv/admin/socket'\n\
             [log]\nto = ['json', 'file:/srv/log/a', 'file:{}', 'file:/dev/null']\n\
             [[listener]]\nname = 'x'\nbind = ['127.0.0.1:1338', 'unix:/srv/x/socket']\n\
             apis = ['container']\n\
             token = [{{ role = 'a/one', file = '/srv/token/a', owner = 0 }}]\n",
            at("link").display()
        );
        let needs = Needs::of(&config(&text), &Environment::default());
        let expected = [
            (at("elsewhere"), Use::Log),
            (logs.path().to_owned(), Use::Log),
            (PathBuf::from("/dev/null"), Use::Log),
            (PathBuf::from("/srv/admin"), Use::Sockets),
            (PathBuf::from("/srv/log"), Use::Log),
            (PathBuf::from("/srv/state"), Use::State),
            (PathBuf::from("/srv/token"), Use::Tokens),
            (PathBuf::from("/srv/x"), Use::Sockets),
        ];
        assert_eq!(needs.writes, expected.into());
        assert_eq!(needs.ports, [1338].into());
        assert!(needs.has_folder_for(Path::new("/srv/log")));
        assert!(!needs.has_folder_for(Path::new("/srv/x")));
        assert!(!needs.has_folder_for(Path::new("/srv")));
    }
}
