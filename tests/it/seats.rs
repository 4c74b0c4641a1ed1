//! Connections at once: the surplus of one caller waits and is served, never refused.

use crate::support::client::{Connection, LIST, TOKEN, imds_token, request};
use crate::support::daemon::{LOCAL, TestDaemon};

#[tokio::test]
async fn the_surplus_of_one_caller_waits_for_its_turn() {
    let text = format!("{LOCAL}\n[limits]\nconnections = 8\nconnections-per-caller = 2\n");
    let daemon = TestDaemon::start(&text);
    let at = daemon.address("metadata");
    let token = imds_token(at).await;
    let get = request("GET", LIST, &[(TOKEN, &token)]);
    let mut kept = Vec::new();
    for _ in 0..2 {
        let mut connection = Connection::open(at).await;
        connection.send(get.as_bytes()).await;
        assert_eq!(connection.answer().await.unwrap().status, 200);
        kept.push(connection);
    }
    let mut surplus = Connection::open(at).await;
    surplus.send(get.as_bytes()).await;
    for connection in &mut kept {
        connection.send(get.as_bytes()).await;
        assert_eq!(
            connection.answer().await.unwrap().status,
            200,
            "those with a seat go on"
        );
    }
    assert!(surplus.is_silent(), "it waits");
    drop(kept.pop());
    assert_eq!(
        surplus.answer().await.unwrap().status,
        200,
        "a seat was free"
    );
}

#[tokio::test]
async fn more_connections_than_seats_are_all_served_in_the_end() {
    let text = format!("{LOCAL}\n[limits]\nconnections = 4\nconnections-per-caller = 4\n");
    let daemon = TestDaemon::start(&text);
    let at = daemon.address("metadata");
    let token = imds_token(at).await;
    let headers = [(TOKEN, token.as_str()), ("Connection", "close")];
    let get = request("GET", LIST, &headers);
    let mut asking = Vec::new();
    for _ in 0..50 {
        let get = get.clone();
        asking.push(tokio::spawn(async move {
            let mut connection = Connection::open(at).await;
            connection.send(get.as_bytes()).await;
            connection.answer().await.map(|answer| answer.status)
        }));
    }
    for answer in asking {
        assert_eq!(answer.await.unwrap(), Some(200));
    }
}
