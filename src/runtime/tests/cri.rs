//! Pods and their containers.

use super::scripted_cri::{Cri, Fault};
use super::*;

async fn begun(tells_events: bool) -> (Host, Cri, DropGuard, Containers, AbortOnDropHandle<()>) {
    let host = Host::new();
    let cri = Cri::at(&host.path("cri"), tells_events);
    cri.start('a', 'b', &["10.244.0.2", "fd00:244::2"]);
    let pod = "/kubepods.slice/kubepods-pod1_2.slice";
    host.process(1011, &format!("{pod}/cri-containerd-{}.scope", id('b')));
    let unit = host.unit(&[(EngineKind::Cri, "cri")]);
    let (containers, running) = host.client();
    until("the pod is listed", async || {
        containers.at(address("10.244.0.2")) == At::One
    })
    .await;
    (host, cri, unit, containers, running)
}

#[tokio::test(start_paused = true)]
async fn a_container_of_a_pod_is_known_by_its_id() {
    let (_host, _cri, _unit, containers, _running) = begun(true).await;
    let told = containers.told('b').await;
    let facts = told.yes().unwrap();
    assert_eq!(&*facts.runtime, "containerd");
    assert_eq!(facts.name.as_deref(), Some("app"));
    assert_eq!(facts.image.as_deref(), Some("registry.example/app:1"));
    assert_eq!(facts.labels.get("team").map(|team| &**team), Some("app"));
    let pod = facts.pod.as_ref().unwrap();
    assert_eq!(
        (&*pod.namespace, pod.name.as_deref()),
        ("shop", Some("web-0"))
    );
    assert_eq!(pod.service_account, None);
}

#[tokio::test(start_paused = true)]
async fn an_address_is_a_pods_and_no_containers() {
    let (_host, _cri, _unit, containers, _running) = begun(true).await;
    for address_of_it in ["10.244.0.2", "fd00:244::2"] {
        let Known::Yes(held) = containers.confirm(address(address_of_it)).await else {
            panic!("{address_of_it} is nobody's")
        };
        assert_eq!(held.id, container_id('a'));
        assert_eq!((&held.facts.name, &held.facts.image), (&None, &None));
        assert_eq!(
            held.facts.pod.as_ref().unwrap().name.as_deref(),
            Some("web-0")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_in_the_hosts_network_has_no_address() {
    let (_host, cri, _unit, containers, _running) = begun(true).await;
    cri.start('c', 'd', &["192.0.2.1"]);
    cri.change(|pod| pod.on_host = true);
    assert_eq!(containers.holder("192.0.2.1").await, Known::No);
}

#[tokio::test(start_paused = true)]
async fn a_pods_address_that_was_reused_is_not_the_old_pods() {
    for tells_events in [true, false] {
        let (_host, cri, _unit, containers, _running) = begun(tells_events).await;
        assert_eq!(containers.holder("10.244.0.2").await, Known::Yes('a'));
        cri.end('a');
        cri.start('c', 'd', &["10.244.0.2"]);
        assert_eq!(containers.holder("10.244.0.2").await, Known::Yes('c'));
    }
}

#[tokio::test(start_paused = true)]
async fn a_runtime_without_events_is_asked_again_and_again() {
    for tells_events in [true, false] {
        let (host, cri, _unit, containers, _running) = begun(tells_events).await;
        assert!(containers.told('b').await.yes().is_some());
        cri.start('c', 'd', &["10.244.0.3"]);
        host.process(1013, &format!("/kubepods/podx/{}", id('d')));
        until("the new pod is listed", async || {
            containers.at(address("10.244.0.3")) == At::One
        })
        .await;
        assert!(containers.told('d').await.yes().is_some());
        cri.end('a');
        until("the old one is not", async || {
            containers.told('b').await == Known::No
        })
        .await;
        assert!(tells_events || cri.asked("ListContainers") > 2);
    }
}

#[tokio::test(start_paused = true)]
async fn the_process_of_another_container_is_no_proof() {
    let (host, _cri, _unit, containers, _running) = begun(true).await;
    host.process(1011, &format!("/kubepods/podx/{}", id('c')));
    assert_eq!(containers.told('b').await, Known::No);
}

#[tokio::test(start_paused = true)]
async fn a_bad_answer_is_no_answer() {
    for fault in [
        Fault::Hangs,
        Fault::Garbage,
        Fault::Huge,
        Fault::Compressed,
        Fault::Cut,
        Fault::Fails,
        Fault::NoGrpc,
    ] {
        let (_host, cri, _unit, containers, _running) = begun(false).await;
        cri.fail(Some(fault));
        assert_eq!(containers.told('b').await, Known::NotYet, "{fault:?}");
        assert_ne!(
            containers.holder("10.244.0.2").await,
            Known::Yes('a'),
            "{fault:?}"
        );
        cri.fail(None);
        until("it is back", async || {
            containers.told('b').await.yes().is_some()
        })
        .await;
        until("its pod is back", async || {
            containers.holder("10.244.0.2").await == Known::Yes('a')
        })
        .await;
    }
}
