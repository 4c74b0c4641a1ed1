//! `rolecall redirect`: one nftables table that leads what SDKs send to the daemon's own ports.

use std::fmt::Write as _;
use std::net::SocketAddr;

use clap::{Args, Subcommand};
use nix::unistd::{Uid, User};

use super::failure::{Exit, Failure};
use super::output::print;
use super::tool;

/// Its family and name: the rules stand in no other.
const TABLE: &str = "inet rolecall";

/// Longest path of a control group.
const LONGEST: usize = 1024;

/// Lead what this host's programs send to SDKs' addresses to the daemon, without those addresses
///
/// One nftables table, `inet rolecall`, for IPv4 and IPv6: 169.254.169.254 and fd00:ec2::254 lead
/// to a port of loopback, where a listener with the API `imds` must be; let systemd hold that port, so
/// that nobody else can take it (redirected.conf of the package's examples). The table comes and goes as
/// a whole, and does not outlive the host: rolecall-redirect.service does it at each boot. `doctor` says
/// whether it works.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Show(Show),
    Add(Rules),
    Remove(Remove),
}

/// Print the table as it is in force; exit code 1 if there is none
#[derive(Debug, Args)]
struct Show {}

/// Put the table in place of an older one, at once and as a whole; if that fails, the older one stays
///
/// What the daemon itself sends is never redirected: on a cloud's instance it may take its own
/// credentials from there. Connections that are open already stay as they are: `doctor` names them.
#[derive(Debug, Args)]
struct Rules {
    /// Where what is sent to the metadata addresses goes: a port of 127.0.0.1 and ::1, an ADDRESS:PORT
    /// of this host for what is sent in its family, or `none`
    #[arg(long, value_name = "PORT", default_value = "1338", value_parser = lead)]
    to: Lead,
    /// The same of what is sent to the container credentials addresses: 169.254.170.2,
    /// 169.254.170.23 and fd00:ec2::23
    #[arg(long, value_name = "PORT", default_value = "none", value_parser = lead)]
    container_to: Lead,
    /// Where what containers and pods with networks of their own send to the metadata addresses goes:
    /// an ADDRESS:PORT, or a port of the bridge that they are on
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "none", value_parser = lead)]
    bridged_to: Lead,
    /// The same of what they send to the container credentials addresses
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "none", value_parser = lead)]
    bridged_container_to: Lead,
    /// The daemon's user; `none` where it asks at none of these addresses itself
    #[arg(long, value_name = "USER", default_value = "rolecall", value_parser = daemon)]
    daemon: Daemon,
    /// A user whose programs are left alone, by name or number; may be repeated
    #[arg(long, value_name = "USER", value_parser = user)]
    except_uid: Vec<Uid>,
    /// A control group whose programs are left alone with those of all below it, as `batch.slice`;
    /// may be repeated. It must be there, and stay: one that is made anew is another
    #[arg(long, value_name = "PATH", value_parser = control_group)]
    except_cgroup: Vec<String>,
    /// Print what nft would be told, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Take the table away as a whole; where there is none, nothing happens
#[derive(Debug, Args)]
struct Remove {}

/// Where something goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lead {
    /// Where it would go anyway.
    Nowhere,
    /// To a port of the interface that it comes by; of loopback, what this host sends.
    Port(u16),
    /// What is of the address's family, there.
    To(SocketAddr),
}

/// Whose own questions are left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Daemon {
    User(Uid),
    Nobody,
}

fn lead(text: &str) -> Result<Lead, String> {
    let lead = match (text, text.parse::<u16>(), text.parse::<SocketAddr>()) {
        ("none", ..) => Some(Lead::Nowhere),
        (_, Ok(port), _) if port != 0 => Some(Lead::Port(port)),
        (.., Ok(to)) if to.port() != 0 && !to.ip().is_unspecified() => Some(Lead::To(to)),
        _ => None,
    };
    lead.ok_or_else(|| "a port, an address with a port, or `none`".to_owned())
}

fn daemon(name: &str) -> Result<Daemon, String> {
    if name == "none" {
        return Ok(Daemon::Nobody);
    }
    user(name).map(Daemon::User)
}

impl Lead {
    /// The rules that lead there what is sent to port 80 of these addresses.
    fn rules(self, v4: &str, v6: &str) -> Vec<String> {
        let (v4, v6) = (format!("ip daddr {v4}"), format!("ip6 daddr {v6}"));
        let rule = |daddr: String, does: String| format!("{daddr} tcp dport 80 {does}");
        match self {
            Self::Nowhere => Vec::new(),
            Self::Port(port) => {
                let does = format!("redirect to :{port}");
                vec![rule(v4, does.clone()), rule(v6, does)]
            }
            Self::To(to @ SocketAddr::V4(_)) => vec![rule(v4, format!("dnat ip to {to}"))],
            Self::To(to @ SocketAddr::V6(_)) => vec![rule(v6, format!("dnat ip6 to {to}"))],
        }
    }
}

fn user(name: &str) -> Result<Uid, String> {
    if let Ok(number) = name.parse() {
        return Ok(Uid::from_raw(number));
    }
    let found = User::from_name(name).map_err(|error| error.to_string())?;
    found
        .map(|user| user.uid)
        .ok_or_else(|| "there is no such user".to_owned())
}

/// Below the root of the hierarchy, as /proc/PID/cgroup has it.
fn control_group(path: &str) -> Result<String, String> {
    let path = path.trim_matches('/');
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.:@\\/".contains(c);
    let parts = || path.split('/');
    if path.is_empty() || path.len() > LONGEST || !path.chars().all(is_name) {
        return Err("no path of a control group is like this".to_owned());
    }
    if parts().any(|part| matches!(part, "" | "." | "..")) {
        return Err("write it without `.`, `..` and empty parts".to_owned());
    }
    Ok(path.to_owned())
}

impl Options {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self.what {
            What::Show(Show {}) => show(),
            What::Add(rules) => rules.add(),
            // Adding it first lets this succeed where there is none.
            What::Remove(Remove {}) => nft(&format!("add table {TABLE}\ndelete table {TABLE}\n")),
        }
    }
}

fn show() -> Result<(), Failure> {
    let tables = tool::run("nft", &["list", "tables"], "").map_err(for_root)?;
    if !tables
        .lines()
        .any(|table| table == format!("table {TABLE}"))
    {
        return Err(Failure::new(Exit::No, format!("there is no table {TABLE}"))
            .remedy("add it: `rolecall redirect add`"));
    }
    let mut arguments = vec!["list", "table"];
    arguments.extend(TABLE.split(' '));
    print(&tool::run("nft", &arguments, "").map_err(for_root)?)
}

/// One transaction: all of it, or nothing.
fn nft(commands: &str) -> Result<(), Failure> {
    tool::run("nft", &["--file", "-"], commands)
        .map(drop)
        .map_err(for_root)
}

fn for_root(failure: Failure) -> Failure {
    if Uid::effective().is_root() {
        return failure;
    }
    failure
        .exiting(Exit::Permission)
        .remedy("ask again with sudo")
}

impl Rules {
    fn add(&self) -> Result<(), Failure> {
        if self.daemon == Daemon::User(Uid::from_raw(0)) {
            let root = "a daemon that is root cannot be told from root's other programs";
            return Err(Failure::new(Exit::Usage, root)
                .why("what it sends itself would be redirected to it, or what root sends would not be")
                .remedy("run it as a user of its own, and name that: --daemon USER"));
        }
        let commands = self.commands();
        if self.dry_run {
            return print(&commands);
        }
        nft(&commands)
    }

    /// What nft is told: the table in place of an older one.
    fn commands(&self) -> String {
        let mut output = match self.daemon {
            Daemon::User(uid) => vec![format!("meta skuid {uid} return comment \"the daemon\"")],
            Daemon::Nobody => Vec::new(),
        };
        let left_alone = self.except_uid.iter();
        output.extend(left_alone.map(|uid| format!("meta skuid {uid} return")));
        output.extend(self.except_cgroup.iter().map(|path| {
            let level = path.split('/').count();
            format!("socket cgroupv2 level {level} \"{path}\" return")
        }));
        output.extend(leads(self.to, self.container_to));
        let prerouting = leads(self.bridged_to, self.bridged_container_to);
        let mut commands = format!("add table {TABLE}\ndelete table {TABLE}\ntable {TABLE} {{\n");
        if !prerouting.is_empty() {
            commands.push_str(&chain("prerouting", &prerouting));
        }
        commands.push_str(&chain("output", &output));
        commands.push_str("}\n");
        commands
    }
}

/// The rules for the metadata addresses, then those for the container credentials addresses.
fn leads(metadata: Lead, container: Lead) -> Vec<String> {
    let mut rules = metadata.rules("169.254.169.254", "fd00:ec2::254");
    rules.extend(container.rules("{ 169.254.170.2, 169.254.170.23 }", "fd00:ec2::23"));
    rules
}

/// A chain that is called after its hook.
fn chain(hook: &str, rules: &[String]) -> String {
    let mut chain =
        format!("  chain {hook} {{\n    type nat hook {hook} priority -110; policy accept;\n");
    for rule in rules {
        let _fits = writeln!(chain, "    {rule}");
    }
    chain.push_str("  }\n");
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_come_before_what_they_except() {
        let rules = Rules {
            to: Lead::Port(1338),
            container_to: Lead::Port(8170),
            bridged_to: Lead::Nowhere,
            bridged_container_to: Lead::Nowhere,
            daemon: Daemon::User(Uid::from_raw(991)),
            except_uid: vec![Uid::from_raw(0)],
            except_cgroup: vec!["system.slice/x.service".to_owned()],
            dry_run: true,
        };
        let expected = r#"add table inet rolecall
delete table inet rolecall
table inet rolecall {
  chain output {
    type nat hook output priority -110; policy accept;
    meta skuid 991 return comment "the daemon"
    meta skuid 0 return
    socket cgroupv2 level 2 "system.slice/x.service" return
    ip daddr 169.254.169.254 tcp dport 80 redirect to :1338
    ip6 daddr fd00:ec2::254 tcp dport 80 redirect to :1338
    ip daddr { 169.254.170.2, 169.254.170.23 } tcp dport 80 redirect to :8170
    ip6 daddr fd00:ec2::23 tcp dport 80 redirect to :8170
  }
}
"#;
        assert_eq!(rules.commands(), expected);
    }

    #[test]
    fn systemd_holds_the_ports_that_it_leads_to() {
        #[derive(clap::Parser)]
        struct Command {
            #[command(flatten)]
            rules: Rules,
        }
        let Command { rules } = clap::Parser::parse_from(["add", "--daemon", "991"]);
        for (unit, address) in [
            (
                include_str!("../../systemd/examples/redirected.conf"),
                "127.0.0.1",
            ),
            (
                include_str!("../../systemd/examples/redirected-ipv6.conf"),
                "[::1]",
            ),
        ] {
            let Lead::Port(port) = rules.to else {
                panic!("{rules:?}")
            };
            let listens = format!("\n[Socket]\nListenStream={address}:{port}\n");
            assert!(unit.ends_with(&listens), "{listens}");
            let goes_first = "\nPropagatesStopTo=rolecall-redirect.service\n";
            assert!(unit.contains(goes_first), "{unit}");
        }
    }

    #[test]
    fn an_address_takes_what_is_of_its_family_and_bridges_have_a_chain_of_their_own() {
        let rules = Rules {
            to: Lead::Nowhere,
            container_to: lead("169.254.170.23:8170").unwrap(),
            bridged_to: lead("[fd00::1]:8169").unwrap(),
            bridged_container_to: lead("8170").unwrap(),
            daemon: daemon("none").unwrap(),
            except_uid: Vec::new(),
            except_cgroup: Vec::new(),
            dry_run: true,
        };
        let expected = r"add table inet rolecall
delete table inet rolecall
table inet rolecall {
  chain prerouting {
    type nat hook prerouting priority -110; policy accept;
    ip6 daddr fd00:ec2::254 tcp dport 80 dnat ip6 to [fd00::1]:8169
    ip daddr { 169.254.170.2, 169.254.170.23 } tcp dport 80 redirect to :8170
    ip6 daddr fd00:ec2::23 tcp dport 80 redirect to :8170
  }
  chain output {
    type nat hook output priority -110; policy accept;
    ip daddr { 169.254.170.2, 169.254.170.23 } tcp dport 80 dnat ip to 169.254.170.23:8170
  }
}
";
        assert_eq!(rules.commands(), expected);
        for wrong in [
            "0",
            "65536",
            "127.0.0.1",
            "0.0.0.0:80",
            "127.0.0.1:0",
            "",
            "all",
        ] {
            assert!(lead(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_no_control_group_is_refused() {
        assert_eq!(control_group("/batch.slice/").as_deref(), Ok("batch.slice"));
        assert!(control_group(r"system.slice/a\x2db@1.service").is_ok());
        for wrong in ["", "/", "a//b", "../a", "a\"b", "a b", "a\nb", "a;b"] {
            assert!(control_group(wrong).is_err(), "{wrong:?}");
        }
        assert!(user("no-such-user-here").is_err());
    }
}
