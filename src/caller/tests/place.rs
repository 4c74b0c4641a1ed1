//! Paths of control groups as runtimes make them, and as an adversary would.

use proptest::prelude::*;

use crate::caller::place::{Handed, Located, PlaceReader};
use crate::grants::{ContainerId, ContainerPlace, Place};

const A: &str = "3f4a9c0d1e2f3a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3";
const B: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn filled(path: &str) -> String {
    path.replace("{A}", A).replace("{B}", B)
}

fn read(path: &str) -> Located {
    PlaceReader::default().locate(filled(path).as_bytes(), None)
}

/// The container that a path is in; `None` on the host.
fn container(located: &Located) -> Option<&ContainerPlace> {
    match located {
        Located::At {
            place: Place::Container(container),
            ..
        } => Some(container),
        Located::At {
            place: Place::Host(_),
            ..
        } => None,
        Located::WithForwarders | Located::Outside => panic!("{located:?}"),
    }
}

fn id(path: &str) -> String {
    let located = read(path);
    let container = container(&located).unwrap();
    container.id.as_str().to_owned()
}

fn owner(path: &str, handed: Option<Handed>) -> Option<u32> {
    let located = PlaceReader::default().locate(filled(path).as_bytes(), handed);
    container(&located).unwrap().owner
}

fn is_host(located: &Located) -> bool {
    container(located).is_none()
}

#[test]
fn groups_of_the_host_are_no_containers() {
    for path in [
        "/",
        // systemd 252
        "/init.scope",
        "/system.slice/nginx.service",
        "/system.slice/system-getty.slice/getty@tty1.service",
        "/user.slice/user-1000.slice/session-3.scope",
        "/user.slice/user-1000.slice/user@1000.service/app.slice/app-firefox-1234.scope",
        "/user.slice/user-1000.slice/user@1000.service/app.slice/build.service",
        // A unit may be called like a runtime, or carry hex digits of another length.
        "/system.slice/docker-registry.service",
        "/system.slice/build-0123456789abcdef.scope",
        "/system.slice/podcast.service",
        "/system.slice/burstable",
        "/system.slice/crio-wipe.service",
        "/system.slice/kubelet.service",
        "/system.slice/runc-builder.service",
        "/system.slice/web.service/default/x",
        "/default",
    ] {
        assert!(is_host(&read(path)), "{path}");
    }
}

#[test]
fn runtimes_containers_have_their_ids() {
    for path in [
        // Docker 20.10 and 28: systemd driver, cgroupfs driver, --cgroup-parent
        "/system.slice/docker-{A}.scope",
        "/docker/{A}",
        "/builds/{A}",
        // Docker 26 rootless
        "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{A}.scope",
        // podman 4.3: rootful with systemd and with cgroupfs, rootless, the container's subgroup
        "/machine.slice/libpod-{A}.scope",
        "/machine.slice/libpod-{A}.scope/container",
        "/libpod_parent/libpod-{A}",
        "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{A}.scope/container",
        "/machine.slice/machine-libpod_pod_{B}.slice/libpod-{A}.scope",
        // containerd 1.7: nerdctl with systemd and with cgroupfs
        "/system.slice/nerdctl-{A}.scope",
        "/default/{A}",
        // Kubernetes 1.28: systemd driver with containerd 1.7 and with CRI-O 1.28
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0a1b2c3d_1111_2222_3333_444455556666.slice/cri-containerd-{A}.scope",
        "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod0a1b2c3d_1111_2222_3333_444455556666.slice/crio-{A}.scope",
        "/kubepods.slice/kubepods-pod0a1b2c3d_1111_2222_3333_444455556666.slice/cri-containerd-{A}.scope",
        "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod1.slice/cri-containerd-{A}.scope",
        // Kubernetes 1.28: cgroupfs driver with containerd 1.7, dockershim of 1.23
        "/kubepods/burstable/pod0a1b2c3d-1111-2222-3333-444455556666/{A}",
        "/kubepods/besteffort/pod0a1b2c3d-1111-2222-3333-444455556666/{A}",
        "/kubepods/pod0a1b2c3d-1111-2222-3333-444455556666/{A}",
        // containerd 1.6 told of the wrong driver
        "/system.slice/containerd.service/kubepods-burstable-pod1.slice:cri-containerd:{A}",
        // k3s 1.27
        "/k8s.io/{A}",
        // ECS agent 1.75 on EC2
        "/ecs/0123456789abcdef0123456789abcdef/{A}",
        // BuildKit 0.12
        "/buildkit/{A}",
        // podman 4.3 --cgroups=split in a unit, and in a user's
        "/system.slice/web.service/libpod-payload-{A}",
        "/user.slice/user-1000.slice/user@1000.service/app.slice/web.service/libpod-payload-{A}",
        // Docker with --cgroup-parent that is a unit's group, podman with a unit's slice
        "/system.slice/nginx.service/{A}",
        "/system.slice/system-nginx.slice/libpod-{A}.scope",
    ] {
        assert_eq!(id(path), A, "{path}");
    }
}

#[test]
fn other_containers_are_named_by_their_groups() {
    for (path, id) in [
        // LXC 5, LXC 4.0, LXC 2; LXD 5
        (
            "/lxc.payload.web/system.slice/cron.service",
            "/lxc.payload.web",
        ),
        ("/lxc.payload/web/init.scope", "/lxc.payload/web"),
        ("/lxc/web", "/lxc/web"),
        // systemd-nspawn 252, as a unit, as a scope, in a unit of another name
        (
            "/machine.slice/systemd-nspawn@web.service/payload/system.slice/cron.service",
            "/machine.slice/systemd-nspawn@web.service",
        ),
        (
            "/machine.slice/machine-web.scope/payload",
            "/machine.slice/machine-web.scope",
        ),
        (
            "/system.slice/my-box.service/payload/init.scope",
            "/system.slice/my-box.service/payload",
        ),
        // libvirt 9 with LXC and with QEMU
        (
            r"/machine.slice/machine-lxc\x2d2\x2dweb.scope/libvirt",
            r"/machine.slice/machine-lxc\\x2d2\\x2dweb.scope",
        ),
        // Nomad 1.7
        (
            "/nomad.slice/share.slice/0a1b.web.scope",
            "/nomad.slice/share.slice",
        ),
        // Kata 3
        ("/kata_overhead/sandbox", "/kata_overhead"),
        // runc 1.1 and crun 1.8 run by hand with systemd
        (
            "/system.slice/runc-web.scope",
            "/system.slice/runc-web.scope",
        ),
        (
            "/user.slice/user-1000.slice/user@1000.service/user.slice/crun-web.scope",
            "/user.slice/user-1000.slice/user@1000.service/user.slice/crun-web.scope",
        ),
        // containerd 1.6: ctr run
        ("/default/web", "/default/web"),
        ("/default/nginx.service/x", "/default/nginx.service"),
        // kubelet's own folders
        (
            "/kubepods.slice/kubepods-burstable.slice",
            "/kubepods.slice/kubepods-burstable.slice",
        ),
        ("/machine.slice", "/machine.slice"),
    ] {
        assert_eq!(self::id(path), id, "{path}");
    }
}

#[test]
fn machines_have_their_names() {
    for (path, name, runtime) in [
        (
            "/machine.slice/systemd-nspawn@web.service/payload",
            "web",
            "nspawn",
        ),
        (
            "/machine.slice/systemd-nspawn@web-1.service/supervisor",
            "web-1",
            "nspawn",
        ),
        (
            r"/machine.slice/machine-web\x2d1.scope/payload",
            "web-1",
            "nspawn",
        ),
        // systemd-nspawn --register=no
        ("/machine.slice/web.scope/payload", "web", "nspawn"),
        (
            r"/machine.slice/machine-qemu\x2d2\x2dweb.scope/libvirt",
            "qemu-2-web",
            "libvirt",
        ),
        (
            r"/machine.slice/machine-lxc\x2d2\x2dweb.scope/libvirt",
            "lxc-2-web",
            "libvirt",
        ),
    ] {
        let Located::At {
            machine: Some(machine),
            ..
        } = read(path)
        else {
            panic!("{path}")
        };
        assert_eq!(
            (machine.name.as_str(), machine.runtime),
            (name, runtime),
            "{path}"
        );
    }
    for path in [
        "/machine.slice/libpod-{A}.scope",
        "/system.slice/my-box.service/payload/init.scope",
        "/machine.slice",
        r"/machine.slice/machine-\xff.scope",
        "/machine.slice/machine-.scope",
        // Somebody inside a container.
        "/docker/{A}/machine.slice/systemd-nspawn@web.service",
    ] {
        let located = read(path);
        assert!(
            matches!(located, Located::At { machine: None, .. }),
            "{path}"
        );
    }
}

#[test]
fn runtimes_own_processes_may_forward_for_a_container() {
    for path in [
        "/system.slice/docker.service",
        "/system.slice/containerd.service",
        "/system.slice/k3s.service",
        "/system.slice/docker.service/init",
        // rootless Docker, k3s with rootlesskit --evacuate-cgroup2
        "/user.slice/user-1000.slice/user@1000.service/app.slice/docker.service",
        "/user.slice/user-1000.slice/user@1000.service/app.slice/k3s-rootless.service/k3s_evac",
        // podman 4.3 rootless: its own scope, that of slirp4netns, podman 6 that of pasta
        "/user.slice/user-1000.slice/user@1000.service/user.slice/podman-1234.scope",
        "/user.slice/user-1000.slice/user@1000.service/user.slice/rootless-netns-0a1b2c3d.scope",
        "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-pasta-1234.scope",
        "/machine.slice/libpod-conmon-{A}.scope",
        "/kubepods.slice/kubepods-pod1.slice/crio-conmon-{A}.scope",
        "/lxc.monitor.web",
    ] {
        assert_eq!(read(path), Located::WithForwarders, "{path}");
    }
}

#[test]
fn a_users_containers_are_its_own() {
    let user = "/user.slice/user-1000.slice/user@1000.service";
    for path in [
        format!("{user}/user.slice/docker-{A}.scope"),
        format!("{user}/user.slice/libpod-{A}.scope/container"),
        format!("{user}/app.slice/web.service/libpod-payload-{A}"),
        format!("{user}/app.slice/{A}"),
        format!("{user}/machine.slice/systemd-nspawn@web.service"),
        format!("/user.slice/user-1000.slice/session-3.scope/docker/{A}"),
        format!("/user.slice/user-1000.slice/{A}"),
        format!("/system.slice/user@1000.service/docker/{A}"),
        // A user names its own units as it likes.
        format!("{user}/user.slice/user-0.slice/docker-{A}.scope"),
    ] {
        assert_eq!(owner(&path, None), Some(1000), "{path}");
    }
    for path in [
        "/docker/{A}",
        "/system.slice/docker-{A}.scope",
        "/machine.slice/systemd-nspawn@web.service/payload",
        // What a container's root makes below its own group is nobody's word.
        "/docker/{A}/user.slice/user-1000.slice/session-1.scope",
    ] {
        assert_eq!(owner(path, None), None, "{path}");
    }
}

#[test]
fn what_lies_below_a_group_that_was_handed_to_a_user_is_that_users_own() {
    let path = "/system.slice/build.service/docker/{A}";
    let handed = |depth| Some(Handed { depth, uid: 998 });
    // Delegate=yes with User=: the service's own group is its user's.
    assert_eq!(owner(path, handed(2)), Some(998));
    assert_eq!(owner(path, handed(3)), Some(998));
    // A runtime that maps root hands the container's own group, and what is below, to it.
    assert_eq!(owner(path, handed(4)), None);
    assert_eq!(owner(path, handed(5)), None);
    assert_eq!(owner("/{A}", handed(0)), Some(998));
    assert_eq!(owner("/kubepods.slice", handed(1)), None);
    assert_eq!(owner("/kubepods.slice/burstable", handed(1)), Some(998));
}

#[test]
fn what_stands_inside_a_container_cannot_name_another() {
    for path in [
        // Docker in Docker, kind, and a root that makes groups by hand
        "/docker/{A}/docker/{B}",
        "/docker/{A}/kubelet.slice/kubepods.slice/cri-containerd-{B}.scope",
        "/system.slice/docker-{A}.scope/system.slice/nginx.service",
        "/system.slice/docker-{A}.scope/machine.slice/libpod-{B}.scope",
    ] {
        assert_eq!(id(path), A, "{path}");
    }
    assert_eq!(
        id("/machine.slice/systemd-nspawn@web.service/payload/{B}"),
        "/machine.slice/systemd-nspawn@web.service"
    );
    // Containers that are called like the folders of containers.
    for name in [
        "docker",
        "podman",
        "kubepods",
        "machine.slice",
        "ecs",
        "burstable",
        "podman-1.scope",
        "nginx.service",
    ] {
        let path = format!("/lxc/{name}/{{B}}");
        assert_eq!(id(&path), format!("/lxc/{name}"), "{path}");
        let nested = format!("/docker/{{A}}/{name}/{{B}}");
        assert_eq!(id(&nested), A, "{nested}");
    }
}

#[test]
fn a_daemon_in_a_container_sees_its_neighbours_outside_and_its_own_group_as_home() {
    let reader = PlaceReader::new(format!("/docker/{A}").as_bytes(), b"");
    let read = |path: &str| reader.locate(filled(path).as_bytes(), None);
    let id = |path: &str| container(&read(path)).map(|container| container.id.clone());
    assert_eq!(id("/docker/{A}"), None);
    assert_eq!(id("/docker/{A}/worker"), None);
    assert_eq!(id("/docker/{A}/docker/{B}"), Some(ContainerId::new(B)));
    assert_eq!(id("/docker/{B}"), Some(ContainerId::new(B)));
    assert_eq!(id("/system.slice/nginx.service"), None);
    // Where the namespace hides what lies above.
    assert_eq!(read("/../{B}"), Located::Outside);
    assert_eq!(read("/.."), Located::Outside);
    // A runtime's service is no container to be at home in.
    let service = b"/system.slice/docker.service";
    let in_service = PlaceReader::new(service, b"").locate(service, None);
    assert_eq!(in_service, Located::WithForwarders);
}

#[test]
fn odd_names_are_harmless() {
    for path in [
        "/system.slice/a b\tc\nd.service".as_bytes(),
        b"/system.slice/\xff\xfe\x00.service",
        "/".repeat(5000).as_bytes(),
        "/system.slice/x".repeat(300).as_bytes(),
        b"",
        b"no slash",
    ] {
        let read = PlaceReader::default().locate(path, None);
        assert!(is_host(&read), "{}", path.escape_ascii());
    }
    let odd = PlaceReader::default().locate(b"/lxc/a \n\xff\"", None);
    assert_eq!(container(&odd).unwrap().id.as_str(), "/lxc/a \\n\\xff\\\"");
}

#[test]
fn long_paths_make_bounded_ids_that_differ() {
    let read = |end: &str| id(&format!("/lxc/{}{end}", "x".repeat(4000)));
    assert!(read("a").len() <= 200);
    assert_ne!(read("a"), read("b"));
}

proptest! {
    #[test]
    fn no_path_upsets_the_reader(own: Vec<u8>, init: Vec<u8>, path: Vec<u8>, depth: usize) {
        let handed = Some(Handed { depth, uid: 7 });
        let _read = PlaceReader::new(&own, &init).locate(&path, handed);
    }

    #[test]
    fn whatever_lies_below_a_container_is_in_it(tail in "(/[a-z0-9.@:-]{1,70}){0,4}") {
        let path = format!("/system.slice/docker-{A}.scope{tail}");
        let located = read(&path);
        let container = container(&located).unwrap();
        prop_assert_eq!(container.id.as_str(), A);
        prop_assert_eq!(container.owner, None);
    }

    /// Whatever a user makes below its manager, it is no container of root's and no other unit.
    #[test]
    fn whatever_a_user_makes_is_its_own(
        tail in r"(/(([a-z0-9.@:-]{1,20}|docker|user\.slice|user-0\.slice|system\.slice|machine\.slice)|([a-z]{1,8}-)?[0-9a-f]{64}(\.scope)?)){0,5}"
    ) {
        let path = format!("/user.slice/user-1000.slice/user@1000.service{tail}");
        match read(&path) {
            Located::At { place: Place::Container(container), users, .. } => {
                prop_assert_eq!(container.owner, Some(1000));
                prop_assert!(users);
            }
            Located::At { place: Place::Host(host), users, .. } => {
                prop_assert_eq!(host.unit.as_deref(), Some("user@1000.service"));
                prop_assert_eq!(host.slice.as_deref(), Some("user-1000.slice"));
                prop_assert_eq!(host.user_slice, Some(1000));
                prop_assert!(users);
            }
            Located::WithForwarders | Located::Outside => {}
        }
    }
}
