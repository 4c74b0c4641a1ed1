//! Whether the ports are the daemon's.

use std::net::SocketAddr;

use super::finding::Finding;
use super::scene::{Scene, Served};
use crate::api::admin::wire::Status;
use crate::cli::listening::Listening;

pub(super) fn look(scene: &Scene) -> Vec<Finding> {
    match &scene.status {
        Ok(status) => with_daemon(scene, status),
        Err(_unreachable) => {
            let configured = scene.configured();
            configured
                .iter()
                .map(|served| free(scene, served))
                .collect()
        }
    }
}

fn with_daemon(scene: &Scene, status: &Status) -> Vec<Finding> {
    let served = scene.served();
    let mut found: Vec<Finding> = served
        .iter()
        .map(|served| held(scene, served, status.pid))
        .collect();
    let is_served = |wanted: &Served| served.iter().any(|it| it.address == wanted.address);
    let missing = scene
        .configured()
        .into_iter()
        .filter(|wanted| !is_served(wanted));
    found.extend(missing.map(|wanted| not_yet(scene, &wanted)));
    found
}

/// A socket that the daemon says it has.
fn held(scene: &Scene, served: &Served, daemon: u32) -> Finding {
    let Served { listener, address } = served;
    let own = exact(scene, *address);
    match own.map(|own| own.is_held_by(daemon)) {
        Some(Some(false)) => {
            let holder = own.map(Listening::holder).unwrap_or_default();
            let odd = Finding::fault(format!("{address} is held by {holder}"));
            odd.means(format!(
                "the daemon, process {daemon}, does not get what is sent there"
            ))
        }
        Some(Some(true) | None) => Finding::ok(format!("{address} is the daemon's ({listener})")),
        None => Finding::unseen(format!(
            "the daemon serves {address} in another network namespace than this shell's"
        )),
    }
}

/// A socket that the file asks for and the daemon has not.
fn not_yet(scene: &Scene, wanted: &Served) -> Finding {
    let Served { listener, address } = wanted;
    let absent = Finding::warning(format!(
        "the daemon does not serve {address}, which listener {listener} of the file asks for"
    ));
    match taken(scene, *address) {
        Some(holder) => absent
            .means(format!("{} has it", holder.holder()))
            .mend("stop it, and restart the daemon"),
        None => absent
            .means("listeners change when the daemon starts, not when it reloads")
            .mend("restart the daemon"),
    }
}

/// A socket that a daemon would want.
fn free(scene: &Scene, served: &Served) -> Finding {
    let Served { listener, address } = served;
    let Some(holder) = taken(scene, *address) else {
        return Finding::ok(format!("{address} is free ({listener})"));
    };
    let taken = Finding::fault(format!("{address} is taken by {}", holder.holder()));
    taken
        .means("the daemon cannot start")
        .mend("stop it, or choose another address or port")
}

fn exact(scene: &Scene, address: SocketAddr) -> Option<&Listening> {
    let mut listening = scene.listening.iter();
    listening.find(|listening| listening.address == address)
}

fn taken(scene: &Scene, address: SocketAddr) -> Option<&Listening> {
    let mut listening = scene.listening.iter();
    listening.find(|listening| listening.takes(address))
}
