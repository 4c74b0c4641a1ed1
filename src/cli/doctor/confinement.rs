//! What a broken-into daemon could do that it need not, and whether its memory may reach a disk.

use std::fs;

use super::finding::Finding;
use super::scene::Scene;
use crate::api::admin::wire::{Confinement, Landlock, Memory};

pub(super) fn look(scene: &Scene) -> Vec<Finding> {
    let Ok(status) = &scene.status else {
        return vec![Finding::unseen(
            "only a running daemon knows how it is confined",
        )];
    };
    let Some(confinement) = &status.confinement else {
        return vec![Finding::unseen(
            "how the daemon is confined is told to its user and to root",
        )];
    };
    let swaps = fs::read_to_string("/proc/swaps").unwrap_or_default();
    of(confinement, has_swap(&swaps))
}

/// Whether anything is listed below the header.
fn has_swap(swaps: &str) -> bool {
    swaps.lines().nth(1).is_some()
}

/// What is missing; where nothing is, what there is.
fn of(confinement: &Confinement, has_swap: bool) -> Vec<Finding> {
    let missing = [
        of_landlock(&confinement.landlock),
        of_privileges(confinement),
        of_memory(&confinement.memory, has_swap),
        of_dumps(confinement.undumpable),
    ];
    let missing: Vec<Finding> = missing.into_iter().flatten().collect();
    if missing.is_empty() {
        return vec![Finding::ok(confinement.to_string())];
    }
    missing
}

fn of_landlock(landlock: &Landlock) -> Option<Finding> {
    let anything = "whoever breaks into it writes files and starts programs as its user may";
    let unconfined = |why: &str| Finding::warning(format!("not confined to its files: {why}"));
    match landlock {
        Landlock::Up { .. } => None,
        Landlock::Programs { named } => {
            let programs = named.join(", ");
            let why = format!("{programs} may start programs that need what it does not");
            let mend = "do without them, or rely on the unit's own sandbox";
            Some(unconfined(&why).means(anything).mend(mend))
        }
        Landlock::Absent => {
            let why = "the kernel, or a sandbox around the daemon, has no Landlock";
            let mend = "Linux 5.13 or later with `landlock` among its `lsm=`, and a seccomp profile \
                        that allows it; until then rely on the unit's own sandbox";
            Some(unconfined(why).means(anything).mend(mend))
        }
        Landlock::HiddenProc => {
            let why = "/proc hides callers from whoever is";
            let mend = "mount /proc without hidepid, or rely on the unit's own sandbox";
            Some(unconfined(why).means(anything).mend(mend))
        }
        Landlock::Refused { reason } => {
            let mend = "see what else confines it; until then rely on the unit's own sandbox";
            Some(unconfined(reason).means(anything).mend(mend))
        }
    }
}

/// Programs of others are the reason already, where there are such.
fn of_privileges(confinement: &Confinement) -> Option<Finding> {
    let for_programs = matches!(confinement.landlock, Landlock::Programs { .. });
    (!confinement.no_new_privileges && !for_programs).then(|| {
        let means = "setuid programs give more rights to whoever breaks into it";
        Finding::warning("the kernel refuses no_new_privs")
            .means(means)
            .mend("NoNewPrivileges=yes in the unit, as rolecall.service has it")
    })
}

fn of_memory(memory: &Memory, has_swap: bool) -> Option<Finding> {
    match memory {
        Memory::MayBeSwapped { reason } if has_swap => {
            let may_be = Finding::warning(format!("memory may be swapped: {reason}"));
            let means = "a disk keeps secrets that the daemon has forgotten";
            let mend = "LimitMEMLOCK=infinity or MemorySwapMax=0 in the unit, `--ulimit memlock=-1` \
                        of a container; or encrypt the swap";
            Some(may_be.means(means).mend(mend))
        }
        Memory::NoSwap | Memory::Locked | Memory::MayBeSwapped { .. } => None,
    }
}

fn of_dumps(undumpable: bool) -> Option<Finding> {
    (!undumpable).then(|| {
        let means = "a core dump, or another program of its user, shows its secrets";
        Finding::warning("its memory may be dumped")
            .means(means)
            .mend("LimitCORE=0 in the unit, as rolecall.service has it")
    })
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    fn whole() -> Confinement {
        Confinement {
            landlock: Landlock::Up {
                version: "V7".to_owned(),
                whole: true,
                writes: Vec::new(),
            },
            no_new_privileges: true,
            memory: Memory::Locked,
            undumpable: true,
        }
    }

    fn may_be_swapped() -> Memory {
        Memory::MayBeSwapped {
            reason: "limited".to_owned(),
        }
    }

    /// What is found, and that it can be mended.
    fn missing(confinement: &Confinement) -> Vec<String> {
        let found = of(confinement, true);
        for finding in &found {
            assert_eq!(finding.level, Level::Warning, "{finding:?}");
            assert!(
                finding.means.is_some() && finding.mend.is_some(),
                "{finding:?}"
            );
        }
        found.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn what_is_whole_is_told_in_one_line() {
        let all = "Landlock V7, no new privileges, memory locked, no core dumps";
        assert_eq!(of(&whole(), true), [Finding::ok(all)]);
        let without_swap = Confinement {
            memory: may_be_swapped(),
            ..whole()
        };
        let unlocked = "Landlock V7, no new privileges, memory may be swapped, no core dumps";
        assert_eq!(of(&without_swap, false), [Finding::ok(unlocked)]);
    }

    #[test]
    fn each_thing_that_is_missing_is_a_warning() {
        let named = vec!["account.a.credentials".to_owned()];
        let reason = "too many layers".to_owned();
        for (landlock, told) in [
            (
                Landlock::Programs { named },
                "account.a.credentials may start",
            ),
            (Landlock::Absent, "has no Landlock"),
            (Landlock::HiddenProc, "/proc hides callers"),
            (Landlock::Refused { reason }, "too many layers"),
        ] {
            let lacking = Confinement {
                landlock,
                ..whole()
            };
            let found = missing(&lacking);
            assert!(
                matches!(&found[..], [one] if one.contains(told)),
                "{found:?}"
            );
        }
        let bare = Confinement {
            no_new_privileges: false,
            memory: may_be_swapped(),
            undumpable: false,
            ..whole()
        };
        let all = [
            "the kernel refuses no_new_privs",
            "memory may be swapped: limited",
            "its memory may be dumped",
        ];
        assert_eq!(missing(&bare), all);
    }

    #[test]
    fn privileges_that_programs_need_are_not_missing() {
        let named = vec!["people.pam".to_owned()];
        let for_programs = Confinement {
            landlock: Landlock::Programs { named },
            no_new_privileges: false,
            ..whole()
        };
        assert_eq!(missing(&for_programs).len(), 1);
    }

    #[test]
    fn swap_is_what_the_kernel_lists() {
        let header = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
        assert!(!has_swap(header) && !has_swap(""));
        let one = format!("{header}/dev/sda2 partition\t1000\t0\t-2\n");
        assert!(has_swap(&one));
    }
}
