//! Whether answers with credentials stay on this host.

use super::finding::Finding;
use super::scene::Scene;
use crate::api::admin::wire::Socket;

pub(super) fn look(scene: &Scene) -> Vec<Finding> {
    let Ok(status) = &scene.status else {
        return vec![Finding::unseen(
            "only a running daemon tells how far its answers go",
        )];
    };
    let sockets = status.listeners.iter().filter(|socket| vends(socket));
    let limited = sockets.filter_map(|socket| Some((socket, socket.hop_limit?)));
    let far: Vec<Finding> = limited
        .filter_map(|(socket, hops)| too_far(socket, hops))
        .collect();
    if far.is_empty() {
        return vec![Finding::ok("answers with credentials make one hop")];
    }
    far
}

fn vends(socket: &Socket) -> bool {
    let mut apis = socket.apis.iter();
    apis.any(|api| matches!(api.as_str(), "imds" | "container"))
}

fn too_far(socket: &Socket, hops: u8) -> Option<Finding> {
    let Socket { name, address, .. } = socket;
    let far = Finding::fault(format!("answers of {name} at {address} make {hops} hops"));
    (hops != 1).then(|| {
        far.means("a router could carry credentials to another network")
            .mend("let the daemon bind the address itself, or set IPTTL=1 in its socket unit")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_one_hop_is_a_fault() {
        let socket = |api: &str| Socket {
            name: "x".to_owned(),
            address: "127.0.0.1:80".to_owned(),
            apis: vec![api.to_owned()],
            hop_limit: Some(64),
        };
        assert!(vends(&socket("container")) && !vends(&socket("metrics")));
        assert!(too_far(&socket("imds"), 64).is_some());
        assert_eq!(too_far(&socket("imds"), 1), None);
    }
}
