//! `rolecall addresses` and `rolecall redirect`, in network namespaces of their own.

use std::process::{Command, Output};

use crate::support::is_root;

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
    let script =
        format!("rolecall=$0\nwho() {{ python3 -B {who} \"$@\"; }}\nip link set lo up\n{script}");
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
