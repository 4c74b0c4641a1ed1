//! The configuration: read as written, with places (`raw`), then validated into the types here,
//! which the rest of the daemon uses. Whatever reaches these types is right.

mod account;
mod authority;
mod daemon;
mod describe;
mod diff;
mod duration;
mod embedded;
mod issuer;
mod listener;
mod load;
mod narrow;
mod people;
mod prefetch;
mod problem;
mod raw;
mod secret_source;
mod source;
mod suggest;
mod surroundings;
mod validate;
mod web_origin;

pub use account::{Account, BaseCredentials, Dialect, RateLimit, Role, RoleKind};
pub use authority::Authority;
pub use daemon::{
    EngineKind, KeptSessions, Limits, Log, LogTarget, Runtime, RuntimeEngine, State, SyslogAddress,
};
pub use describe::{reference, schema};
pub use diff::{Changes, diff};
pub use duration::{NotADuration, parse as parse_duration};
pub use embedded::embedded;
pub use issuer::{Algorithm, Introspection, Issuer, IssuerKeys};
pub use listener::{Api, Bind, Holder, Instance, Listener, TokenFile};
pub use load::{DEFAULT_FILE, LoadError, Refused, parse_text};
pub use people::{Administrator, Console, Ldap, Mount, Oidc, People, ProxyHeader, Tls};
pub use prefetch::Ahead;
pub use problem::{Problem, Severity};
pub use raw::Position;
pub use secret_source::{SecretError, SecretPlace};
pub use source::{GrantSource, RoleService, RolesFrom};
pub use surroundings::{Purpose, Surroundings};
pub use validate::{compact_policy, id_of_role};
pub use web_origin::WebOrigin;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use crate::grants::Grant;
use crate::types::{AccountAlias, RoleRef};

/// A whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it came from.
    pub origin: Origin,
    /// What is listened on.
    pub listeners: Vec<Listener>,
    /// The accounts with their roles.
    pub accounts: BTreeMap<AccountAlias, Account>,
    /// The grants, in the order in which they are tried.
    pub grants: Vec<Arc<Grant>>,
    /// Whose tokens are believed.
    pub issuers: Vec<Issuer>,
    /// How people prove a name.
    pub people: People,
    /// How signatures and Keystone's tokens count.
    pub authority: Authority,
    /// Who else is asked which roles a name has.
    pub sources: Vec<GrantSource>,
    /// What survives a restart, and where.
    pub state: State,
    /// Where logs go.
    pub log: Log,
    /// Bounds.
    pub limits: Limits,
    /// The unit that tells of containers, where there is one.
    pub runtime: Option<Runtime>,
    /// The admin socket's path; the default depends on who runs the daemon.
    pub admin_socket: PathBuf,
}

/// Where a configuration came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Built in: there was no file.
    Embedded,
    /// This file and its drop-ins.
    File(PathBuf),
}

impl Config {
    /// Before which moment the built-in authority's sessions of a role no longer count.
    pub fn not_before(&self) -> BTreeMap<RoleRef, SystemTime> {
        let roles = self
            .accounts
            .values()
            .flat_map(|account| account.roles.values());
        let limited = roles.filter_map(|role| Some((role.reference.clone(), role.not_before?)));
        limited.collect()
    }

    /// The role of this name, where it is declared.
    pub fn role(&self, reference: &RoleRef) -> Option<(&Account, &Role)> {
        let account = self.accounts.get(&reference.account)?;
        Some((account, account.roles.get(&reference.role)?))
    }
}

#[cfg(test)]
mod tests;
