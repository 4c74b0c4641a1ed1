//! Passwords, of the users' file and of directories.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, COOKIE};

use super::{
    ALL, Scene, after, asking, basic, bearer, both, cookie, groups, hash, header, mount, person,
    remote_user,
};
use crate::grants::Way;
use crate::people::{Asking, Proven, Unproven};

#[tokio::test]
async fn a_password_of_the_users_file_proves_a_name_and_its_groups() {
    let scene = Scene::new();
    let ann = scene.person(&[Way::Basic], &basic("ann", "ann's")).await;
    assert_eq!(
        (&*ann.name, ann.way, ann.administrator),
        ("ann", Way::Basic, false)
    );
    assert_eq!(groups(&ann), ["ops"]);
    let bob = scene.person(&[Way::Basic], &basic("bob", "bob's")).await;
    assert!(bob.administrator);
}

#[tokio::test]
async fn what_proves_nothing_is_told_apart() {
    let scene = Scene::new();
    for (headers, why) in [
        (HeaderMap::new(), Unproven::Missing),
        (basic("ann", "bob's"), Unproven::Wrong),
        (basic("ann", ""), Unproven::Wrong),
        (basic("Ann", "ann's"), Unproven::Wrong),
        (basic("nobody", "ann's"), Unproven::Wrong),
        (basic("down", "x"), Unproven::NotReady),
        (bearer("nonsense"), Unproven::Wrong),
        (bearer("a.b.c"), Unproven::Wrong),
        (header(AUTHORIZATION, "Negotiate YII="), Unproven::Wrong),
        (header(COOKIE, "JSESSIONID=0"), Unproven::Missing),
        (remote_user("ann"), Unproven::ForeignProxy),
    ] {
        let proved = scene.prove(&ALL, &headers).await;
        assert_eq!(proved.unwrap_err(), why, "{headers:?}");
    }
}

#[tokio::test]
async fn a_wrong_proof_never_falls_back() {
    let scene = Scene::new();
    let ways = [Way::Basic, Way::Peer];
    let right = scene.prove(&ways, &basic("ann", "ann's")).await.unwrap();
    let wrong = both(&basic("ann", "wrong"), &cookie(&right));
    assert_eq!(
        scene.prove(&ways, &wrong).await.unwrap_err(),
        Unproven::Wrong
    );
    let other = both(&header(AUTHORIZATION, "Bearer x"), &cookie(&right));
    assert_eq!(
        scene.prove(&ways, &other).await.unwrap_err(),
        Unproven::Wrong
    );
    assert_eq!(
        person(scene.prove(&ways, &cookie(&right)).await.unwrap()).name,
        Arc::from("ann")
    );
    let peer = scene.prove(&ways, &HeaderMap::new()).await.unwrap();
    assert_eq!(
        peer.who,
        Proven::Peer {
            administrator: false
        }
    );
    // Of what one back end knows no other is asked.
    scene.write("users", &format!("dora:{}\n", hash("file's")));
    let shown = basic("dora", "dora's");
    let file = scene.prove(&[Way::Basic, Way::Ldap], &shown).await;
    assert_eq!(file.unwrap_err(), Unproven::Wrong);
    let ldap = scene.person(&[Way::Ldap, Way::Basic], &shown).await;
    assert_eq!(ldap.way, Way::Ldap);
}

#[tokio::test]
async fn a_mount_that_takes_no_passwords_is_not_told_them() {
    let scene = Scene::new();
    let peer = scene
        .prove(&[Way::Peer], &basic("ann", "wrong"))
        .await
        .unwrap();
    assert_eq!(
        peer.who,
        Proven::Peer {
            administrator: false
        }
    );
    let shown = basic("ann", "ann's");
    let tokens = scene.prove(&[Way::Token, Way::Peer], &shown).await;
    assert_eq!(tokens.unwrap_err(), Unproven::Wrong);
    let none = HeaderMap::new();
    let administrator = Asking {
        uid: Some(7),
        ..asking(&none)
    };
    let root = scene
        .gate
        .prove(&mount(&[Way::Peer]), administrator)
        .await
        .unwrap();
    assert_eq!(
        root.who,
        Proven::Peer {
            administrator: true
        }
    );
}

#[tokio::test]
async fn a_directory_is_asked_for_whom_the_file_does_not_know() {
    let scene = Scene::new();
    *scene.directory.groups.lock().unwrap() = vec![Arc::from("admins")];
    let dora = scene.person(&ALL, &basic("DORA", "dora's")).await;
    assert_eq!(
        (&*dora.name, dora.way, dora.administrator),
        ("dora", Way::Ldap, true)
    );
    assert_eq!(groups(&dora), ["admins", "ops"]);
}

#[tokio::test]
async fn what_was_right_is_remembered_a_minute_and_what_was_wrong_is_not() {
    let scene = Scene::new();
    let right = basic("dora", "dora's");
    let first = scene.person(&[Way::Ldap], &right).await;
    let second = scene.person(&[Way::Ldap], &right).await;
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(scene.directory.asked.load(Ordering::Relaxed), 1);
    for _ in 0..2 {
        assert!(
            scene
                .prove(&[Way::Ldap], &basic("dora", "wrong"))
                .await
                .is_err()
        );
    }
    assert_eq!(scene.directory.asked.load(Ordering::Relaxed), 3);
    // What one mount takes proves nothing to another that does not.
    assert!(scene.prove(&[Way::Basic], &right).await.is_err());
    after(Duration::from_mins(1)).await;
    scene.person(&[Way::Ldap], &right).await;
    assert_eq!(scene.directory.asked.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn the_users_file_is_read_again() {
    let scene = Scene::new();
    let ways = [Way::Basic];
    assert!(scene.prove(&ways, &basic("eve", "eve's")).await.is_err());
    scene.write("users", &format!("eve:{}\n", hash("eve's")));
    scene.person(&ways, &basic("eve", "eve's")).await;
    assert!(scene.prove(&ways, &basic("bob", "bob's")).await.is_err());
}
