//! Cookies that stand for a name.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::header::HeaderName;
use hyper::{HeaderMap, Method};

use super::{Scene, after, asking, basic, both, cookie, groups, hash, header, mount, person};
use crate::grants::Way;
use crate::people::{Asking, Unproven};

#[tokio::test]
async fn a_cookie_proves_a_name_as_long_as_what_it_stands_on() {
    let scene = Scene::new();
    let ways = [Way::Basic];
    let admitted = scene.prove(&ways, &basic("ann", "ann's")).await.unwrap();
    let kept = cookie(&admitted);
    let again = scene.prove(&ways, &kept).await.unwrap();
    assert!(again.cookie.is_none());
    assert_eq!(again.session, admitted.session);
    assert!(again.session.is_some());
    assert_eq!(groups(&person(again)), ["ops"]);
    // Who sends both keeps the cookie; who keeps none is given the same one.
    let with_both = scene
        .prove(&ways, &both(&basic("ann", "ann's"), &kept))
        .await;
    assert!(with_both.unwrap().cookie.is_none());
    let without = scene.prove(&ways, &basic("ann", "ann's")).await.unwrap();
    assert_eq!(cookie(&without), kept);
    // Another mount may not take passwords.
    assert_eq!(
        scene.prove(&[Way::Token], &kept).await.unwrap_err(),
        Unproven::Missing
    );
    scene.write("groups", "other: ann\n");
    after(Duration::from_mins(1)).await;
    assert_eq!(groups(&*scene.person(&ways, &kept).await), ["other"]);
    scene.write("users", &format!("ann:{}\n", hash("another")));
    after(Duration::from_mins(1)).await;
    assert_eq!(
        scene.prove(&ways, &kept).await.unwrap_err(),
        Unproven::Missing
    );
    // It does not come back with the old password either.
    scene.write("users", &format!("ann:{}\n", hash("ann's")));
    after(Duration::from_mins(1)).await;
    assert_eq!(
        scene.prove(&ways, &kept).await.unwrap_err(),
        Unproven::Missing
    );
}

#[tokio::test]
async fn a_cookie_ends_with_the_directorys_entry() {
    let scene = Scene::new();
    let admitted = scene.prove(&[Way::Ldap], &basic("dora", "dora's")).await;
    let kept = cookie(&admitted.unwrap());
    scene.person(&[Way::Ldap], &kept).await;
    scene.directory.gone.store(1, Ordering::Relaxed);
    after(Duration::from_mins(1)).await;
    let ended = scene.prove(&[Way::Ldap], &kept).await.unwrap_err();
    assert_eq!(ended, Unproven::Missing);
}

#[tokio::test]
async fn a_cookie_alone_changes_nothing() {
    let scene = Scene::new();
    let ways = [Way::Basic];
    let kept = cookie(&scene.prove(&ways, &basic("ann", "ann's")).await.unwrap());
    let no_check = header(HeaderName::from_static("x-atlassian-token"), "no-check");
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        let with = async |headers: &HeaderMap| {
            let asking = Asking {
                method: &method,
                ..asking(headers)
            };
            scene.gate.prove(&mount(&ways), asking).await
        };
        let refused = with(&kept).await.unwrap_err();
        assert_eq!(refused, Unproven::CrossSite(Arc::from("ann")), "{method}");
        assert!(with(&both(&kept, &no_check)).await.is_ok());
        assert!(with(&both(&basic("ann", "ann's"), &kept)).await.is_ok());
    }
}

#[tokio::test]
async fn cookies_stay_on_tls_where_there_is_some() {
    let scene = Scene::new();
    let right = basic("ann", "ann's");
    let secure = Asking {
        secure: true,
        ..asking(&right)
    };
    let admitted = scene
        .gate
        .prove(&mount(&[Way::Basic]), secure)
        .await
        .unwrap();
    assert!(
        admitted
            .cookie
            .unwrap()
            .to_str()
            .unwrap()
            .ends_with("; Secure")
    );
}
