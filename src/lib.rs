//! rolecall hands temporary AWS credentials to the programs on a host.
//!
//! One request goes one way: [`listener`] accepts, [`caller`] asks the kernel who it is, the guard
//! in [`http`] refuses what no local SDK sends, a folder of [`api`] parses its route and has
//! [`people`] verify a web identity, [`vending`] alone decides ([`grants`]), obtains ([`sessions`])
//! and records ([`telemetry`]), and the API renders the answer. Where sessions come from is
//! [`source`], the built-in issuer is [`authority`], what container runtimes know is [`runtime`],
//! and what an operator's own programs say of roles is [`providers`].
//!
//! The library exists for the binary, its tests and its fuzz targets; it promises no stable API.

pub mod allocator;
pub mod api;
pub mod app;
pub mod authority;
pub mod caller;
pub mod cli;
pub mod clock;
pub mod config;
pub mod grants;
pub mod http;
mod interfaces;
pub mod keeping;
mod linkage;
pub mod listener;
pub mod lookups;
pub mod people;
mod priority;
pub mod providers;
pub mod runtime;
pub mod secret;
pub mod sessions;
pub mod shutdown;
mod socket_file;
pub mod source;
pub mod store;
pub mod systemd;
pub mod telemetry;
pub mod transport;
pub mod types;
pub mod vending;
