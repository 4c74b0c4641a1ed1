//! Why the daemon cannot have a socket: who has it, and what to do.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use super::elsewhere::{self, WELL_KNOWN};
use super::failure::Failure;
use super::listening::{self, Listening, listening};
use crate::app::Refused;
use crate::interfaces::interfaces;

/// The same failure, with what a look at this host tells of it.
pub(super) fn explained(failure: Failure, refused: Refused<'_>) -> Failure {
    match refused {
        Refused::Missing(address) => failure.remedy(mend_missing(address)),
        Refused::Taken(address) => {
            let (holder, mend) = match address.strip_prefix("unix:") {
                Some(path) => of_unix(Path::new(path)),
                None => of_tcp(address),
            };
            let why = failure.reason().unwrap_or_default();
            let why = format!("{why}\n{holder}");
            failure.why(why).remedy(mend)
        }
    }
}

fn mend_missing(address: &str) -> String {
    let ip = address.parse().map(|address: SocketAddr| address.ip());
    match ip {
        Ok(ip) if WELL_KNOWN.contains(&ip) => format!(
            "put it on lo: `rolecall addresses add {ip}`, or rolecall-addresses.service at each boot; \
             or listen on loopback and lead there what is sent to it: `rolecall redirect add`"
        ),
        Ok(_) | Err(_) => {
            "give it to an interface, start after the network that has it, or listen \
                           on 127.0.0.1"
                .to_owned()
        }
    }
}

/// Who serves a unix socket, and what to do.
fn of_unix(path: &Path) -> (String, String) {
    let Ok(server) = listening::server(path) else {
        return (UNSEEN.to_owned(), STOP_IT.to_owned());
    };
    let pid = u32::try_from(server.pid()).unwrap_or_default();
    let name = listening::name_of(pid);
    let holder = format!("{} serves it", listening::told(&name, pid, server.uid()));
    let mend = if pid == 1 {
        SOCKET_UNIT
    } else {
        "stop it (`systemctl stop rolecall`), or choose another path: [admin] socket, [[listener]] bind"
    };
    (holder, mend.to_owned())
}

/// Who has a port, and what to do.
fn of_tcp(address: &str) -> (String, String) {
    let found = address.parse().ok().and_then(|wanted: SocketAddr| {
        let mut all = listening().into_iter();
        Some((wanted, all.find(|held| held.keeps_from(wanted))?))
    });
    let Some((wanted, held)) = found else {
        return (UNSEEN.to_owned(), STOP_IT.to_owned());
    };
    let service = reachable(&held, wanted).and_then(service);
    let service = service.map_or_else(String::new, |service| format!(", and is {service}"));
    let mend = match held.process() {
        Some((1, _)) => SOCKET_UNIT,
        Some(_) => STOP_IT,
        None => NAME_IT,
    };
    (
        format!("{} has {}{service}", held.holder(), held.address),
        mend.to_owned(),
    )
}

const UNSEEN: &str = "who has it cannot be seen from here; root sees more";
/// Who is confined sees no other process's sockets.
const NAME_IT: &str = "`sudo rolecall doctor` names the process: stop it, or choose another address or \
                       port: [[listener]] bind";
const STOP_IT: &str = "stop it, or choose another address or port: [[listener]] bind";
/// The service manager has it for a service that it starts.
const SOCKET_UNIT: &str = "a socket unit has it (`systemctl list-sockets`): stop that unit, or take its \
                           socket by the name that it gives: bind = \"passed:NAME\"";

/// Where it can be asked without a packet that leaves this host.
fn reachable(held: &Listening, wanted: SocketAddr) -> Option<SocketAddr> {
    let ip = match (held.address.ip(), wanted.ip()) {
        (ip, wanted) if ip.is_unspecified() && wanted.is_unspecified() => loopback(wanted),
        (ip, wanted) if ip.is_unspecified() => wanted,
        (ip, _) => ip,
    };
    let interfaces = interfaces().unwrap_or_default();
    let own = interfaces.iter().any(|(_, own)| *own == ip);
    (ip.is_loopback() || own).then(|| SocketAddr::new(ip, held.address.port()))
}

fn loopback(family: IpAddr) -> IpAddr {
    match family {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    }
}

/// What it says of itself, where it is a metadata service.
fn service(address: SocketAddr) -> Option<String> {
    if !elsewhere::issues_tokens(address) {
        return None;
    }
    let named = elsewhere::answers(address)?;
    Some(format!("an instance metadata service: {named}"))
}
