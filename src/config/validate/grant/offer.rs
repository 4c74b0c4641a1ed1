//! What the rest of the file lets grants know of a caller: a key that nothing there can prove never
//! matches.

use std::collections::BTreeSet;

use crate::config::suggest;
use crate::config::validate::reader::Reader;
use crate::grants::{ContainerWhen, When};

/// APIs in which a request proves a name.
const PEOPLES: [&str; 4] = ["accounts", "connectors", "keystone", "sts"];

/// What the rest of the file offers.
#[derive(Debug)]
pub(in crate::config::validate) struct Offer<'a> {
    listeners: Vec<&'a str>,
    /// `[runtime]`: a container runtime is asked.
    runtime: bool,
    /// `[[issuer]]`: whose tokens are verified.
    issuers: Vec<&'a str>,
    /// What is served at all.
    apis: BTreeSet<&'a str>,
    /// `peers`: other hosts are let in.
    others: bool,
}

impl<'a> Offer<'a> {
    pub(in crate::config::validate) fn of(root: &Reader<'a>) -> Self {
        let listeners = root.tables("listener");
        let names = listeners.iter().filter_map(|one| one.text("name"));
        let apis = listeners.iter().flat_map(|one| one.texts("apis"));
        let issuers = root.tables("issuer");
        let urls = issuers.iter().filter_map(|one| one.text("url"));
        Self {
            listeners: names.map(|spot| spot.value).collect(),
            runtime: root.own("runtime").is_some(),
            issuers: urls.map(|spot| spot.value).collect(),
            apis: apis.map(|spot| spot.value).collect(),
            others: listeners.iter().any(|one| one.own("peers").is_some()),
        }
    }

    /// The names of the listeners.
    pub(super) fn listeners(&self) -> &[&'a str] {
        &self.listeners
    }

    /// Warns of keys that nothing can prove.
    pub(super) fn check(&self, keys: &Reader<'_>, when: &When) {
        // What a file offers that could not be read is not known.
        if keys.context().incomplete {
            return;
        }
        self.check_runtime(keys, when);
        self.check_issuer(keys);
        self.check_pod(keys);
        if when.principal.is_some() && !PEOPLES.iter().any(|api| self.apis.contains(api)) {
            never(
                keys,
                "principal",
                "no listener serves an API that proves one",
            );
        }
        let of_sts = [
            ("external-id", when.external_id.is_some()),
            ("mfa", when.mfa == Some(true)),
            ("source-identity", when.source_identity.is_some()),
        ];
        for (key, _) in of_sts.iter().filter(|(_, said)| *said) {
            if !self.apis.contains("sts") {
                never(
                    keys,
                    key,
                    "no listener serves `sts`, whose requests tell it",
                );
            }
        }
        // Containers on a bridge have an address of their own.
        let several = self.others || self.runtime;
        for key in ["address", "host"] {
            if let Some(at) = keys.own(key).filter(|_| !several) {
                let message =
                    format!("`{key}` tells nobody apart: no listener lets other hosts in");
                keys.problems().warning(&at, message);
            }
        }
    }

    fn check_issuer(&self, keys: &Reader<'_>) {
        let Some(token) = keys.table("token") else {
            return;
        };
        if self.issuers.is_empty() {
            never(keys, "token", "no `[[issuer]]` verifies any");
            return;
        }
        for spot in token.texts("issuer") {
            if !spot.value.contains('*') && !self.issuers.contains(&spot.value) {
                let message = format!("no `[[issuer]]` has the URL `{}`", spot.value);
                let urls = self.issuers.iter().copied();
                keys.problems()
                    .warning(&spot.at, message)
                    .hint(suggest::hint(spot.value, urls));
            }
        }
    }

    /// Two clusters may have the same namespace, with the same service accounts in it.
    fn check_pod(&self, keys: &Reader<'_>) {
        let token = keys.table("token");
        let told = token.is_some_and(|token| token.own("issuer").is_some());
        let Some(at) = keys.own("pod").filter(|_| self.issuers.len() > 1 && !told) else {
            return;
        };
        let message = "`pod` tells no cluster: pods of all `[[issuer]]`s may have its names";
        let problems = keys.problems();
        // Pods that the runtime tells show no token.
        let problem = if self.runtime {
            problems.warning(&at, message)
        } else {
            problems.error(&at, message)
        };
        problem.hint("name the `token.issuer` beside it");
    }

    fn check_runtime(&self, keys: &Reader<'_>, when: &When) {
        let facts = matches!(when.container, Some(ContainerWhen::Facts(_)));
        if let Some(container) = keys.table("container").filter(|_| facts && !self.runtime) {
            for key in container.keys().filter(|key| *key != "id") {
                never(&container, key, "without `[runtime]` nothing tells it");
            }
        }
        let Some(pod) = keys.table("pod").filter(|_| self.issuers.is_empty()) else {
            return;
        };
        if !self.runtime {
            let why = "without `[[issuer]]` or `[runtime]` nothing tells it";
            never(keys, "pod", why);
        } else if pod.own("service-account").is_some() {
            let why = "without `[[issuer]]` nothing tells it";
            never(&pod, "service-account", why);
        }
    }
}

fn never(keys: &Reader<'_>, key: &str, why: &str) {
    let message = format!("this grant can never match by `{key}`: {why}");
    keys.problems().warning(&keys.place(key), message);
}
