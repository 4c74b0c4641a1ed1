//! Whether the daemon answers on its admin socket, and is ready.

use super::finding::{Finding, Level};
use super::scene::Scene;
use crate::api::admin::wire::Status;

pub(super) fn look(scene: &Scene) -> Vec<Finding> {
    match &scene.status {
        Ok(status) => running(status, &scene.daemon.socket().display().to_string()),
        Err(failure) => vec![Finding::of_failure(Level::Fault, failure)],
    }
}

fn running(status: &Status, socket: &str) -> Vec<Finding> {
    let Status {
        version, pid, uid, ..
    } = status;
    let answers = format!("process {pid} of uid {uid} answers at {socket}, version {version}");
    let mut found = vec![Finding::ok(answers)];
    let own = env!("CARGO_PKG_VERSION");
    if version != own {
        let differs = Finding::warning(format!("this command is version {own}, not {version}"));
        let means = "what it tells of the daemon may be incomplete";
        found.push(
            differs
                .means(means)
                .mend("restart the daemon after an upgrade"),
        );
    }
    if *uid == 0 {
        let root = Finding::warning("the daemon runs as root");
        let means = "a mistake in it is a mistake of root; it needs no privilege at all";
        let mend = "run it as a user of its own with systemd's sockets, as rolecall.service does";
        found.push(root.means(means).mend(mend));
    }
    if !status.ready {
        let waiting = Finding::warning("the daemon is not ready");
        let means = "it waits for roles that it was told to fetch at start";
        found.push(
            waiting
                .means(means)
                .mend("`rolecall status` shows what fails"),
        );
    }
    found
}
