//! What the daemon gives up for good before it serves, so that whoever breaks into it has little:
//! new privileges, other programs, other files and ports than the configuration has it use (`fence`),
//! and that its memory is ever dumped or swapped (`memory`).
//!
//! A thread hands on what it gave up to the threads and programs that it starts, so all of it happens
//! before there are any. Programs that a configuration names may need what the daemon does not: one
//! writes its cache below `~/.aws`, one is behind sudo or in a snap, one listens on a port for a
//! browser; PAM's helpers are setuid. Where there are such, the daemon gives up nothing that they
//! would miss.

mod fence;
mod memory;
mod needs;

use std::path::Path;

use nix::sys::prctl;
use nix::unistd::geteuid;

use crate::api::admin::wire;
use crate::config::Config;
use crate::source::Environment;
use fence::Fence;
use memory::Memory;
use needs::Needs;

/// What the daemon has given up.
#[derive(Clone, Debug, Default)]
pub struct Confinement {
    given: Given,
    memory: Option<Memory>,
}

#[derive(Clone, Debug, Default)]
enum Given {
    /// Nothing: it shares its process with others.
    #[default]
    Nothing,
    /// What its programs do not miss.
    ForPrograms {
        named: Vec<String>,
        privileges: bool,
    },
    /// What it does not need itself.
    All {
        needs: Needs,
        privileges: bool,
        fence: Fence,
    },
}

/// Gives up what the configuration does not ask for; called once, before any thread starts that is
/// to serve. `notify` is `$NOTIFY_SOCKET`.
pub fn confine(config: &Config, environment: &Environment, notify: Option<&str>) -> Confinement {
    Confinement::to(Needs::of(config, environment), notify)
}

/// The same for the unit that tells of containers, on this socket.
pub fn confine_unit(socket: &Path, notify: Option<&str>) -> Confinement {
    Confinement::to(Needs::of_unit(socket), notify)
}

impl Confinement {
    fn to(needs: Needs, notify: Option<&str>) -> Self {
        let given = if needs.programs.is_empty() {
            Given::All {
                privileges: give_up_privileges(),
                // systemd's users may have it listen in the abstract namespace.
                fence: fence::raise(&needs, notify.is_some_and(|name| name.starts_with('@'))),
                needs,
            }
        } else {
            Given::ForPrograms {
                // Root's programs gain none.
                privileges: geteuid().is_root() && give_up_privileges(),
                named: needs.programs,
            }
        };
        Self {
            given,
            memory: None,
        }
    }

    /// Memory holds secrets: it is never dumped, no other process of this user may look into it, and
    /// it is not written to swap where that can be helped.
    pub(super) fn keep_memory_private(&mut self) {
        self.memory = Some(Memory::keep_private());
    }

    /// For `status`; `None` where the process is shared with others.
    pub(super) fn shown(&self) -> Option<wire::Confinement> {
        let memory = self.memory.as_ref()?;
        let (landlock, no_new_privileges) = match &self.given {
            Given::Nothing => return None,
            Given::ForPrograms { named, privileges } => {
                let named = named.clone();
                (wire::Landlock::Programs { named }, *privileges)
            }
            Given::All {
                needs,
                privileges,
                fence,
            } => (fence.shown(needs), *privileges),
        };
        Some(wire::Confinement {
            landlock,
            no_new_privileges,
            memory: memory.swap.shown(),
            undumpable: memory.undumpable,
        })
    }

    /// Whether programs that it starts have all the rights of its user.
    pub fn lets_programs_be(&self) -> bool {
        match &self.given {
            Given::Nothing | Given::ForPrograms { .. } => true,
            Given::All { fence, .. } => !fence.is_up() && geteuid().is_root(),
        }
    }

    /// No TCP port is bound from now on, by this thread and whatever it starts.
    pub(super) fn close_ports(&self) {
        if let Given::All { fence, .. } = &self.given
            && fence.is_up()
            && let Err(error) = fence::close_ports()
        {
            tracing::warn!(%error, "further ports could be bound by whoever breaks in");
        }
    }

    /// What this configuration asks for that was given up: keys that need a restart.
    pub(super) fn lacks(&self, config: &Config) -> Vec<String> {
        let Given::All { needs, fence, .. } = &self.given else {
            return Vec::new();
        };
        let mut keys = Vec::new();
        if !self.lets_programs_be() {
            let programs = needs::programs(config).into_iter();
            keys.extend(programs.map(|key| format!("{key} (it starts a program)")));
        }
        if fence.is_up() {
            let logs = needs::logs(config).into_iter();
            let logs = logs.filter(|(path, _)| !needs.has_folder_for(path));
            keys.extend(
                logs.map(|(path, _)| format!("log.to ({} is another folder)", path.display())),
            );
        }
        keys
    }

    /// Tells the operator.
    pub fn tell(&self) {
        match &self.given {
            Given::Nothing => {}
            Given::ForPrograms { named, privileges } => {
                let programs = named.join(", ");
                tracing::info!(
                    programs,
                    no_new_privileges = privileges,
                    "not confined: programs that it starts may need what it does not"
                );
            }
            Given::All {
                needs,
                privileges,
                fence,
            } => tell_fence(fence, needs, *privileges),
        }
    }
}

fn tell_fence(fence: &Fence, needs: &Needs, no_new_privileges: bool) {
    match fence {
        Fence::Up { abi, whole } => {
            let writes = needs.places().join(" ");
            tracing::info!(
                landlock = abi,
                whole,
                no_new_privileges,
                writes,
                "confined: it starts no program, and writes where the configuration says only"
            );
        }
        Fence::Absent => tracing::info!(
            no_new_privileges,
            "not confined to its files: the kernel, or a sandbox around it, has no Landlock"
        ),
        Fence::Blinding => tracing::info!(
            no_new_privileges,
            "not confined to its files: /proc here hides callers from whoever is"
        ),
        Fence::Failed(error) => {
            tracing::warn!(%error, no_new_privileges, "it could not be confined to its files");
        }
    }
}

/// Neither setuid nor file capabilities nor a transition of SELinux give more from now on.
fn give_up_privileges() -> bool {
    prctl::set_no_new_privs().is_ok()
}
