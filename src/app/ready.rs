//! Readiness, as the service manager and `/readyz` are told: when every prefetched role is held, or
//! when the deadline for it has passed; and what is missing meanwhile and afterwards.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::Daemon;
use crate::sessions::Prefetch;
use crate::systemd;

/// How often what is missing is looked at, while something is.
const LOOK: Duration = Duration::from_secs(1);

/// How often it is looked whether something is.
const GLANCE: Duration = Duration::from_secs(10);

/// So many roles are named, of all that are missing.
const NAMED: usize = 3;

impl Daemon {
    /// Obtains the roles that the configuration wants held from the start, and is ready when they
    /// are, or when the deadline has passed. Tells what is missing, for ever.
    pub(super) async fn get_ready(&self) -> ! {
        let longest = self.config.load().limits.ready_deadline;
        // Who manages services may be less patient than the configuration.
        systemd::extend(longest);
        let deadline = Instant::now() + longest;
        self.issuers.prepare();
        // Who is told that it is ready may stop it again: what was held before is held by then.
        drop(timeout_at(deadline, self.resume()).await);
        self.prefetch().await;
        tokio::select! {
            in_time = timeout_at(deadline, self.all_obtained()) => if in_time.is_err() {
                let missing = self.missing();
                tracing::warn!(missing, "ready without some prefetched roles: the deadline passed");
            },
            never = self.tell_status() => never,
        }
        self.readiness.begin();
        if !self.readiness.is_ending() {
            systemd::ready(&self.status());
        }
        self.tell_status().await
    }

    /// Has the roles fetched that are wanted from the start, unless a reload wants others meanwhile.
    async fn prefetch(&self) {
        let config = self.config.load_full();
        let wanted = self.vending.prefetch(&config.prefetched()).await;
        if Arc::ptr_eq(&config, &self.config.load()) {
            drop(self.prefetched.send_replace(Arc::new(wanted)));
        }
    }

    /// Waits until each prefetched role has been held, of those that are wanted by then.
    async fn all_obtained(&self) {
        let mut wanted = self.prefetched.subscribe();
        loop {
            let now = Arc::clone(&wanted.borrow_and_update());
            let obtained = async {
                for prefetch in now.iter() {
                    drop(prefetch.obtained().await);
                }
            };
            tokio::select! {
                () = obtained => return,
                // A reload wants others. There is a sender for as long as there is a daemon.
                _ = wanted.changed() => {}
            }
        }
    }

    /// Tells the service manager whenever something else is missing than before.
    async fn tell_status(&self) -> ! {
        let mut told = String::new();
        loop {
            let status = self.status();
            if status != told {
                systemd::status(&status);
                told = status;
            }
            let settled = self.readiness.is_ready() && self.missing() == 0;
            tokio::time::sleep(if settled { GLANCE } else { LOOK }).await;
        }
    }

    fn missing(&self) -> usize {
        let prefetched = Arc::clone(&self.prefetched.borrow());
        prefetched.iter().filter(|one| one.is_missing()).count()
    }

    /// One line for `systemctl status`.
    pub(super) fn status(&self) -> String {
        let prefetched = Arc::clone(&self.prefetched.borrow());
        let missing: Vec<&Prefetch> = prefetched.iter().filter(|one| one.is_missing()).collect();
        let phase = if self.readiness.is_ending() {
            "asked to end, serving still"
        } else if self.readiness.is_ready() {
            "serving"
        } else {
            "starting, serving already"
        };
        let mut status = phase.to_owned();
        if !self.in_force.is_in_force() {
            status.push_str("; the last reload was refused, see the log");
        }
        if !missing.is_empty() {
            let all = prefetched.len();
            // Writing to a text cannot fail.
            let _written = write!(
                status,
                "; {} of {all} prefetched roles missing: ",
                missing.len()
            );
            status.push_str(&names(&missing));
        }
        status
    }
}

/// The first few, each with what its last fetch failed of.
fn names(missing: &[&Prefetch]) -> String {
    let first = missing.iter().take(NAMED).map(|prefetch| {
        let role = &prefetch.request().role;
        match prefetch.failure() {
            Some(failure) => format!("{role} ({})", failure.kind.as_str()),
            None => role.to_string(),
        }
    });
    let mut names: Vec<String> = first.collect();
    if missing.len() > NAMED {
        names.push("…".to_owned());
    }
    names.join(", ")
}
