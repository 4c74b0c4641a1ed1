//! `rolecall doctor`: what is wrong on this host, and how to mend it.
//!
//! One check is one file with one function, and a line in [`CHECKS`]. Checks look and change
//! nothing; none of them sends a packet off this host.

mod address;
mod arrival;
mod caller;
mod clock;
mod configuration;
mod confinement;
mod daemon;
mod environment;
mod finding;
mod hop_limit;
mod lookup;
mod port;
mod redirect;
mod roles;
mod rules;
mod runtime;
mod scene;

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::failure::{Exit, Failure};
use super::output::{print, print_json};
use finding::{Finding, Level, readable};
use scene::Scene;

/// Looks at one thing.
type Look = fn(&Scene) -> Vec<Finding>;

/// What is looked at, in this order.
const CHECKS: &[(&str, Look)] = &[
    ("configuration", configuration::look),
    ("daemon", daemon::look),
    ("confinement", confinement::look),
    ("address", address::look),
    ("port", port::look),
    ("redirect", redirect::look),
    ("arrival", arrival::look),
    ("hop limit", hop_limit::look),
    ("clock", clock::look),
    ("look-up", lookup::look),
    ("runtime", runtime::look),
    ("roles", roles::look),
    ("caller", caller::look),
    ("environment", environment::look),
];

/// Look for what is wrong on this host, and tell how to mend it
///
/// Looks at the configuration, the daemon and how it is confined, its addresses and ports, redirections
/// and where they lead, the clock, the look-up of callers, the container runtime, what upstream said, who you are to the
/// daemon, and this shell's variables. Nothing is changed, and nothing is sent off this host.
/// Without a daemon it tells what can be told; root sees more than others.
///
/// Exit code 1 if there is a fault, 0 otherwise.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The configuration file [default: the daemon's, else /etc/rolecall/rolecall.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
}

/// A finding with the check that it is of.
#[derive(Debug, Serialize)]
struct Told {
    check: &'static str,
    #[serde(flatten)]
    finding: Finding,
}

#[derive(Debug, Serialize)]
struct Report {
    worst: Level,
    findings: Vec<Told>,
}

impl Options {
    pub(super) fn run(self, socket: Option<PathBuf>) -> Result<(), Failure> {
        let scene = Scene::here(self.config, socket)?;
        let findings = CHECKS.iter().flat_map(|(check, look)| {
            let found = look(&scene).into_iter();
            found.map(|finding| Told { check, finding })
        });
        let findings: Vec<Told> = findings.collect();
        let worst = findings.iter().map(|told| told.finding.level).max();
        let worst = worst.unwrap_or(Level::Ok);
        if self.json {
            print_json(&Report { worst, findings })?;
        } else {
            let lines = findings
                .iter()
                .map(|told| readable(told.check, &told.finding));
            print(&lines.collect::<String>())?;
        }
        if worst == Level::Fault {
            return Err(Failure::silent(Exit::No));
        }
        Ok(())
    }
}
