//! The faults that users of such daemons report most, put up for real: `rolecall doctor` finds each
//! and tells its mend. docs/doctor.md has the same table.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Output};

use rolecall::clock::Clock;
use rolecall::listener::Passed;

use crate::doctor::{assert_found, configuration, file, in_namespace, without_daemon};
use crate::support::client::{imds_get, imds_token};
use crate::support::daemon::{TestDaemon, upstream, with_secret};
use crate::support::is_root;
use crate::support::process::{Daemon, rolecall};
use crate::support::sts::{Reply, ScriptedSts};

/// One of them, and how doctor tells it.
struct Reported {
    /// Where it was reported, as far as is known.
    threads: &'static str,
    set_up: fn() -> Output,
    check: &'static str,
    level: &'static str,
    /// What it is, and its mend.
    said: &'static [&'static str],
}

const WHO: &str = concat!(
    "python3 -B ",
    env!("CARGO_MANIFEST_DIR"),
    "/tests/it/network/who.py"
);

const REPORTED: [Reported; 20] = [
    Reported {
        threads: "99designs/aws-vault#338, #490, bpholt/fake-ec2-metadata-service#1",
        set_up: || namespace("169.254.169.254:80", ""),
        check: "address",
        level: "fault",
        said: &["on no interface", "rolecall-addresses"],
    },
    Reported {
        threads: "99designs/aws-vault#345, cloudposse/geodesic#195",
        set_up: taken_port,
        check: "port",
        level: "fault",
        said: &["is taken by", "stop it"],
    },
    Reported {
        threads: "99designs/aws-vault#43, cloudposse/geodesic#223",
        set_up: || {
            let other = "ip address add 169.254.169.254/32 dev lo; WHO serve x 169.254.169.254 80";
            namespace("127.0.0.1:1338", other)
        },
        check: "address",
        level: "warning",
        said: &["169.254.169.254:80 is served by python3", "stop it"],
    },
    Reported {
        threads: "99designs/aws-vault#198, AdRoll/hologram#95, #97",
        set_up: || {
            let open = "ip link add far type veth peer name near\n\
                        sysctl -qw net.ipv4.conf.far.route_localnet=1";
            namespace("127.0.0.1:1338", open)
        },
        check: "redirect",
        level: "warning",
        said: &["can be reached through far", "route_localnet=0"],
    },
    Reported {
        threads: "99designs/aws-vault#1199, #1244",
        set_up: || namespace("0.0.0.0:1338", ""),
        check: "address",
        level: "warning",
        said: &["at every address of this host", "bind 127.0.0.1"],
    },
    Reported {
        threads: "99designs/aws-vault#207, #541",
        set_up: || Daemon::start(&configuration("127.0.0.1:0")).run(&["doctor", "--json"]),
        check: "daemon",
        level: "warning",
        said: &["runs as root", "a user of its own"],
    },
    Reported {
        threads: "jtblin/kube2iam#44, #141, #194, #370",
        set_up: || namespace("127.0.0.1:1338", &nat("output", "dnat to 127.0.0.1:8181")),
        check: "redirect",
        level: "fault",
        said: &["where no listener is", "delete the rule"],
    },
    Reported {
        threads: "lyft/metadataproxy#74",
        set_up: || {
            namespace(
                "127.0.0.1:1338",
                &nat("prerouting", "dnat to 127.0.0.1:1338"),
            )
        },
        check: "redirect",
        level: "fault",
        said: &["no interface routes loopback", "route_localnet=1"],
    },
    Reported {
        threads: "jtblin/kube2iam#308, projectcalico/felix#212",
        set_up: || {
            let drop = "iptables -A OUTPUT -d 169.254.169.254 -j DROP";
            namespace("127.0.0.1:1338", drop)
        },
        check: "redirect",
        level: "warning",
        said: &["blocks 169.254.169.254", "delete the rule"],
    },
    Reported {
        threads: "cloudnativelabs/kube-router#211",
        set_up: || namespace("127.0.0.1:1338", "\"$0\" redirect add --daemon 991"),
        check: "arrival",
        level: "fault",
        said: &[
            "no route leads to 169.254.169.254",
            "ip route add 169.254.169.254 dev lo src 127.0.0.1",
        ],
    },
    Reported {
        threads: "uswitch/kiam#284",
        set_up: || namespace("127.0.0.1:1338", OLD_CONNECTION),
        check: "arrival",
        level: "warning",
        said: &["python3", "that does not lead here", "restart that program"],
    },
    Reported {
        threads: "aws/eks-pod-identity-agent#16",
        set_up: || {
            let off = "sysctl -qw net.ipv6.conf.lo.disable_ipv6=1";
            namespace("[fd00:ec2::23]:80", off)
        },
        check: "address",
        level: "fault",
        said: &["this host does without IPv6", "take it out of `bind`"],
    },
    Reported {
        threads: "aws/eks-pod-identity-agent#64, #72, #77, #92, #97, aws/rolesanywhere-credential-helper#31, #128",
        set_up: || upstream_says(|| Reply::error(400, "Throttling", "Rate exceeded")),
        check: "roles",
        level: "fault",
        said: &["local/demo cannot be had", "a larger quota"],
    },
    Reported {
        threads: "jtblin/kube2iam#142, #169, #231, #235, uswitch/kiam#33",
        set_up: || upstream_says(|| Reply::error(403, "AccessDenied", "not authorized")),
        check: "roles",
        level: "fault",
        said: &["local/demo cannot be had", "trust policy"],
    },
    Reported {
        threads: "aws/eks-pod-identity-agent#90, #101, uswitch/kiam#145, #217, #220, #311, #398",
        set_up: || upstream_says(|| Reply::error(500, "InternalFailure", "later")),
        check: "roles",
        level: "fault",
        said: &["local/demo cannot be had", "the way to upstream"],
    },
    Reported {
        threads: "aws/rolesanywhere-credential-helper#64",
        set_up: || upstream_says(|| Reply::error(400, "ExpiredTokenException", "expired")),
        check: "roles",
        level: "fault",
        said: &[
            "local/demo cannot be had",
            "renew the account's `credentials`",
        ],
    },
    Reported {
        threads: "jtblin/kube2iam#17, #46, #80, #136, #175, #178, #198, #215, #225, #281",
        set_up: || {
            let text = configuration("127.0.0.1:0");
            let (text, _) = text.split_once("[[grant]]").unwrap();
            Daemon::start(text).run(&["doctor", "--json"])
        },
        check: "caller",
        level: "warning",
        said: &["get no role", "rolecall explain"],
    },
    Reported {
        threads: "uswitch/kiam#191, lyft/metadataproxy#94, #95",
        set_up: short_sessions,
        check: "configuration",
        level: "warning",
        said: &["sessions of less than an hour", "an hour, or two and more"],
    },
    Reported {
        threads: "aws/aws-sdk#562, boto/botocore#2515",
        set_up: || {
            let uri = "http://host.docker.internal/creds";
            let folder = file(&configuration("127.0.0.1:0"));
            let mut doctor = without_daemon(&folder);
            doctor
                .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri)
                .output()
                .unwrap()
        },
        check: "environment",
        level: "fault",
        said: &["host.docker.internal", "AWS_EC2_METADATA_SERVICE_ENDPOINT"],
    },
    Reported {
        threads: "lyft/metadataproxy#55, dump247/ec2metaproxy#6, synfinatic/aws-sso-cli#265",
        set_up: without_users,
        check: "look-up",
        level: "fault",
        said: &["nobody can be identified", "remove PrivateUsers="],
    },
];

/// An agent that connected before the rule was there, through a route to another host.
const OLD_CONNECTION: &str = "
mount -t tmpfs tmpfs /run
ip netns add far
ip link add near type veth peer name other netns far
ip address add 10.9.9.2/24 dev near; ip link set near up
ip -n far address add 10.9.9.1/24 dev other; ip -n far link set other up; ip -n far link set lo up
ip -n far address add 169.254.169.254/32 dev lo
ip route add default via 10.9.9.1
ip netns exec far WHO serve real 169.254.169.254 80
WHO keep 169.254.169.254
\"$0\" redirect add --daemon 991";

fn namespace(bind: &str, script: &str) -> Output {
    in_namespace(&file(&configuration(bind)), &script.replace("WHO", WHO))
}

fn nat(hook: &str, does: &str) -> String {
    format!(
        "nft add table ip test\n\
         nft 'add chain ip test redirected {{ type nat hook {hook} priority -100; }}'\n\
         nft add rule ip test redirected ip daddr 169.254.169.254 tcp dport 80 {does}"
    )
}

fn taken_port() -> Output {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = file(&configuration(&taken.local_addr().unwrap().to_string()));
    without_daemon(&folder).output().unwrap()
}

fn short_sessions() -> Output {
    let local = "id = \"000000000000\"\ncredentials = { from = \"local\" }";
    let cloud = "id = \"123456789012\"\nregion = \"eu-central-1\"\n\
                 credentials = { from = \"profile\", profile = \"base\" }";
    let text = configuration("127.0.0.1:0").replace(local, cloud);
    let role = "[account.local.role.demo]";
    let text = text.replace(role, &format!("{role}\nduration = \"15m\"\n"));
    without_daemon(&file(&text)).output().unwrap()
}

fn without_users() -> Output {
    let folder = file(&configuration("127.0.0.1:0"));
    Command::new("unshare")
        .args(["--user", "--map-root-user", env!("CARGO_BIN_EXE_rolecall")])
        .args(["doctor", "--json", "--config", "rolecall.toml"])
        .env("ROLECALL_SOCKET", folder.path().join("admin.sock"))
        .current_dir(folder.path())
        .output()
        .unwrap()
}

/// Asks doctor after a caller asked for a role and upstream said this.
fn upstream_says(reply: fn() -> Reply) -> Output {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async move {
        let sts = ScriptedSts::start(move |_| reply()).await;
        let text = upstream(&sts.url());
        let daemon = TestDaemon::start_in(with_secret(), &text, Clock::System, Passed::default());
        let at = daemon.address("metadata");
        let path = "/latest/meta-data/iam/security-credentials/demo";
        assert_ne!(imds_get(at, &imds_token(at).await, path).await.status, 200);
        let mut doctor = rolecall(&["doctor", "--json"]);
        let socket = daemon.directory.path().join("admin.sock");
        doctor.env("ROLECALL_SOCKET", socket);
        let asked = tokio::task::spawn_blocking(move || doctor.output().unwrap());
        asked.await.unwrap()
    })
}

/// Needs root, for network namespaces.
#[test]
fn each_of_the_twenty_faults_that_are_reported_most_is_found_with_its_mend() {
    if !is_root() {
        return;
    }
    for reported in REPORTED {
        eprintln!("{}", reported.threads);
        let output = (reported.set_up)();
        assert_found(&output, reported.check, reported.level, reported.said);
    }
}

#[test]
fn the_table_of_faults_is_documented() {
    let text = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/doctor.md");
    let text = fs::read_to_string(text).unwrap();
    let rows: Vec<&str> = text
        .lines()
        .filter(|line| line.contains('#') && line.starts_with("| "))
        .collect();
    assert_eq!(rows.len(), REPORTED.len());
    // What is reported most stands first.
    let counts: Vec<usize> = rows.iter().map(|row| row.matches('#').count()).collect();
    assert!(counts.is_sorted_by(|one, next| one >= next), "{counts:?}");
    for Reported {
        threads,
        check,
        level,
        ..
    } in REPORTED
    {
        let is_its = |row: &&&str| {
            row.contains(&format!("| {threads} |"))
                && row.contains(&format!("| {level}: {check} |"))
        };
        assert_eq!(rows.iter().filter(is_its).count(), 1, "{threads}");
    }
}
