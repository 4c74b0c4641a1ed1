//! Files that are read again when they change, off the serving thread.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use nix::fcntl::OFlag;
use nix::unistd::geteuid;
use zeroize::Zeroizing;

/// The longest file that is read.
const LONGEST: u64 = 16 << 20;

/// A file of lines, as what it says. A state that cannot be used changes nothing.
#[derive(Debug)]
pub(super) struct Watched<T> {
    path: PathBuf,
    read: fn(&str, &mut dyn FnMut(usize, String)) -> T,
    last: Mutex<Last<T>>,
}

#[derive(Debug)]
struct Last<T> {
    state: State,
    says: Arc<T>,
}

/// What tells one state of a file from another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nobody has looked.
    #[default]
    Unseen,
    /// There is none.
    Missing,
    /// This one, which cannot be used where it says why.
    There {
        stamp: (u64, u64, u64, i64, i64, i64, i64),
        refused: bool,
    },
}

impl<T: Default> Watched<T> {
    /// A file whose text is read by `read`, which tells what is wrong with a line.
    pub(super) fn new(path: PathBuf, read: fn(&str, &mut dyn FnMut(usize, String)) -> T) -> Self {
        let last = Last {
            state: State::Unseen,
            says: Arc::default(),
        };
        Self {
            path,
            read,
            last: Mutex::new(last),
        }
    }

    /// What it says now. Reads: not for the serving thread.
    pub(super) fn now(&self) -> Arc<T> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match self.looked(&last.state) {
            Ok(None) => {}
            Ok(Some((state, text))) => {
                let mut wrong = |line: usize, why: String| {
                    tracing::warn!(file = %self.path.display(), line, "a line does not count: {why}");
                };
                last.says = Arc::new((self.read)(&text, &mut wrong));
                last.state = state;
            }
            Err((state, why)) => {
                if last.state != state {
                    tracing::warn!(file = %self.path.display(), "not read: {why}");
                }
                if state == State::Missing {
                    last.says = Arc::default();
                }
                last.state = state;
            }
        }
        Arc::clone(&last.says)
    }

    /// Its text, where it is another than at this state.
    #[expect(clippy::type_complexity, reason = "a state, and what goes with it")]
    fn looked(
        &self,
        before: &State,
    ) -> Result<Option<(State, Zeroizing<String>)>, (State, String)> {
        let missing = |error: io::Error| (State::Missing, error.to_string());
        let seen = std::fs::metadata(&self.path).map_err(missing)?;
        if matches!(before, State::There { stamp, .. } if *stamp == stamp_of(&seen)) {
            return Ok(None);
        }
        let file = File::options()
            .read(true)
            // A pipe would hang whoever reads it.
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(&self.path)
            .map_err(|error| {
                if error.kind() == ErrorKind::NotFound {
                    return missing(error);
                }
                (there(&seen, true), error.to_string())
            })?;
        let data = file.metadata().map_err(missing)?;
        let refused = |why: String| (there(&data, true), why);
        usable(&data).map_err(refused)?;
        let mut text = Zeroizing::new(String::new());
        let read = file.take(LONGEST).read_to_string(&mut text);
        read.map_err(|error| refused(error.to_string()))?;
        Ok(Some((there(&data, false), text)))
    }
}

fn there(data: &Metadata, refused: bool) -> State {
    let stamp = stamp_of(data);
    State::There { stamp, refused }
}

fn stamp_of(data: &Metadata) -> (u64, u64, u64, i64, i64, i64, i64) {
    (
        data.dev(),
        data.ino(),
        data.size(),
        data.mtime(),
        data.mtime_nsec(),
        data.ctime(),
        data.ctime_nsec(),
    )
}

/// Whoever may write it may let in whom they like.
fn usable(data: &Metadata) -> Result<(), String> {
    if !data.is_file() {
        return Err("it is no regular file".to_owned());
    }
    if data.size() >= LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    if data.uid() != 0 && data.uid() != geteuid().as_raw() {
        return Err(format!(
            "it belongs to uid {}, neither to root nor to us",
            data.uid()
        ));
    }
    if data.mode() & 0o022 != 0 {
        return Err("its group or others may write it; `chmod go-w` mends it".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn lines(text: &str, wrong: &mut dyn FnMut(usize, String)) -> Vec<String> {
        wrong(0, String::new());
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn it_is_read_again_when_it_changes() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("users");
        let file = Watched::new(path.clone(), lines);
        assert!(file.now().is_empty());
        fs::write(&path, "a").unwrap();
        assert_eq!(*file.now(), ["a"]);
        assert!(Arc::ptr_eq(&file.now(), &file.now()));
        fs::write(&path, "a\nb").unwrap();
        assert_eq!(*file.now(), ["a", "b"]);
        let other = home.path().join("other");
        fs::write(&other, "c\nd").unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(*file.now(), ["c", "d"]);
        fs::remove_file(&path).unwrap();
        assert!(file.now().is_empty());
    }

    #[test]
    fn a_state_that_cannot_be_used_changes_nothing() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("users");
        fs::write(&path, "a").unwrap();
        let file = Watched::new(path.clone(), lines);
        assert_eq!(*file.now(), ["a"]);
        fs::write(&path, "b\nroot").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        assert_eq!(*file.now(), ["a"]);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(*file.now(), ["b", "root"]);
        fs::write(&path, b"\xff\n").unwrap();
        assert_eq!(*file.now(), ["b", "root"]);
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(*file.now(), ["b", "root"]);
    }
}
