//! Who holds an address: never who held it a moment ago.

use super::scripted_docker::{Docker, GATE, Question};
use super::*;

async fn begun() -> (Host, Docker, DropGuard, Containers, AbortOnDropHandle<()>) {
    let host = Host::new();
    let docker = Docker::at(&host.path("docker"));
    for (pid, digit) in [(1010, 'a'), (1011, 'b'), (1012, 'c')] {
        host.process(pid, &format!("/docker/{}", id(digit)));
    }
    docker.start_quietly('a', "172.17.0.2");
    let unit = host.unit(&[(EngineKind::Docker, "docker")]);
    let (containers, running) = host.client();
    until("the address is known", async || {
        containers.at(address("172.17.0.2")) == At::One
    })
    .await;
    until("events are followed", async || {
        docker.asked(Question::Events) > 0
    })
    .await;
    (host, docker, unit, containers, running)
}

#[tokio::test(start_paused = true)]
async fn an_address_is_its_containers() {
    let (_host, docker, _unit, containers, _running) = begun().await;
    assert_eq!(containers.holder("172.17.0.2").await, Known::Yes('a'));
    assert_eq!(
        containers.holder("::ffff:172.17.0.2").await,
        Known::Yes('a')
    );
    assert_eq!(containers.holder("172.17.0.9").await, Known::No);
    docker.start('b', "172.17.0.3");
    until("the new one is seen", async || {
        containers.at(address("172.17.0.3")) == At::One
    })
    .await;
    assert_eq!(containers.holder("172.17.0.3").await, Known::Yes('b'));
    docker.end('b');
    until("it is gone", async || {
        containers.at(address("172.17.0.3")) == At::Perhaps
    })
    .await;
    assert_eq!(containers.holder("172.17.0.3").await, Known::No);
}

#[tokio::test(start_paused = true)]
async fn a_container_whose_start_was_not_yet_told_is_found() {
    let (_host, docker, _unit, containers, _running) = begun().await;
    docker.start_quietly('b', "172.17.0.3");
    assert_eq!(containers.at(address("172.17.0.3")), At::Perhaps);
    assert_eq!(containers.holder("172.17.0.3").await, Known::Yes('b'));
}

#[tokio::test(start_paused = true)]
async fn a_container_that_connects_before_it_is_said_to_run_is_waited_for() {
    let (_host, docker, _unit, containers, _running) = begun().await;
    let asking = tokio::spawn({
        let containers = containers.clone();
        async move { containers.holder("172.17.0.3").await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    docker.start_quietly('b', "172.17.0.3");
    assert_eq!(asking.await.unwrap(), Known::Yes('b'));
}

#[tokio::test(start_paused = true)]
async fn an_address_that_was_reused_is_not_the_old_containers() {
    let (_host, docker, _unit, containers, _running) = begun().await;
    assert_eq!(containers.holder("172.17.0.2").await, Known::Yes('a'));
    // No event tells of it.
    docker.end_quietly('a');
    docker.start_quietly('b', "172.17.0.2");
    assert_eq!(containers.at(address("172.17.0.2")), At::One);
    assert_eq!(containers.holder("172.17.0.2").await, Known::Yes('b'));
    docker.end_quietly('b');
    assert_eq!(containers.holder("172.17.0.2").await, Known::No);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_began_before_the_question_does_not_answer_it() {
    let (_host, docker, _unit, containers, _running) = begun().await;
    // One list is under way, and has already seen `a`.
    let permits = u32::try_from(GATE).unwrap();
    let hold = Arc::clone(&docker.gate)
        .acquire_many_owned(permits)
        .await
        .unwrap();
    let before = docker.asked(Question::List);
    let early = tokio::spawn({
        let containers = containers.clone();
        async move { containers.holder("172.17.0.2").await }
    });
    until("a list is under way", async || {
        docker.asked(Question::List) > before
    })
    .await;
    docker.end_quietly('a');
    docker.start_quietly('b', "172.17.0.2");
    let late = tokio::spawn({
        let containers = containers.clone();
        async move { containers.holder("172.17.0.2").await }
    });
    tokio::task::yield_now().await;
    drop(hold);
    assert_eq!(late.await.unwrap(), Known::Yes('b'));
    // Who asked before the change is not told `a` either, which no longer runs.
    assert_eq!(early.await.unwrap(), Known::Yes('b'));
}

#[tokio::test(start_paused = true)]
async fn many_connections_of_one_address_ask_a_few_times() {
    let (_host, docker, _unit, containers, _running) = begun().await;
    let before = docker.asked(Question::List);
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let containers = containers.clone();
        asking.spawn(async move { containers.holder("172.17.0.2").await });
    }
    for holder in asking.join_all().await {
        assert_eq!(holder, Known::Yes('a'));
    }
    assert!(docker.asked(Question::List) - before <= 3);
    assert!(docker.asked(Question::Inspect) <= 3);
}

#[tokio::test(start_paused = true)]
async fn strangers_do_not_keep_the_runtimes_busy() {
    let (_host, docker, _unit, containers, _running) = begun().await;
    let before = docker.asked(Question::List);
    let begun = tokio::time::Instant::now();
    let mut asking = tokio::task::JoinSet::new();
    for last in 10..200 {
        let containers = containers.clone();
        asking.spawn(async move { containers.holder(&format!("10.9.9.{last}")).await });
    }
    for holder in asking.join_all().await {
        assert_eq!(holder, Known::No);
    }
    assert!(begun.elapsed() <= Duration::from_secs(1));
    let lists = docker.asked(Question::List) - before;
    assert!((2..=10).contains(&lists), "{lists}");
}

#[tokio::test(start_paused = true)]
async fn who_shares_a_network_namespace_is_nobody() {
    let (_host, docker, _unit, containers, _running) = begun().await;
    docker.start_quietly('b', "");
    docker.change('b', |sidecar| {
        sidecar.network_mode = format!("container:{}", id('a'));
    });
    assert_eq!(containers.holder("172.17.0.2").await, Known::No);
    assert_eq!(containers.at(address("172.17.0.2")), At::Several);
    // By its control group each is still known.
    assert!(containers.told('a').await.yes().is_some());
    docker.end('b');
    until("it is alone", async || {
        containers.at(address("172.17.0.2")) == At::One
    })
    .await;
    assert_eq!(containers.holder("172.17.0.2").await, Known::Yes('a'));
}

#[tokio::test(start_paused = true)]
async fn an_address_of_two_containers_is_nobodys() {
    let (_host, docker, _unit, containers, _running) = begun().await;
    docker.start_quietly('b', "172.17.0.2");
    assert_eq!(containers.holder("172.17.0.2").await, Known::No);
}

#[tokio::test(start_paused = true)]
async fn a_process_elsewhere_makes_an_address_nobodys() {
    let (host, _docker, _unit, containers, _running) = begun().await;
    for elsewhere in [
        format!("/docker/{}", id('b')),
        "/system.slice/x.service".to_owned(),
    ] {
        host.process(1010, &elsewhere);
        assert_eq!(
            containers.holder("172.17.0.2").await,
            Known::No,
            "{elsewhere}"
        );
    }
    fs::remove_dir_all(host.path("proc")).unwrap();
    assert_eq!(containers.holder("172.17.0.2").await, Known::No);
}
