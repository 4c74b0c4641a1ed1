//! `[runtime]`.

use std::path::PathBuf;

use super::grant::user_of;
use super::reader::Reader;
use crate::config::problem::At;
use crate::config::{EngineKind, Runtime, RuntimeEngine};

const SOCKET: &str = "/run/rolecall-runtime/runtime.sock";
/// The user that packages make for the daemon.
const USER: &str = "rolecall";

pub(super) fn runtime(root: &Reader<'_>) -> Option<Runtime> {
    let table = root.table("runtime")?;
    let asker = match table.own("user") {
        Some(_) => user_of(&table, "user"),
        None => table.context().surroundings.user(USER),
    };
    let socket = table.path("socket").map(|spot| spot.value);
    Some(Runtime {
        socket: socket.unwrap_or_else(|| PathBuf::from(SOCKET)),
        engines: engines(&table),
        asker,
    })
}

fn engines(table: &Reader<'_>) -> Vec<RuntimeEngine> {
    let mut engines: Vec<(RuntimeEngine, At)> = Vec::new();
    for reader in table.tables("engine") {
        let Some(kind) = reader.text("kind").and_then(|kind| word(kind.value)) else {
            continue;
        };
        let socket = reader.path("socket").map(|spot| spot.value);
        let socket = socket.unwrap_or_else(|| PathBuf::from(usual_socket(kind)));
        let at = reader.place("socket");
        match engines.iter().find(|(other, _)| other.socket == socket) {
            Some((_, first)) => {
                let message = format!("`{}` is asked already", socket.display());
                table.problems().error(&at, message).and(first);
            }
            None => engines.push((RuntimeEngine { kind, socket }, at)),
        }
    }
    if engines.is_empty()
        && table
            .own("engine")
            .is_some_and(|_| table.tables("engine").is_empty())
    {
        table
            .problems()
            .error(&table.place("engine"), "no runtime is named")
            .hint("`[[runtime.engine]]` with `kind = \"docker\"`, `\"podman\"` or `\"cri\"`");
    }
    engines.into_iter().map(|(engine, _)| engine).collect()
}

fn word(kind: &str) -> Option<EngineKind> {
    match kind {
        "docker" => Some(EngineKind::Docker),
        "podman" => Some(EngineKind::Podman),
        "cri" => Some(EngineKind::Cri),
        _ => None,
    }
}

const fn usual_socket(kind: EngineKind) -> &'static str {
    match kind {
        EngineKind::Docker => "/run/docker.sock",
        EngineKind::Podman => "/run/podman/podman.sock",
        EngineKind::Cri => "/run/containerd/containerd.sock",
    }
}
