//! From what the unit tells to what grants may ask: bounded, and never cut.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use crate::grants::{ContainerFacts, ContainerId, ContainerWhen, Grant, Pod};
use crate::runtime::wire::{Inspected, PodName};

/// The most that is kept of one container, in bytes.
const MAX_FACTS: usize = 1024;

/// What grants ask of containers beside the name, the image and the pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// The labels that some grant names.
    pub labels: BTreeSet<Arc<str>>,
}

/// What the unit told of one container.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) facts: Arc<ContainerFacts>,
    pub(super) addresses: Vec<IpAddr>,
}

/// Why what a runtime tells is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unusable {
    #[error("it is of another container")]
    Other,
    #[error("its names hold control characters")]
    Unprintable,
    #[error("what grants may ask of it is longer than {MAX_FACTS} bytes")]
    TooLong,
}

impl Interest {
    /// What these grants ask.
    pub fn of(grants: &[Arc<Grant>]) -> Self {
        let facts = grants
            .iter()
            .filter_map(|grant| match &grant.when.container {
                Some(ContainerWhen::Facts(facts)) => Some(facts),
                Some(ContainerWhen::Any) | None => None,
            });
        let labels = facts.flat_map(|facts| &facts.labels);
        Self {
            labels: labels.map(|(name, _)| Arc::clone(name)).collect(),
        }
    }

    /// What is kept of this answer to a question for this id and owner.
    pub(super) fn keep(&self, told: Inspected, id: &str, owner: u32) -> Result<Told, Unusable> {
        if told.id != id || told.owner != owner {
            return Err(Unusable::Other);
        }
        let labels = told.labels.into_iter();
        let labels = labels.filter_map(|(name, value)| {
            let name = self.labels.get(name.as_str())?;
            Some((Arc::clone(name), Arc::from(value)))
        });
        let facts = ContainerFacts {
            id: ContainerId::new(&told.id),
            owner,
            runtime: Arc::from(told.runtime),
            name: filled(told.name),
            image: filled(told.image),
            labels: labels.collect(),
            pod: told.pod.map(pod),
        };
        let texts = || names(&facts).into_iter().flatten();
        if texts().any(|text| text.chars().any(char::is_control)) {
            return Err(Unusable::Unprintable);
        }
        let length = texts().map(str::len).sum::<usize>() + labels_length(&facts.labels);
        if length > MAX_FACTS {
            return Err(Unusable::TooLong);
        }
        let addresses = told.addresses.iter().map(IpAddr::to_canonical);
        Ok(Told {
            facts: Arc::new(facts),
            addresses: addresses.collect(),
        })
    }
}

fn filled(text: String) -> Option<Arc<str>> {
    (!text.is_empty()).then(|| Arc::from(text))
}

fn pod(pod: PodName) -> Pod {
    Pod {
        namespace: Arc::from(pod.namespace),
        name: filled(pod.name),
        service_account: None,
    }
}

/// What stands in logs, in the audit trail and in names of sessions.
fn names(facts: &ContainerFacts) -> [Option<&str>; 6] {
    let pod = facts.pod.as_ref();
    [
        Some(facts.id.as_str()),
        Some(&facts.runtime),
        facts.name.as_deref(),
        facts.image.as_deref(),
        pod.map(|pod| &*pod.namespace),
        pod.and_then(|pod| pod.name.as_deref()),
    ]
}

fn labels_length(labels: &BTreeMap<Arc<str>, Arc<str>>) -> usize {
    let lengths = labels.iter().map(|(name, value)| name.len() + value.len());
    lengths.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::wire::Kind;

    fn inspected(labels: &[(&str, &str)]) -> Inspected {
        let labels = labels.iter();
        Inspected {
            id: "a".repeat(64),
            owner: 0,
            runtime: "docker".to_owned(),
            kind: Kind::Container,
            name: "web".to_owned(),
            image: "nginx:1".to_owned(),
            labels: labels
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            pod: None,
            started_at: "now".to_owned(),
            addresses: vec!["::ffff:10.0.0.1".parse().unwrap()],
            shares: None,
            host_network: false,
            pid: None,
            cgroup: None,
        }
    }

    fn keep(told: Inspected) -> Result<Told, Unusable> {
        let labels = ["team", "stage"].into_iter().map(Arc::from).collect();
        Interest { labels }.keep(told, &"a".repeat(64), 0)
    }

    #[test]
    fn only_what_grants_may_ask_is_kept() {
        let long = "x".repeat(100_000);
        let told = keep(inspected(&[("team", "build"), ("other", &long)])).unwrap();
        let labels: Vec<_> = told.facts.labels.iter().collect();
        assert_eq!(labels, [(&Arc::from("team"), &Arc::from("build"))]);
        assert_eq!(told.facts.name.as_deref(), Some("web"));
        assert_eq!(told.addresses, ["10.0.0.1".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn what_is_too_long_is_not_cut_but_not_believed() {
        let fits = "x".repeat(MAX_FACTS - 64 - "dockerwebnginx:1team".len());
        assert!(keep(inspected(&[("team", &fits)])).is_ok());
        let told = keep(inspected(&[("team", &format!("{fits}x"))]));
        assert_eq!(told.unwrap_err(), Unusable::TooLong);
    }

    #[test]
    fn what_is_of_another_container_or_unprintable_is_not_believed() {
        let mut other = inspected(&[]);
        other.id = "b".repeat(64);
        assert_eq!(keep(other).unwrap_err(), Unusable::Other);
        let mut users = inspected(&[]);
        users.owner = 1000;
        assert_eq!(keep(users).unwrap_err(), Unusable::Other);
        let mut odd = inspected(&[]);
        odd.name = "web\nrole prod/admin".to_owned();
        assert_eq!(keep(odd).unwrap_err(), Unusable::Unprintable);
    }

    #[test]
    fn a_pod_has_neither_name_nor_image() {
        let mut pod = inspected(&[]);
        pod.name = String::new();
        pod.image = String::new();
        pod.pod = Some(PodName {
            namespace: "shop".to_owned(),
            name: "web-0".to_owned(),
        });
        let told = keep(pod).unwrap();
        assert_eq!((&told.facts.name, &told.facts.image), (&None, &None));
        assert_eq!(&*told.facts.pod.as_ref().unwrap().namespace, "shop");
    }
}
