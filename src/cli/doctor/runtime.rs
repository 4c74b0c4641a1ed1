//! Whether the unit that tells of containers answers, and which runtimes it can ask.

use std::io::{self, ErrorKind};
use std::path::Path;

use super::finding::Finding;
use super::scene::Scene;
use crate::cli::listening;

pub(super) fn look(scene: &Scene) -> Vec<Finding> {
    let Ok((config, _)) = &scene.config else {
        return vec![Finding::unseen(
            "without a configuration nobody says which runtimes there are",
        )];
    };
    let Some(runtime) = &config.runtime else {
        let none = Finding::ok("there is no [runtime]: of containers their ids alone are known");
        return vec![none];
    };
    let daemon = scene.status.as_ref().map_or(0, |status| status.uid);
    let unit = unit(&runtime.socket, daemon, scene.is_root);
    let engines = runtime
        .engines
        .iter()
        .map(|engine| self::engine(engine.kind.as_str(), &engine.socket, scene.is_root));
    std::iter::once(unit).chain(engines).collect()
}

fn server(socket: &Path) -> io::Result<u32> {
    listening::server(socket).map(|server| server.uid())
}

fn unit(socket: &Path, daemon: u32, is_root: bool) -> Finding {
    let at = socket.display();
    match server(socket) {
        Ok(uid) if uid == 0 || uid == daemon => Finding::ok(format!(
            "the unit that tells of containers answers at {at}, as uid {uid}"
        )),
        Ok(uid) => {
            let stranger = Finding::fault(format!("{at} is served by uid {uid}"));
            let means = "that is neither root nor the daemon's user, so nothing it tells counts";
            stranger
                .means(means)
                .mend("stop what serves it, and start rolecall-runtime.service")
        }
        Err(error) => unreachable(&format!("the unit at {at}"), &error, is_root)
            .mend("systemctl enable --now rolecall-runtime.service"),
    }
}

fn engine(kind: &str, socket: &Path, is_root: bool) -> Finding {
    let at = socket.display();
    match server(socket) {
        Ok(0) => Finding::ok(format!("{kind} answers at {at}, as root")),
        Ok(uid) => Finding::ok(format!(
            "{kind} answers at {at}, as uid {uid}: what it tells counts for grants that name that \
             user"
        )),
        Err(error) => unreachable(&format!("{kind} at {at}"), &error, is_root)
            .mend("start it, or take it out of [[runtime.engine]]"),
    }
}

fn unreachable(what: &str, error: &io::Error, is_root: bool) -> Finding {
    if error.kind() == ErrorKind::PermissionDenied && !is_root {
        return Finding::unseen(format!("{what} answers others only"));
    }
    let fault = Finding::fault(format!("{what} does not answer: {error}"));
    fault.means("containers' names, images, labels and addresses are not known")
}
