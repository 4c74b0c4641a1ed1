//! Bearer tokens of the store.

use std::time::Duration;

use super::{ALL, Scene, after, groups, person};
use crate::grants::Way;
use crate::people::{Unproven, token_hash};

#[tokio::test]
async fn a_bearer_token_stands_for_its_user_until_it_ends() {
    let scene = Scene::new();
    let soon = scene.clock.now() + Duration::from_mins(5);
    let shown = scene.token("dora", soon).await;
    let dora = scene.prove(&ALL, &shown).await.unwrap();
    assert!(dora.cookie.is_none());
    let dora = person(dora);
    assert_eq!((&*dora.name, dora.way), ("dora", Way::Token));
    assert_eq!(groups(&dora), ["ops"]);
    assert_eq!(
        scene.prove(&[Way::Basic], &shown).await.unwrap_err(),
        Unproven::Wrong
    );
    after(Duration::from_mins(5)).await;
    assert_eq!(
        scene.prove(&ALL, &shown).await.unwrap_err(),
        Unproven::Wrong
    );
    let anns = scene
        .token("ann", scene.clock.now() + Duration::from_mins(5))
        .await;
    scene.person(&ALL, &anns).await;
    let objects = scene.store.objects().unwrap();
    let id = objects.tokens.get(&token_hash("token-of-ann")).unwrap().id;
    scene.store.delete_token(id).await.unwrap();
    assert_eq!(scene.prove(&ALL, &anns).await.unwrap_err(), Unproven::Wrong);
}
