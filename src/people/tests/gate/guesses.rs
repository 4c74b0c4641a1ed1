//! Who guesses passwords, and who is slowed for it.

use std::time::Duration;

use super::{Scene, after, asking, basic, mount};
use crate::caller::CallerKey;
use crate::grants::Way;
use crate::people::{Asking, Unproven};

#[tokio::test]
async fn who_guesses_is_slowed_and_who_is_known_is_not() {
    let scene = Scene::new();
    let right = basic("ann", "ann's");
    scene.person(&[Way::Basic], &right).await;
    let mut last = None;
    for guess in 0..20 {
        let guess = basic("ann", &format!("guess {guess}"));
        let guesser = Asking {
            uid: Some(666),
            counted: &CallerKey::Uid(666),
            ..asking(&guess)
        };
        last = scene.gate.prove(&mount(&[Way::Basic]), guesser).await.err();
    }
    let Some(Unproven::Throttled(wait)) = last else {
        panic!("{last:?}");
    };
    assert!(wait > Duration::ZERO && wait <= Duration::from_mins(1));
    // From elsewhere the right password is not even looked at; what was proved lately counts on.
    let elsewhere = basic("ann", "ann's ");
    let throttled = Asking {
        uid: Some(667),
        counted: &CallerKey::Uid(667),
        ..asking(&elsewhere)
    };
    let throttled = scene.gate.prove(&mount(&[Way::Basic]), throttled).await;
    assert!(matches!(throttled, Err(Unproven::Throttled(_))));
    scene.person(&[Way::Basic], &right).await;
    after(Duration::from_secs(61)).await;
    scene.person(&[Way::Basic], &right).await;
}

#[tokio::test]
async fn guesses_count_while_a_directory_is_silent() {
    let scene = Scene::new();
    let ways = [Way::Basic, Way::Ldap];
    let mut last = None;
    for guess in 0..11 {
        let shown = basic("down", &format!("guess {guess}"));
        last = scene.prove(&ways, &shown).await.err();
    }
    assert!(matches!(last, Some(Unproven::Throttled(_))), "{last:?}");
    // Of a directory alone they are none: nobody has looked.
    let other = Scene::new();
    for guess in 0..11 {
        let shown = basic("down", &format!("guess {guess}"));
        last = other.prove(&[Way::Ldap], &shown).await.err();
    }
    assert_eq!(last, Some(Unproven::NotReady));
}

#[tokio::test]
async fn a_users_subordinate_uids_guess_as_that_user() {
    let scene = Scene::new();
    let mut last = None;
    for guess in 0..40 {
        let shown = basic(&format!("user{guess}"), "a guess");
        let guesser = Asking {
            uid: Some(100_000 + guess),
            counted: &CallerKey::Uid(666),
            ..asking(&shown)
        };
        last = scene.gate.prove(&mount(&[Way::Basic]), guesser).await.err();
    }
    assert!(matches!(last, Some(Unproven::Throttled(_))), "{last:?}");
}
