//! What a configuration is read in: the environment, the user, the file system. Injected, so that
//! nothing else in this room asks the process.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::unistd::{Group, User, getegid, geteuid};

use crate::linkage;

type Lookup<T> = Arc<dyn Fn(&str) -> Option<T> + Send + Sync>;

/// What the configuration is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be used: every secret must be there.
    Serve,
    /// To be validated, perhaps by somebody who cannot see the service's secrets.
    Check,
}

/// The surroundings of a process.
#[derive(Clone)]
pub struct Surroundings {
    /// What for.
    pub purpose: Purpose,
    /// The daemon's uid.
    pub uid: u32,
    /// The daemon's gid.
    pub gid: u32,
    /// Where absolute paths begin.
    root: PathBuf,
    environment: Lookup<String>,
    users: Lookup<u32>,
    groups: Lookup<u32>,
    /// Whether libraries can be opened; a static build has none but its own.
    has_libraries: bool,
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings")
            .field("purpose", &self.purpose)
            .field("uid", &self.uid)
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

impl Surroundings {
    /// Those of this process.
    pub fn process(purpose: Purpose) -> Self {
        Self {
            purpose,
            uid: geteuid().as_raw(),
            gid: getegid().as_raw(),
            root: PathBuf::from("/"),
            environment: Arc::new(|name| {
                std::env::var_os(name)?
                    .into_string()
                    .ok()
                    .filter(|value| !value.is_empty())
            }),
            users: Arc::new(|name| Some(User::from_name(name).ok()??.uid.as_raw())),
            groups: Arc::new(|name| Some(Group::from_name(name).ok()??.gid.as_raw())),
            has_libraries: !linkage::IS_STATIC,
        }
    }

    /// This user's, with no environment and no users, absolute paths beginning at this directory.
    pub fn empty(root: impl Into<PathBuf>) -> Self {
        Self {
            purpose: Purpose::Serve,
            uid: geteuid().as_raw(),
            gid: getegid().as_raw(),
            root: root.into(),
            environment: Arc::new(|_| None),
            users: Arc::new(|_| None),
            groups: Arc::new(|_| None),
            has_libraries: true,
        }
    }

    /// As a static build has it.
    pub fn without_libraries(&mut self) {
        self.has_libraries = false;
    }

    /// Whether libraries of the system can be opened.
    pub fn has_libraries(&self) -> bool {
        self.has_libraries
    }

    /// Adds a variable.
    pub fn with_variable(&mut self, name: &str, value: &str) {
        self.environment = with(&self.environment, name, value.to_owned());
    }

    /// Adds a user.
    pub fn with_user(&mut self, name: &str, uid: u32) {
        self.users = with(&self.users, name, uid);
    }

    /// Adds a group.
    pub fn with_group(&mut self, name: &str, gid: u32) {
        self.groups = with(&self.groups, name, gid);
    }

    /// A variable that is set and not empty.
    pub fn variable(&self, name: &str) -> Option<String> {
        (self.environment)(name)
    }

    /// The uid of this user.
    pub fn user(&self, name: &str) -> Option<u32> {
        (self.users)(name)
    }

    /// The gid of this group.
    pub fn group(&self, name: &str) -> Option<u32> {
        (self.groups)(name)
    }

    /// Where this path is.
    pub fn path(&self, path: &Path) -> PathBuf {
        match path.strip_prefix("/") {
            Ok(below) => self.root.join(below),
            Err(_relative) => path.to_owned(),
        }
    }

    /// Where the admin socket is when nobody says it.
    pub fn admin_socket(&self) -> PathBuf {
        self.runtime_directory().join("admin.sock")
    }

    fn runtime_directory(&self) -> PathBuf {
        // systemd separates several directories by colons.
        if let Some(directories) = self.variable("RUNTIME_DIRECTORY") {
            return PathBuf::from(directories.split(':').next().unwrap_or_default());
        }
        if self.uid == 0 {
            return PathBuf::from("/run/rolecall");
        }
        let login = self.variable("XDG_RUNTIME_DIR").map(PathBuf::from);
        let login = login.unwrap_or_else(|| PathBuf::from(format!("/run/user/{}", self.uid)));
        // Users of containers and of `su` have none: nobody has logged in.
        let instead = || self.state_directory();
        let there = self.path(&login).is_dir().then(|| login.join("rolecall"));
        there
            .or_else(instead)
            .unwrap_or_else(|| login.join("rolecall"))
    }

    /// Where state is kept when nobody says it.
    pub fn state_directory(&self) -> Option<PathBuf> {
        if let Some(directories) = self.variable("STATE_DIRECTORY") {
            return directories.split(':').next().map(PathBuf::from);
        }
        if self.uid == 0 {
            return Some(PathBuf::from("/var/lib/rolecall"));
        }
        let states = self.variable("XDG_STATE_HOME").map(PathBuf::from);
        let home = || Some(Path::new(&self.variable("HOME")?).join(".local/state"));
        Some(states.or_else(home)?.join("rolecall"))
    }
}

fn with<T: Clone + Send + Sync + 'static>(lookup: &Lookup<T>, name: &str, value: T) -> Lookup<T> {
    let others = Arc::clone(lookup);
    let name = name.to_owned();
    Arc::new(move |asked| {
        if asked == name {
            Some(value.clone())
        } else {
            others(asked)
        }
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_admin_socket_is_the_service_s_or_the_user_s() {
        let root = tempfile::tempdir().unwrap();
        for login in ["run/user/1000", "tmp/run"] {
            fs::create_dir_all(root.path().join(login)).unwrap();
        }
        let mut surroundings = Surroundings::empty(root.path());
        surroundings.uid = 0;
        assert_eq!(
            surroundings.admin_socket(),
            Path::new("/run/rolecall/admin.sock")
        );
        surroundings.uid = 1000;
        assert_eq!(
            surroundings.admin_socket(),
            Path::new("/run/user/1000/rolecall/admin.sock")
        );
        surroundings.with_variable("XDG_RUNTIME_DIR", "/tmp/run");
        assert_eq!(
            surroundings.admin_socket(),
            Path::new("/tmp/run/rolecall/admin.sock")
        );
        surroundings.with_variable("RUNTIME_DIRECTORY", "/run/rolecall:/run/other");
        assert_eq!(
            surroundings.admin_socket(),
            Path::new("/run/rolecall/admin.sock")
        );
    }

    #[test]
    fn who_has_not_logged_in_has_the_admin_socket_beside_the_state() {
        let root = tempfile::tempdir().unwrap();
        let mut surroundings = Surroundings::empty(root.path());
        surroundings.uid = 1000;
        let usual = Path::new("/run/user/1000/rolecall/admin.sock");
        assert_eq!(surroundings.admin_socket(), usual);
        surroundings.with_variable("HOME", "/home/ann");
        let beside = Path::new("/home/ann/.local/state/rolecall/admin.sock");
        assert_eq!(surroundings.admin_socket(), beside);
    }

    #[test]
    fn state_is_kept_where_systemd_or_the_user_says() {
        let mut surroundings = Surroundings::empty("/");
        surroundings.uid = 1000;
        assert_eq!(surroundings.state_directory(), None);
        surroundings.with_variable("HOME", "/home/ann");
        let at_home = Path::new("/home/ann/.local/state/rolecall");
        assert_eq!(surroundings.state_directory().unwrap(), at_home);
        surroundings.with_variable("STATE_DIRECTORY", "/var/lib/rolecall");
        assert_eq!(
            surroundings.state_directory().unwrap(),
            Path::new("/var/lib/rolecall")
        );
    }
}
