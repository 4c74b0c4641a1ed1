//! Paths of control groups as systemd makes them, and as somebody who imitates it would.

use crate::caller::place::{Handed, Located, PlaceReader};
use crate::grants::{HostPlace, Place};

fn host_of(reader: &PlaceReader, path: &str, handed: Option<Handed>) -> HostPlace {
    match reader.locate(path.as_bytes(), handed) {
        Located::At {
            place: Place::Host(host),
            ..
        } => host,
        other @ (Located::At { .. } | Located::WithForwarders | Located::Outside) => {
            panic!("{path}: {other:?}")
        }
    }
}

fn host(path: &str) -> HostPlace {
    host_of(&PlaceReader::default(), path, None)
}

#[test]
fn a_system_unit_is_the_first_group_below_slices() {
    for (path, unit, slice) in [
        (
            "/system.slice/nginx.service",
            "nginx.service",
            "system.slice",
        ),
        (
            "/system.slice/system-getty.slice/getty@tty1.service",
            "getty@tty1.service",
            "system-getty.slice",
        ),
        (
            "/web.slice/web-blue.slice/api.service",
            "api.service",
            "web-blue.slice",
        ),
        (
            "/system.slice/run-u12.scope",
            "run-u12.scope",
            "system.slice",
        ),
        (
            "/system.slice/dev-hugepages.mount",
            "dev-hugepages.mount",
            "system.slice",
        ),
        ("/system.slice/dbus.socket", "dbus.socket", "system.slice"),
        (
            r"/system.slice/a\x2db.service",
            r"a\x2db.service",
            "system.slice",
        ),
        // Delegate=yes: what the unit makes below its group is the unit.
        (
            "/system.slice/ci.service/job/7",
            "ci.service",
            "system.slice",
        ),
        (
            "/system.slice/ci.service/system.slice/nginx.service",
            "ci.service",
            "system.slice",
        ),
        (
            "/system.slice/ci.service/nginx.service",
            "ci.service",
            "system.slice",
        ),
        // systemd puts an underscore before names that the kernel could take for its own.
        ("/system.slice/_cpu.service", "cpu.service", "system.slice"),
        ("/system.slice/__x.service", "_x.service", "system.slice"),
    ] {
        let place = host(path);
        assert_eq!(place.unit.as_deref(), Some(unit), "{path}");
        assert_eq!(place.slice.as_deref(), Some(slice), "{path}");
        assert_eq!((place.user_unit, place.user_slice), (None, None), "{path}");
    }
    let init = host("/init.scope");
    assert_eq!(init.unit.as_deref(), Some("init.scope"));
    assert_eq!(init.slice, None);
    assert_eq!(host("/"), HostPlace::default());
}

#[test]
fn a_users_unit_is_never_a_system_unit() {
    let user = "/user.slice/user-1000.slice";
    for (path, unit, user_unit) in [
        ("session-3.scope", "session-3.scope", None),
        ("session-3.scope/nginx.service", "session-3.scope", None),
        (
            "user@1000.service/init.scope",
            "user@1000.service",
            Some("init.scope"),
        ),
        (
            "user@1000.service/app.slice/nginx.service",
            "user@1000.service",
            Some("nginx.service"),
        ),
        (
            "user@1000.service/app.slice/app-gnome.slice/app-gnome-x-12.scope",
            "user@1000.service",
            Some("app-gnome-x-12.scope"),
        ),
        // An imitation of the system's own tree.
        (
            "user@1000.service/system.slice/nginx.service",
            "user@1000.service",
            Some("nginx.service"),
        ),
        (
            "user@1000.service/user.slice/user-0.slice/user@0.service/app.slice/x.service",
            "user@1000.service",
            Some("user@0.service"),
        ),
        ("user@1000.service", "user@1000.service", None),
        ("user@1000.service/app.slice", "user@1000.service", None),
        (
            "user@1000.service/made by hand/x.service",
            "user@1000.service",
            None,
        ),
    ] {
        let path = format!("{user}/{path}");
        let place = host(&path);
        assert_eq!(place.unit.as_deref(), Some(unit), "{path}");
        assert_eq!(place.user_unit.as_deref(), user_unit, "{path}");
        assert_eq!(place.user_slice, Some(1000), "{path}");
        assert_eq!(place.slice.as_deref(), Some("user-1000.slice"), "{path}");
    }
    // A manager in another user's slice tells nothing of its units.
    let odd = host("/user.slice/user-1000.slice/user@1001.service/app.slice/x.service");
    assert_eq!(odd.user_unit, None);
    assert_eq!(odd.user_slice, Some(1000));
}

#[test]
fn what_systemd_would_not_make_names_nothing() {
    for path in [
        // Groups made by hand.
        "/nginx/nginx.service",
        "/x.slice.d/nginx.service",
        "/system.slice/nginx/nginx.service",
        // Slices where they do not belong.
        "/system.slice/web-blue.slice/nginx.service",
        "/web-blue.slice/nginx.service",
        "/system.slice/system.slice/nginx.service",
        "/-.slice/nginx.service",
        "/a--b.slice/nginx.service",
        // Names that units cannot have.
        "/system.slice/a b.service",
        "/system.slice/a\nnginx.service",
        "/system.slice/.service",
        "/system.slice/@a.service",
        "/system.slice/a@.service",
        "/system.slice/nginx.target",
        "/system.slice/nginx.service\u{a0}",
    ] {
        assert_eq!(host(path).unit, None, "{path}");
    }
    let long = format!("/system.slice/{}.service", "x".repeat(4000));
    assert_eq!(host(&long).unit, None);
    let Located::At {
        place: Place::Host(place),
        ..
    } = PlaceReader::default().locate(b"/system.slice/\xff.service", None)
    else {
        panic!()
    };
    assert_eq!(place.unit, None);
    for path in [
        "/user.slice/user-01.slice/x.scope",
        "/user-7.slice/x.scope",
        "/a.slice/user-7.slice/x.scope",
    ] {
        assert_eq!(host(path).user_slice, None, "{path}");
    }
}

#[test]
fn names_below_a_group_that_was_handed_to_a_user_are_no_system_units() {
    let reader = PlaceReader::default();
    let unit = |path: &str, depth| {
        let handed = Some(Handed { depth, uid: 998 });
        host_of(&reader, path, handed).unit
    };
    let path = "/system.slice/nginx.service";
    assert_eq!(unit(path, 2).as_deref(), Some("nginx.service"));
    assert_eq!(unit(path, 1), None);
    assert_eq!(unit(path, 0), None);
    assert_eq!(
        unit("/system.slice/ci.service/nginx.service", 2).as_deref(),
        Some("ci.service")
    );
}

#[test]
fn the_manager_makes_its_units_where_it_runs() {
    // WSL 2.9 runs systemd below a group of its own.
    let reader = PlaceReader::new(
        b"/wsl-user/distro-1/systemd/system.slice/rolecall.service",
        b"/wsl-user/distro-1/systemd/init.scope",
    );
    let below = host_of(
        &reader,
        "/wsl-user/distro-1/systemd/system.slice/nginx.service",
        None,
    );
    assert_eq!(below.unit.as_deref(), Some("nginx.service"));
    let user = "/wsl-user/distro-1/systemd/user.slice/user-1000.slice/user@1000.service/app.slice/x.service";
    assert_eq!(
        host_of(&reader, user, None).user_unit.as_deref(),
        Some("x.service")
    );
    let handed = Some(Handed { depth: 4, uid: 1 });
    let path = "/wsl-user/distro-1/systemd/system.slice/nginx.service";
    assert_eq!(host_of(&reader, path, handed).unit, None);
    let elsewhere = host_of(&reader, "/system.slice/nginx.service", None);
    assert_eq!(elsewhere, HostPlace::default());
    // The first process of a container that runs no systemd.
    let plain = PlaceReader::new(b"/", b"/");
    assert_eq!(host_of(&plain, path, None).unit, None);
    let unit = host_of(&plain, "/system.slice/nginx.service", None).unit;
    assert_eq!(unit.as_deref(), Some("nginx.service"));
}
