//! `rolecall addresses` and `rolecall redirect`, and the daemon where addresses are missing, come
//! late or are another's, in network namespaces of their own.

use std::process::{Command, Output};

use crate::support::is_root;
use crate::support::process::{prod, rolecall};
use crate::support::written;

const ADDRESSES: [&str; 5] = [
    "169.254.169.254/32",
    "169.254.170.2/32",
    "169.254.170.23/32",
    "fd00:ec2::254/128",
    "fd00:ec2::23/128",
];

/// Runs this script where loopback alone is. `$rolecall` is the command; `who` starts servers and
/// asks them. What it starts ends with it.
fn in_namespace(script: &str) -> Output {
    let who = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/network/who.py");
    let manager = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/network/manager.py");
    let script = format!(
        "export rolecall=$0\nwho() {{ python3 -B {who} \"$@\"; }}\nexport -f who\n\
         manage() {{ ROLECALL=$rolecall python3 -B {manager} \"$@\"; }}\nip link set lo up\n{script}"
    );
    Command::new("unshare")
        .args(["--net", "--mount", "--pid", "--fork", "--mount-proc"])
        .args(["bash", "-euc", &script, env!("CARGO_BIN_EXE_rolecall")])
        .output()
        .unwrap()
}

/// What the script printed; it must have succeeded.
fn told(script: &str) -> String {
    let output = in_namespace(script);
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    text
}

#[test]
fn addresses_come_to_loopback_and_go_again() {
    if !is_root() {
        return;
    }
    let twice = "$rolecall addresses add\n$rolecall addresses add\nip -brief address show lo\n";
    let there = told(twice);
    for address in ADDRESSES {
        assert!(there.contains(address), "{address} in {there}");
    }
    assert_eq!(there.matches(" is on lo now").count(), 5, "{there}");
    let gone = format!(
        "{twice}echo then\n$rolecall addresses remove\n$rolecall addresses remove\nip -brief address show lo"
    );
    let gone = told(&gone);
    let (_, then) = gone.split_once("then\n").unwrap();
    assert!(
        then.contains("127.0.0.1/8") && !then.contains("254"),
        "{then}"
    );
    // They answer, and this host keeps its source elsewhere.
    let used = told(
        "ip link add eth type veth peer name far; ip link set eth up; ip link set far up
         ip route add 192.0.2.0/24 dev eth
         $rolecall addresses add >/dev/null
         who serve mine 169.254.169.254 80 mine fd00:ec2::254 80
         who ask 0 169.254.169.254; who ask 0 fd00:ec2::254
         ip route get 192.0.2.1",
    );
    assert!(
        used.starts_with("0 169.254.169.254 mine\n0 fd00:ec2::254 mine\n"),
        "{used}"
    );
    assert!(!used.contains("src 169.254"), "{used}");
}

#[test]
fn an_address_of_somebody_else_is_refused_with_all_others() {
    if !is_root() {
        return;
    }
    let veth = "ip link add eth type veth peer name far; ip link set eth up; ip link set far up";
    let firmware = |file: &str, text: &str| {
        format!(
            "mount -t tmpfs tmpfs /sys/class; mkdir -p /sys/class/dmi/id
             echo '{text}' >/sys/class/dmi/id/{file}"
        )
    };
    let neighbour = "ip netns add near 2>/dev/null || true
         ip link set far netns near
         ip -n near link set lo up; ip -n near link set far up
         ip -n near address add 169.254.169.254/32 dev far
         ip -n near address add 10.9.9.1/24 dev far
         ip address add 10.9.9.2/24 dev eth
         ip route add default via 10.9.9.1
         ip netns exec near python3 -B $who serve $'EC2ws\\e[2J' 169.254.169.254 80";
    let neighbour = neighbour.replace(
        "$who",
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/network/who.py"),
    );
    for (set, said) in [
        (
            format!("{veth}; ip address add 169.254.170.2/32 dev eth"),
            "169.254.170.2: eth has it",
        ),
        (
            format!("{veth}; ip route add 169.254.169.254/32 dev eth"),
            "169.254.169.254: a route leads to it through eth",
        ),
        (
            format!("{veth}; ip -6 route add fd00:ec2::254/128 dev eth"),
            "fd00:ec2::254: a route leads to it through eth",
        ),
        (
            firmware("sys_vendor", "Amazon EC2"),
            "169.254.169.254: Amazon EC2 serves it to its instances",
        ),
        (
            firmware("chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77"),
            "fd00:ec2::254: Azure serves it",
        ),
        (
            format!("mount -t tmpfs tmpfs /run; {veth}; {neighbour}"),
            // What it says does nothing to the terminal.
            "169.254.169.254: a service that calls itself EC2ws\\u{1b}[2J answers there",
        ),
    ] {
        let script = format!(
            "{{ {set}\n}} >/dev/null\n! $rolecall addresses add 2>&1
             ! ip -brief address show lo | grep 169.254
             $rolecall addresses add --over-others"
        );
        let output = told(&script);
        let refused = "rolecall: addresses are another service's, and nothing was added";
        assert!(output.starts_with(refused), "{set}: {output}");
        assert!(output.contains(said), "{set}: {output}");
        assert!(!output.contains("254/32"), "{set}: {output}");
        assert!(
            output.contains("fd00:ec2::23 is on lo now"),
            "{set}: {output}"
        );
    }
    // On a cloud the addresses of containers are free.
    let ecs = firmware("sys_vendor", "Amazon EC2");
    let ecs = told(&format!("{ecs}\n$rolecall addresses add 169.254.170.2"));
    assert_eq!(ecs, "169.254.170.2 is on lo now\n");
}

/// Two servers where the daemon would be, and another at the addresses themselves.
const SERVERS: &str = "
    for address in 169.254.169.254/32 169.254.170.2/32; do ip address add $address dev lo; done
    ip address add fd00:ec2::254/128 dev lo nodad
    who serve daemon 127.0.0.1 1338 daemon ::1 1338 containers 127.0.0.1 8170
    who serve real 169.254.169.254 80 real fd00:ec2::254 80 real 169.254.170.2 80
    ask() { for address in 169.254.169.254 fd00:ec2::254 169.254.170.2; do who ask $1 $address; done; }
";

fn asked(uid: u32, who: [&str; 3]) -> String {
    let addresses = ["169.254.169.254", "fd00:ec2::254", "169.254.170.2"];
    let lines = addresses.iter().zip(who);
    let lines =
        lines.map(|(address, who)| [&uid.to_string(), " ", address, " ", who, "\n"].concat());
    lines.collect()
}

#[test]
fn a_redirection_leads_both_families_to_the_daemon_until_it_is_removed() {
    if !is_root() {
        return;
    }
    let output = told(&format!(
        "{SERVERS}
         ask 7
         $rolecall redirect add --daemon 991
         $rolecall redirect add --daemon 991
         nft list tables; nft list ruleset | grep -c redirect
         ask 7
         $rolecall redirect add --daemon 991 --container-to 8170
         ask 7
         $rolecall redirect remove
         $rolecall redirect remove
         nft list ruleset; ask 7
         ! $rolecall redirect show 2>&1"
    ));
    let all = [
        &asked(7, ["real", "real", "real"]),
        "table inet rolecall\n2\n",
        &asked(7, ["daemon", "daemon", "real"]),
        &asked(7, ["daemon", "daemon", "containers"]),
        &asked(7, ["real", "real", "real"]),
        "rolecall: there is no table inet rolecall\n",
    ];
    assert!(output.starts_with(&all.concat()), "{output}");
}

#[test]
fn the_daemon_and_those_who_are_excepted_reach_the_real_service() {
    if !is_root() {
        return;
    }
    // The tools read paths of control groups below /sys/fs/cgroup.
    let output = told(&format!(
        "{SERVERS}
         mount -t cgroup2 none /sys/fs/cgroup
         group=rolecall-$$-$RANDOM; mkdir /sys/fs/cgroup/$group
         trap 'rmdir /sys/fs/cgroup/$group' EXIT
         $rolecall redirect add --daemon 991 --except-uid 5 --except-uid daemon --except-cgroup $group
         for uid in 991 5 1 7; do ask $uid; done
         ( echo $BASHPID >/sys/fs/cgroup/$group/cgroup.procs; ask 7 )"
    ));
    let (real, ours) = (["real"; 3], ["daemon", "daemon", "real"]);
    let uids = [(991, real), (5, real), (1, real), (7, ours), (7, real)];
    let expected: String = uids.iter().map(|(uid, who)| asked(*uid, *who)).collect();
    assert_eq!(output, expected);
}

#[test]
fn a_redirection_that_cannot_be_added_changes_nothing() {
    if !is_root() {
        return;
    }
    let fails = "! $rolecall redirect add --to 9 --daemon 991 --except-cgroup no/such.group 2>&1";
    let output = told(&format!(
        "{fails}; nft list ruleset; echo then
         $rolecall redirect add --daemon 991; {fails}; $rolecall redirect show"
    ));
    let (before, then) = output.split_once("then\n").unwrap();
    assert!(
        before.starts_with("rolecall: nft failed\n  why: "),
        "{before}"
    );
    assert!(!before.contains("table inet rolecall"), "{before}");
    assert!(
        then.contains("redirect to :1338") && !then.contains("redirect to :9"),
        "{then}"
    );

    let root = in_namespace("$rolecall redirect add --daemon root");
    assert_eq!(root.status.code(), Some(64));
    let absent = in_namespace(
        "rm() { :; }; mount -t tmpfs tmpfs /usr/sbin; $rolecall redirect add --daemon 991",
    );
    let said = String::from_utf8(absent.stderr).unwrap();
    assert!(
        said.contains("nft is not installed") && said.contains("nftables"),
        "{said}"
    );
}

/// A metadata listener at IMDS's address, and what else is given.
fn at_imds(besides: &str) -> String {
    format!(
        "[[listener]]\nname = \"metadata\"\nbind = [\"169.254.169.254:80\"]\napis = [\"imds\"]\n{besides}\n\
         [state]\ndirectory = \"state\"\n[admin]\nsocket = \"admin.sock\"\n"
    )
}

/// The script in an empty folder of its own, in which this configuration is.
fn with_daemon(configuration: &str, script: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let configuration =
        configuration.replace("\"state\"", &format!("{:?}", folder.path().join("state")));
    let configuration = configuration.replace(
        "\"admin.sock\"",
        &format!("{:?}", folder.path().join("admin.sock")),
    );
    std::fs::write(folder.path().join("rolecall.toml"), configuration).unwrap();
    told(&format!("cd {:?}\n{script}", folder.path()))
}

#[test]
fn a_daemon_at_the_address_of_the_real_service_takes_nothing_from_it() {
    if !is_root() {
        return;
    }
    let who = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/network/who.py");
    let local = "[account.local]\nid = \"000000000000\"\ncredentials = { from = \"local\" }\n\
                 [account.local.role.demo]\n[[grant]]\nrole = \"local/demo\"\nwhen = \"anyone\"\nreason = \"a test\"";
    let script = format!(
        "mount -t tmpfs tmpfs /run
         ip link add eth type veth peer name far; ip link set eth up
         ip netns add near; ip link set far netns near
         ip -n near link set lo up; ip -n near link set far up
         ip -n near address add 169.254.169.254/32 dev far
         ip -n near address add 10.9.9.1/24 dev far
         ip address add 10.9.9.2/24 dev eth; ip route add default via 10.9.9.1
         ip netns exec near python3 -B {who} serve EC2ws 169.254.169.254 80
         manage rolecall.toml READY=1 'who ask 7 169.254.169.254' 2>log
         ! $rolecall addresses add 169.254.169.254 2>&1; who ask 7 169.254.169.254
         grep -o 'no interface of this host has this address yet' log"
    );
    let output = with_daemon(&at_imds(local), &script);
    let lines: Vec<&str> = output.lines().collect();
    assert!(lines[0].contains("READY=1"), "{output}");
    let real = "7 169.254.169.254 EC2ws";
    assert_eq!(lines[1], real, "with the daemon: {output}");
    assert!(
        output.contains("another service's, and nothing was added"),
        "{output}"
    );
    assert_eq!(lines[lines.len() - 2], real, "after the refusal: {output}");
    assert_eq!(
        lines.last().copied(),
        Some("no interface of this host has this address yet")
    );
}

/// The daemon begins without a network: neither its address nor upstream is there.
#[test]
fn a_network_that_comes_late_makes_the_daemon_ready_late() {
    if !is_root() {
        return;
    }
    let sts = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/upstreams/scripted_sts.py"
    );
    let account =
        prod("http://127.0.0.1:8080", "", &["web"]).replace("AKIABASE", "AKIAIOSFODNN7EXAMPLE");
    let granted = format!(
        "{account}prefetch = true\nsession-name = \"web\"\n\
         [[grant]]\nrole = \"prod/web\"\nwhen = \"anyone\"\nreason = \"a test\"\n\
         [limits]\nready-deadline = \"1h\""
    );
    let role = "http://169.254.169.254/latest/meta-data/iam/security-credentials/web";
    let output = with_daemon(
        &at_imds(&granted),
        &format!(
            "ip link set lo down
             coproc STS {{ exec python3 -B {sts} --listen 0.0.0.0:8080 --control 0.0.0.0:8081; }}
             read -r _ <&${{STS[0]}}
             export BASE_SECRET=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY
             asked() {{ curl -s --max-time 10 -H \"X-aws-ec2-metadata-token: $(curl -s --max-time 10 -X PUT \
                 -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token)\" {role}; }}
             export -f asked
             manage rolecall.toml 'missing: prod/web (unavailable)' \
                 'ip link set lo up; $rolecall addresses add' READY=1 asked 2>log"
        ),
    );
    let (late, then) = output.rsplit_once(" is on lo now\n").unwrap();
    assert!(late.contains("1 of 1 prefetched roles missing"), "{output}");
    assert!(!late.contains("READY=1"), "{output}");
    assert!(then.contains("told READY=1 STATUS=serving \n"), "{output}");
    assert!(then.contains("\"AccessKeyId\""), "{output}");
}

/// What nodes of Kubernetes load has in its head by which command it was made.
#[test]
fn the_tables_of_deploy_are_what_the_command_prints_and_lead_from_bridges_too() {
    let files = [
        "deploy/node/redirect.nft",
        "deploy/overlays/nodes-metadata/redirect.nft",
    ];
    for file in files {
        let text = std::fs::read_to_string(written::place(file)).unwrap();
        let (head, table) = text.split_once("\n\n").unwrap();
        let command = head
            .lines()
            .find_map(|line| line.strip_prefix("#   rolecall "));
        let arguments: Vec<&str> = command.unwrap().split(' ').collect();
        let output = rolecall(&arguments).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert_eq!(printed, table, "{file}");
    }
    if !is_root() {
        return;
    }
    let who = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/network/who.py");
    let [node, metadata] = files.map(written::place);
    let output = told(&format!(
        "mount -t tmpfs tmpfs /run
         ip link add bridge type veth peer name pod; ip netns add pod; ip link set pod netns pod
         ip link set bridge up; ip address add 10.9.9.1/24 dev bridge
         ip -n pod link set lo up; ip -n pod link set pod up
         ip -n pod address add 10.9.9.2/24 dev pod; ip -n pod route add default via 10.9.9.1
         ip address add 169.254.170.23/32 dev lo
         who serve pods 169.254.170.23 8170 metadata 169.254.170.23 8169
         ask() {{ who ask 7 $1; ip netns exec pod python3 -B {who} ask 8 $1; }}
         nft --file {}; ask 169.254.170.23
         nft --file {}; ask 169.254.170.23; ip netns exec pod python3 -B {who} ask 8 169.254.169.254
         nft list ruleset | grep -c dnat
         $rolecall doctor --config /absent 2>/dev/null | grep arrives || true",
        node.display(),
        metadata.display(),
    ));
    let both = "7 169.254.170.23 pods\n8 169.254.170.23 pods\n";
    let metadata = "8 169.254.169.254 metadata\n3\n";
    let arrives = "arrives at 169.254.170.23:8170";
    assert!(
        output.starts_with(&[both, both, metadata].concat()),
        "{output}"
    );
    assert!(output.contains(arrives), "{output}");
}
