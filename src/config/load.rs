//! Finds the files, reads them, merges them, and has them validated.

use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::describe::{ROOT, walk};
use super::problem::{At, Problem, Problems, Severity};
use super::raw::{Data, PartId, Place, Sources, Tree, merge, parse};
use super::secret_source::Mode;
use super::surroundings::Surroundings;
use super::validate::validate;
use super::{Config, Origin, embedded};

/// The file that is read when none is named.
pub const DEFAULT_FILE: &str = "/etc/rolecall/rolecall.toml";

/// The directory of drop-ins, beside the file.
const DROP_INS: &str = "rolecall.d";

/// More than this is no configuration.
const LONGEST_FILE: u64 = 8 * 1024 * 1024;

/// The key that lets a drop-in win.
const OVERRIDE: &str = "override";

/// A configuration that is not used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file cannot be read.
    #[error("cannot read the configuration {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file that others could have written.
    #[error("the configuration {} is refused: {reason}", path.display())]
    Untrusted {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// What is written is wrong.
    #[error("{0}")]
    Invalid(Refused),
}

/// Everything that was found in a configuration that is refused.
#[derive(Debug)]
pub struct Refused {
    /// The errors, then warnings and notes, each in the order of the files.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            write!(f, "{problem}\n\n")?;
        }
        let errors = self
            .problems
            .iter()
            .filter(|p| p.severity == Severity::Error)
            .count();
        let errors = if errors == 1 {
            "1 error".to_owned()
        } else {
            format!("{errors} errors")
        };
        write!(f, "the configuration is refused: {errors}")
    }
}

impl LoadError {
    /// The exit code of a process that ends for it: 77 where a permission is wrong, 78 else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Unreadable { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                77
            }
            Self::Untrusted { .. } => 77,
            Self::Unreadable { .. } | Self::Invalid(_) => 78,
        }
    }
}

impl Config {
    /// Reads the configuration: this file, else the default one, else what is built in. With it
    /// come the warnings and notes.
    pub fn load(
        file: Option<&Path>,
        surroundings: &Surroundings,
    ) -> Result<(Self, Vec<Problem>), LoadError> {
        let path = file.unwrap_or_else(|| Path::new(DEFAULT_FILE));
        let drop_ins = drop_ins(path, surroundings)?;
        let mut reading = Reading::new(surroundings);
        match reading.add(path) {
            Err(LoadError::Unreadable { source, .. })
                if file.is_none() && source.kind() == io::ErrorKind::NotFound =>
            {
                if drop_ins.is_empty() {
                    return built_in(surroundings);
                }
                reading.sources.add(path, String::new());
            }
            read => read?,
        }
        for drop_in in &drop_ins {
            reading.add(drop_in)?;
        }
        reading.validated(Origin::File(path.to_owned()))
    }
}

/// Validates one text as if it were a file of this name. Total: any text gives an answer.
pub fn parse_text(
    name: &str,
    text: &str,
    surroundings: &Surroundings,
) -> Result<(Config, Vec<Problem>), LoadError> {
    let mut reading = Reading::new(surroundings);
    reading.sources.add(Path::new(name), text.to_owned());
    reading.validated(Origin::File(PathBuf::from(name)))
}

fn built_in(surroundings: &Surroundings) -> Result<(Config, Vec<Problem>), LoadError> {
    let config = embedded(surroundings.uid, surroundings.admin_socket());
    let mut config = config.map_err(|error| {
        let problem = Problem {
            severity: Severity::Error,
            message: format!("the built-in configuration is wrong: {error}"),
            position: None,
            key: String::new(),
            other: None,
            hint: None,
        };
        LoadError::Invalid(Refused {
            problems: vec![problem],
        })
    })?;
    config.state.directory = surroundings.state_directory();
    Ok((config, Vec::new()))
}

/// The drop-ins beside this file, in lexical order.
fn drop_ins(file: &Path, surroundings: &Surroundings) -> Result<Vec<PathBuf>, LoadError> {
    let directory = file
        .parent()
        .unwrap_or_else(|| Path::new(""))
        .join(DROP_INS);
    let unreadable = |source| LoadError::Unreadable {
        path: directory.clone(),
        source,
    };
    let entries = match fs::read_dir(surroundings.path(&directory)) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound) => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let name = entry.map_err(unreadable)?.file_name();
        let path = Path::new(&name);
        let hidden = name.as_encoded_bytes().starts_with(b".");
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
            && !hidden
        {
            files.push(directory.join(path));
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// The files of one configuration, and what is found in them.
struct Reading<'a> {
    surroundings: &'a Surroundings,
    sources: Sources,
    problems: Problems,
}

impl<'a> Reading<'a> {
    fn new(surroundings: &'a Surroundings) -> Self {
        Self {
            surroundings,
            sources: Sources::default(),
            problems: Problems::default(),
        }
    }

    /// Reads one more file.
    fn add(&mut self, path: &Path) -> Result<(), LoadError> {
        let unreadable = |source| LoadError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let file = fs::File::open(self.surroundings.path(path)).map_err(unreadable)?;
        let mode = Mode::of(&file.metadata().map_err(unreadable)?);
        mode.is_ours(self.surroundings)
            .map_err(|reason| LoadError::Untrusted {
                path: path.to_owned(),
                reason,
            })?;
        let mut text = String::new();
        let length = file
            .take(LONGEST_FILE + 1)
            .read_to_string(&mut text)
            .map_err(unreadable)?;
        if u64::try_from(length).unwrap_or(u64::MAX) > LONGEST_FILE {
            let bound = format!(
                "it is longer than {} MiB; drop-ins count by themselves",
                LONGEST_FILE >> 20
            );
            let too_long = io::Error::new(io::ErrorKind::FileTooLarge, bound);
            return Err(unreadable(too_long));
        }
        let number = self.sources.add(path, text);
        if mode.owner != 0 && mode.owner != self.surroundings.uid {
            let at = At::File(Place {
                file: number,
                offset: 0,
            });
            let message = format!(
                "this file belongs to uid {}: a daemon takes it only if it is root's or its own",
                mode.owner
            );
            self.problems.warning(&at, message);
        }
        Ok(())
    }

    fn validated(self, origin: Origin) -> Result<(Config, Vec<Problem>), LoadError> {
        let mut tree = Tree::default();
        let mut incomplete = false;
        for (number, text) in self.sources.texts() {
            match parse(number, text, &mut tree, &self.problems) {
                Some(root) => add(&mut tree, root, number, &self.problems),
                None => incomplete = true,
            }
        }
        walk(&ROOT, &tree, &self.problems);
        let config = validate(&tree, origin, incomplete, self.surroundings, &self.problems);
        let refused = self.problems.refused();
        let problems = self.problems.into_list(&tree, &self.sources);
        if refused {
            Err(LoadError::Invalid(Refused { problems }))
        } else {
            Ok((config, problems))
        }
    }
}

/// Adds one file to what there is.
fn add(tree: &mut Tree<'_>, root: PartId, number: usize, problems: &Problems) {
    let mut wins = false;
    if let Some(part) = tree.remove(root, OVERRIDE) {
        let at = At::Part(part);
        if let Data::Boolean(value) = tree.data(part) {
            wins = *value;
        } else {
            problems.error(&at, "this must be true or false");
        }
        if number == 0 {
            problems.error(
                &at,
                "`override` belongs to drop-ins: nothing is read before this file",
            );
        }
    }
    merge(tree, PartId::default(), root, wins, problems);
}
