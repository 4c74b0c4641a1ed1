//! The file itself, and what stands in it: opened, written on, written anew, given up and tried
//! again.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::file::{self, Content, Form, Refusal};
use super::record::{Change, Moment, Written};
use super::{AGAIN, FILE, Place};
use crate::authority::{PrivateFileError, check_directory, open_private};
use crate::clock::BootTime;
use crate::sessions::{Kept, NotSettled, SessionKey, Settle};

/// Locked by who keeps sessions in the directory.
const LOCK: &str = "sessions.lock";

/// What a file that cannot be used is called afterwards.
pub(super) const REFUSED: &str = "refused";

/// What a file is called while it is written.
pub(super) const NEW: &str = "new";

/// So much of the file may be of no use any more before it is written anew, beside as much as is.
const SLACK: u64 = 256 * 1024;

/// No file is read that is longer.
const LONGEST: u64 = 1024 * 1024 * 1024;

/// A frame before it is sealed.
type Plain = Zeroizing<Vec<u8>>;

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("{0}: {cause}", cause = cause(.0))]
    File(#[from] PrivateFileError),
    #[error("another daemon keeps its sessions in this directory")]
    Used,
    #[error("it could not be sealed")]
    Seal,
    #[error("it is longer than any that is written")]
    TooLong,
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// The system's own word of it.
fn cause(error: &PrivateFileError) -> String {
    let source = std::error::Error::source(error);
    source.map(ToString::to_string).unwrap_or_default()
}

/// The file, open to be written on.
struct Open {
    file: File,
    form: Form,
    length: u64,
    /// Whether it holds sessions that were let go.
    holds_dead: bool,
}

/// Keeps the file and knows what stands in it.
pub(super) struct Book {
    place: Place,
    path: PathBuf,
    boot: String,
    /// What is held, with the length of its frame.
    held: BTreeMap<SessionKey, (Kept, u64)>,
    bytes: u64,
    lock: Option<File>,
    open: Option<Open>,
    /// What went wrong last, told once.
    told: Option<String>,
    told_full: bool,
    /// When it went wrong.
    failed: Option<BootTime>,
}

impl Book {
    pub(super) fn new(place: Place) -> Self {
        Self {
            path: place.directory.join(FILE),
            boot: place.clock.boot_name(),
            place,
            held: BTreeMap::new(),
            bytes: 0,
            lock: None,
            open: None,
            told: None,
            told_full: false,
            failed: None,
        }
    }

    /// What an earlier process kept. What cannot be used is put aside, and told.
    pub(super) fn open(&mut self) -> Vec<Kept> {
        match self.read() {
            Ok(()) => {}
            Err(Fault::Refused(why)) => self.put_aside(why),
            Err(fault) => self.tell(&fault),
        }
        self.held.values().map(|(kept, _)| kept.clone()).collect()
    }

    fn read(&mut self) -> Result<(), Fault> {
        self.lock()?;
        // What an earlier process did not finish.
        drop(fs::remove_file(self.path.with_extension(NEW)));
        if !self.path.exists() {
            return Ok(());
        }
        let mut file = open_private(&self.path)?;
        if file.metadata()?.len() > LONGEST {
            return Err(Fault::TooLong);
        }
        let mut bytes = Zeroizing::new(Vec::new());
        (&file).take(LONGEST).read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            return Ok(());
        }
        let moment = self.moment();
        let read = file::read(&mut bytes, &self.place.seals, &self.place.host, &moment)?;
        let Content {
            form,
            whole,
            torn,
            held,
        } = read;
        if torn {
            tracing::warn!(
                path = %self.path.display(),
                "the end of the file of held sessions is missing, as after a crash; what is before \
                 it is used"
            );
        }
        tracing::info!(
            sessions = held.len(),
            "sessions of before the restart were read"
        );
        let length = u64::try_from(whole).unwrap_or(u64::MAX);
        file.set_len(length)?;
        file.seek(SeekFrom::Start(length))?;
        self.bytes = held.values().map(|(_, size)| size).sum();
        self.held = held;
        self.open = Some(Open {
            file,
            form,
            length,
            holds_dead: true,
        });
        Ok(())
    }

    fn put_aside(&mut self, why: Refusal) {
        let aside = self.path.with_extension(REFUSED);
        let moved = fs::rename(&self.path, &aside);
        let aside = moved.map_or_else(|error| error.to_string(), |()| aside.display().to_string());
        tracing::error!(
            path = %self.path.display(),
            aside,
            "the sessions of before the restart are not used: {why}. They are fetched again; remove \
             the file that was put aside, or find out who changed it"
        );
    }

    /// Nobody else may write where this one does.
    fn lock(&mut self) -> Result<(), Fault> {
        if self.lock.is_some() {
            return Ok(());
        }
        check_directory(&self.place.directory)?;
        let file = open_private(&self.place.directory.join(LOCK))?;
        match file.try_lock() {
            Ok(()) => self.lock = Some(file),
            Err(TryLockError::WouldBlock) => return Err(Fault::Used),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        Ok(())
    }

    /// Whether the file does not hold what it should.
    pub(super) fn is_behind(&self) -> bool {
        self.open.is_none() && !self.held.is_empty()
    }

    /// Writes these changes down, and settles what is waited for.
    pub(super) fn write(
        &mut self,
        changes: BTreeMap<SessionKey, Option<Kept>>,
        wanted: &[Settle],
    ) -> Result<(), NotSettled> {
        let frames = self.enter(changes);
        let erases = wanted.contains(&Settle::Erased);
        let now = self.place.clock.boot();
        if wanted.is_empty() && self.failed.is_some_and(|failed| now.since(failed) < AGAIN) {
            return Ok(());
        }
        // Where a change cannot be added, perhaps the whole can be written.
        let written = self.write_down(&frames, erases);
        match written.or_else(|_fault| self.write_anew()) {
            Ok(()) => {
                self.failed = None;
                if self.told.take().is_some() {
                    tracing::info!("held sessions are kept for a restart again");
                }
                if erases { self.erase_aside() } else { Ok(()) }
            }
            Err(fault) => {
                self.open = None;
                self.failed = Some(now);
                self.tell(&fault);
                // What another daemon keeps is not this one's to remove.
                if erases && !matches!(fault, Fault::Used) {
                    self.erase()
                } else {
                    not_settled(&fault)
                }
            }
        }
    }

    fn write_down(&mut self, frames: &[Plain], erases: bool) -> Result<(), Fault> {
        match &self.open {
            Some(open) if !(erases && (open.holds_dead || !frames.is_empty())) => {
                self.append(frames)
            }
            None if self.held.is_empty() && !(erases && self.path.exists()) => Ok(()),
            Some(_) | None => self.write_anew(),
        }
    }

    /// Takes the changes over; the frames that tell of them.
    fn enter(&mut self, changes: BTreeMap<SessionKey, Option<Kept>>) -> Vec<Plain> {
        let moment = self.moment();
        let frames = changes
            .into_iter()
            .filter_map(|(key, change)| match change {
                Some(kept) => self.enter_held(kept, &moment),
                None => self.enter_let_go(&key),
            });
        frames.collect()
    }

    fn enter_let_go(&mut self, key: &SessionKey) -> Option<Plain> {
        let (_, size) = self.held.remove(key)?;
        self.bytes = self.bytes.saturating_sub(size);
        Change::LetGo(key.digest()).encoded()
    }

    fn enter_held(&mut self, kept: Kept, moment: &Moment) -> Option<Plain> {
        if let Some((before, _)) = self.held.get_mut(&kept.key)
            && is_written(before, &kept)
        {
            // The same session: one of both is enough.
            *before = kept;
            return None;
        }
        let plain = Change::Held(Box::new(Written::of(&kept, moment))).encoded()?;
        let size = file::length_of(&plain);
        let freed = self.held.get(&kept.key).map_or(0, |(_, freed)| *freed);
        let bytes = self.bytes.saturating_sub(freed).saturating_add(size);
        if bytes > self.place.most || !file::fits(&plain) {
            self.tell_full();
            return self.enter_let_go(&kept.key);
        }
        self.bytes = bytes;
        drop(self.held.insert(kept.key, (kept, size)));
        Some(plain)
    }

    /// Adds frames to the file; writes it anew where most of it is of no use.
    fn append(&mut self, frames: &[Plain]) -> Result<(), Fault> {
        let Some(open) = &mut self.open else {
            return self.write_anew();
        };
        if frames.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        for plain in frames {
            let added = open.form.append(&self.place.seals, plain, &mut bytes);
            added.ok_or(Fault::Seal)?;
        }
        open.file.write_all(&bytes)?;
        open.length += u64::try_from(bytes.len()).unwrap_or_default();
        open.holds_dead = true;
        if open.length > self.bytes.saturating_mul(2).saturating_add(SLACK) {
            return self.write_anew();
        }
        Ok(())
    }

    /// Replaces the file by one that holds what is held, and nothing else: after a crash it is the
    /// old one or the new one.
    fn write_anew(&mut self) -> Result<(), Fault> {
        self.lock()?;
        let new = self.path.with_extension(NEW);
        let written = self.write_new(&new).and_then(|open| {
            fs::rename(&new, &self.path)?;
            File::open(&self.place.directory)?.sync_all()?;
            Ok(open)
        });
        match written {
            Ok(open) => self.open = Some(open),
            Err(fault) => {
                self.open = None;
                // What failed is told; that the half file cannot be removed either adds nothing.
                drop(fs::remove_file(&new));
                return Err(fault);
            }
        }
        Ok(())
    }

    fn write_new(&self, path: &Path) -> Result<Open, Fault> {
        let moment = self.moment();
        let seals = &self.place.seals;
        let (mut form, mut bytes) = Form::begin(seals, &self.place.host).ok_or(Fault::Seal)?;
        for (kept, _) in self.held.values() {
            let change = Change::Held(Box::new(Written::of(kept, &moment)));
            let plain = change.encoded().ok_or(Fault::Seal)?;
            let added = form.append(seals, &plain, &mut bytes);
            added.ok_or(Fault::Seal)?;
        }
        let mut file = open_private(path)?;
        file.set_len(0)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Ok(Open {
            file,
            form,
            length,
            holds_dead: false,
        })
    }

    /// What could not be written anew is removed instead: what was let go must not come back.
    fn erase(&self) -> Result<(), NotSettled> {
        remove(&self.path)?;
        self.erase_aside()
    }

    /// What was put aside may hold what was let go, too.
    fn erase_aside(&self) -> Result<(), NotSettled> {
        remove(&self.path.with_extension(REFUSED))
    }

    /// Somebody else may use the file from now on.
    pub(super) fn close(&mut self) {
        self.open = None;
        self.lock = None;
    }

    fn moment(&self) -> Moment {
        Moment {
            boot: self.boot.clone(),
            clock: self.place.clock.clone(),
        }
    }

    fn tell(&mut self, fault: &Fault) {
        let told = fault.to_string();
        if self.told.as_ref() != Some(&told) {
            tracing::warn!(
                path = %self.path.display(),
                error = told,
                "held sessions cannot be kept for a restart; they are served all the same, and it is \
                 tried again"
            );
        }
        self.told = Some(told);
    }

    fn tell_full(&mut self) {
        if !std::mem::replace(&mut self.told_full, true) {
            tracing::warn!(
                bytes = self.place.most,
                "not all held sessions are kept for a restart: they are too many or too long"
            );
        }
    }
}

/// Whether this session is the one that was written down, of this boot.
fn is_written(before: &Kept, kept: &Kept) -> bool {
    let (before_it, it) = (&before.session, &kept.session);
    before.elsewhen.is_none()
        && before_it.credentials.access_key_id == it.credentials.access_key_id
        && before_it.ends == it.ends
}

fn remove(path: &Path) -> Result<(), NotSettled> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => {
            let path = path.display();
            not_settled(&format!(
                "{path} can neither be written nor removed: {error}. Remove it before the next start"
            ))
        }
    }
}

fn not_settled(why: &impl ToString) -> Result<(), NotSettled> {
    Err(NotSettled(Arc::from(why.to_string())))
}
