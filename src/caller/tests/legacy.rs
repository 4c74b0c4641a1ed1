//! Hosts with control groups of version 1, alone or beside the unified hierarchy, as people reported
//! them.

use crate::caller::cgroup::{Hierarchy, NoPlaces, unified_path};
use crate::caller::place::Located;
use crate::grants::Place;

/// Where a hybrid systemd mounts them: https://github.com/systemd/systemd/issues/3388
const HYBRID_MOUNTS: &str = "\
24 18 0:21 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:7 - tmpfs tmpfs ro,mode=755
25 24 0:22 / /sys/fs/cgroup/unified rw,nosuid,nodev,noexec,relatime shared:8 - cgroup2 cgroup rw
26 24 0:23 / /sys/fs/cgroup/systemd rw,nosuid,nodev,noexec,relatime shared:9 - cgroup cgroup rw,xattr,name=systemd
28 24 0:25 / /sys/fs/cgroup/net_cls,net_prio rw,nosuid,nodev,noexec,relatime shared:13 - cgroup cgroup rw,net_cls,net_prio
29 24 0:26 / /sys/fs/cgroup/memory rw,nosuid,nodev,noexec,relatime shared:14 - cgroup cgroup rw,memory
";

/// A host of version 1 on which a network plugin has mounted the unified hierarchy for itself.
const PLUGIN_MOUNTS: &str = "\
26 24 0:23 / /sys/fs/cgroup/systemd rw,nosuid,nodev,noexec,relatime shared:9 - cgroup cgroup rw,xattr,name=systemd
29 24 0:26 / /sys/fs/cgroup/memory rw,nosuid,nodev,noexec,relatime shared:14 - cgroup cgroup rw,memory
840 29 0:412 / /run/cilium/cgroupv2 rw,relatime shared:302 - cgroup2 none rw
";

const HYBRID_INIT: &str = "\
4:memory:/init.scope
2:net_cls,net_prio:/
1:name=systemd:/init.scope
0::/init.scope
";

const HYBRID_SERVICE: &str = "\
4:memory:/system.slice/rolecall.service
2:net_cls,net_prio:/
1:name=systemd:/system.slice/rolecall.service
0::/system.slice/rolecall.service
";

/// CentOS 7: https://github.com/liske/needrestart/issues/165
const VERSION_1_SERVICE: &str = "\
11:perf_event:/
10:devices:/system.slice/docker.service
9:freezer:/
8:memory:/system.slice/docker.service
7:cpuset:/
6:blkio:/system.slice/docker.service
5:hugetlb:/
4:pids:/system.slice/docker.service
3:cpuacct,cpu:/system.slice/docker.service
2:net_prio,net_cls:/
1:name=systemd:/system.slice/docker.service
";

/// A session: https://github.com/opencontainers/runc/issues/1189
const VERSION_1_SESSION: &str = "\
11:blkio:/user.slice/user-1000.slice/session-67.scope/test
10:pids:/test
9:memory:/user.slice/user-1000.slice/session-67.scope/test
2:net_cls,net_prio:/user.slice/user-1000.slice/session-67.scope/test
1:name=systemd:/user.slice/user-1000.slice/session-67.scope/test
";

/// docker without systemd's hierarchy: https://github.com/moby/moby/issues/33352
const VERSION_1_DOCKER: &str = "\
13:pids:/
12:hugetlb:/
11:net_prio:/
10:perf_event:/docker/5dace3de0735f73d2b5048f12d41a71741a02e49668de921fdae62f7e65dc498
9:net_cls:/
8:freezer:/docker/5dace3de0735f73d2b5048f12d41a71741a02e49668de921fdae62f7e65dc498
7:devices:/docker/5dace3de0735f73d2b5048f12d41a71741a02e49668de921fdae62f7e65dc498
6:memory:/docker/5dace3de0735f73d2b5048f12d41a71741a02e49668de921fdae62f7e65dc498
2:cpuset:/docker/5dace3de0735f73d2b5048f12d41a71741a02e49668de921fdae62f7e65dc498
1:name=systemd:/
";

/// A pod of docker's: https://github.com/lxc/lxc/issues/3890
const VERSION_1_POD: &str = "\
12:rdma:/
11:freezer:/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod7d4424e6_bb13_42f4_a47a_45a4828bf54d.slice/docker-d0b3604b67ac7930dd34ba3a796627e3e4717d12309e90a4afe3f38b6816ac98.scope
9:blkio:/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod7d4424e6_bb13_42f4_a47a_45a4828bf54d.slice/docker-d0b3604b67ac7930dd34ba3a796627e3e4717d12309e90a4afe3f38b6816ac98.scope
";

/// A pod of containerd's that was told of the wrong driver:
/// https://github.com/open-telemetry/opentelemetry-java/issues/4507
const VERSION_1_WRONG_DRIVER: &str = "\
11:perf_event:/kubepods-besteffort-pod0125ec2f_b64a_4868_8f5b_94b56cbab864.slice:cri-containerd:ee4b20e90ac7f42a10bd004d05646b13d8ab5e2c5e7cbc01abf8006bac016459
10:blkio:/system.slice/containerd.service/kubepods-besteffort-pod0125ec2f_b64a_4868_8f5b_94b56cbab864.slice:cri-containerd:ee4b20e90ac7f42a10bd004d05646b13d8ab5e2c5e7cbc01abf8006bac016459
";

/// runc with systemd's driver, the first process: https://github.com/opencontainers/runc/pull/2087
const HYBRID_FIRST: &str = "\
12:cpuset:/system.slice/runc-myid.scope
10:devices:/system.slice/runc-myid.scope
7:rdma:/
4:freezer:/system.slice/runc-myid.scope
1:name=systemd:/system.slice/runc-myid.scope
0::/system.slice/runc-myid.scope
";

/// A program that `runc exec` started in it, which stays where that was run, as told there.
const HYBRID_SECOND: &str = "\
12:cpuset:/system.slice/runc-myid.scope
10:devices:/system.slice/runc-myid.scope
7:rdma:/
4:freezer:/system.slice/runc-myid.scope
1:name=systemd:/system.slice/runc-myid.scope
0::/user.slice/user-0.slice/session-3.scope
";

/// docker, whose runtime makes groups of version 1 only: all its containers show as its own.
const HYBRID_DOCKER: &str = "\
12:devices:/docker/7eb263389e5eea068ad3d0c208ea4dd02ba86fa0b2ebd44f63adc391351fba6d
3:rdma:/
1:name=systemd:/docker/7eb263389e5eea068ad3d0c208ea4dd02ba86fa0b2ebd44f63adc391351fba6d
0::/system.slice/containerd.service
";

/// What may be believed of a process with these groups.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Unit(&'static str),
    Container,
    Nothing,
}

fn told(hierarchy: &Hierarchy, groups: &str) -> Told {
    let Some(path) = unified_path(groups.as_bytes()) else {
        return Told::Nothing;
    };
    let contradicted = hierarchy.is_contradicted(groups.as_bytes());
    match hierarchy.read(&path, None) {
        Located::At {
            place: Place::Container(_),
            ..
        } => Told::Container,
        Located::At {
            place: Place::Host(host),
            ..
        } if !contradicted => match host.unit.as_deref() {
            Some("rolecall.service") => Told::Unit("rolecall.service"),
            Some("init.scope") => Told::Unit("init.scope"),
            other => panic!("{other:?}"),
        },
        Located::At { .. } | Located::WithForwarders | Located::Outside => Told::Nothing,
    }
}

fn found(mounts: &str, own: &str, init: &str) -> Result<Hierarchy, NoPlaces> {
    Hierarchy::in_files(mounts.as_bytes(), own.as_bytes(), init.as_bytes())
}

#[test]
fn on_a_hybrid_host_places_are_the_unified_hierarchys_unless_version_1_says_otherwise() {
    let hierarchy = found(HYBRID_MOUNTS, HYBRID_SERVICE, HYBRID_INIT).unwrap();
    for (groups, expected) in [
        (HYBRID_SERVICE, Told::Unit("rolecall.service")),
        (HYBRID_INIT, Told::Unit("init.scope")),
        (HYBRID_FIRST, Told::Container),
        (HYBRID_SECOND, Told::Nothing),
        (HYBRID_DOCKER, Told::Nothing),
        // Sockets of a host whose kernel tells the root of them all.
        (
            "1:name=systemd:/system.slice/x.service\n0::/\n",
            Told::Nothing,
        ),
        ("0::/\n", Told::Nothing),
    ] {
        assert_eq!(told(&hierarchy, groups), expected, "{groups}");
    }
}

#[test]
fn on_a_host_of_version_1_no_place_is_told() {
    for groups in [
        VERSION_1_SERVICE,
        VERSION_1_SESSION,
        VERSION_1_DOCKER,
        VERSION_1_POD,
        VERSION_1_WRONG_DRIVER,
    ] {
        assert_eq!(unified_path(groups.as_bytes()), None, "{groups}");
        let (only_version_1, _) = PLUGIN_MOUNTS.rsplit_once("840 ").unwrap();
        let nothing = found(only_version_1, groups, groups).unwrap_err();
        assert_eq!(nothing, NoPlaces::NotMounted, "{groups}");
    }
}

#[test]
fn a_unified_hierarchy_in_which_systemd_keeps_nothing_places_nobody() {
    let service = format!("{VERSION_1_SERVICE}0::/\n");
    let init = "1:name=systemd:/init.scope\n0::/\n";
    let nothing = found(PLUGIN_MOUNTS, &service, init).unwrap_err();
    assert_eq!(nothing, NoPlaces::Unused);
    // Seen from a container, whose first process is its own.
    let pod = format!("{VERSION_1_POD}1:name=systemd:/kubepods.slice\n0::/\n");
    let seen_within = found(PLUGIN_MOUNTS, &pod, &pod).unwrap_err();
    assert_eq!(seen_within, NoPlaces::Unused);
    // A host without systemd: there the root is where programs are.
    let plain = "2:cpu:/\n1:name=systemd:/\n0::/\n";
    let hierarchy = found(HYBRID_MOUNTS, plain, plain).unwrap();
    let located = hierarchy.read(b"/", None);
    let on_the_host = Located::At {
        place: Place::Host(crate::grants::HostPlace::default()),
        machine: None,
        users: false,
    };
    assert_eq!(located, on_the_host);
}
