//! Paths of control groups as runtimes make them, and as an adversary would.

use proptest::prelude::*;

use crate::caller::place::Container;
use crate::caller::place::PlaceReader;
use crate::grants::ContainerId;

const A: &str = "3f4a9c0d1e2f3a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3";
const B: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn container(path: &str) -> Container {
    PlaceReader::default()
        .container(path.replace("{A}", A).replace("{B}", B).as_bytes())
        .unwrap()
}

fn within(id: &str) -> Container {
    Container::In(ContainerId::new(id))
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
    ] {
        assert_eq!(container(path), Container::None, "{path}");
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
    ] {
        assert_eq!(container(path), within(A), "{path}");
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
        ("/lxc.monitor.web", "/lxc.monitor.web"),
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
    ] {
        assert_eq!(container(path), within(id), "{path}");
    }
}

#[test]
fn runtimes_own_processes_might_be_forwarding_for_a_container() {
    for path in [
        "/system.slice/docker.service",
        "/system.slice/containerd.service",
        "/system.slice/k3s.service",
        "/user.slice/user-1000.slice/user@1000.service/app.slice/docker.service",
        "/user.slice/user-1000.slice/user@1000.service/user.slice/podman-1234.scope",
        "/kubepods.slice/kubepods-burstable.slice",
        "/machine.slice",
    ] {
        assert_eq!(container(path), within(path), "{path}");
    }
    let monitor = "/machine.slice/libpod-conmon-{A}.scope";
    assert_eq!(container(monitor), within(A));
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
        assert_eq!(container(path), within(A), "{path}");
    }
    assert_eq!(
        container("/machine.slice/systemd-nspawn@web.service/payload/{B}"),
        within("/machine.slice/systemd-nspawn@web.service")
    );
    // Containers that are called like the folders of containers.
    for name in [
        "docker",
        "podman",
        "kubepods",
        "machine.slice",
        "ecs",
        "burstable",
    ] {
        let path = format!("/lxc/{name}/{{B}}");
        assert_eq!(container(&path), within(&format!("/lxc/{name}")), "{path}");
        let nested = format!("/docker/{{A}}/{name}/{{B}}");
        assert_eq!(container(&nested), within(A), "{nested}");
    }
}

#[test]
fn a_daemon_in_a_container_sees_its_neighbours_outside_and_its_own_group_as_home() {
    let own = format!("/docker/{A}");
    let reader = PlaceReader::new(own.as_bytes());
    let read = |path: &str| reader.container(path.replace("{A}", A).replace("{B}", B).as_bytes());
    assert_eq!(read("/docker/{A}"), Some(Container::None));
    assert_eq!(read("/docker/{A}/worker"), Some(Container::None));
    assert_eq!(read("/docker/{A}/docker/{B}"), Some(within(B)));
    assert_eq!(read("/docker/{B}"), Some(within(B)));
    assert_eq!(read("/system.slice/nginx.service"), Some(Container::None));
    // Where the namespace hides what lies above.
    assert_eq!(read("/../{B}"), None);
    assert_eq!(read("/.."), None);
    // A runtime's service is no container to be at home in.
    let in_service = PlaceReader::new(b"/system.slice/docker.service");
    assert!(matches!(
        in_service.container(b"/system.slice/docker.service"),
        Some(Container::In(_))
    ));
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
        let read = PlaceReader::default().container(path);
        assert_eq!(read, Some(Container::None), "{}", path.escape_ascii());
    }
    let odd = PlaceReader::default().container(b"/lxc/a \n\xff\"");
    assert_eq!(odd, Some(within("/lxc/a \\n\\xff\\\"")));
}

#[test]
fn long_paths_make_bounded_ids_that_differ() {
    let read = |end: &str| {
        let path = format!("/lxc/{}{end}", "x".repeat(4000));
        match PlaceReader::default().container(path.as_bytes()) {
            Some(Container::In(id)) => id,
            other => panic!("{other:?}"),
        }
    };
    assert!(read("a").as_str().len() <= 200);
    assert_ne!(read("a"), read("b"));
}

proptest! {
    #[test]
    fn no_path_upsets_the_reader(own: Vec<u8>, path: Vec<u8>) {
        let _read = PlaceReader::new(&own).container(&path);
    }

    #[test]
    fn whatever_lies_below_a_container_is_in_it(tail in "(/[a-z0-9.@:-]{1,70}){0,4}") {
        let path = format!("/system.slice/docker-{A}.scope{tail}");
        prop_assert_eq!(PlaceReader::default().container(path.as_bytes()), Some(within(A)));
    }
}
