//! Whether what a program of this host sends to SDKs' addresses arrives here: it is sent.
//!
//! Only to addresses that are on an interface of this host, or that `rolecall redirect` leads to a
//! port of it for this user: nothing leaves the host.

use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use nix::unistd::Uid;

use super::finding::Finding;
use super::scene::Scene;
use crate::cli::elsewhere::WELL_KNOWN;
use crate::cli::listening::{Listening, connections};
use crate::cli::tool;

/// How long this host may take to accept a connection of its own.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) fn look(scene: &Scene) -> Vec<Finding> {
    let rules = redirections(scene);
    let here = |ip: &IpAddr| scene.interfaces.iter().any(|(_, held)| held == ip);
    let is_own = |ip: IpAddr| ip.is_loopback() || here(&ip);
    let led = |ip: &IpAddr| rules.lines().any(|rule| leads(rule, *ip, &is_own));
    let mut found: Vec<Finding> = WELL_KNOWN
        .iter()
        .filter(|ip| led(ip) || here(ip))
        .map(|ip| sent_to(*ip))
        .collect();
    found.extend(astray(scene, &|ip| led(&ip) || here(&ip)));
    if found.is_empty() {
        let none = "none of the addresses that SDKs ask leads to this host for this user";
        found.push(Finding::ok(none));
    }
    found
}

/// The table of `rolecall redirect`, if it is for this user.
fn redirections(scene: &Scene) -> String {
    if !scene.is_root {
        return String::new();
    }
    let table = ["--numeric", "list", "table", "inet", "rolecall"];
    let rules = tool::run("nft", &table, "").unwrap_or_default();
    let own = format!("meta skuid {} return", Uid::effective());
    let excepted = |line: &str| line.trim() == own || line.trim().starts_with("socket cgroupv2");
    if rules.lines().any(excepted) {
        return String::new();
    }
    rules
}

/// Whether a rule leads what is sent to this address to a port of this host.
fn leads(rule: &str, ip: IpAddr, is_own: &dyn Fn(IpAddr) -> bool) -> bool {
    let Some((about, does)) = rule.split_once(" tcp dport 80 ") else {
        return false;
    };
    let mut words = about.split([' ', ',', '{', '}']);
    let stays = match does.strip_prefix("dnat ") {
        Some(dnat) => {
            let to = dnat.rsplit(' ').next().map(str::parse::<SocketAddr>);
            matches!(to, Some(Ok(to)) if is_own(to.ip()))
        }
        None => does.starts_with("redirect to "),
    };
    stays && words.any(|word| word.parse() == Ok(ip))
}

fn sent_to(ip: IpAddr) -> Finding {
    let address = SocketAddr::new(ip, 80);
    if !has_route(ip) {
        let lost = Finding::fault(format!("no route leads to {ip}"));
        let means = "programs that ask there are refused before any rule sees it";
        // Without a source of its own an IPv4 packet would have 0.0.0.0, to which nobody answers.
        let source = if ip.is_ipv4() { " src 127.0.0.1" } else { "" };
        let mend = format!("ip route add {ip} dev lo{source}");
        return lost.means(means).mend(mend);
    }
    match TcpStream::connect_timeout(&address, PATIENCE) {
        Ok(stream) => {
            let own = stream.local_addr().ok();
            let at = own.and_then(|own| connections().into_iter().find(|it| it.remote == own));
            match at {
                Some(at) => Finding::ok(format!("what is sent to {ip} arrives at {}", at.local)),
                None => Finding::fault(format!("what is sent to {ip} arrives at another host"))
                    .means("a rule or a route goes before this host's own")
                    .mend("`rolecall redirect show`, `ip route get`, `nft list ruleset`"),
            }
        }
        Err(error) => {
            let refused = error.kind() == ErrorKind::ConnectionRefused;
            let why = if refused {
                "nobody listens"
            } else {
                "nobody answers"
            };
            Finding::fault(format!("what is sent to {ip} is lost: {why} where it arrives"))
                .means("programs that ask there get no credentials")
                .mend("start the daemon with a listener where the address or the rule leads: both families")
        }
    }
}

/// The kernel looks for a route when a datagram socket is connected; nothing is sent.
fn has_route(ip: IpAddr) -> bool {
    let any = match ip {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let connected = UdpSocket::bind((any, 0)).and_then(|socket| socket.connect((ip, 80)));
    connected.is_ok()
}

/// Connections to SDKs' addresses that are open with somebody else, where new ones lead here.
fn astray(scene: &Scene, is_here: &dyn Fn(IpAddr) -> bool) -> Vec<Finding> {
    let all = connections();
    let to_sdks = all.iter().filter(|it| {
        let ip = it.remote.ip().to_canonical();
        it.remote.port() == 80 && WELL_KNOWN.contains(&ip) && is_here(ip)
    });
    let lost = to_sdks.filter(|it| {
        let arrived = all.iter().any(|other| other.remote == it.local);
        let ours = scene
            .status
            .as_ref()
            .is_ok_and(|status| Listening::of(it).is_held_by(status.pid) == Some(true));
        !arrived && !ours
    });
    let told = lost.map(|it| {
        let who = Listening::of(it).holder();
        let kept = format!(
            "{who} has a connection to {} that does not lead here",
            it.remote
        );
        Finding::warning(kept)
            .means("it was made before the address or the rule, and stays with another service")
            .mend(format!(
                "restart that program, or end it: ss --kill dst {}",
                it.remote.ip()
            ))
    });
    told.collect()
}

/// Whether the kernel does without IPv6 on loopback.
pub(super) fn is_without_ipv6() -> bool {
    fs::read_to_string("/proc/sys/net/ipv6/conf/lo/disable_ipv6")
        .map_or(true, |disabled| disabled.trim() == "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_the_table_are_read() {
        let [imds, ecs, eks, imds_ipv6, _] = WELL_KNOWN;
        let leads = |rule: &str, ip| leads(rule, ip, &|own: IpAddr| own == eks);
        let both = "\t\tip daddr { 169.254.170.2, 169.254.170.23 } tcp dport 80 redirect to :8170";
        assert!(leads(both, ecs) && leads(both, eks) && !leads(both, imds));
        let one = "\t\tip6 daddr fd00:ec2::254 tcp dport 80 redirect to :1338";
        assert!(leads(one, imds_ipv6) && !leads(one, imds));
        let own = "\t\tip daddr 169.254.169.254 tcp dport 80 dnat ip to 169.254.170.23:8169";
        assert!(leads(own, imds) && !leads(own, ecs));
        let away = "\t\tip daddr 169.254.169.254 tcp dport 80 dnat ip to 10.1.2.3:80";
        assert!(!leads(away, imds));
    }
}
