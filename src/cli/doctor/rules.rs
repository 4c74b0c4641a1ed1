//! Firewall rules about the addresses that SDKs ask, as nft and iptables write them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use tokio::process::Command;
use tokio::time::timeout;

use crate::cli::elsewhere::WELL_KNOWN;
use crate::cli::tool;

/// How long a tool may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What lists rules, with its arguments.
const TOOLS: [(&str, &[&str]); 3] = [
    ("nft", &["list", "ruleset"]),
    ("iptables-save", &[]),
    ("ip6tables-save", &[]),
];

/// A rule about an address that SDKs ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// The first of those that it is about.
    pub(super) address: IpAddr,
    /// Where in a packet's way.
    pub(super) hook: Hook,
    pub(super) does: Does,
    /// As the tool wrote it.
    pub(super) text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hook {
    /// From elsewhere, containers among them.
    Prerouting,
    /// From this host's own processes.
    Output,
    /// To this host.
    Input,
    /// Another, or a chain that others lead to.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Does {
    /// Sends it to another address, or another port of it.
    Dnat(IpAddr, Option<u16>),
    /// Sends it to this host itself.
    Redirect(Option<u16>),
    /// Drops or refuses it.
    Block,
    /// Something else.
    Other,
}

/// All such rules; what could not be asked otherwise. Only root may.
pub(super) async fn list() -> Result<Vec<Rule>, String> {
    let mut rules: Vec<Rule> = Vec::new();
    let mut asked = false;
    for (tool, arguments) in TOOLS {
        let Some(text) = run(tool, arguments).await? else {
            continue;
        };
        asked = true;
        let found = if tool == "nft" {
            of_nft(&text)
        } else {
            of_iptables(&text)
        };
        for rule in found {
            // nft shows what iptables made, too.
            let same = |known: &Rule| (known.address, known.does) == (rule.address, rule.does);
            if !rules.iter().any(same) {
                rules.push(rule);
            }
        }
    }
    if asked {
        Ok(rules)
    } else {
        Err("neither nft nor iptables-save is installed".to_owned())
    }
}

async fn run(tool: &str, arguments: &[&str]) -> Result<Option<String>, String> {
    let Some(path) = tool::find(tool) else {
        return Ok(None);
    };
    let mut command = Command::new(path);
    command.args(arguments).env_clear().kill_on_drop(true);
    let output = timeout(PATIENCE, command.output()).await;
    let output = output.map_err(|_elapsed| format!("{tool} does not end"))?;
    let output = output.map_err(|error| format!("{tool}: {error}"))?;
    if output.status.success() {
        return Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()));
    }
    let told = String::from_utf8_lossy(&output.stderr);
    let told = told.lines().next().unwrap_or("it failed");
    Err(format!("{tool}: {told}"))
}

/// A rule a line, in chains that say their hook first.
fn of_nft(text: &str) -> Vec<Rule> {
    let mut hook = Hook::Other;
    let mut rules = Vec::new();
    for line in text.lines().map(str::trim) {
        let words = words(line);
        match words.as_slice() {
            ["chain", ..] => hook = Hook::Other,
            ["type", rest @ ..] => hook = after(rest, "hook").map_or(Hook::Other, Hook::of),
            words => rules.extend(destination(words, "daddr").map(|address| Rule {
                address,
                hook,
                does: does_in_nft(words),
                text: line.to_owned(),
            })),
        }
    }
    rules
}

/// A rule a line: `-A CHAIN … -j TARGET …`.
fn of_iptables(text: &str) -> Vec<Rule> {
    let rules = text.lines().filter_map(|line| {
        let words = words(line);
        let ["-A", chain, ..] = words.as_slice() else {
            return None;
        };
        Some(Rule {
            address: destination(&words, "-d")?,
            hook: Hook::of(chain),
            does: does_in_iptables(&words),
            text: line.to_owned(),
        })
    });
    rules.collect()
}

fn words(line: &str) -> Vec<&str> {
    let words = line.split(|c: char| c.is_whitespace() || matches!(c, ',' | '{' | '}' | ';'));
    words.filter(|word| !word.is_empty()).collect()
}

fn after<'a>(words: &[&'a str], word: &str) -> Option<&'a str> {
    let at = words.iter().position(|known| *known == word)?;
    words.get(at + 1).copied()
}

/// The first of the addresses that SDKs ask for which a rule's destination stands.
fn destination(words: &[&str], key: &str) -> Option<IpAddr> {
    let at = words.iter().position(|word| *word == key)?;
    if at > 0 && words.get(at - 1) == Some(&"!") {
        return None;
    }
    let nets = words.iter().skip(at + 1).map_while(|word| {
        let net = word.parse::<IpNet>().ok();
        net.or_else(|| word.parse::<IpAddr>().ok().map(IpNet::from))
    });
    // What is about everything is about none in particular.
    let mut nets = nets.filter(|net| net.prefix_len() >= 8);
    nets.find_map(|net| WELL_KNOWN.into_iter().find(|address| net.contains(address)))
}

fn does_in_nft(words: &[&str]) -> Does {
    if words.contains(&"dnat") {
        return after(words, "to").map_or(Does::Other, dnat);
    }
    if words.contains(&"redirect") {
        let port = after(words, "to").and_then(|to| to.trim_start_matches(':').parse().ok());
        return Does::Redirect(port);
    }
    if words.contains(&"drop") || words.contains(&"reject") {
        return Does::Block;
    }
    Does::Other
}

fn does_in_iptables(words: &[&str]) -> Does {
    match after(words, "-j") {
        Some("DNAT") => after(words, "--to-destination").map_or(Does::Other, dnat),
        Some("REDIRECT") => {
            let port = after(words, "--to-ports").and_then(|port| port.parse().ok());
            Does::Redirect(port)
        }
        Some("DROP" | "REJECT") => Does::Block,
        Some(_) | None => Does::Other,
    }
}

fn dnat(to: &str) -> Does {
    if let Ok(socket) = to.parse::<SocketAddr>() {
        return Does::Dnat(socket.ip(), Some(socket.port()));
    }
    to.parse().map_or(Does::Other, |ip| Does::Dnat(ip, None))
}

impl Hook {
    fn of(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "prerouting" => Self::Prerouting,
            "output" => Self::Output,
            "input" => Self::Input,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NFT: &str = r"
table ip nat {
	chain pre {
		type nat hook prerouting priority dstnat; policy accept;
		ip daddr { 169.254.169.254, 10.0.0.1 } tcp dport 80 counter packets 0 bytes 0 dnat to 127.0.0.1:1338
		ip daddr != 169.254.169.254 drop
		ip saddr 169.254.169.254 drop
	}
	chain out {
		type nat hook output priority -100;
		ip daddr 169.254.170.2 tcp dport 80 redirect to :8170
	}
	chain other {
		ip daddr 0.0.0.0/0 drop
		ip daddr 169.254.0.0/16 reject with icmp type port-unreachable
	}
}
";

    const IPTABLES: &str = "
*nat
:PREROUTING ACCEPT [0:0]
-A PREROUTING -d 169.254.169.254/32 -i docker0 -p tcp -j DNAT --to-destination 10.1.2.3:8181
-A PREROUTING ! -d 169.254.169.254/32 -j ACCEPT
-A OUTPUT -d 169.254.169.254/32 -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 1338
-A DOCKER-USER -d 169.254.169.254/32 -j DROP
-A OUTPUT -d 169.254.169.254/32 -j KUBE
COMMIT
";

    fn told(rules: Vec<Rule>) -> Vec<(String, Hook, Does)> {
        let rules = rules.into_iter();
        rules
            .map(|rule| (rule.address.to_string(), rule.hook, rule.does))
            .collect()
    }

    #[test]
    fn rules_of_both_tools_are_read() {
        let imds = || "169.254.169.254".to_owned();
        let to = |ip: &str, port| Does::Dnat(ip.parse().unwrap(), Some(port));
        assert_eq!(
            told(of_nft(NFT)),
            [
                (imds(), Hook::Prerouting, to("127.0.0.1", 1338)),
                (
                    "169.254.170.2".to_owned(),
                    Hook::Output,
                    Does::Redirect(Some(8170))
                ),
                (imds(), Hook::Other, Does::Block),
            ]
        );
        assert_eq!(
            told(of_iptables(IPTABLES)),
            [
                (imds(), Hook::Prerouting, to("10.1.2.3", 8181)),
                (imds(), Hook::Output, Does::Redirect(Some(1338))),
                (imds(), Hook::Other, Does::Block),
                (imds(), Hook::Output, Does::Other),
            ]
        );
    }
}
