//! Control groups of version 1, beside the unified hierarchy or instead of it.
//!
//! No socket tells of them, so they place nobody. They tell against a place: whom they have in a
//! container is not on the host, though a runtime that knows version 1 only left it there.

use super::cgroup::unified_path;
use super::place::{Located, PlaceReader};
use crate::grants::Place;

/// The hierarchy in which systemd keeps units where it does not use the unified one for that, and
/// the same names where it does.
const SYSTEMD: &[u8] = b"name=systemd";

/// The lines of a `/proc/PID/cgroup` that are of version 1, `4:memory:/a`: controllers and path.
fn lines(groups: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    groups.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut parts = line.splitn(3, |byte| *byte == b':');
        let (number, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        (number != b"0").then_some((controllers, path))
    })
}

/// Whether the process with these groups is on a host with version 1.
pub(super) fn is_there(groups: &[u8]) -> bool {
    lines(groups).next().is_some()
}

/// Whether systemd has put the process with these groups into one of version 1 only.
pub(super) fn has_units(groups: &[u8]) -> bool {
    let mut lines = lines(groups);
    let has_one = lines.any(|(controllers, path)| controllers == SYSTEMD && path != b"/");
    has_one && unified_path(groups).as_deref() == Some(b"/")
}

/// Whether one of these groups, of one process, is not on the host.
pub(super) fn is_contained(groups: &[u8], reader: &PlaceReader) -> bool {
    lines(groups).any(|(_, path)| {
        let located = reader.locate(path, None);
        !matches!(
            located,
            Located::At {
                place: Place::Host(_),
                ..
            }
        )
    })
}
