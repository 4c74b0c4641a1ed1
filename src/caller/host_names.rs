//! The names of peers' addresses, by reverse DNS that forward DNS confirms.
//!
//! Whoever holds an address writes its reverse zone, so a name counts only where it resolves back
//! to that very address: that is the word of the name's own zone. Names that any neighbour can
//! claim for itself, by multicast DNS or LLMNR, are none: those are single words and `.local`.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dns_lookup::{LookupError, LookupErrorKind};

use super::identity::{Caller, Reach};
use crate::clock::Clock;
use crate::grants::{Known, Place};
use crate::lookups::{Bounds, Lookups};

/// How long a caller waits for its name; the look-up goes on.
const PATIENCE: Duration = Duration::from_secs(1);
/// A resolver may hang: each look-up has a thread of its own.
const BOUNDS: Bounds = Bounds {
    at_once: 4,
    open: 64,
    remembered: 4096,
};
/// How long a name is believed: who moves a name to another machine waits no longer.
const NAME_AGE: Duration = Duration::from_mins(1);
/// How long it is believed that there is none.
const NONE_AGE: Duration = Duration::from_secs(30);
/// How long a resolver that failed is left alone.
const FAILURE_AGE: Duration = Duration::from_secs(5);
/// The longest name.
const LONGEST: usize = 253;

/// Asks the name service. It may block.
pub(super) trait Resolver: fmt::Debug + Send + Sync {
    /// The name of the address in the reverse zone, where it has one.
    fn name(&self, address: IpAddr) -> io::Result<Option<String>>;

    /// The addresses of the name, which is whole: nothing is searched for.
    fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// Looks host names up and remembers them.
#[derive(Debug)]
pub(super) struct HostNames {
    resolver: Arc<dyn Resolver>,
    names: Lookups<IpAddr, Known<Arc<str>>>,
}

impl HostNames {
    /// By the system's resolver.
    pub(super) fn new(clock: Clock) -> Self {
        let hosts = PathBuf::from("/etc/hosts");
        Self::with(Arc::new(System { hosts }), clock)
    }

    fn with(resolver: Arc<dyn Resolver>, clock: Clock) -> Self {
        Self {
            resolver,
            names: Lookups::new(clock, BOUNDS),
        }
    }

    /// The confirmed name of this address. [`Known::NotYet`] where the resolver fails or is late:
    /// it may say more to the next request.
    pub(super) async fn look_up(&self, address: IpAddr) -> Known<Arc<str>> {
        let address = address.to_canonical();
        if has_none(address) {
            return Known::No;
        }
        let resolver = Arc::clone(&self.resolver);
        let look = async move {
            let asked = tokio::task::spawn_blocking(move || confirmed(&*resolver, address));
            let asked = asked.await.map_err(io::Error::other);
            match asked.and_then(|answer| answer) {
                Ok(Some(name)) => (Known::Yes(name), NAME_AGE),
                Ok(None) => (Known::No, NONE_AGE),
                Err(error) => {
                    tracing::warn!(%address, %error, "a caller's host name could not be looked up");
                    (Known::NotYet, FAILURE_AGE)
                }
            }
        };
        let name = self.names.get(address, PATIENCE, look).await;
        name.unwrap_or(Known::NotYet)
    }
}

/// The address whose name is the caller's, who has been placed. A container on this host, or what
/// is forwarded for one, connects from an address that is not its own.
pub(super) fn address_of_its_own(caller: &Caller) -> Option<IpAddr> {
    let facts = caller.facts();
    let is_own = match (&facts.place, caller.reach()) {
        (Known::Yes(place), _) => matches!(**place, Place::Host(_)) && facts.uid.yes().is_some(),
        (Known::No, Reach::Elsewhere) => true,
        (Known::No, Reach::Here) | (Known::NotYet, _) => false,
    };
    caller.address().filter(|_| is_own)
}

/// Whether the address is one that every host has, or that means another host on every link.
fn has_none(address: IpAddr) -> bool {
    let is_link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    address.is_loopback() || is_link_local
}

/// The name of the address, if it resolves to the address.
fn confirmed(resolver: &dyn Resolver, address: IpAddr) -> io::Result<Option<Arc<str>>> {
    let Some(told) = resolver.name(address)? else {
        return Ok(None);
    };
    let Some(name) = host_name(&told) else {
        tracing::debug!(%address, name = told, "a reverse zone names what is no host's name");
        return Ok(None);
    };
    let addresses = resolver.addresses(&name)?;
    let is_confirmed = addresses
        .iter()
        .any(|known| known.to_canonical() == address);
    if !is_confirmed {
        tracing::debug!(%address, name, "a reverse zone names a host that has not this address");
    }
    Ok(is_confirmed.then(|| Arc::from(name)))
}

/// The name in lower case and without a dot at its end, if it is one that not any neighbour can
/// claim: two labels at least, not below `.local`.
fn host_name(told: &str) -> Option<String> {
    let name = told.strip_suffix('.').unwrap_or(told).to_ascii_lowercase();
    let labels: Vec<&str> = name.split('.').collect();
    let [.., _, last] = labels.as_slice() else {
        return None;
    };
    // A number at the end makes an address of it.
    let claimed =
        matches!(*last, "local" | "localhost") || last.bytes().all(|b| b.is_ascii_digit());
    let is_name = name.len() <= LONGEST && labels.iter().all(|label| is_label(label));
    (is_name && !claimed).then_some(name)
}

fn is_label(label: &str) -> bool {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    (1..=63).contains(&label.len()) && label.bytes().all(known)
}

/// The system's resolver: name services as `nsswitch.conf` has them.
#[derive(Debug)]
struct System {
    hosts: PathBuf,
}

impl Resolver for System {
    fn name(&self, address: IpAddr) -> io::Result<Option<String>> {
        answered(dns_lookup::lookup_addr(&address))
    }

    fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        // The dot at its end keeps the resolver from trying the name below its search domains,
        // where somebody else may have registered it. The hosts file is read for names without it.
        let found = dns_lookup::lookup_host(&format!("{name}."));
        let hosts = std::fs::read_to_string(&self.hosts).unwrap_or_default();
        let mut addresses = hosts_addresses(&hosts, name);
        match answered(found) {
            Ok(found) => addresses.extend(found.into_iter().flatten()),
            Err(error) if addresses.is_empty() => return Err(error),
            Err(_) => {}
        }
        Ok(addresses)
    }
}

/// What the name service says, where it says something for certain.
fn answered<T>(answer: Result<T, LookupError>) -> io::Result<Option<T>> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) => match error.kind() {
            LookupErrorKind::NoName | LookupErrorKind::NoData => Ok(None),
            LookupErrorKind::Again
            | LookupErrorKind::Badflags
            | LookupErrorKind::Fail
            | LookupErrorKind::Family
            | LookupErrorKind::Socktype
            | LookupErrorKind::Service
            | LookupErrorKind::Memory
            | LookupErrorKind::System
            | LookupErrorKind::Unknown
            | LookupErrorKind::IO => Err(error.into()),
        },
    }
}

/// The addresses of a name in the text of a hosts file: `address name name … # comment`.
fn hosts_addresses(hosts: &str, name: &str) -> Vec<IpAddr> {
    let of_line = |line: &str| {
        let (entry, _comment) = line.split_once('#').unwrap_or((line, ""));
        let mut words = entry.split_ascii_whitespace();
        let address = words.next()?.parse().ok()?;
        words
            .any(|known| known.eq_ignore_ascii_case(name))
            .then_some(address)
    };
    hosts.lines().filter_map(of_line).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::super::evidence::{Doubt, Evidence};
    use super::super::places::Whereabouts;
    use super::*;
    use crate::grants::{ContainerId, ContainerPlace};

    /// A name service of a test: names by address, addresses by name; what is in neither fails.
    #[derive(Debug, Default)]
    struct Script {
        names: HashMap<IpAddr, Option<&'static str>>,
        addresses: HashMap<&'static str, Vec<IpAddr>>,
        asked: Mutex<Vec<String>>,
        /// Names of addresses that are not there come when somebody says so.
        hangs: Option<Mutex<Receiver<()>>>,
    }

    impl Resolver for Script {
        fn name(&self, address: IpAddr) -> io::Result<Option<String>> {
            self.asked.lock().unwrap().push(address.to_string());
            if let (None, Some(hangs)) = (self.names.get(&address), &self.hangs) {
                hangs.lock().unwrap().recv().unwrap();
            }
            let name = self.names.get(&address).ok_or(io::ErrorKind::TimedOut)?;
            Ok(name.map(str::to_owned))
        }

        fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
            self.asked.lock().unwrap().push(name.to_owned());
            let addresses = self.addresses.get(name).ok_or(io::ErrorKind::TimedOut)?;
            Ok(addresses.clone())
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn script() -> Script {
        let names = [
            ("192.0.2.1", Some("TuvFoo42.valid.")),
            ("192.0.2.2", Some("tuvfoo42.valid")),
            ("192.0.2.3", None),
            ("192.0.2.4", Some("gone.valid")),
            ("192.0.2.5", Some("alone")),
            ("192.0.2.6", Some("neighbour.local")),
            ("192.0.2.7", Some("192.0.2.7")),
            ("2001:db8::1", Some("six.valid")),
        ];
        let here = vec![ip("192.0.2.1"), ip("::ffff:192.0.2.9")];
        Script {
            names: names.map(|(address, name)| (ip(address), name)).into(),
            addresses: [
                ("tuvfoo42.valid", here),
                ("six.valid", vec![ip("192.0.2.1"), ip("2001:db8::1")]),
                ("gone.valid", vec![]),
            ]
            .into(),
            ..Script::default()
        }
    }

    fn host_names(script: Script) -> (HostNames, Arc<Script>) {
        let script = Arc::new(script);
        let resolver = Arc::<Script>::clone(&script);
        (HostNames::with(resolver, Clock::System), script)
    }

    #[tokio::test]
    async fn a_name_counts_where_it_resolves_back_to_the_address() {
        let (names, script) = host_names(script());
        for address in ["::ffff:192.0.2.1", "192.0.2.1"] {
            let found = names.look_up(ip(address)).await;
            assert_eq!(found, Known::Yes(Arc::from("tuvfoo42.valid")));
        }
        assert_eq!(
            *script.asked.lock().unwrap(),
            ["192.0.2.1", "tuvfoo42.valid"]
        );
        let six = names.look_up(ip("2001:db8::1")).await;
        assert_eq!(six, Known::Yes(Arc::from("six.valid")));
        for address in ["192.0.2.2", "192.0.2.3", "192.0.2.4"] {
            assert_eq!(names.look_up(ip(address)).await, Known::No, "{address}");
        }
    }

    #[tokio::test]
    async fn names_that_any_neighbour_can_claim_are_none() {
        let (names, script) = host_names(script());
        for address in ["192.0.2.5", "192.0.2.6", "192.0.2.7"] {
            assert_eq!(names.look_up(ip(address)).await, Known::No, "{address}");
        }
        assert_eq!(script.asked.lock().unwrap().len(), 3);
        for name in [
            "a..b",
            "a b.c",
            "a.b/c",
            "ä.b",
            "",
            ".",
            "a.*",
            "x.localhost",
        ] {
            assert_eq!(host_name(name), None, "{name}");
        }
        assert_eq!(host_name(&format!("{}.b", "a".repeat(64))), None);
        assert_eq!(host_name(&"a.".repeat(150)), None);
    }

    #[tokio::test]
    async fn loopback_and_the_link_have_no_names_and_nobody_is_asked() {
        let (names, script) = host_names(script());
        for address in [
            "127.0.0.1",
            "::1",
            "::ffff:127.1.2.3",
            "169.254.169.254",
            "fe80::1",
        ] {
            assert_eq!(names.look_up(ip(address)).await, Known::No, "{address}");
        }
        assert_eq!(script.asked.lock().unwrap().len(), 0);
    }

    #[tokio::test]
    async fn a_failure_is_not_known_yet_and_is_remembered() {
        let mut failing = script();
        failing.names.insert(ip("192.0.2.8"), Some("fails.valid"));
        let (names, script) = host_names(failing);
        for address in ["192.0.2.8", "192.0.2.10"] {
            for _ in 0..2 {
                assert_eq!(names.look_up(ip(address)).await, Known::NotYet, "{address}");
            }
        }
        let asked = script.asked.lock().unwrap();
        assert_eq!(*asked, ["192.0.2.8", "fails.valid", "192.0.2.10"]);
    }

    #[tokio::test]
    async fn a_resolver_that_hangs_holds_up_nobody_else() {
        let (go_on, hangs): (Sender<()>, _) = channel();
        let (names, script) = host_names(Script {
            hangs: Some(Mutex::new(hangs)),
            ..script()
        });
        let hanging = names.look_up(ip("192.0.2.10"));
        let again = names.look_up(ip("192.0.2.10"));
        let other = async {
            let found = names.look_up(ip("192.0.2.1")).await;
            go_on.send(()).unwrap();
            found
        };
        let (hanging, again, other) = tokio::join!(hanging, again, other);
        assert_eq!((hanging, again), (Known::NotYet, Known::NotYet));
        assert_eq!(other, Known::Yes(Arc::from("tuvfoo42.valid")));
        let asked = script.asked.lock().unwrap();
        assert_eq!(asked.iter().filter(|text| *text == "192.0.2.10").count(), 1);
    }

    #[test]
    fn only_who_connects_from_an_address_of_its_own_has_its_name() {
        let in_container = Place::Container(ContainerPlace {
            id: ContainerId::new("3f4a"),
            owner: None,
        });
        let mut contained = Whereabouts::UNKNOWN;
        contained.place = Known::Yes(Arc::new(in_container));
        let mut forwarded = Whereabouts::on_the_host();
        forwarded.forwards = true;
        let socket = || Evidence::SockDiag {
            uid: 7,
            inode: 1,
            cgroup: None,
            redirected_from: None,
        };
        let nobody = || Evidence::None(Doubt::NoSocket);
        let own = Some("192.0.2.1");
        for (evidence, reach, whereabouts, address) in [
            (socket(), Reach::Here, Some(Whereabouts::on_the_host()), own),
            (socket(), Reach::Here, Some(contained.clone()), None),
            (socket(), Reach::Here, Some(forwarded), None),
            (socket(), Reach::Here, Some(Whereabouts::UNKNOWN), None),
            (socket(), Reach::Here, None, None),
            (nobody(), Reach::Here, Some(Whereabouts::UNKNOWN), None),
            (nobody(), Reach::Elsewhere, Some(contained), None),
            (nobody(), Reach::Elsewhere, Some(Whereabouts::UNKNOWN), own),
        ] {
            let case = format!("{evidence} {reach:?} {whereabouts:?}");
            let peer = "[::ffff:192.0.2.1]:5000".parse().unwrap();
            let caller = Caller::new(
                evidence,
                Some(peer),
                reach,
                None,
                Arc::from("here"),
                &Arc::default(),
            );
            if let Some(whereabouts) = whereabouts {
                caller.whereabouts.set(Arc::new(whereabouts)).unwrap();
            }
            assert_eq!(address_of_its_own(&caller), address.map(ip), "{case}");
        }
    }

    #[test]
    fn a_hosts_file_has_addresses_of_whole_names() {
        let hosts = "127.0.0.1 localhost\n192.0.2.1\tWeb.valid  web # db.valid\n\n#192.0.2.2 web\n\
                     2001:db8::1 web.valid\nnonsense web.valid\n";
        assert_eq!(
            hosts_addresses(hosts, "web.valid"),
            [ip("192.0.2.1"), ip("2001:db8::1")]
        );
        assert!(hosts_addresses(hosts, "db.valid").is_empty());
        assert!(hosts_addresses("", "web").is_empty());
    }
}
