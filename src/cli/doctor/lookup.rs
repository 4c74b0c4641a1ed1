//! Whether the kernel can tell here who connects.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::time::Duration;

use super::finding::Finding;
use super::scene::Scene;
use crate::caller::{ControlGroups, Desk, DeskError, NoPlaces};
use crate::clock::Clock;
use crate::grants::{Fact, Known};

/// How long this host may take to accept a connection of its own.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) fn look(_scene: &Scene) -> Vec<Finding> {
    let desk = match Desk::open(Clock::System) {
        Ok(desk) => desk,
        Err(error) => return vec![refused(&error)],
    };
    let seen = Finding::ok("the kernel tells whose process holds a connection");
    match ControlGroups::find() {
        Err(none) => vec![seen, nowhere(none)],
        Ok(ControlGroups::Unified) => vec![seen, place(&desk)],
        Ok(ControlGroups::Hybrid) => vec![seen, place(&desk), hybrid()],
    }
}

/// No unit and no container can be told.
fn nowhere(none: NoPlaces) -> Finding {
    let found = Finding::fault(format!(
        "it cannot be told in which unit or container a caller runs: {none}"
    ));
    found
        .means("grants to users match nobody, unless they say `container = \"any\"`")
        .mend("boot with systemd.unified_cgroup_hierarchy=1")
}

fn hybrid() -> Finding {
    Finding::ok(
        "control groups of version 1 stand beside the unified hierarchy: whom they have in a \
         container is not taken for a program of this host",
    )
}

fn refused(error: &DeskError) -> Finding {
    let found = Finding::fault(error.to_string()).means("nobody can be identified");
    match error {
        DeskError::Refused(_) => {
            found.mend("allow AF_NETLINK: RestrictAddressFamilies= of the unit")
        }
        DeskError::PrivateUsers => found.mend("remove PrivateUsers= from the unit"),
        DeskError::Blind(_) | DeskError::Wrong(_) => {
            found.mend("run the daemon in the host's own network namespace")
        }
    }
}

/// Looks up where a connection of this very process comes from.
fn place(desk: &Desk) -> Finding {
    let connected = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| {
        let client = TcpStream::connect_timeout(&listener.local_addr()?, PATIENCE)?;
        let (accepted, peer) = listener.accept()?;
        Ok((client, accepted.local_addr()?, peer, accepted))
    });
    let Ok((_client, local, peer, accepted)) = connected else {
        return Finding::unseen("loopback cannot be connected to, so no look-up was tried");
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else {
        return Finding::unseen("no look-up could be tried");
    };
    let caller = desk.identify_tcp(local, peer, accepted.as_fd());
    runtime.block_on(desk.look_up(&caller, Fact::Place));
    match caller.facts().place {
        Known::Yes(_) => Finding::ok(format!("units and containers are told: this is {}", caller.name())),
        Known::No => Finding::fault("it cannot be told in which unit or container this command runs")
            .means("the same is so of whoever runs where it does: grants to users match none of them, unless they say `container = \"any\"`")
            .mend("run it elsewhere, and look at /proc/PID/cgroup of the callers"),
        Known::NotYet => Finding::warning("the control group of a caller was not found in time")
            .means("a caller's first request may be told to ask again"),
    }
}
