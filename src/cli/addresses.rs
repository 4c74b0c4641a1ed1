//! `rolecall addresses`: the addresses that SDKs ask, on this host.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::thread;

use clap::{Args, Subcommand};

use super::elsewhere::{self, WELL_KNOWN};
use super::failure::{Exit, Failure};
use super::output::{print, table};
use super::tool;
use crate::interfaces::interfaces;

/// The interface that is this host's alone.
const LOOPBACK: &str = "lo";

/// Give this host the addresses that SDKs ask by themselves, and take them away
///
/// 169.254.169.254 and fd00:ec2::254 (instance metadata), 169.254.170.2 (ECS), 169.254.170.23 and
/// fd00:ec2::23 (EKS Pod Identity), on the interface lo. rolecall-addresses.service does it at each
/// boot.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Show(Show),
    Add(Add),
    Remove(Remove),
}

/// Show where the addresses are, and whose they are otherwise
#[derive(Debug, Args)]
struct Show {}

/// Put addresses on lo; those that are there stay
///
/// All of them or none. It refuses an address that another interface has, to which a route of its
/// own leads off the host, at which something else answers, or which a cloud serves to its instances:
/// the programs of this host would no longer reach that. It asks port 80 of the addresses to find out.
#[derive(Debug, Args)]
struct Add {
    /// The addresses [default: all five; without IPv6 the three of IPv4]
    #[arg(value_name = "ADDRESS")]
    addresses: Vec<IpAddr>,
    /// Even if it is another service's, which this host then no longer reaches
    #[arg(long)]
    over_others: bool,
}

/// Take addresses off lo; those that are not there stay away
#[derive(Debug, Args)]
struct Remove {
    /// The addresses [default: all five]
    #[arg(value_name = "ADDRESS")]
    addresses: Vec<IpAddr>,
}

impl Options {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self.what {
            What::Show(Show {}) => show(),
            What::Add(add) => add.run(),
            What::Remove(remove) => remove.run(),
        }
    }
}

impl Add {
    fn run(self) -> Result<(), Failure> {
        let wanted = wanted(&self.addresses)?;
        let has_ipv6 = has_ipv6();
        let asked_for = !self.addresses.is_empty();
        let possible = wanted
            .into_iter()
            .filter(|ip| ip.is_ipv4() || has_ipv6 || asked_for);
        let missing: Vec<IpAddr> = possible.filter(|ip| !is_on_loopback(*ip)).collect();
        if !self.over_others {
            refuse(&missing)?;
        }
        let commands = commands("replace", &missing);
        let Err(failure) = tool::run("ip", &["-batch", "-"], &commands) else {
            let told = missing.iter().map(|ip| format!("{ip} is on lo now\n"));
            return print(&told.collect::<String>());
        };
        // What was put there before it failed does not stay.
        take_away(&missing)?;
        Err(failure.remedy("`rolecall addresses add` is for root"))
    }
}

impl Remove {
    fn run(&self) -> Result<(), Failure> {
        take_away(&wanted(&self.addresses)?)
    }
}

fn show() -> Result<(), Failure> {
    let held = interfaces().unwrap_or_default();
    let rows: Vec<Vec<String>> = WELL_KNOWN
        .iter()
        .map(|ip| {
            let on = held.iter().find(|(_, held)| held == ip);
            let on = on.map_or("-", |(interface, _)| interface.as_str());
            let others = of_others(*ip).unwrap_or_default();
            vec![ip.to_string(), on.to_owned(), others]
        })
        .collect();
    print(&table(&["ADDRESS", "ON", "OTHERWISE"], &rows))
}

/// Addresses that SDKs ask; others are nobody's business here.
fn wanted(named: &[IpAddr]) -> Result<Vec<IpAddr>, Failure> {
    if let Some(other) = named.iter().find(|ip| !WELL_KNOWN.contains(ip)) {
        let other = format!("{other} is not an address that SDKs ask by themselves");
        let all: Vec<String> = WELL_KNOWN.iter().map(IpAddr::to_string).collect();
        return Err(Failure::new(Exit::Usage, other).remedy(format!("one of {}", all.join(", "))));
    }
    Ok(if named.is_empty() {
        WELL_KNOWN.to_vec()
    } else {
        named.to_vec()
    })
}

fn is_on_loopback(ip: IpAddr) -> bool {
    let mut held = interfaces().unwrap_or_default().into_iter();
    held.any(|(interface, held)| interface == LOOPBACK && held == ip)
}

fn has_ipv6() -> bool {
    let disabled = fs::read_to_string("/proc/sys/net/ipv6/conf/lo/disable_ipv6");
    disabled.is_ok_and(|disabled| disabled.trim() == "0")
}

/// Refuses addresses that are another's, all of them at once.
fn refuse(wanted: &[IpAddr]) -> Result<(), Failure> {
    let others: Vec<String> = thread::scope(|scope| {
        let asked: Vec<_> = wanted
            .iter()
            .map(|ip| scope.spawn(|| of_others(*ip).or_else(|| answered(*ip))))
            .collect();
        let told = asked.into_iter().zip(wanted);
        told.filter_map(|(one, ip)| Some(format!("{ip}: {}", one.join().ok()??)))
            .collect()
    });
    if others.is_empty() {
        return Ok(());
    }
    let shadowed = "addresses are another service's, and nothing was added";
    Err(Failure::new(Exit::No, shadowed)
        .why(others.join("\n"))
        .remedy(
            "name the addresses that are wanted, redirect to a port of loopback (`rolecall redirect`), \
             or take them all the same (--over-others)",
        ))
}

/// What is known of others who have it, without asking anybody.
fn of_others(ip: IpAddr) -> Option<String> {
    let held = interfaces().unwrap_or_default().into_iter();
    let mut elsewhere = held.filter(|(interface, held)| interface != LOOPBACK && *held == ip);
    if let Some((interface, _)) = elsewhere.next() {
        return Some(format!("{interface} has it"));
    }
    if let Some(interface) = elsewhere::routed_by(ip) {
        return Some(format!("a route leads to it through {interface}"));
    }
    let cloud = elsewhere::cloud().filter(|_| elsewhere::is_metadata(ip));
    cloud.map(|cloud| format!("{cloud} serves it to its instances, of which this host is one"))
}

fn answered(ip: IpAddr) -> Option<String> {
    let who = elsewhere::answers(SocketAddr::new(ip, 80));
    who.map(|who| format!("{who} answers there"))
}

fn take_away(addresses: &[IpAddr]) -> Result<(), Failure> {
    let held: Vec<IpAddr> = addresses
        .iter()
        .copied()
        .filter(|ip| is_on_loopback(*ip))
        .collect();
    tool::run("ip", &["-batch", "-"], &commands("del", &held)).map(drop)
}

/// A line each for `ip -batch`. None of them becomes the source of what this host sends elsewhere.
fn commands(verb: &str, addresses: &[IpAddr]) -> String {
    let lines = addresses.iter().map(|ip| {
        let (bits, kept) = match ip {
            IpAddr::V4(_) => (32, " scope host"),
            IpAddr::V6(_) => (128, " nodad preferred_lft 0"),
        };
        let kept = if verb == "del" { "" } else { kept };
        format!("address {verb} {ip}/{bits} dev {LOOPBACK}{kept}\n")
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_becomes_a_source() {
        let [v4, .., v6] = WELL_KNOWN;
        assert_eq!(
            commands("replace", &[v4, v6]),
            "address replace 169.254.169.254/32 dev lo scope host\n\
             address replace fd00:ec2::23/128 dev lo nodad preferred_lft 0\n"
        );
        assert_eq!(
            commands("del", &[v6]),
            "address del fd00:ec2::23/128 dev lo\n"
        );
    }

    #[test]
    fn only_addresses_that_sdks_ask_are_taken() {
        assert_eq!(wanted(&[]).unwrap().len(), 5);
        assert!(wanted(&["127.0.0.1".parse().unwrap()]).is_err());
    }
}
