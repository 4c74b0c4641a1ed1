//! The path of a control group says which unit or container a caller runs in.
//!
//! Pure, and total whatever the path. Names inside a container are its root's own choice, so the
//! outermost match counts; what might be a container counts as one. Names below a user's manager,
//! or below a group that root has handed to a user, are that user's choice.

use aws_lc_rs::digest::{SHA256, digest};

use super::unit::{host_place, unescaped, user_above};
use crate::grants::{ContainerId, ContainerPlace, HostPlace, Place};

/// The longest id made of a path; a longer one ends in a digest.
const MAX_PATH_ID: usize = 200;
/// Length of the ids that docker, podman, containerd and CRI-O give.
const HEX_ID: usize = 64;

/// Groups whose children are containers: docker's, podman's, LXC's of three ages and LXD's,
/// BuildKit's, Nomad's, Mesos's, Garden's.
const RUNTIME_FOLDERS: [&str; 9] = [
    "docker",
    "libpod_parent",
    "lxc",
    "lxc.payload",
    "lxd",
    "buildkit",
    "nomad.slice",
    "mesos",
    "garden",
];

/// containerd's namespaces, which are groups of their own at the top: what `ctr run` makes is called
/// as its user likes.
const NAMESPACES: [&str; 3] = ["default", "k8s.io", "moby"];

/// Services of runtimes. Their own processes forward connections of containers (docker-proxy,
/// rootlesskit, slirp4netns, pasta, forkproxy), and on hosts where a runtime makes groups of
/// version 1 only, its containers show here too.
const RUNTIME_SERVICES: [&str; 19] = [
    "docker.service",
    "containerd.service",
    "crio.service",
    "cri-o.service",
    "podman.service",
    "buildkit.service",
    "default-buildkit.service",
    "k3s.service",
    "k3s-agent.service",
    "k3s-rootless.service",
    "k0scontroller.service",
    "k0sworker.service",
    "rke2-server.service",
    "rke2-agent.service",
    "u7s-rootlesskit.service",
    "incus.service",
    "lxd.service",
    "snap.docker.dockerd.service",
    "snap.lxd.daemon.service",
];

/// What the name of a group of a runtime's helpers begins with: podman's own scope and those of its
/// forwarders, the monitors of podman, CRI-O and LXC.
const HELPER_PREFIXES: [&str; 5] = [
    "podman-",
    "libpod-",
    "rootless-netns-",
    "conmon-",
    "lxc.monitor",
];

/// What the name of one container's group begins with, beside those that end in an id: nspawn's
/// units, machined's and libvirt's scopes, LXC's groups, kata, Apptainer.
const CONTAINER_PREFIXES: [&str; 5] = [
    "systemd-nspawn@",
    "machine-",
    "lxc.payload.",
    "kata_",
    "apptainer-",
];

/// What a control group tells of the processes in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Located {
    /// They run here.
    At {
        /// The unit or container.
        place: Place,
        /// The container as a machine.
        machine: Option<Machine>,
        /// Whether a user other than root can start what it likes there.
        users: bool,
    },
    /// Among a runtime's own processes, whose connections may be a container's.
    WithForwarders,
    /// Outside what this control group namespace shows.
    Outside,
}

/// A container that machined knows, or would.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Machine {
    /// What runs it.
    pub(super) runtime: &'static str,
    /// Its name there.
    pub(super) name: String,
}

/// A group on a path that root has handed to a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handed {
    /// So many components of the path lead to it. Those that follow are the user's choice.
    pub(super) depth: usize,
    /// Whose it is.
    pub(super) uid: u32,
}

/// Reads paths of control groups, as they are seen from the daemon's own container if it runs in
/// one.
#[derive(Clone, Debug, Default)]
pub(super) struct PlaceReader {
    /// The components of the daemon's own container's group.
    own: Vec<Vec<u8>>,
    /// Those of the group in which the system's manager makes its units, where one runs.
    manager: Option<Vec<Vec<u8>>>,
}

impl PlaceReader {
    /// A reader for a daemon that runs in the first group itself, on a system whose first process
    /// runs in the second.
    pub(super) fn new(own_path: &[u8], init_path: &[u8]) -> Self {
        let own = components(own_path);
        let depth = match walk(&own) {
            Walked::Container { depth, .. } => depth.unwrap_or(0),
            Walked::Host | Walked::Helpers | Walked::Outside => 0,
        };
        let init = components(init_path);
        let manager = init
            .split_last()
            .filter(|(last, _)| **last == b"init.scope");
        Self {
            own: owned(own.get(..depth).unwrap_or_default()),
            manager: manager.map(|(_, above)| owned(above)),
        }
    }

    /// Whether systemd, or who makes groups as it does, is the first process.
    pub(super) const fn has_manager(&self) -> bool {
        self.manager.is_some()
    }

    /// Where a group lies, whose path has a group that root handed to a user, or none.
    pub(super) fn locate(&self, path: &[u8], handed: Option<Handed>) -> Located {
        let components = components(path);
        let (above, seen) = below(&components, &self.own).unwrap_or((0, &components));
        match walk(seen) {
            Walked::Host => {
                let place = self.host(&components, (above, seen), handed);
                let users = handed.is_some() || place.user_slice.is_some();
                Located::At {
                    place: Place::Host(place),
                    machine: None,
                    users,
                }
            }
            Walked::Container { id, depth, machine } => {
                let index = depth.unwrap_or(seen.len()).saturating_sub(1);
                let handed = handed.filter(|group| group.depth <= above + index);
                let user = user_above(seen.get(..index).unwrap_or(seen));
                let owner = user.or_else(|| handed.map(|group| group.uid));
                Located::At {
                    place: Place::Container(ContainerPlace { id, owner }),
                    machine,
                    users: owner.is_some(),
                }
            }
            Walked::Helpers => Located::WithForwarders,
            Walked::Outside => Located::Outside,
        }
    }

    /// What the system's manager calls it; where that makes no units there, nothing.
    fn host(&self, path: &[&[u8]], seen: (usize, &[&[u8]]), handed: Option<Handed>) -> HostPlace {
        let managed = match &self.manager {
            Some(manager) => below(path, manager),
            None => Some(seen),
        };
        let Some((above, managed)) = managed else {
            return HostPlace::default();
        };
        let made_by_root = handed.map_or(managed.len(), |group| group.depth.saturating_sub(above));
        host_place(managed, made_by_root)
    }
}

fn owned(components: &[&[u8]]) -> Vec<Vec<u8>> {
    components.iter().map(|name| name.to_vec()).collect()
}

/// What of a path lies below another, and how deep that is.
fn below<'a, 'b>(path: &'b [&'a [u8]], above: &[Vec<u8>]) -> Option<(usize, &'b [&'a [u8]])> {
    let (head, tail) = path.split_at_checked(above.len())?;
    (head == above).then_some((head.len(), tail))
}

fn components(path: &[u8]) -> Vec<&[u8]> {
    path.split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty())
        .collect()
}

enum Walked {
    Host,
    /// In a container, whose own group is so many components deep where that can be told.
    Container {
        id: ContainerId,
        depth: Option<usize>,
        machine: Option<Machine>,
    },
    Helpers,
    Outside,
}

fn walk(path: &[&[u8]]) -> Walked {
    let mut folder = None;
    for (index, name) in path.iter().enumerate() {
        let top = index == 0 && NAMESPACES.iter().any(|known| known.as_bytes() == *name);
        if top && path.len() > 1 {
            folder = Some(Folder::Runtime);
            continue;
        }
        match step(folder, name) {
            Step::Outside => return Walked::Outside,
            Step::Other => {}
            Step::Into(inner) => folder = Some(inner),
            Step::Helpers => return Walked::Helpers,
            Step::Container => {
                let depth = index + 1;
                let id = match hex_id(name) {
                    Some((_, id)) => ContainerId::new(id),
                    None => path_id(path.get(..depth).unwrap_or(path)),
                };
                return Walked::Container {
                    id,
                    depth: Some(depth),
                    machine: machine(folder, name),
                };
            }
        }
    }
    match folder {
        None => Walked::Host,
        Some(Folder::Service) => Walked::Helpers,
        Some(_) => Walked::Container {
            id: path_id(path),
            depth: None,
            machine: None,
        },
    }
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
    Helpers,
    Outside,
}

/// What the next component of a path is. Below a folder only that folder's own kinds of folders
/// are any: everything else there is a container or a runtime's helper, whatever it is called.
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
        Some(Folder::Pods) if is_pods || is_pod(name) => Step::Into(Folder::Pods),
        Some(Folder::Machines) if is_machines => Step::Into(Folder::Machines),
        Some(Folder::Tasks) if is_task(name) => Step::Into(Folder::Runtime),
        None | Some(Folder::Service | Folder::Pods | Folder::Machines) if is_helper(name) => {
            Step::Helpers
        }
        None | Some(Folder::Service) if is_container(name) => Step::Container,
        None | Some(Folder::Service) => Step::Other,
        Some(_) => Step::Container,
    }
}

/// A group that is a container wherever it stands. `payload` is nspawn's own subgroup for what
/// runs inside, in whatever unit it was started; scopes are called after runc and crun where
/// somebody runs those by hand.
fn is_container(name: &str) -> bool {
    let by_hand = ["runc-", "crun-", "youki-"];
    let is_scope = name.strip_suffix(".scope").is_some();
    name == "payload"
        || CONTAINER_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
        || (is_scope && by_hand.iter().any(|prefix| name.starts_with(prefix)))
        || hex_id(name.as_bytes()).is_some()
}

/// A runtime's helper: what is called after a container as its monitor, or after no container.
fn is_helper(name: &str) -> bool {
    match hex_id(name.as_bytes()) {
        Some((head, _)) => head.contains("conmon"),
        None => HELPER_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix)),
    }
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

/// The id at the end of a group's name, and what stands before it: `ID`, `docker-ID.scope`,
/// `libpod-ID`, `cri-containerd:ID`.
fn hex_id(name: &[u8]) -> Option<(&str, &str)> {
    let name = std::str::from_utf8(name).ok()?;
    let name = name.strip_suffix(".scope").unwrap_or(name);
    let (head, id) = name.split_at_checked(name.len().checked_sub(HEX_ID)?)?;
    let is_hex = id
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let parted = head.is_empty() || head.ends_with(['-', ':', '_']);
    (is_hex && parted).then_some((head, id))
}

/// The machine of a container's group: `systemd-nspawn@NAME.service`, `machine-NAME.scope` escaped
/// as units are, and nspawn's own `NAME.scope` where machined was not asked. libvirt puts its
/// driver before the name.
fn machine(folder: Option<Folder>, group: &[u8]) -> Option<Machine> {
    if hex_id(group).is_some() {
        return None;
    }
    let group = std::str::from_utf8(group).ok()?;
    let in_unit = group
        .strip_prefix("systemd-nspawn@")
        .and_then(|rest| rest.strip_suffix(".service"));
    let scope = group.strip_suffix(".scope");
    let registered = scope.and_then(|scope| scope.strip_prefix("machine-"));
    let name = match (in_unit, registered) {
        (Some(instance), _) => instance.to_owned(),
        (None, Some(escaped)) => unescaped(escaped)?,
        (None, None) => scope
            .filter(|_| matches!(folder, Some(Folder::Machines)))?
            .to_owned(),
    };
    let by_libvirt = ["qemu-", "lxc-"];
    let runtime = match in_unit {
        None if by_libvirt.iter().any(|driver| name.starts_with(driver)) => "libvirt",
        Some(_) | None => "nspawn",
    };
    (!name.is_empty()).then_some(Machine { runtime, name })
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
