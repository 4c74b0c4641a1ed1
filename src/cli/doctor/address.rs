//! Whether the addresses that are served are this host's own, and nobody else's.

use std::fs;
use std::net::{IpAddr, SocketAddr};

use super::arrival::is_without_ipv6;
use super::finding::Finding;
use super::scene::{Scene, Served};
use crate::cli::elsewhere::{self, WELL_KNOWN};
use crate::config::{Api, Bind};

pub(super) fn look(scene: &Scene) -> Vec<Finding> {
    let mut ips: Vec<IpAddr> = scene.served().iter().map(ip).collect();
    ips.extend(scene.configured().iter().map(ip));
    ips.retain(|ip| !ip.is_unspecified());
    ips.sort_unstable();
    ips.dedup();
    let mut found: Vec<Finding> = ips.iter().map(|ip| own(scene, *ip)).collect();
    found.extend(everywhere(scene));
    if !ips.iter().any(|ip| WELL_KNOWN.contains(ip)) {
        found.push(Finding::ok(
            "none of the addresses is served that SDKs ask by themselves: programs are told where \
             to ask, or redirected",
        ));
    }
    found.extend(ips.iter().filter_map(|ip| shadowed(*ip)));
    found.extend(others(scene, &ips));
    found
}

fn ip(served: &Served) -> IpAddr {
    served.address.ip().to_canonical()
}

/// Whether an address that is served is on an interface of this host.
fn own(scene: &Scene, ip: IpAddr) -> Finding {
    if ip.is_loopback() {
        return Finding::ok(format!("{ip} is this host's alone"));
    }
    let held = scene.interfaces.iter().find(|(_, held)| *held == ip);
    let Some((interface, _)) = held else {
        let absent = Finding::fault(format!("{ip} is on no interface of this host"));
        if ip.is_ipv6() && is_without_ipv6() {
            let off = absent.means("this host does without IPv6");
            return off.mend("take it out of `bind`, or sysctl -w net.ipv6.conf.lo.disable_ipv6=0");
        }
        let means = "programs of this host that ask there reach nobody, or another machine";
        return absent.means(means).mend(mend_for(ip));
    };
    if WELL_KNOWN.contains(&ip)
        && fs::exists(format!("/sys/class/net/{interface}/device")).is_ok_and(|it| it)
    {
        let near = Finding::warning(format!("{ip} is on {interface}, a network card"));
        let means = "other machines of that network can send requests there; they are refused";
        return near.means(means).mend(format!(
            "ip address del {ip} dev {interface}, and add it to lo"
        ));
    }
    Finding::ok(format!("{ip} is on {interface}"))
}

/// Credentials that are offered at every address of the host.
fn everywhere(scene: &Scene) -> Option<Finding> {
    let (config, _) = scene.config.as_ref().ok()?;
    let vends = |api: &Api| matches!(api, Api::Imds | Api::Container);
    let mut listeners = config
        .listeners
        .iter()
        .filter(|it| it.apis.iter().any(vends));
    let open = |bind: &Bind| matches!(bind, Bind::Tcp(address) if address.ip().is_unspecified());
    let listener = listeners.find(|listener| listener.binds.iter().any(open))?;
    let wide = format!(
        "listener {} hands out credentials at every address of this host",
        listener.name
    );
    let means =
        "other machines can connect to it; they are refused, which is all that stands between";
    let mend = "bind 127.0.0.1, or an address that SDKs ask";
    Some(Finding::warning(wide).means(means).mend(mend))
}

fn mend_for(ip: IpAddr) -> String {
    let bits = if ip.is_ipv4() { 32 } else { 128 };
    let by_hand = format!("ip address add {ip}/{bits} dev lo");
    if WELL_KNOWN.contains(&ip) {
        return format!("{by_hand}, or at each boot: systemctl enable --now rolecall-addresses");
    }
    by_hand
}

/// Whether an address that is served is another metadata service's, which this host no longer reaches.
fn shadowed(ip: IpAddr) -> Option<Finding> {
    let routed = elsewhere::routed_by(ip).filter(|_| WELL_KNOWN.contains(&ip));
    let whose = match elsewhere::cloud().filter(|_| elsewhere::is_metadata(ip)) {
        Some(cloud) => format!("{cloud} serves it to this instance"),
        None => format!("a route leads to it through {}", routed?),
    };
    let doubled = Finding::warning(format!("{ip} is served here, and {whose}"));
    let means = "this host's programs and agents no longer reach that metadata service";
    let mend = "serve a loopback address, and set AWS_EC2_METADATA_SERVICE_ENDPOINT to it or \
                `rolecall redirect add`, with the exceptions that need the other";
    Some(doubled.means(means).mend(mend))
}

/// Who else takes what SDKs send to their addresses.
fn others(scene: &Scene, own: &[IpAddr]) -> Vec<Finding> {
    let foreign = scene.listening.iter().filter(|listening| {
        let ip = listening.address.ip().to_canonical();
        listening.address.port() == 80 && WELL_KNOWN.contains(&ip) && !own.contains(&ip)
    });
    let told = foreign.map(|listening| {
        let is_systemds = matches!(listening.process(), Some((1, _)));
        if is_systemds && scene.status.is_err() {
            waiting(listening.address)
        } else {
            other(listening.address, &listening.holder())
        }
    });
    told.collect()
}

fn other(address: SocketAddr, holder: &str) -> Finding {
    let other = Finding::warning(format!("{address} is served by {holder}"));
    let means = "SDKs that are not told otherwise get their credentials there";
    other
        .means(means)
        .mend("stop it, or serve that address with rolecall")
}

/// A socket unit's, whose service cannot be asked: most likely the daemon's own.
fn waiting(address: SocketAddr) -> Finding {
    let held = format!("{address} is held by systemd for a service that has not taken it");
    let means = "who asks there waits; if the socket is rolecall's own, for the daemon to start";
    Finding::unseen(held)
        .means(means)
        .mend("`systemctl list-sockets` tells whose it is")
}
