//! How far answers go.
//!
//! No privilege is needed to tell: this end has the kernel drop what has less life left than one hop
//! too many would need, and sees whether the answer is dropped.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _};
use std::time::Duration;

use super::finding::{Check, Finding, Found};
use super::scene::{LIST, Scene};
use super::wire::{Connection, PATIENCE, Rest};

const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(super) const HOPS: Check = Check {
    name: "hop limit",
    asks: "answers arrive with a life (IP TTL) of one hop (--hop-limit), so that no router passes them \
           on",
    why: "a container, a VPN or a misrouted packet carries credentials to another machine",
    mend: "set IP_TTL on the listening socket; EC2's own setting is the instance's hop limit",
    source: "EC2's default is 1, rolesanywhere-credential-helper's 64; no other peer sets it",
    look: hops,
};

fn hops(scene: &Scene) -> Found {
    let limit = scene.hop_limit;
    let mut connection = scene.open()?;
    demand_life(&connection, limit + 1)
        .map_err(|error| Finding::untold(format!("this kernel does not tell: {error}")))?;
    let untold = || Finding::untold("this kernel does not count what it drops");
    let before = dropped().ok_or_else(untold)?;
    connection.send(&scene.get(LIST).bytes())?;
    let looks = PATIENCE.as_millis() / LOOK_EVERY.as_millis();
    for _ in 0..looks {
        match connection.rest(LOOK_EVERY) {
            Rest::Bytes => {
                let what = format!("answers have life for more than {limit}");
                return Err(Finding::fault(what));
            }
            Rest::Closed => return Err(Finding::untold("the connection was closed")),
            Rest::Silence if dropped().ok_or_else(untold)? > before => {
                return Ok(format!("they have life for {limit}"));
            }
            Rest::Silence => {}
        }
    }
    Err(Finding::untold("no answer came, and none was dropped"))
}

/// Has the kernel drop what arrives with less life than this.
fn demand_life(connection: &Connection, life: u8) -> io::Result<()> {
    let descriptor = connection.as_fd().as_raw_fd();
    let (level, option) = if connection.is_ipv6() {
        (libc::IPPROTO_IPV6, libc::IPV6_MINHOPCOUNT)
    } else {
        (libc::IPPROTO_IP, libc::IP_MINTTL)
    };
    let life = libc::c_int::from(life);
    let length = libc::socklen_t::try_from(size_of_val(&life)).unwrap_or_default();
    #[expect(unsafe_code, reason = "nix has neither option")]
    // SAFETY: the descriptor is open, and the pointer is to a c_int that outlives the call and
    // has the length that is given.
    let set =
        unsafe { libc::setsockopt(descriptor, level, option, (&raw const life).cast(), length) };
    if set == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// How many packets this network namespace has dropped for want of life.
fn dropped() -> Option<u64> {
    count_in(&fs::read_to_string("/proc/net/netstat").ok()?)
}

fn count_in(netstat: &str) -> Option<u64> {
    let mut lines = netstat.lines().filter(|line| line.starts_with("TcpExt:"));
    let (names, counts) = (lines.next()?, lines.next()?);
    let mut counted = names.split(' ').zip(counts.split(' '));
    let (_, count) = counted.find(|(name, _)| *name == "TCPMinTTLDrop")?;
    count.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_count_is_found_by_its_name() {
        let netstat = "TcpExt: A TCPMinTTLDrop B\nTcpExt: 1 27 3\nIpExt: A\nIpExt: 4\n";
        assert_eq!(count_in(netstat), Some(27));
        assert_eq!(count_in("TcpExt: A\nTcpExt: 1\n"), None);
        assert_eq!(count_in(""), None);
    }
}
