//! Integration tests: rooms of the daemon against stand-ins and real servers.
#![cfg(test)]
#![expect(
    clippy::shadow_unrelated,
    reason = "a test asks again under the same name"
)]

#[path = "../support/mod.rs"]
mod support;

mod accounts;
mod admin;
mod admin_failures;
mod canary;
mod check_live;
mod cli;
mod confined;
mod conformance;
mod connectors;
mod connectors_made;
mod connectors_upstream;
mod container;
mod coverage;
mod disks;
mod doctor;
mod doctor_reported;
mod documented;
mod doors;
mod drain;
mod exchange;
mod explain;
mod faults;
mod generated;
mod grant_sources;
mod host;
mod hostile;
mod identities;
mod imds;
mod import;
mod keys;
mod keystone;
mod log_targets;
mod network;
mod notified;
mod pass_through;
mod people;
mod proofs;
mod reload;
mod restarts;
mod runtime;
mod sandbox;
mod seats;
mod second_factors;
mod signatures;
mod state;
mod stored;
mod sts;
mod sts_hostile;
mod sts_operations;
mod sts_parameters;
mod sts_roles;
mod sts_sessions;
mod sts_web;
mod survival;
mod upstream;
mod upstream_base;
mod upstream_exchange;
mod upstream_failures;
mod upstream_keys;
mod upstream_probe;
mod upstream_real;
mod upstream_tls;
mod verify;
