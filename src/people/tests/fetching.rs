//! When keys are fetched, and what happens while they cannot be.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_rotated_key_is_found_at_once() {
    let (old, new) = (Signer::p256("old"), Signer::p256("new"));
    let script = Script::new([Reply::Keys(key_set(&[&old]))]);
    let world = World::new(&script);
    world.verify(&old.token(&claims())).await.unwrap();
    script.then(Reply::Keys(key_set(&[&old, &new])));
    world.verify(&new.token(&claims())).await.unwrap();
    assert_eq!(script.asked(), 2);
    world.verify(&old.token(&claims())).await.unwrap();
    assert_eq!(script.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_unknown_keys_does_not_hammer_the_issuer() {
    let (signer, stranger) = (Signer::p256("1"), Signer::p256("2"));
    let script = Script::new([Reply::Keys(key_set(&[&signer]))]);
    let world = World::new(&script);
    world.verify(&signer.token(&claims())).await.unwrap();
    let token = stranger.token(&claims());
    assert_eq!(world.refused(&token).await, Refused::Key.into());
    for _ in 0..1000 {
        world.refused(&token).await;
    }
    assert_eq!(script.asked(), 3);
    // Nobody has asked since: whether there is such a key now is not known.
    assert_eq!(world.refused(&token).await, NotProven::NotReady);
    // Who is known is served all the while.
    world.verify(&signer.token(&claims())).await.unwrap();
    for _ in 0..60 {
        tokio::time::advance(SECOND).await;
        world.refused(&token).await;
    }
    assert_eq!(script.asked(), 3 + 6);
}

#[tokio::test(start_paused = true)]
async fn without_keys_nobody_is_refused_and_nobody_served() {
    let signer = Signer::p256("1");
    let script = Script::new([Reply::Down]);
    let world = World::new(&script);
    let token = signer.token(&claims());
    for _ in 0..20 {
        assert_eq!(world.refused(&token).await, NotProven::NotReady);
    }
    assert_eq!(script.asked(), 3);
    script.then(Reply::Keys(key_set(&[&signer])));
    tokio::time::advance(Duration::from_secs(10)).await;
    world.verify(&token).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_hangs_is_asked_once_and_waited_for_as_long_as_the_caller_can() {
    let signer = Signer::p256("1");
    let script = Script::new([Reply::Hangs]);
    let world = World::new(&script);
    let token = signer.token(&claims());
    for _ in 0..5 {
        let begun = tokio::time::Instant::now();
        assert_eq!(world.refused(&token).await, NotProven::NotReady);
        assert!(begun.elapsed() <= PATIENCE + Duration::from_millis(1));
    }
    assert_eq!(script.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_last_good_keys_are_kept_while_there_are_no_new_ones() {
    let signer = Signer::p256("1");
    let script = Script::new([Reply::Keys(key_set(&[&signer]))]);
    let world = World::new(&script);
    let mut claims = claims();
    claims["exp"] = (NOON + 7 * 24 * 3600).into();
    world.verify(&signer.token(&claims)).await.unwrap();
    for reply in [
        Reply::Down,
        Reply::Keys("{\"keys\":[]}".to_owned()),
        Reply::Hangs,
    ] {
        script.then(reply);
        for _ in 0..3 {
            tokio::time::advance(Duration::from_mins(31)).await;
            world.verify(&signer.token(&claims)).await.unwrap();
            tokio::task::yield_now().await;
        }
    }
    assert!(script.asked() > 5);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_withdrawn_counts_no_longer() {
    let (old, new) = (Signer::p256("old"), Signer::p256("new"));
    let script = Script::new([Reply::Keys(key_set(&[&old, &new]))]);
    let world = World::new(&script);
    let mut claims = claims();
    claims["exp"] = (NOON + 7 * 24 * 3600).into();
    let token = old.token(&claims);
    world.verify(&token).await.unwrap();
    script.then(Reply::Keys(key_set(&[&new])));
    tokio::time::advance(Duration::from_mins(31)).await;
    // This request has them looked at beside.
    world.verify(&token).await.unwrap();
    tokio::task::yield_now().await;
    assert_eq!(world.refused(&token).await, Refused::Key.into());
}

#[tokio::test(start_paused = true)]
async fn what_is_remembered_is_bounded() {
    let signer = Signer::p256("1");
    let world = World::new(&Script::new([Reply::Keys(key_set(&[&signer]))]));
    let mut claims = claims();
    let mut tokens = Vec::new();
    for number in 0..1030_u64 {
        claims["exp"] = (NOON + 600 + number).into();
        let token = signer.token(&claims);
        world.verify(&token).await.unwrap();
        tokens.push(token);
    }
    let remembered = tokens.iter().filter(|token| {
        let mark = world.marker.mark(token).unwrap();
        world.issuer.recall(&mark).is_some()
    });
    assert_eq!(remembered.count(), 1024);
}
