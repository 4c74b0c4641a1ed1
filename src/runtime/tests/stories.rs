//! What a container is: asked once, remembered, forgotten when it changes.

use super::scripted_docker::{Docker, Question};
use super::*;

/// A host with docker and container `a`, whose facts are known.
fn begun() -> (Host, Docker, DropGuard, Containers, AbortOnDropHandle<()>) {
    let host = Host::new();
    let docker = Docker::at(&host.path("docker"));
    docker.start_quietly('a', "172.17.0.2");
    host.process(1010, &format!("/docker/{}", id('a')));
    let unit = host.unit(&[(EngineKind::Docker, "docker")]);
    let (containers, running) = host.client();
    (host, docker, unit, containers, running)
}

fn name(known: &Known<Arc<ContainerFacts>>) -> &str {
    known.yes().unwrap().name.as_deref().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_container_is_known_by_its_id() {
    let (_host, _docker, _unit, containers, _running) = begun();
    let told = containers.told('a').await;
    let facts = told.yes().unwrap();
    assert_eq!(facts.id, container_id('a'));
    assert_eq!(facts.owner, own_uid());
    assert_eq!(&*facts.runtime, "docker");
    assert_eq!(facts.name.as_deref(), Some("name-a"));
    assert_eq!(facts.image.as_deref(), Some("registry.example/web:1"));
    let labels: Vec<_> = facts.labels.keys().map(|label| &**label).collect();
    assert_eq!(labels, ["team"]);
    assert_eq!(facts.pod, None);
    assert_eq!(containers.told('b').await, Known::No);
    let other_owner = containers.inspect(&container_id('a'), own_uid() + 1).await;
    assert_eq!(other_owner, Known::No);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_id_is_not_asked_for() {
    let (_host, docker, _unit, containers, _running) = begun();
    for odd in [
        "name-a",
        "/lxc/web",
        "aaaa",
        &id('A'),
        &format!("../{}", id('a')),
    ] {
        let known = containers.inspect(&ContainerId::new(odd), own_uid()).await;
        assert_eq!(known, Known::No, "{odd}");
    }
    assert_eq!(docker.asked(Question::Inspect), 0);
}

#[tokio::test(start_paused = true)]
async fn all_who_ask_at_once_ask_once() {
    let (_host, docker, _unit, containers, _running) = begun();
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let containers = containers.clone();
        asking.spawn(async move { containers.told('a').await });
    }
    for told in asking.join_all().await {
        assert_eq!(name(&told), "name-a");
    }
    assert_eq!(docker.asked(Question::Inspect), 1);
    assert_eq!(name(&containers.told('a').await), "name-a");
    assert_eq!(docker.asked(Question::Inspect), 1);
}

#[tokio::test(start_paused = true)]
async fn a_change_is_seen() {
    let (_host, docker, _unit, containers, _running) = begun();
    assert_eq!(name(&containers.told('a').await), "name-a");
    until("events are followed", async || {
        docker.asked(Question::Events) > 0
    })
    .await;
    docker.change('a', |container| container.name = "renamed".to_owned());
    docker.tell("rename", 'a');
    until("the new name is known", async || {
        name(&containers.told('a').await) == "renamed"
    })
    .await;
    docker.end('a');
    until("it is gone", async || {
        containers.told('a').await == Known::No
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_before_a_change_is_not_remembered_after_it() {
    let (_host, docker, _unit, containers, _running) = begun();
    until("events are followed", async || {
        docker.asked(Question::Events) > 0
    })
    .await;
    docker.fail(Question::Inspect, Some(scripted_docker::Fault::Hangs));
    let early = tokio::spawn({
        let containers = containers.clone();
        async move { containers.told('a').await }
    });
    until("it is asked", async || docker.asked(Question::Inspect) > 0).await;
    docker.fail(Question::Inspect, None);
    docker.change('a', |container| container.name = "renamed".to_owned());
    docker.tell("rename", 'a');
    until("the new name is known", async || {
        let told = containers.told('a').await;
        told.yes().is_some() && name(&told) == "renamed"
    })
    .await;
    drop(early.await);
    assert_eq!(name(&containers.told('a').await), "renamed");
}

#[tokio::test(start_paused = true)]
async fn other_grants_ask_other_labels() {
    let (_host, _docker, _unit, containers, _running) = begun();
    containers.follow(Interest::default());
    let told = containers.told('a').await;
    assert!(told.yes().unwrap().labels.is_empty());
    let labels = [Arc::from("team")].into_iter().collect();
    containers.follow(Interest { labels });
    let again = containers.told('a').await;
    assert_eq!(again.yes().unwrap().labels.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_unit_nothing_is_known_and_nobody_waits() {
    let host = Host::new();
    let (containers, _running) = host.client();
    until("it is tried", async || {
        containers.at(address("172.17.0.2")) == At::Nobody
    })
    .await;
    let begun = tokio::time::Instant::now();
    assert_eq!(containers.told('a').await, Known::NotYet);
    assert_eq!(containers.holder("172.17.0.2").await, Known::NotYet);
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn what_the_unit_told_ends_with_it_and_begins_with_it() {
    let (host, _docker, unit, containers, _running) = begun();
    assert_eq!(name(&containers.told('a').await), "name-a");
    until("the address is known", async || {
        containers.at(address("172.17.0.2")) == At::One
    })
    .await;
    drop(unit);
    until("it is lost", async || {
        containers.at(address("172.17.0.2")) == At::Nobody
    })
    .await;
    assert_eq!(containers.remembered(&container_id('a'), own_uid()), None);
    let _unit = host.unit(&[(EngineKind::Docker, "docker")]);
    until("it is back", async || {
        containers.told('a').await.yes().is_some()
    })
    .await;
    assert_eq!(containers.holder("172.17.0.2").await, Known::Yes('a'));
}

#[tokio::test(start_paused = true)]
async fn a_unit_does_not_push_another_aside() {
    let (host, _docker, unit, _containers, _running) = begun();
    let spec = UnitSpec {
        socket: host.path("unit"),
        engines: Vec::new(),
        asker: None,
        processes: host.path("proc"),
    };
    assert!(matches!(Unit::bind(spec.clone()), Err(UnitError::InUse(_))));
    drop(unit);
    until("the socket is free", async || !host.path("unit").exists()).await;
    let stale = std::os::unix::net::UnixListener::bind(host.path("unit")).unwrap();
    drop(stale);
    assert!(
        Unit::bind(spec).is_ok(),
        "one that a killed unit left is replaced"
    );
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(host.path("unit")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o660);
}
