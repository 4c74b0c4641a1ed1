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
use std::collections::BTreeMap;
use std::sync::Arc;

use super::problem::Problems;
use super::raw::{Data, PartId, Tree};
use super::surroundings::Surroundings;
use super::{Account, Config, Origin};
pub use connectors::id_of_role;
use context::Context;
pub use policy::compact as compact_policy;
use reader::Reader;

/// Validates a tree that the walker has seen. `incomplete` says that a file of it is missing, so
/// that what it declares is not known.
pub(super) fn validate(
    tree: &Tree<'_>,
    origin: Origin,
    incomplete: bool,
    surroundings: &Surroundings,
    problems: &Problems,
) -> Config {
    let cx = Context {
        problems,
        surroundings,
        tree,
        makes_roles: makes_roles(tree),
        incomplete,
        has_people: tree.get(tree.keys(PartId::default()), "people").is_some(),
    };
    let root = Reader::root(&cx);
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

/// Whether some listener serves the API through which connectors are made.
fn makes_roles(tree: &Tree<'_>) -> bool {
    let value = |table: PartId, key: &str| Some(tree.data(tree.get(tree.keys(table), key)?));
    let is_connectors = |api: &Data<'_>| matches!(api, Data::Text(name) if name == "connectors");
    let Some(Data::List(listeners)) = value(PartId::default(), "listener") else {
        return false;
    };
    listeners
        .iter()
        .any(|listener| match value(*listener, "apis") {
            Some(Data::List(apis)) => apis.iter().any(|api| is_connectors(tree.data(*api))),
            Some(api) => is_connectors(api),
            None => false,
        })
}
