//! Landlock: what this process and whatever it starts may still do, held by the kernel for good.
//!
//! Reading is left alone: a reload may name secrets and certificates anywhere, and name services
//! read what they like. Connecting is, too: upstreams and issuers have any address.

use std::fs;
use std::path::Path;

use landlock::{
    ABI, AccessFs, AccessNet, BitFlags, LandlockStatus, NetPort, PathBeneath, PathFd,
    RestrictionStatus, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus,
    Scope, make_bitflags,
};

use super::needs::{Needs, Use};
use crate::api::admin::wire::Landlock;
use crate::app::token_files;
use crate::authority::check_directory;

/// The newest version of Landlock whose every restriction is known to be none that we miss. (The
/// ninth forbids connecting to sockets of name services.)
const NEWEST: ABI = ABI::V7;

/// Port 0: the start connects to itself, to see whether callers can be looked up.
const ANY_FREE: u16 = 0;

/// What stands between the process and the rest of the system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fence {
    /// All that is known of this version of Landlock, or a part of what newer ones have.
    Up { abi: String, whole: bool },
    /// Nothing: there is no Landlock here.
    Absent,
    /// Nothing: it would keep callers' facts from the daemon.
    Blinding,
    /// Nothing, for this reason.
    Failed(String),
}

impl Fence {
    pub(super) const fn is_up(&self) -> bool {
        matches!(self, Self::Up { .. })
    }

    /// For `status`.
    pub(super) fn shown(&self, needs: &Needs) -> Landlock {
        match self {
            Self::Up { abi, whole } => Landlock::Up {
                version: abi.clone(),
                whole: *whole,
                writes: needs.places(),
            },
            Self::Absent => Landlock::Absent,
            Self::Blinding => Landlock::HiddenProc,
            Self::Failed(reason) => Landlock::Refused {
                reason: reason.clone(),
            },
        }
    }
}

/// Confines this thread, and whatever it starts from now on, to what is needed. Sockets of others in
/// the abstract namespace are let be where the service manager listens there.
pub(super) fn raise(needs: &Needs, abstract_sockets: bool) -> Fence {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    if hides_processes(&mounts) {
        return Fence::Blinding;
    }
    make_folders(needs);
    match restrict(needs, abstract_sockets) {
        Ok(status) => status.into(),
        Err(error) => Fence::Failed(error.to_string()),
    }
}

impl From<RestrictionStatus> for Fence {
    fn from(status: RestrictionStatus) -> Self {
        match (status.ruleset, status.landlock) {
            (RulesetStatus::NotEnforced, _)
            | (_, LandlockStatus::NotEnabled | LandlockStatus::NotImplemented) => Self::Absent,
            (ruleset, LandlockStatus::Available { effective_abi, .. }) => Self::Up {
                abi: format!("{effective_abi:?}"),
                whole: ruleset == RulesetStatus::FullyEnforced,
            },
        }
    }
}

fn restrict(needs: &Needs, abstract_sockets: bool) -> Result<RestrictionStatus, RulesetError> {
    let scopes = if abstract_sockets {
        BitFlags::from(Scope::Signal)
    } else {
        Scope::Signal | Scope::AbstractUnixSocket
    };
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_write(NEWEST) | AccessFs::Execute)?
        .handle_access(AccessNet::BindTcp)?
        .scope(scopes)?
        .create()?;
    for (place, used) in &needs.writes {
        let Ok(open) = PathFd::new(place) else {
            continue;
        };
        // What no rule can be about, as a pipe, is in nobody's way.
        if let Err(error) = (&mut rules).add_rule(PathBeneath::new(open, rights(place, *used))) {
            tracing::debug!(place = %place.display(), %error, "no rule for this place");
        }
    }
    if let Ok(null) = PathFd::new("/dev/null") {
        rules = rules.add_rule(PathBeneath::new(null, AccessFs::WriteFile))?;
    }
    for port in needs.ports.iter().chain([&ANY_FREE]) {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::BindTcp))?;
    }
    rules.restrict_self()
}

/// Has this thread, and whatever it starts from now on, bind no TCP port any more.
pub(super) fn close_ports() -> Result<(), RulesetError> {
    let rules = Ruleset::default().handle_access(AccessNet::BindTcp)?;
    rules.create()?.restrict_self().map(drop)
}

/// What is done there, in Landlock's words.
fn rights(place: &Path, used: Use) -> BitFlags<AccessFs> {
    let rights = match used {
        Use::State => make_bitflags!(AccessFs::{
            WriteFile | Truncate | MakeReg | MakeDir | RemoveFile | RemoveDir | Refer
        }),
        Use::Sockets => make_bitflags!(AccessFs::{MakeSock | MakeDir | RemoveFile}),
        Use::Tokens => make_bitflags!(AccessFs::{WriteFile | MakeReg | MakeDir | RemoveFile}),
        Use::Log => make_bitflags!(AccessFs::{WriteFile | MakeReg}),
    };
    if place.is_dir() {
        rights
    } else {
        rights & AccessFs::from_file(NEWEST)
    }
}

/// Makes the folders that the daemon would make: there is no rule for what is not there. What is wrong
/// with one is told by who uses it.
fn make_folders(needs: &Needs) {
    for (place, used) in &needs.writes {
        match used {
            Use::State => drop(check_directory(place)),
            Use::Sockets => drop(fs::create_dir_all(place)),
            Use::Tokens => drop(token_files::make_folder(place)),
            Use::Log => {}
        }
    }
}

/// Whether /proc shows processes to those only who may trace them: whoever is confined may trace
/// nobody outside.
fn hides_processes(mounts: &str) -> bool {
    let mut of_proc = mounts.lines().filter_map(|line| {
        let (mount, options) = line.split_once(" - ")?;
        (mount.split(' ').nth(4)? == "/proc").then_some(options)
    });
    let mut options = of_proc.next_back().unwrap_or_default().split([' ', ',']);
    options.any(|option| {
        let hides = option.strip_prefix("hidepid=");
        hides.is_some_and(|how| !matches!(how, "0" | "off"))
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
    use std::path::PathBuf;
    use std::process::Command;
    use std::{io, thread};

    use nix::sys::prctl;
    use nix::sys::signal::kill;
    use nix::unistd::{Pid, getppid};

    use super::*;

    /// Runs this on a thread that is confined, as nobody else here is.
    fn confined<T: Send + 'static>(
        needs: Needs,
        abstract_sockets: bool,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let thread = thread::spawn(move || {
            prctl::set_no_new_privs().unwrap();
            let fence = raise(&needs, abstract_sockets);
            assert!(fence.is_up(), "{fence:?}");
            work()
        });
        thread.join().unwrap()
    }

    fn needs(writes: &[(&Path, Use)]) -> Needs {
        let writes = writes.iter();
        Needs {
            writes: writes
                .map(|(place, used)| ((*place).to_owned(), *used))
                .collect(),
            ..Needs::default()
        }
    }

    fn is_forbidden<T: std::fmt::Debug>(result: io::Result<T>) {
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn files_are_written_where_it_is_said_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["log", "state", "other"] {
            fs::create_dir(at(name)).unwrap();
        }
        fs::write(at("other/file"), "before").unwrap();
        let root = folder.path().to_owned();
        let needs = needs(&[(&at("state"), Use::State), (&at("log"), Use::Log)]);
        confined(needs, false, move || {
            let inside = |name: &str| root.join(name);
            fs::write(inside("state/new"), "a").unwrap();
            fs::rename(inside("state/new"), inside("state/file")).unwrap();
            fs::write(inside("state/file"), "b").unwrap();
            fs::remove_file(inside("state/file")).unwrap();
            let log = fs::OpenOptions::new()
                .append(true)
                .create(true)
                .open(inside("log/a"));
            drop(log.unwrap());
            fs::write("/dev/null", "a").unwrap();
            is_forbidden(fs::remove_file(inside("log/a")));
            is_forbidden(fs::write(inside("new"), "a"));
            is_forbidden(fs::write(inside("other/file"), "a"));
            is_forbidden(fs::remove_file(inside("other/file")));
            is_forbidden(UnixListener::bind(inside("log/socket")));
            is_forbidden(std::os::unix::fs::symlink("/etc", inside("state/link")));
            assert_eq!(fs::read_to_string(inside("other/file")).unwrap(), "before");
        });
    }

    #[test]
    fn folders_that_the_daemon_makes_may_be_made() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        let (state, tokens) = (root.join("a/state"), root.join("b/tokens"));
        let sockets = root.join("c/sockets");
        let needs = needs(&[
            (&state, Use::State),
            (&tokens, Use::Tokens),
            (&sockets, Use::Sockets),
        ]);
        confined(needs, false, move || {
            fs::write(state.join("file"), "a").unwrap();
            fs::create_dir_all(&tokens).unwrap();
            fs::write(tokens.join("token.new"), "a").unwrap();
            fs::rename(tokens.join("token.new"), tokens.join("token")).unwrap();
            drop(UnixListener::bind(sockets.join("socket")).unwrap());
            fs::remove_file(sockets.join("socket")).unwrap();
            is_forbidden(fs::write(sockets.join("file"), "a"));
            // What lies above them is not written.
            for above in [root.join("b/file"), root.join("file")] {
                is_forbidden(fs::write(above, "a"));
            }
        });
    }

    #[test]
    fn a_folder_of_tokens_below_one_that_is_open_to_all_is_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let open = folder.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        let tokens = open.join("tokens");
        let needs = needs(&[(&tokens, Use::Tokens)]);
        confined(needs, false, move || is_forbidden(fs::create_dir(&tokens)));
        assert_eq!(fs::read_dir(&open).unwrap().count(), 0);
    }

    #[test]
    fn no_program_is_started() {
        is_forbidden(confined(Needs::default(), false, || {
            Command::new("/bin/true").status()
        }));
    }

    #[test]
    fn no_other_port_is_bound_and_none_in_the_end() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let needs = Needs {
            ports: [port].into(),
            ..Needs::default()
        };
        confined(needs, false, move || {
            drop(TcpListener::bind(("127.0.0.1", port)).unwrap());
            let other = TcpListener::bind("127.0.0.1:0").unwrap();
            let taken = other.local_addr().unwrap();
            drop(other);
            is_forbidden(TcpListener::bind(taken));
            close_ports().unwrap();
            is_forbidden(TcpListener::bind(("127.0.0.1", port)));
            is_forbidden(TcpListener::bind("127.0.0.1:0"));
        });
    }

    #[test]
    fn other_processes_are_out_of_reach() {
        let name = format!("rolecall-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(name).unwrap();
        let _listens = UnixListener::bind_addr(&address).unwrap();
        let theirs = address.clone();
        confined(Needs::default(), false, move || {
            let kind = UnixStream::connect_addr(&theirs).unwrap_err().kind();
            assert_eq!(kind, io::ErrorKind::PermissionDenied);
            assert_eq!(kill(getppid(), None), Err(nix::Error::EPERM));
            let parent = PathBuf::from(format!("/proc/{}", getppid()));
            is_forbidden(fs::read_link(parent.join("exe")));
            // What callers are known by can be read still.
            assert!(!fs::read(parent.join("cgroup")).unwrap().is_empty());
            assert!(!fs::read(parent.join("stat")).unwrap().is_empty());
        });
        assert_eq!(kill(Pid::this(), None), Ok(()));
        confined(Needs::default(), true, move || {
            drop(UnixStream::connect_addr(&address).unwrap());
        });
    }

    #[test]
    fn a_hidden_proc_is_told() {
        let line = |options: &str| {
            format!(
                "23 28 0:21 / /proc rw,nosuid shared:5 - proc proc rw{options}\n24 28 0:22 / /sys rw - sysfs sysfs rw"
            )
        };
        for hides in [
            ",hidepid=2",
            ",gid=3,hidepid=invisible",
            ",hidepid=ptraceable,subset=pid",
        ] {
            assert!(hides_processes(&line(hides)), "{hides}");
        }
        for shows in ["", ",hidepid=0", ",hidepid=off", ",gid=3"] {
            assert!(!hides_processes(&line(shows)), "{shows}");
        }
        assert!(!hides_processes(
            "1 2 0:3 / /other/proc rw - proc proc rw,hidepid=2"
        ));
        assert!(!hides_processes(""));
    }
}
