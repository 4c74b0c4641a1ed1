//! The path of a control group says which container a caller runs in.
//!
//! Pure, and total whatever the path. Names inside a container are its root's own choice, so the
//! outermost match counts; what might be a container counts as one.

use aws_lc_rs::digest::{SHA256, digest};

use crate::grants::{Container, ContainerId};

/// The longest id made of a path; a longer one ends in a digest.
const MAX_PATH_ID: usize = 200;
/// Length of the ids that docker, podman, containerd and CRI-O give.
const HEX_ID: usize = 64;

/// Groups whose children are containers, by the runtimes that make them: docker, podman, LXC and
/// LXD, ECS, BuildKit, kubelet, machined, Nomad, Mesos, Garden.
const FOLDERS: [&str; 14] = [
    "docker",
    "libpod_parent",
    "lxc",
    "lxc.payload",
    "lxc.monitor",
    "lxd",
    "ecs",
    "buildkit",
    "kubepods",
    "kubepods.slice",
    "machine.slice",
    "nomad.slice",
    "mesos",
    "garden",
];

/// Services of runtimes. Their own processes forward connections of containers, and on hosts
/// where a runtime makes groups of version 1 only, its containers show here too.
const RUNTIME_SERVICES: [&str; 14] = [
    "docker.service",
    "containerd.service",
    "crio.service",
    "cri-o.service",
    "podman.service",
    "buildkit.service",
    "kubelet.service",
    "k3s.service",
    "k3s-agent.service",
    "rke2-server.service",
    "rke2-agent.service",
    "incus.service",
    "snap.docker.dockerd.service",
    "snap.lxd.daemon.service",
];

/// What the name of one container's group begins with, beside those that end in an id: nspawn's
/// units, machined's and libvirt's scopes, LXC's groups, podman's and CRI-O's helpers, kata,
/// Apptainer.
const CONTAINER_PREFIXES: [&str; 10] = [
    "systemd-nspawn@",
    "machine-",
    "lxc.payload.",
    "lxc.monitor.",
    "libpod-",
    "podman-",
    "crio-",
    "conmon-",
    "kata_",
    "apptainer-",
];

/// Where a control group lies.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// In no container.
    Host,
    /// In a container, whose own group is so many components deep; 0 where that cannot be told.
    Container { id: ContainerId, depth: usize },
    /// Outside what this control group namespace shows.
    Outside,
}

/// Reads paths of control groups, as they are seen from the daemon's own container if it runs in
/// one.
#[derive(Clone, Debug, Default)]
pub(super) struct PlaceReader {
    /// The components of the daemon's own container's group.
    own: Vec<Vec<u8>>,
}

impl PlaceReader {
    /// A reader for a daemon that runs in this group itself.
    pub(super) fn new(own_path: &[u8]) -> Self {
        let components = components(own_path);
        let depth = match place(&components) {
            Place::Container { depth, .. } => depth,
            Place::Host | Place::Outside => 0,
        };
        Self {
            own: components
                .iter()
                .take(depth)
                .map(|name| name.to_vec())
                .collect(),
        }
    }

    /// Which container a group is in; `None` where that cannot be told.
    pub(super) fn container(&self, path: &[u8]) -> Option<Container> {
        let components = components(path);
        let seen = match components.split_at_checked(self.own.len()) {
            Some((head, tail)) if head == self.own => tail,
            Some(_) | None => &components,
        };
        match place(seen) {
            Place::Host => Some(Container::None),
            Place::Container { id, .. } => Some(Container::In(id)),
            Place::Outside => None,
        }
    }
}

fn components(path: &[u8]) -> Vec<&[u8]> {
    path.split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty())
        .collect()
}

fn place(path: &[&[u8]]) -> Place {
    let mut below_folder = false;
    for (index, name) in path.iter().enumerate() {
        match kind(name, below_folder) {
            Kind::Outside => return Place::Outside,
            Kind::Other => {}
            Kind::Folder => below_folder = true,
            Kind::Container => {
                let depth = index + 1;
                let id = match hex_id(name) {
                    Some(id) => ContainerId::new(id),
                    None => path_id(path.get(..depth).unwrap_or(path)),
                };
                return Place::Container { id, depth };
            }
        }
    }
    if below_folder {
        let id = path_id(path);
        return Place::Container { id, depth: 0 };
    }
    Place::Host
}

enum Kind {
    Other,
    Folder,
    Container,
    Outside,
}

fn kind(name: &[u8], below_folder: bool) -> Kind {
    let Ok(name) = std::str::from_utf8(name) else {
        return if below_folder {
            Kind::Container
        } else {
            Kind::Other
        };
    };
    let is_folder = FOLDERS.contains(&name)
        || RUNTIME_SERVICES.contains(&name)
        || name.starts_with("kubepods-") && !name.contains(':')
        || below_folder && is_pod_folder(name);
    // nspawn's own subgroup for what runs inside, in whatever unit it was started.
    let is_container = name == "payload"
        || CONTAINER_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
        || hex_id(name.as_bytes()).is_some();
    match name {
        ".." => Kind::Outside,
        _ if is_container => Kind::Container,
        _ if is_folder => Kind::Folder,
        _ if below_folder => Kind::Container,
        _ => Kind::Other,
    }
}

/// The folders between `kubepods` or `ecs` and a container.
fn is_pod_folder(name: &str) -> bool {
    let is_task = name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    matches!(name, "burstable" | "besteffort" | "guaranteed") || name.starts_with("pod") || is_task
}

/// The id at the end of a group's name: `ID`, `docker-ID.scope`, `libpod-ID`, `cri-containerd:ID`.
fn hex_id(name: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(name).ok()?;
    let name = name.strip_suffix(".scope").unwrap_or(name);
    let (head, id) = name.split_at_checked(name.len().checked_sub(HEX_ID)?)?;
    let is_hex = id
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let parted = head.is_empty() || head.ends_with(['-', ':', '_']);
    (is_hex && parted).then_some(id)
}

/// The path as an id that can stand in logs: printable, of bounded length, different for different
/// paths.
fn path_id(path: &[&[u8]]) -> ContainerId {
    let path = path.join(b"/".as_slice());
    let mut text = format!("/{}", path.escape_ascii());
    if text.len() > MAX_PATH_ID {
        let digest = digest(&SHA256, &path);
        let tail = digest.as_ref().iter().take(8);
        text.truncate(MAX_PATH_ID - 17);
        text.push('#');
        text.extend(tail.map(|byte| format!("{byte:02x}")));
    }
    ContainerId::new(&text)
}
