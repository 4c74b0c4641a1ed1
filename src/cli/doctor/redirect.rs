//! Whether what SDKs send to their addresses is redirected, and to whom.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::finding::Finding;
use super::rules::{Does, Hook, Rule, list};
use super::scene::{Scene, Served};

/// Where the kernel says of each interface whether loopback addresses may be reached through it.
const INTERFACES: &str = "/proc/sys/net/ipv4/conf";

pub(super) fn look(scene: &Scene) -> Vec<Finding> {
    if !scene.is_root {
        let hidden = Finding::unseen("only root may read the firewall's rules");
        return vec![hidden.mend("ask again with sudo")];
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let rules = match runtime {
        Ok(runtime) => runtime.block_on(list()),
        Err(error) => Err(error.to_string()),
    };
    match rules {
        Ok(rules) => judge(&rules, &scene.served(), &loopback_routers()),
        Err(why) => vec![Finding::unseen("the firewall's rules cannot be read").means(why)],
    }
}

/// Interfaces through which loopback addresses may be reached.
fn loopback_routers() -> Vec<String> {
    let Ok(interfaces) = fs::read_dir(INTERFACES) else {
        return Vec::new();
    };
    let routing = interfaces.filter_map(Result::ok).filter(|interface| {
        let setting = fs::read_to_string(interface.path().join("route_localnet"));
        setting.is_ok_and(|setting| setting.trim() == "1")
    });
    let names = routing.filter_map(|interface| interface.file_name().into_string().ok());
    // What `default` says holds for interfaces that come later.
    let mut names: Vec<String> = names
        .filter(|name| name != "lo" && name != "default")
        .collect();
    names.sort_unstable();
    names
}

fn judge(rules: &[Rule], served: &[Served], routers: &[String]) -> Vec<Finding> {
    let mut found: Vec<Finding> = rules
        .iter()
        .map(|rule| of_rule(rule, served, routers))
        .collect();
    if rules.is_empty() {
        found.push(Finding::ok(
            "no firewall rule is about the addresses that SDKs ask",
        ));
    }
    let to_loopback = rules
        .iter()
        .any(|rule| matches!(rule.does, Does::Dnat(ip, _) if ip.is_loopback()));
    if !routers.is_empty() && !to_loopback {
        let open = Finding::warning(format!(
            "loopback addresses can be reached through {}",
            routers.join(", ")
        ));
        let means = "other machines of those networks reach what listens on 127.0.0.1 only";
        found.push(open.means(means).mend(format!(
            "sysctl -w {}",
            routers
                .iter()
                .map(|name| format!("net.ipv4.conf.{name}.route_localnet=0"))
                .collect::<Vec<_>>()
                .join(" ")
        )));
    }
    found
}

fn of_rule(rule: &Rule, served: &[Served], routers: &[String]) -> Finding {
    let (address, delete) = (rule.address, format!("delete the rule: {}", rule.text));
    let (ip, port) = match rule.does {
        Does::Block if matches!(rule.hook, Hook::Output | Hook::Input) => {
            let blocked = Finding::warning(format!("a firewall rule blocks {address}"));
            let means = "programs of this host that ask there get no answer";
            return blocked.means(means).mend(delete);
        }
        Does::Block => {
            return Finding::ok(format!("a firewall rule keeps some packets from {address}"));
        }
        Does::Other => {
            let unclear = Finding::warning(format!("a firewall rule is about {address}"));
            return unclear.means(format!("what becomes of it cannot be told: {}", rule.text));
        }
        Does::Dnat(ip, port) => (ip, port),
        Does::Redirect(port) => (own(rule.hook, address), port),
    };
    let to = match port {
        Some(port) if ip.is_unspecified() => format!("port {port} of whom it came to"),
        Some(port) => format!("{ip}, port {port}"),
        None => ip.to_string(),
    };
    if !served.iter().any(|it| reaches(ip, port.unwrap_or(80), it)) {
        let lost = Finding::fault(format!(
            "{address} is redirected to {to}, where no listener is"
        ));
        let means = "what SDKs send there reaches nobody, or another agent";
        return lost.means(means).mend(delete);
    }
    if rule.hook == Hook::Prerouting && ip.is_loopback() && ip.is_ipv4() && routers.is_empty() {
        let lost = Finding::fault(format!(
            "{address} is redirected to {to}, but no interface routes loopback addresses"
        ));
        let means = "the kernel drops what containers send there";
        let mend = "sysctl -w net.ipv4.conf.INTERFACE.route_localnet=1, for the containers' bridge";
        return lost.means(means).mend(mend);
    }
    Finding::ok(format!("{address} is redirected to {to}"))
}

/// Where REDIRECT leads: the address of the interface that a packet came by.
const fn own(hook: Hook, asked: IpAddr) -> IpAddr {
    match (hook, asked) {
        (Hook::Output, IpAddr::V4(_)) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        (Hook::Output, IpAddr::V6(_)) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        (Hook::Prerouting | Hook::Input | Hook::Other, _) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    }
}

/// Whether what is sent there reaches this socket. Any address but loopback stands for the one of
/// some interface.
fn reaches(ip: IpAddr, port: u16, served: &Served) -> bool {
    let own = served.address.ip();
    let same = own == ip || own.is_unspecified() || (ip.is_unspecified() && !own.is_loopback());
    served.address.port() == port && same
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    fn level(hook: Hook, does: Does, served: &str, routers: &[&str]) -> Level {
        let rule = Rule {
            address: "169.254.169.254".parse().unwrap(),
            hook,
            does,
            text: "x".to_owned(),
        };
        let served = Served {
            listener: "metadata".to_owned(),
            address: served.parse().unwrap(),
        };
        let routers: Vec<String> = routers.iter().map(|name| (*name).to_owned()).collect();
        let found = judge(&[rule], &[served], &routers);
        found.iter().map(|finding| finding.level).max().unwrap()
    }

    #[test]
    fn a_redirection_must_lead_to_a_listener() {
        let to = |ip: &str, port| Does::Dnat(ip.parse().unwrap(), Some(port));
        let loopback = || to("127.0.0.1", 1338);
        for (hook, does, served, routers, expected) in [
            (
                Hook::Output,
                loopback(),
                "127.0.0.1:1338",
                &[][..],
                Level::Ok,
            ),
            (
                Hook::Output,
                loopback(),
                "127.0.0.1:1339",
                &[],
                Level::Fault,
            ),
            (Hook::Output, loopback(), "0.0.0.0:1338", &[], Level::Ok),
            (
                Hook::Prerouting,
                loopback(),
                "127.0.0.1:1338",
                &[],
                Level::Fault,
            ),
            (
                Hook::Prerouting,
                loopback(),
                "127.0.0.1:1338",
                &["docker0"],
                Level::Ok,
            ),
            (
                Hook::Prerouting,
                to("10.1.2.3", 8181),
                "127.0.0.1:1338",
                &[],
                Level::Fault,
            ),
            (
                Hook::Output,
                Does::Redirect(Some(1338)),
                "127.0.0.1:1338",
                &[],
                Level::Ok,
            ),
            (
                Hook::Prerouting,
                Does::Redirect(Some(1338)),
                "127.0.0.1:1338",
                &[],
                Level::Fault,
            ),
            (
                Hook::Prerouting,
                Does::Redirect(Some(1338)),
                "172.17.0.1:1338",
                &[],
                Level::Ok,
            ),
            (
                Hook::Output,
                Does::Block,
                "127.0.0.1:1338",
                &[],
                Level::Warning,
            ),
            (Hook::Other, Does::Block, "127.0.0.1:1338", &[], Level::Ok),
            (
                Hook::Output,
                Does::Other,
                "127.0.0.1:1338",
                &[],
                Level::Warning,
            ),
        ] {
            assert_eq!(
                level(hook, does, served, routers),
                expected,
                "{hook:?} {does:?} {served}"
            );
        }
    }

    #[test]
    fn loopback_that_others_reach_is_a_warning() {
        let routers = ["eth0".to_owned()];
        let found = judge(&[], &[], &routers);
        assert_eq!(found[1].level, Level::Warning);
        let mend = found[1].mend.as_deref();
        assert_eq!(mend, Some("sysctl -w net.ipv4.conf.eth0.route_localnet=0"));
        assert_eq!(judge(&[], &[], &[]).len(), 1);
    }
}
