//! `rolecall conformance`: whether a metadata endpoint is safe and right, whoever made it.
//!
//! Related checks share a file; each is one function and a line in [`CHECKS`]. A check finds fault
//! with its own matter only: what it cannot ask because something else is broken, it cannot tell.
//! Nothing that an answer says is followed, and nothing secret of it is told.

mod browser;
mod document;
mod endpoint;
mod finding;
mod forwarded;
mod framing;
mod hop_limit;
mod host;
mod information;
mod load;
mod methods;
mod missing;
mod paths;
mod roles;
mod scene;
mod targets;
mod tokens;
mod version;
mod wire;

use clap::Args;
use serde::Serialize;

use super::failure::{Exit, Failure};
use super::output::{print, print_json};
use crate::types::RoleName;
use endpoint::Endpoint;
use finding::{Check, Told, Verdict};
use scene::Scene;

/// What is asked, in this order.
const CHECKS: &[Check] = &[
    tokens::ISSUED,
    tokens::TEXT,
    tokens::LIFE,
    tokens::LIFE_TOLD,
    tokens::UNGUESSABLE,
    tokens::CHECKED,
    version::ONE,
    forwarded::CLIENTS,
    forwarded::PROXIES,
    host::FOREIGN,
    host::OWN,
    browser::CROSS_SITE,
    methods::OTHERS,
    methods::HEAD,
    targets::ODD,
    paths::SLASHES,
    paths::VERSIONS,
    roles::ONE_ROLE,
    missing::ROLE,
    missing::LEAF,
    document::KEYS,
    document::VALUES,
    document::CODE,
    document::DATES,
    document::LIFE,
    document::TYPE,
    document::SAME,
    information::PROFILE,
    information::REGION,
    framing::LENGTH,
    framing::TWO_LENGTHS,
    framing::OLD,
    framing::KEPT,
    framing::TOKEN_FORMS,
    framing::SEGMENTS,
    hop_limit::HOPS,
    load::LATENCY,
    load::FAN_IN,
    // Where tokens are few, it costs the one that all the others show.
    tokens::MANY,
    tokens::ENDS,
];

/// Tell whether a metadata endpoint is safe and right
///
/// Asks any EC2 instance metadata service, this daemon's or another, in all the ways in which SDKs
/// ask it, and in those in which attackers do. Everything that it finds comes with why it matters and
/// how to mend it. It makes about a thousand requests, changes nothing, and prints no secrets.
///
/// Run it as a caller who has a role there: without one, little can be told. Exit code 1 if there is a
/// fault, 69 if nobody answers.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The endpoint, as AWS_EC2_METADATA_SERVICE_ENDPOINT names it: http://169.254.169.254
    url: Endpoint,
    /// Ask for this role's document [default: the one that is listed]
    #[arg(long, value_name = "NAME", value_parser = RoleName::new)]
    role: Option<RoleName>,
    /// Find no fault with answers without a token (IMDSv1)
    #[arg(long)]
    allow_v1: bool,
    /// How many hops answers may make
    #[arg(long, value_name = "HOPS", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=63))]
    hop_limit: u8,
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    endpoint: String,
    passed: usize,
    remarks: usize,
    faults: usize,
    untold: usize,
    checks: Vec<Told>,
}

impl Report {
    fn of(endpoint: String, checks: Vec<Told>) -> Self {
        let count = |verdict| checks.iter().filter(|told| told.verdict == verdict).count();
        Self {
            endpoint,
            passed: count(Verdict::Passed),
            remarks: count(Verdict::Remark),
            faults: count(Verdict::Fault),
            untold: count(Verdict::Untold),
            checks,
        }
    }

    fn readable(&self) -> String {
        let lines: String = self.checks.iter().map(Told::readable).collect();
        format!(
            "{lines}\n{}: {} passed, {} remarks, {} faults, {} cannot be told\n",
            self.endpoint, self.passed, self.remarks, self.faults, self.untold
        )
    }
}

impl Options {
    pub(super) fn run(self) -> Result<(), Failure> {
        let endpoint = self.url.to_string();
        let scene = Scene::survey(&self.url, self.role, self.allow_v1, self.hop_limit)?;
        let checks = CHECKS.iter().map(|check| check.told(&scene)).collect();
        let report = Report::of(endpoint, checks);
        if self.json {
            print_json(&report)?;
        } else {
            print(&report.readable())?;
        }
        if report.faults > 0 {
            return Err(Failure::silent(Exit::No));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_check_has_a_name_of_its_own_and_says_why() {
        let names: BTreeSet<_> = CHECKS.iter().map(|check| check.name).collect();
        assert_eq!(names.len(), CHECKS.len());
        for check in CHECKS {
            let said = [check.asks, check.why, check.mend, check.source];
            assert!(said.iter().all(|text| !text.is_empty()), "{}", check.name);
        }
    }
}
