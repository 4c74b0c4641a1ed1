//! Whom a mount is for, and what it asks for.

use std::sync::Arc;

use hyper::HeaderMap;

use super::{Scene, asking, basic, mount};
use crate::config::Mount;
use crate::grants::Way;
use crate::people::{Asking, Gate, Proven, Unproven};

#[tokio::test]
async fn machines_are_known_without_a_user() {
    let scene = Scene::new();
    let none = HeaderMap::new();
    let far = Asking {
        uid: None,
        ..asking(&none)
    };
    let people = scene.gate.prove(&mount(&[Way::Peer]), far).await;
    assert_eq!(people.unwrap_err(), Unproven::Missing);
    let machines = Mount {
        machine: true,
        ..mount(&[Way::Peer])
    };
    for asking in [
        far,
        Asking {
            uid: Some(7),
            ..far
        },
    ] {
        let machine = scene.gate.prove(&machines, asking).await.unwrap();
        assert_eq!(
            machine.who,
            Proven::Peer {
                administrator: false
            }
        );
    }
}

#[tokio::test]
async fn some_mounts_are_for_members_only() {
    let scene = Scene::new();
    let for_ops = Mount {
        require_group: vec![Arc::from("none"), Arc::from("ops")],
        ..mount(&[Way::Basic, Way::Peer])
    };
    let (ann, bob) = (basic("ann", "ann's"), basic("bob", "bob's"));
    assert!(scene.gate.prove(&for_ops, asking(&ann)).await.is_ok());
    // An administrator is no member either.
    let bob = scene.gate.prove(&for_ops, asking(&bob)).await.unwrap_err();
    assert_eq!(bob, Unproven::NotMember(Arc::from("bob")));
    let none = HeaderMap::new();
    let nobody = scene.gate.prove(&for_ops, asking(&none)).await.unwrap_err();
    assert_eq!(nobody, Unproven::Missing);
}

#[test]
fn a_mount_asks_for_what_it_takes() {
    let asks = |ways: &[Way]| {
        let all = Gate::challenges(&mount(ways));
        all.map(|one| one.to_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let basic = "Basic realm=\"rolecall\", charset=\"UTF-8\"";
    let bearer = "Bearer realm=\"rolecall\"";
    assert_eq!(asks(&[Way::Basic]), [basic]);
    assert_eq!(asks(&[Way::Token, Way::Pam]), [basic, bearer]);
    assert_eq!(asks(&[Way::Oidc]), [bearer]);
    assert_eq!(asks(&[Way::Peer]), [basic]);
}
