//! The process's environment, taken once: what base credentials are found by.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What a profile has whose credentials a program prints.
const WITH_PROGRAM: &str = "credential_process";

/// Environment variables.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    /// Whether the process gave up starting programs.
    no_programs: bool,
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.variables.keys()).finish()
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self {
            variables: variables.into_iter().collect(),
            no_programs: false,
        }
    }
}

impl Environment {
    /// The environment of this process. Variables that are not text are left out.
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// A variable's value; an empty one counts as unset, as it does for the SDKs.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let value = self.variables.get(name)?.as_str();
        (!value.trim().is_empty()).then_some(value)
    }

    /// Whether a variable says yes.
    pub(super) fn is_true(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
    }

    /// The variables that begin with this, in order.
    pub(super) fn beginning_with<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.variables
            .iter()
            .filter(move |(name, _)| name.starts_with(prefix))
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Where the shared configuration file lies.
    pub(super) fn config_file(&self) -> Option<PathBuf> {
        self.shared_file("AWS_CONFIG_FILE", ".aws/config")
    }

    /// Where the shared credentials file lies.
    pub(super) fn credentials_file(&self) -> Option<PathBuf> {
        self.shared_file("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials")
    }

    /// The first shared file that has a profile whose credentials a program prints.
    pub fn profiles_with_program(&self) -> Option<PathBuf> {
        let files = [self.config_file(), self.credentials_file()];
        let mut files = files.into_iter().flatten();
        files.find(|file| may_name_a_program(file))
    }

    /// From now on the process starts no program.
    pub fn give_up_programs(&mut self) {
        self.no_programs = true;
    }

    /// Whether a profile's credentials cannot be had because the process gave up starting programs.
    pub(super) fn shuts_out_a_program(&self) -> bool {
        self.no_programs && self.profiles_with_program().is_some()
    }

    fn shared_file(&self, variable: &str, below_home: &str) -> Option<PathBuf> {
        let home = || self.get("HOME").map(PathBuf::from);
        match self.get(variable) {
            Some(path) => match path.strip_prefix("~/") {
                Some(rest) => Some(home()?.join(rest)),
                None => Some(PathBuf::from(path)),
            },
            None => Some(home()?.join(below_home)),
        }
    }
}

/// What is no regular file, as a pipe, can be read once, and not here: it may name anything.
fn may_name_a_program(file: &Path) -> bool {
    match fs::metadata(file) {
        Ok(facts) if facts.is_file() => {
            fs::read(file).is_ok_and(|text| String::from_utf8_lossy(&text).contains(WITH_PROGRAM))
        }
        Ok(_) => true,
        Err(_) => false,
    }
}
