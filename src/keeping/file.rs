//! The file's form, pure: a first line, the file's own name, then frames. The first frame says which
//! host it is of; each further one is a change of one key, the last of which counts.
//!
//! Every frame is sealed for its place in this one file: none can be changed, moved, left out in the
//! middle or taken from another file. What can happen to the file by itself is that its end is
//! missing, as who writes may be killed: then what is before it counts.

use std::collections::BTreeMap;

use super::record::{Change, Moment};
use crate::authority::{SEALED_OVERHEAD, Seals};
use crate::secret::random;
use crate::sessions::{Kept, SessionKey};

/// How the first line begins, whatever the version.
const FAMILY: &[u8] = b"rolecall held sessions ";
/// The first line of this version.
const FIRST: &[u8] = b"rolecall held sessions 1\n";

/// No frame is longer: a session has some kilobytes.
const MAX_FRAME: usize = 1024 * 1024;

/// Disks write no less at once.
const SECTOR: usize = 512;

/// Why a file is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is no such file, or has lost its beginning.
    #[error("it is damaged")]
    Damaged,
    /// It was written by another version.
    #[error("it is of another version of rolecall")]
    OtherVersion,
    /// Its beginning does not open.
    #[error("it was sealed with other keys than this directory's")]
    OtherKeys,
    /// A frame does not open, or holds what nobody writes.
    #[error("it was changed by somebody else")]
    Changed,
    /// It is another host's.
    #[error("it is of another host")]
    OtherHost,
}

/// A file that can be written on.
#[derive(Debug)]
pub(super) struct Form {
    id: [u8; 16],
    frames: u64,
}

/// What a file holds.
#[derive(Debug)]
pub(super) struct Content {
    /// To write on, after the whole frames.
    pub(super) form: Form,
    /// How long the whole frames are.
    pub(super) whole: usize,
    /// Whether something stands after them.
    pub(super) torn: bool,
    /// What is held, with the length of its frame.
    pub(super) held: BTreeMap<SessionKey, (Kept, u64)>,
}

impl Form {
    /// A new file of this host: its beginning.
    pub(super) fn begin(seals: &Seals, host: &[u8; 32]) -> Option<(Self, Vec<u8>)> {
        let mut form = Self {
            id: random().ok()?,
            frames: 0,
        };
        let mut bytes = [FIRST, &form.id].concat();
        form.append(seals, host, &mut bytes)?;
        Some((form, bytes))
    }

    /// Adds a frame to these bytes; its length.
    pub(super) fn append(
        &mut self,
        seals: &Seals,
        plain: &[u8],
        bytes: &mut Vec<u8>,
    ) -> Option<u64> {
        let sealed = seals.seal(&self.context(), plain).ok()?;
        let length = u32::try_from(sealed.len()).ok()?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&sealed);
        self.frames += 1;
        Some(u64::from(length) + 4)
    }

    fn context(&self) -> Vec<u8> {
        [FIRST, &self.id, &self.frames.to_be_bytes()].concat()
    }

    /// The next frame's plain text, opened in place.
    fn open<'a>(&mut self, seals: &Seals, sealed: &'a mut [u8]) -> Option<&'a [u8]> {
        let plain = seals.open(&self.context(), sealed).ok()?;
        self.frames += 1;
        Some(plain)
    }
}

/// How long the frame of this plain text is.
pub(super) fn length_of(plain: &[u8]) -> u64 {
    u64::try_from(plain.len() + SEALED_OVERHEAD + 4).unwrap_or(u64::MAX)
}

/// Whether a frame of this plain text is one that is read again.
pub(super) fn fits(plain: &[u8]) -> bool {
    plain.len() + SEALED_OVERHEAD <= MAX_FRAME
}

/// Reads a whole file. It is opened in place: the bytes are secret afterwards.
pub(super) fn read(
    bytes: &mut [u8],
    seals: &Seals,
    host: &[u8; 32],
    moment: &Moment,
) -> Result<Content, Refusal> {
    if !bytes.starts_with(FIRST) {
        let other = bytes.starts_with(FAMILY);
        let other = other && bytes.iter().take(64).any(|byte| *byte == b'\n');
        return Err(if other {
            Refusal::OtherVersion
        } else {
            Refusal::Damaged
        });
    }
    let unwritten = ends_unwritten(bytes);
    let (_, rest) = bytes.split_at_mut(FIRST.len());
    let Some((id, mut rest)) = rest.split_first_chunk_mut::<16>() else {
        return Err(Refusal::Damaged);
    };
    let mut form = Form { id: *id, frames: 0 };
    let mut whole = FIRST.len() + id.len();
    let (first, others) = frame(rest).ok_or(Refusal::Damaged)?;
    whole += first.len() + 4;
    let of = form.open(seals, first).ok_or(Refusal::OtherKeys)?;
    if of != host {
        return Err(Refusal::OtherHost);
    }
    rest = others;
    let mut held = BTreeMap::new();
    let torn = loop {
        if rest.iter().all(|byte| *byte == 0) {
            // Nothing, or what a loss of power leaves of a file that was to grow.
            break !rest.is_empty();
        }
        let Some((sealed, after)) = frame(rest) else {
            break true;
        };
        let length = sealed.len() + 4;
        let plain = match form.open(seals, sealed) {
            Some(plain) => plain,
            None if unwritten => break true,
            None => return Err(Refusal::Changed),
        };
        enter(&mut held, plain, length, moment)?;
        whole += length;
        rest = after;
    };
    Ok(Content {
        form,
        whole,
        torn,
        held,
    })
}

/// What a change makes of what is held; `length` is its frame's.
fn enter(
    held: &mut BTreeMap<SessionKey, (Kept, u64)>,
    plain: &[u8],
    length: usize,
    moment: &Moment,
) -> Result<(), Refusal> {
    match Change::decoded(plain).ok_or(Refusal::Changed)? {
        Change::LetGo(key) => drop(held.remove(&SessionKey::of_digest(key))),
        Change::Held(written) => {
            let size = u64::try_from(length).unwrap_or(u64::MAX);
            match written.kept(moment) {
                Some(kept) => drop(held.insert(kept.key, (kept, size))),
                // It has ended; what it replaced would end sooner.
                None => drop(held.remove(&written.key())),
            }
        }
    }
    Ok(())
}

/// Whether the last sector was never written, as after a loss of power: the file grew, and what was
/// to stand there did not reach the disk. The frame that leads there is then one without an end.
fn ends_unwritten(bytes: &[u8]) -> bool {
    let last = bytes.chunks(SECTOR).next_back();
    last.is_some_and(|last| last.iter().all(|byte| *byte == 0))
}

/// The first frame, and what follows; `None` where it is not whole.
fn frame(bytes: &mut [u8]) -> Option<(&mut [u8], &mut [u8])> {
    let (length, rest) = bytes.split_first_chunk_mut::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    if length > MAX_FRAME {
        return None;
    }
    rest.split_at_mut_checked(length)
}
