//! A small CRI runtime: one pod with one container, with or without events, and faults.

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderValue};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::UnixListener;
use tokio_util::task::AbortOnDropHandle;

use crate::runtime::engine::cri_messages::{
    Container, ContainerMetadata, ContainerStatus, ContainerStatusResponse, Containers, Event,
    Filter, Image, LinuxSandbox, ListRequest, NODE, NamespaceOption, Namespaces, PodIp, READY,
    RUNNING, Sandbox, SandboxMetadata, SandboxNetwork, SandboxStatus, SandboxStatusResponse,
    Sandboxes, StatusRequest, Version,
};
use crate::runtime::engine::grpc::framed;

type Body = UnsyncBoxBody<Bytes, Infallible>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Hangs,
    Garbage,
    /// A frame that says it has four gigabytes.
    Huge,
    /// A compressed frame.
    Compressed,
    /// No trailers.
    Cut,
    Fails,
    NoGrpc,
}

/// A pod: its id, its container's, and its addresses.
#[derive(Clone, Debug)]
pub(super) struct Pod {
    pub(super) id: String,
    pub(super) container: String,
    pub(super) addresses: Vec<String>,
    pub(super) on_host: bool,
    pub(super) pid: u32,
}

#[derive(Default)]
struct State {
    pods: Vec<Pod>,
    tells_events: bool,
    fault: Option<Fault>,
    asked: HashMap<String, usize>,
}

#[derive(Clone)]
pub(super) struct Cri {
    state: Arc<Mutex<State>>,
    _serving: Arc<AbortOnDropHandle<()>>,
}

impl Cri {
    pub(super) fn at(socket: &Path, tells_events: bool) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let state = Arc::new(Mutex::new(State {
            tells_events,
            ..State::default()
        }));
        let service_state = Arc::clone(&state);
        let serving = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let of_connection = Arc::clone(&service_state);
                connections.spawn(async move {
                    let service =
                        service_fn(move |request| answer(Arc::clone(&of_connection), request));
                    let connection = http2::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service);
                    drop(connection.await);
                });
            }
        });
        Self {
            state,
            _serving: Arc::new(AbortOnDropHandle::new(serving)),
        }
    }

    pub(super) fn start(&self, pod: char, container: char, addresses: &[&str]) {
        self.state.lock().unwrap().pods.push(Pod {
            id: super::id(pod),
            container: super::id(container),
            addresses: addresses.iter().map(|text| (*text).to_owned()).collect(),
            on_host: false,
            pid: container.to_digit(16).unwrap() + 1000,
        });
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Pod)) {
        change(self.state.lock().unwrap().pods.last_mut().unwrap());
    }

    pub(super) fn end(&self, pod: char) {
        let id = super::id(pod);
        self.state.lock().unwrap().pods.retain(|one| one.id != id);
    }

    pub(super) fn fail(&self, fault: Option<Fault>) {
        self.state.lock().unwrap().fault = fault;
    }

    pub(super) fn asked(&self, method: &str) -> usize {
        let state = self.state.lock().unwrap();
        state.asked.get(method).copied().unwrap_or_default()
    }
}

async fn answer(
    state: Arc<Mutex<State>>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let method = request.uri().path().rsplit('/').next().unwrap().to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let question = body.slice(5..);
    let (fault, tells_events, pods) = {
        let mut state = state.lock().unwrap();
        *state.asked.entry(method.clone()).or_default() += 1;
        (state.fault, state.tells_events, state.pods.clone())
    };
    if let Some(fault) = fault {
        return Ok(faulty(fault).await);
    }
    let told = match method.as_str() {
        "Version" => Ok(framed(&Version {
            runtime_name: "containerd".to_owned(),
        })),
        "ListPodSandbox" => Ok(framed(&sandboxes(&pods, &wanted(&question)))),
        "ListContainers" => Ok(framed(&containers(&pods, &wanted(&question)))),
        "PodSandboxStatus" => sandbox_status(&pods, &question),
        "ContainerStatus" => container_status(&pods, &question),
        "GetContainerEvents" if tells_events => {
            // As real ones do: not even a head before the first event.
            let before = pods.len();
            while state.lock().unwrap().pods.len() == before {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            Ok(framed(&Event {
                container: super::id('f'),
            }))
        }
        _ => Err(12),
    };
    Ok(match told {
        Ok(message) => reply(message, 0),
        Err(status) => reply(Bytes::new(), status),
    })
}

fn wanted(question: &[u8]) -> String {
    let asked = ListRequest::decode(question).unwrap();
    asked.filter.map(|Filter { id, .. }| id).unwrap_or_default()
}

fn metadata() -> SandboxMetadata {
    SandboxMetadata {
        name: "web-0".to_owned(),
        namespace: "shop".to_owned(),
    }
}

fn sandboxes(pods: &[Pod], wanted: &str) -> Sandboxes {
    let items = pods.iter().filter(|pod| pod.id.starts_with(wanted));
    Sandboxes {
        items: items
            .map(|pod| Sandbox {
                id: pod.id.clone(),
                metadata: Some(metadata()),
                state: READY,
            })
            .collect(),
    }
}

fn containers(pods: &[Pod], wanted: &str) -> Containers {
    let items = pods.iter().filter(|pod| pod.container.starts_with(wanted));
    Containers {
        containers: items
            .map(|pod| Container {
                id: pod.container.clone(),
                sandbox: pod.id.clone(),
                state: RUNNING,
            })
            .collect(),
    }
}

fn sandbox_status(pods: &[Pod], question: &[u8]) -> Result<Bytes, i32> {
    let asked = StatusRequest::decode(question).unwrap();
    let pod = pods.iter().find(|pod| pod.id == asked.id).ok_or(5)?;
    let mut addresses = pod.addresses.iter().cloned();
    let options = NamespaceOption {
        network: if pod.on_host { NODE } else { 0 },
    };
    Ok(framed(&SandboxStatusResponse {
        status: Some(SandboxStatus {
            id: pod.id.clone(),
            metadata: Some(metadata()),
            state: READY,
            created_at: 1,
            network: Some(SandboxNetwork {
                ip: addresses.next().unwrap_or_default(),
                additional: addresses.map(|ip| PodIp { ip }).collect(),
            }),
            linux: Some(LinuxSandbox {
                namespaces: Some(Namespaces {
                    options: Some(options),
                }),
            }),
            labels: HashMap::from([("team".to_owned(), "shop".to_owned())]),
        }),
        info: HashMap::new(),
    }))
}

fn container_status(pods: &[Pod], question: &[u8]) -> Result<Bytes, i32> {
    let asked = StatusRequest::decode(question).unwrap();
    let pod = pods.iter().find(|pod| pod.container == asked.id).ok_or(5)?;
    let info = serde_json::json!({"sandboxID": pod.id, "pid": pod.pid, "runtimeSpec": {}});
    Ok(framed(&ContainerStatusResponse {
        status: Some(ContainerStatus {
            id: pod.container.clone(),
            metadata: Some(ContainerMetadata {
                name: "app".to_owned(),
            }),
            state: RUNNING,
            started_at: 2,
            image: Some(Image {
                image: "registry.example/app:1".to_owned(),
                user_specified: String::new(),
            }),
            labels: HashMap::from([("team".to_owned(), "app".to_owned())]),
        }),
        info: HashMap::from([("info".to_owned(), info.to_string())]),
    }))
}

fn reply(message: Bytes, status: i32) -> Response<Body> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(status));
    let trailers = async move { Some(Ok(trailers)) };
    Response::new(Full::new(message).with_trailers(trailers).boxed_unsync())
}

async fn faulty(fault: Fault) -> Response<Body> {
    match fault {
        Fault::Hangs => std::future::pending().await,
        Fault::Garbage => reply(Bytes::from_static(b"\0\0\0\0\x02\xff\xff"), 0),
        Fault::Huge => reply(Bytes::from_static(b"\0\xff\xff\xff\xff"), 0),
        Fault::Compressed => reply(Bytes::from_static(b"\x01\0\0\0\0"), 0),
        Fault::Cut => Response::new(Full::from(Bytes::from_static(b"\0\0\0\0\0")).boxed_unsync()),
        Fault::Fails => reply(Bytes::new(), 13),
        Fault::NoGrpc => {
            let mut response = reply(Bytes::from_static(b"<html>"), 0);
            *response.status_mut() = hyper::StatusCode::BAD_GATEWAY;
            response
        }
    }
}
