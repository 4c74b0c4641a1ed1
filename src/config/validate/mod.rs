//! From a tree to the validated types: what each key means by itself (`listener`, `account`,
//! `role`, `grant`, `source`, `people`, `authority`, `daemon`), then what they mean together (`chains`, `sockets`, `reach`).

mod account;
mod authority;
mod chains;
mod connectors;
mod console;
mod context;
mod cover;
mod daemon;
mod grant;
mod issuer;
mod listener;
mod mount;
mod people;
mod policy;
mod reach;
mod reader;
mod role;
mod runtime;
mod session;
mod sockets;
mod source;
mod url;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::problem::Problems;
use super::raw::{Data, Table, Value};
use super::surroundings::Surroundings;
use super::{Account, Config, Origin};
pub use connectors::id_of_role;
use context::Context;
pub use policy::compact as compact_policy;
use reader::Reader;

/// Validates a tree that the walker has seen. `incomplete` says that a file of it is missing, so
/// that what it declares is not known.
pub(super) fn validate(
    tree: &Table,
    origin: Origin,
    incomplete: bool,
    surroundings: &Surroundings,
    problems: &Problems,
) -> Config {
    let cx = Context {
        problems,
        surroundings,
        declared: declared(tree),
        makes_roles: makes_roles(tree),
        incomplete,
        has_people: tree.get("people").is_some(),
    };
    let root = Reader::root(&cx, tree);
    let listeners = root.tables("listener");
    let offer = grant::Offer::of(&root);
    let mut grants: Vec<Arc<_>> = root
        .tables("grant")
        .iter()
        .enumerate()
        .filter_map(|(index, table)| grant::grant(table, index + 1, &offer))
        .map(Arc::new)
        .collect();
    let (sources, provided): (Vec<_>, Vec<_>) = (1..)
        .zip(root.tables("grant-source"))
        .filter_map(|(number, table)| source::source(&table, number, &offer))
        .unzip();
    grants.extend(provided.into_iter().map(Arc::new));
    grants.sort_by_key(|grant| Reverse(grant.priority));
    let accounts: BTreeMap<_, Account> = root
        .named("account")
        .iter()
        .filter_map(|(alias, table)| account::account(table, alias))
        .map(|account| (account.alias.clone(), account))
        .collect();
    let mut config = Config {
        origin,
        listeners: listeners.iter().filter_map(listener::listener).collect(),
        accounts,
        grants,
        issuers: issuer::issuers(&root),
        people: people::people(&root),
        authority: authority::authority(&root),
        sources,
        state: daemon::state(&root),
        log: daemon::log(&root),
        limits: daemon::limits(&root),
        runtime: runtime::runtime(&root),
        admin_socket: daemon::admin_socket(&root),
    };
    mount::settle(&root, &mut config);
    people::check(&root, &config);
    authority::check(&root, &config);
    chains::check(&root, &config);
    connectors::check(&root, &config);
    issuer::check(&root, &config);
    sockets::check(&root, &config);
    grant::check_narrowing(&root, &config);
    reach::check(&root, &config);
    config
}

/// The accounts and roles that the tree names, by the tables alone.
fn declared(tree: &Table) -> BTreeMap<&str, BTreeSet<&str>> {
    tree.tables_below("account")
        .map(|(alias, account)| (alias, role_names(account)))
        .collect()
}

/// Whether some listener serves the API through which connectors are made.
fn makes_roles(tree: &Table) -> bool {
    let listeners = tree.get("listener").map(|entry| &entry.value.data);
    let Some(Data::List(listeners)) = listeners else {
        return false;
    };
    let serves = |listener: &Value| {
        let Data::Table(listener) = &listener.data else {
            return false;
        };
        let apis = listener.get("apis").map(|entry| &entry.value.data);
        if let Some(Data::List(apis)) = apis {
            return apis.iter().any(|api| is_connectors(&api.data));
        }
        apis.is_some_and(is_connectors)
    };
    listeners.iter().any(serves)
}

fn is_connectors(api: &Data) -> bool {
    matches!(api, Data::Text(name) if name == "connectors")
}

fn role_names(account: &Table) -> BTreeSet<&str> {
    account.tables_below("role").map(|(name, _)| name).collect()
}
