//! The path of a control group in systemd's own terms: slices, then a unit, then whatever the unit
//! made of its part.
//!
//! Only systemd and root make slices and system units, so their names are evidence. What stands
//! below a unit is the unit's own choice and names nothing, but for the units of a user's manager,
//! whose names are that user's choice.

use std::sync::Arc;

use crate::grants::HostPlace;

/// The kinds of units that have a control group, beside slices.
const KINDS: [&str; 5] = [".service", ".scope", ".socket", ".mount", ".swap"];
/// `UNIT_NAME_MAX`, with the zero that ends it.
const MAX_NAME: usize = 255;

/// What systemd calls the place of a group outside containers; the first `made_by_root` components
/// of its path are root's choice. Names that systemd would not give name nothing.
pub(super) fn host_place(path: &[&[u8]], made_by_root: usize) -> HostPlace {
    let (trusted, _) = path.split_at_checked(made_by_root).unwrap_or((path, &[]));
    let system = Level::read(trusted);
    let unit_depth = system.slices.len() + 1;
    let mut place = HostPlace {
        unit: system.unit.map(Arc::from),
        user_unit: None,
        slice: system.slices.last().copied().map(Arc::from),
        user_slice: user_slice(&system.slices),
    };
    let manager = system.unit.and_then(manager_uid);
    let agree = place.user_slice.is_none_or(|slice| Some(slice) == manager);
    if manager.is_some() && agree {
        let below = path.get(unit_depth..).unwrap_or_default();
        place.user_unit = Level::read(below).unit.map(Arc::from);
    }
    place
}

/// Whose manager or slice one of these components is, the outermost first: whoever it is made what
/// lies below it.
pub(super) fn user_above(path: &[&[u8]]) -> Option<u32> {
    path.iter().find_map(|name| {
        let name = plain_name(name)?;
        slice_uid(name).or_else(|| manager_uid(name))
    })
}

/// Slices and the unit below them, as one manager makes them.
struct Level<'a> {
    slices: Vec<&'a str>,
    unit: Option<&'a str>,
}

impl<'a> Level<'a> {
    fn read(path: &[&'a [u8]]) -> Self {
        let mut slices = Vec::new();
        for name in path {
            let Some(name) = plain_name(name) else { break };
            if is_slice_in(name, slices.last().copied()) {
                slices.push(name);
                continue;
            }
            let unit = is_unit(name).then_some(name);
            return Self { slices, unit };
        }
        Self { slices, unit: None }
    }
}

/// The name of a unit as its group carries it. One that could be taken for a file of the kernel's
/// stands behind an underscore.
fn plain_name(name: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(name).ok()?;
    let name = name.strip_prefix('_').unwrap_or(name);
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b":_.-\\@".contains(&byte);
    (name.len() <= MAX_NAME && name.bytes().all(valid)).then_some(name)
}

fn is_unit(name: &str) -> bool {
    KINDS
        .iter()
        .filter_map(|kind| name.strip_suffix(kind))
        .any(|stem| !stem.is_empty() && !stem.starts_with(['.', '@']) && !stem.ends_with('@'))
}

/// A slice's name says in which it lies: `a-b.slice` in `a.slice`, and that in the root.
fn is_slice_in(name: &str, parent: Option<&str>) -> bool {
    let Some(stem) = name.strip_suffix(".slice") else {
        return false;
    };
    if stem.is_empty() || stem.starts_with('-') || stem.ends_with('-') || stem.contains("--") {
        return false;
    }
    let above = stem.rsplit_once('-').map(|(above, _)| above);
    above == parent.and_then(|parent| parent.strip_suffix(".slice"))
}

fn user_slice(slices: &[&str]) -> Option<u32> {
    match slices {
        ["user.slice", user, ..] => slice_uid(user),
        _ => None,
    }
}

fn slice_uid(name: &str) -> Option<u32> {
    uid(name.strip_prefix("user-")?.strip_suffix(".slice")?)
}

/// The uid whose manager this unit is.
fn manager_uid(unit: &str) -> Option<u32> {
    uid(unit.strip_prefix("user@")?.strip_suffix(".service")?)
}

/// A number as logind writes it.
fn uid(text: &str) -> Option<u32> {
    let canonical = text == "0" || !text.starts_with('0');
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    (canonical && digits).then(|| text.parse().ok()).flatten()
}

/// A unit name's part with its `\x2d` undone.
pub(super) fn unescaped(text: &str) -> Option<String> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = match (first, tail) {
            (b'\\', [b'x', high, low, ..]) => hex([*high, *low]),
            _ => None,
        };
        plain.push(code.unwrap_or(*first));
        rest = match code {
            Some(_) => tail.get(3..).unwrap_or_default(),
            None => tail,
        };
    }
    String::from_utf8(plain).ok()
}

fn hex(digits: [u8; 2]) -> Option<u8> {
    let text = std::str::from_utf8(&digits).ok()?;
    u8::from_str_radix(text, 16).ok()
}
