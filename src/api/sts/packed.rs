//! How much room policies and tags take in a session.
//!
//! AWS packs them together and tells of how much of the room they take, not how. Here the room is
//! bytes: so much of them that session tokens stay within what servers take as a header.

use super::ask::Policies;
use super::fault::Fault;

/// The room, in bytes. Two policies of the longest kind fill it.
const ROOM: usize = 4096;

/// How much of the room is taken, in percent, where anything is; an error where it is not enough.
pub(super) fn packed<'t>(
    policies: &Policies,
    tags: impl Iterator<Item = (&'t str, &'t str)>,
) -> Result<Option<usize>, Fault> {
    let policy = policies.policy.as_deref().map_or(0, str::len);
    let arns: usize = policies.arns.iter().map(String::len).sum();
    let tags = tags.map(|(key, value)| key.len() + value.len() + 2);
    let taken = policy + arns + tags.sum::<usize>();
    if taken == 0 {
        return Ok(None);
    }
    let percent = (taken * 100).div_ceil(ROOM);
    if taken > ROOM {
        return Err(Fault::PackedPolicyTooLarge(Some(percent)));
    }
    Ok(Some(percent))
}

/// Tags as they are counted.
pub(super) fn pairs(tags: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    tags.iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_and_tags_share_the_room() {
        let of = |policy: usize, arns: &[usize]| Policies {
            policy: (policy > 0).then(|| "x".repeat(policy)),
            arns: arns.iter().map(|length| "x".repeat(*length)).collect(),
        };
        let tagged = |count: usize, length: usize| {
            let tag = ("k".repeat(length / 2 - 1), "v".repeat(length / 2 - 1));
            vec![tag; count]
        };
        for (policies, tags, percent) in [
            (of(0, &[]), vec![], Ok(None)),
            (of(1, &[]), vec![], Ok(Some(1))),
            (of(2048, &[]), vec![], Ok(Some(50))),
            (of(2048, &[1024]), tagged(1, 1024), Ok(Some(100))),
            (
                of(2048, &[1025]),
                tagged(1, 1024),
                Err(Fault::PackedPolicyTooLarge(Some(101))),
            ),
            (
                of(0, &[]),
                tagged(50, 384),
                Err(Fault::PackedPolicyTooLarge(Some(469))),
            ),
        ] {
            assert_eq!(packed(&policies, pairs(&tags)), percent);
        }
    }
}
