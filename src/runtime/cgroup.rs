//! Whether a process is in the container that a runtime says it is in.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::wire::{ID_LENGTH, is_id};

/// Paths of groups have at most 4 KiB, and version 1 adds a dozen lines.
const MAX_FILE: u64 = 64 * 1024;

/// The content of a process's `/proc/PID/cgroup`.
pub(super) fn read(processes: &Path, pid: u32) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(processes.join(format!("{pid}/cgroup")))?
        .take(MAX_FILE)
        .read_to_end(&mut content)?;
    Ok(content)
}

/// The path of the process's group, if the outermost container that the groups name is this one.
pub(super) fn names(content: &[u8], id: &str) -> Option<String> {
    let mut lines = content.split(|byte| *byte == b'\n');
    // Version 1 has a line for each controller; what is left of them may lie outside containers.
    let unified = lines.find_map(|line| line.strip_prefix(b"0::"))?;
    let path = std::str::from_utf8(unified).ok()?;
    let outermost = path.split('/').find_map(id_in)?;
    (outermost == id).then(|| path.to_owned())
}

/// The id at the end of a group's name: `ID`, `docker-ID.scope`, `libpod-ID`, `cri-containerd:ID`.
fn id_in(name: &str) -> Option<&str> {
    let name = name.strip_suffix(".scope").unwrap_or(name);
    let (head, id) = name.split_at_checked(name.len().checked_sub(ID_LENGTH)?)?;
    let parted = head.is_empty() || head.ends_with(['-', ':', '_']);
    (parted && is_id(id)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_container_counts() {
        let (one, two) = ("1".repeat(64), "a".repeat(64));
        let pod = "kubepods-burstable-pod0123_4.slice";
        for (path, id, agrees) in [
            (format!("/docker/{one}"), &one, true),
            (format!("/docker/{one}/init"), &one, true),
            (format!("/docker/{one}/docker/{two}"), &one, true),
            (format!("/docker/{one}/docker/{two}"), &two, false),
            (format!("/system.slice/docker-{one}.scope"), &one, true),
            (format!("/machine.slice/libpod-{one}.scope/c"), &one, true),
            (
                format!("/kubepods.slice/{pod}/cri-containerd-{two}.scope"),
                &two,
                true,
            ),
            (format!("/docker/{two}"), &one, false),
            (format!("/docker/x{one}"), &one, false),
            ("/system.slice/ssh.service".to_owned(), &one, false),
            ("/".to_owned(), &one, false),
        ] {
            let content = format!("2:cpu:/elsewhere\n0::{path}\n");
            let expected = agrees.then_some(path);
            assert_eq!(names(content.as_bytes(), id), expected, "{content}");
        }
    }

    #[test]
    fn a_process_without_a_unified_group_is_in_no_known_container() {
        let id = "1".repeat(64);
        for content in ["", "1:name=systemd:/docker/", "0::/docker/\u{fffd}"] {
            assert_eq!(names(format!("{content}{id}").as_bytes(), &id), None);
        }
        assert_eq!(names(b"0::/\xff\n", &id), None);
    }

    proptest::proptest! {
        #[test]
        fn no_content_upsets_the_reader(content: Vec<u8>, name: String) {
            let id = "1".repeat(64);
            let _group = names(&content, &id);
            let content = format!("0::/{name}/{id}\n{}", content.escape_ascii());
            let _its_group = names(content.as_bytes(), &id);
        }
    }
}
