//! Names that a proxy says.

use std::sync::Arc;

use hyper::header::HeaderName;

use super::{ALL, Scene, basic, both, from_proxy, groups, header, mount, person, remote_user};
use crate::grants::Way;
use crate::people::Unproven;

#[tokio::test]
async fn the_proxy_says_who_asks_and_nobody_else_does() {
    let scene = Scene::new();
    let said = remote_user("peter");
    let peter = scene
        .gate
        .prove(&mount(&ALL), from_proxy(&said))
        .await
        .unwrap();
    assert!(peter.cookie.is_none());
    let peter = person(peter);
    assert_eq!((&*peter.name, peter.way), ("peter", Way::ProxyHeader));
    assert_eq!(groups(&peter), ["ops"]);
    // Its header alone is refused, also where nobody asks for it, and whatever stands beside it.
    let with_password = both(&said, &basic("ann", "ann's"));
    for ways in [&ALL[..], &[Way::Basic], &[Way::Peer]] {
        let foreign = scene.prove(ways, &with_password).await.unwrap_err();
        assert_eq!(foreign, Unproven::ForeignProxy);
    }
    // The order of the ways says whose word counts.
    let by_proxy = scene
        .gate
        .prove(&mount(&ALL), from_proxy(&with_password))
        .await;
    assert_eq!(person(by_proxy.unwrap()).way, Way::ProxyHeader);
    let first = [Way::Basic, Way::ProxyHeader];
    let wrong = both(&said, &basic("ann", "wrong"));
    let by_password = scene.gate.prove(&mount(&first), from_proxy(&wrong)).await;
    assert_eq!(by_password.unwrap_err(), Unproven::Wrong);
    // Groups are asked for where people are known; where that fails, so does the proof.
    let down = remote_user("down");
    let down = scene.gate.prove(&mount(&ALL), from_proxy(&down)).await;
    assert_eq!(down.unwrap_err(), Unproven::NotReady);
}

#[tokio::test]
async fn however_a_name_was_typed_it_is_one_principal() {
    let scene = Scene::new();
    let by_password = scene.person(&ALL, &basic("Dora", "dora's")).await;
    let mut names = vec![Arc::clone(&by_password.name)];
    for typed in ["dora", "Dora", "DORA"] {
        let said = remote_user(typed);
        let admitted = scene.gate.prove(&mount(&ALL), from_proxy(&said)).await;
        let person = person(admitted.unwrap());
        assert_eq!(groups(&person), ["ops"], "{typed}");
        names.push(Arc::clone(&person.name));
    }
    names.dedup();
    assert_eq!(names, [Arc::from("dora")]);
    // Nobody says of these two that they are one.
    let said = remote_user("Peter");
    let other = scene.gate.prove(&mount(&ALL), from_proxy(&said)).await;
    assert_eq!(&*person(other.unwrap()).name, "Peter");
}

#[tokio::test]
async fn visitors_of_the_proxy_are_counted_one_by_one() {
    let scene = Scene::new();
    let guess = async |name: &str, password: &str, chain: &str| {
        let chain = header(HeaderName::from_static("x-forwarded-for"), chain);
        let shown = both(&basic(name, password), &chain);
        let asking = from_proxy(&shown);
        scene.gate.prove(&mount(&[Way::Basic]), asking).await.err()
    };
    let mut last = None;
    for number in 0..31 {
        // What came with the request makes nobody another.
        let chain = format!("10.0.0.{number}, 192.0.2.7");
        last = guess(&format!("user{number}"), "a guess", &chain).await;
    }
    assert!(matches!(last, Some(Unproven::Throttled(_))), "{last:?}");
    assert_eq!(guess("ann", "ann's", "192.0.2.8").await, None);
}
