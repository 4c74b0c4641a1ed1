//! One flight for each key: who waits for it, and what they get.

use super::script::*;
use crate::sessions::*;

#[tokio::test(start_paused = true)]
async fn everybody_who_waits_for_a_key_shares_one_fetch() {
    let world = World::new();
    let source = Script::new(&world);
    let mut waiters = Vec::new();
    for n in 0..10_000 {
        let request = request(&format!("prod/role{:03}", n % 100), &source);
        let lease = world.lease(&request);
        waiters.push(tokio::spawn(async move { lease.wait(SECOND * 5).await }));
    }
    for waiter in waiters {
        waiter.await.unwrap().unwrap();
    }
    assert_eq!(source.calls(), 100);
}
