//! The path of a control group says which container a caller runs in.
//!
//! Pure, and total whatever the path. Names inside a container are its root's own choice, so the
//! outermost match counts; what might be a container counts as one.

use aws_lc_rs::digest::{SHA256, digest};

use crate::grants::ContainerId;

/// The longest id made of a path; a longer one ends in a digest.
const MAX_PATH_ID: usize = 200;
/// Length of the ids that docker, podman, containerd and CRI-O give.
const HEX_ID: usize = 64;

/// Groups whose children are containers: docker's, podman's, LXC's of three ages and LXD's,
/// BuildKit's, Nomad's, Mesos's, Garden's.
const RUNTIME_FOLDERS: [&str; 10] = [
    "docker",
    "libpod_parent",
    "lxc",
    "lxc.payload",
    "lxc.monitor",
    "lxd",
    "buildkit",
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

/// Which container a caller runs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Container {
    /// None.
    None,
    /// This one.
    In(ContainerId),
}

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
    let mut folder = None;
    for (index, name) in path.iter().enumerate() {
        match step(folder, name) {
            Step::Outside => return Place::Outside,
            Step::Other => {}
            Step::Into(inner) => folder = Some(inner),
            Step::Container => {
                let depth = index + 1;
                let id = match hex_id(name) {
                    Some(id) => ContainerId::new(id),
                    None => path_id(path.get(..depth).unwrap_or(path)),
                };
                return Place::Container { id, depth };
            }
        }
    }
    if folder.is_some() {
        let id = path_id(path);
        return Place::Container { id, depth: 0 };
    }
    Place::Host
}

/// A group whose children are containers, or lead to them.
#[derive(Clone, Copy)]
enum Folder {
    /// kubelet's: pods in slices or folders by quality of service.
    Pods,
    /// machined's: machines in slices.
    Machines,
    /// The ECS agent's: containers in tasks.
    Tasks,
    /// Of a runtime that makes its containers' groups right there.
    Runtime,
    /// A runtime's own service.
    Service,
}

enum Step {
    Other,
    Into(Folder),
    Container,
    Outside,
}

/// What the next component of a path is. Below a folder only that folder's own kinds of folders
/// are any: everything else there is a container, whatever it is called.
fn step(folder: Option<Folder>, name: &[u8]) -> Step {
    let name = std::str::from_utf8(name).unwrap_or("\u{fffd}");
    let is_pods = is_pods(name);
    let is_machines = name.starts_with("machine-") && name.strip_suffix(".slice").is_some();
    match folder {
        None if name == ".." => Step::Outside,
        None | Some(Folder::Service) if is_pods => Step::Into(Folder::Pods),
        None if name == "machine.slice" || is_machines => Step::Into(Folder::Machines),
        None if name == "ecs" => Step::Into(Folder::Tasks),
        None if RUNTIME_FOLDERS.contains(&name) => Step::Into(Folder::Runtime),
        None if RUNTIME_SERVICES.contains(&name) => Step::Into(Folder::Service),
        None if is_container(name) => Step::Container,
        None => Step::Other,
        Some(Folder::Pods) if is_pods || is_pod(name) => Step::Into(Folder::Pods),
        Some(Folder::Machines) if is_machines => Step::Into(Folder::Machines),
        Some(Folder::Tasks) if is_task(name) => Step::Into(Folder::Runtime),
        Some(_) => Step::Container,
    }
}

/// A group that is a container wherever it stands. `payload` is nspawn's own subgroup for what
/// runs inside, in whatever unit it was started.
fn is_container(name: &str) -> bool {
    name == "payload"
        || CONTAINER_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
        || hex_id(name.as_bytes()).is_some()
}

/// `kubepods`, `kubepods.slice`, `kubepods-burstable.slice`, and kind's `kubelet-kubepods…`; with a
/// colon it is the name of a container that was made with the wrong driver.
fn is_pods(name: &str) -> bool {
    let name = name.strip_prefix("kubelet-").unwrap_or(name);
    let rest = name.strip_prefix("kubepods");
    rest.is_some_and(|rest| {
        !rest.contains(':') && (rest.is_empty() || rest.starts_with(['.', '-']))
    })
}

fn is_pod(name: &str) -> bool {
    matches!(name, "burstable" | "besteffort" | "guaranteed") || name.starts_with("pod")
}

/// The id of an ECS task.
fn is_task(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
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
