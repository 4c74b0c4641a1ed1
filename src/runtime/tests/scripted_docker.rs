//! A small docker: containers that a test starts and ends, and faults.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::UnixListener;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::task::AbortOnDropHandle;

/// How many lists may be answered at once.
pub(crate) const GATE: usize = 100;

/// What goes wrong with one kind of question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Hangs,
    /// Begins an answer that never ends.
    Megabytes,
    Garbage,
    Closes,
    Refuses,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Question {
    List,
    Networks,
    Inspect,
    Events,
}

#[derive(Clone, Debug)]
pub(crate) struct Container {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) pid: u32,
    pub(crate) network_mode: String,
    pub(crate) labels: BTreeMap<String, String>,
}

#[derive(Default)]
struct State {
    containers: Vec<Container>,
    faults: BTreeMap<Question, Fault>,
    asked: BTreeMap<Question, usize>,
    followers: Vec<mpsc::UnboundedSender<Bytes>>,
    /// Answers a question for one id with another's.
    lies: bool,
}

#[derive(Clone)]
pub(crate) struct Docker {
    state: Arc<Mutex<State>>,
    /// Lists wait here for their turn.
    pub(crate) gate: Arc<Semaphore>,
    serving: Arc<Mutex<Option<AbortOnDropHandle<()>>>>,
}

impl Docker {
    pub(crate) fn at(socket: &Path) -> Self {
        let docker = Self {
            state: Arc::default(),
            gate: Arc::new(Semaphore::new(GATE)),
            serving: Arc::default(),
        };
        docker.serve(socket);
        docker
    }

    /// Listens, again after [`Self::die`].
    pub(crate) fn serve(&self, socket: &Path) {
        drop(std::fs::remove_file(socket));
        let listener = UnixListener::bind(socket).unwrap();
        let docker = Self {
            serving: Arc::default(),
            ..self.clone()
        };
        let accepting = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let docker = docker.clone();
                connections.spawn(async move {
                    let service = service_fn(|request| docker.answer(request));
                    let connection =
                        http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                    drop(connection.await);
                });
            }
        });
        *self.serving.lock().unwrap() = Some(AbortOnDropHandle::new(accepting));
    }

    /// Closes its socket and all connections.
    pub(crate) fn die(&self) {
        *self.serving.lock().unwrap() = None;
        self.state.lock().unwrap().followers.clear();
    }

    /// Starts a container without telling anybody.
    pub(crate) fn start_quietly(&self, digit: char, address: &str) {
        let container = Container {
            id: super::id(digit),
            name: format!("name-{digit}"),
            address: address.to_owned(),
            pid: digit.to_digit(16).unwrap() + 1000,
            network_mode: "default".to_owned(),
            labels: BTreeMap::from([
                ("team".to_owned(), "build".to_owned()),
                ("other".to_owned(), "x".repeat(4000)),
            ]),
        };
        self.state.lock().unwrap().containers.push(container);
    }

    pub(crate) fn start(&self, digit: char, address: &str) {
        self.start_quietly(digit, address);
        self.tell("start", digit);
    }

    pub(crate) fn change(&self, digit: char, change: impl FnOnce(&mut Container)) {
        let mut state = self.state.lock().unwrap();
        let id = super::id(digit);
        change(
            state
                .containers
                .iter_mut()
                .find(|one| one.id == id)
                .unwrap(),
        );
    }

    pub(crate) fn end_quietly(&self, digit: char) {
        let id = super::id(digit);
        self.state
            .lock()
            .unwrap()
            .containers
            .retain(|one| one.id != id);
    }

    pub(crate) fn end(&self, digit: char) {
        self.end_quietly(digit);
        self.tell("die", digit);
    }

    pub(crate) fn tell(&self, action: &str, digit: char) {
        let event =
            json!({"Type": "container", "Action": action, "Actor": {"ID": super::id(digit)}});
        self.say(&format!("{event}\n"));
    }

    /// Says this to all who follow its events.
    pub(crate) fn say(&self, text: &str) {
        let text = Bytes::from(text.to_owned());
        let followers = &mut self.state.lock().unwrap().followers;
        followers.retain(|follower| follower.send(text.clone()).is_ok());
    }

    pub(crate) fn fail(&self, question: Question, fault: Option<Fault>) {
        let faults = &mut self.state.lock().unwrap().faults;
        match fault {
            Some(fault) => drop(faults.insert(question, fault)),
            None => drop(faults.remove(&question)),
        }
    }

    pub(crate) fn lie(&self) {
        self.state.lock().unwrap().lies = true;
    }

    pub(crate) fn asked(&self, question: Question) -> usize {
        let state = self.state.lock().unwrap();
        state.asked.get(&question).copied().unwrap_or_default()
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Lines>, Infallible> {
        let path = request.uri().path().to_owned();
        let question = match path.as_str() {
            "/containers/json" => Question::List,
            "/networks" => Question::Networks,
            "/events" => Question::Events,
            _ => Question::Inspect,
        };
        let fault = {
            let mut state = self.state.lock().unwrap();
            *state.asked.entry(question).or_default() += 1;
            state.faults.get(&question).copied()
        };
        if let Some(fault) = fault {
            return Ok(faulty(fault).await);
        }
        if question == Question::List {
            let listed = self.list();
            drop(self.gate.acquire().await.unwrap());
            return Ok(whole(StatusCode::OK, &listed.to_string()));
        }
        Ok(match question {
            Question::List | Question::Networks => {
                let networks = json!([{"Name": "bridge", "Id": "n1", "Driver": "bridge"}]);
                whole(StatusCode::OK, &networks.to_string())
            }
            Question::Events => {
                let (sender, lines) = mpsc::unbounded_channel();
                self.state.lock().unwrap().followers.push(sender);
                Response::new(Lines(lines))
            }
            Question::Inspect => self.inspect(&path),
        })
    }

    fn list(&self) -> Value {
        let state = self.state.lock().unwrap();
        let containers = state.containers.iter();
        let list = containers.map(|one| {
            json!({
                "Id": one.id,
                "State": "running",
                "HostConfig": {"NetworkMode": one.network_mode},
                "NetworkSettings": networks(one),
            })
        });
        list.collect()
    }

    fn inspect(&self, path: &str) -> Response<Lines> {
        let state = self.state.lock().unwrap();
        let id = path
            .strip_prefix("/containers/")
            .and_then(|rest| rest.strip_suffix("/json"));
        let mut containers = state.containers.iter();
        let found = containers.find(|one| Some(one.id.as_str()) == id);
        let Some(one) = found else {
            return whole(StatusCode::NOT_FOUND, r#"{"message":"No such container"}"#);
        };
        let told = if state.lies {
            super::id('f')
        } else {
            one.id.clone()
        };
        let body = json!({
            "Id": told,
            "Name": format!("/{}", one.name),
            "State": {"Running": true, "Pid": one.pid, "StartedAt": "2026-01-01T00:00:00Z"},
            "Config": {"Image": "registry.example/web:1", "Labels": one.labels},
            "HostConfig": {"NetworkMode": one.network_mode},
            "NetworkSettings": networks(one),
        });
        whole(StatusCode::OK, &body.to_string())
    }
}

fn networks(one: &Container) -> Value {
    json!({"Networks": {"bridge": {"NetworkID": "n1", "IPAddress": one.address}}})
}

async fn faulty(fault: Fault) -> Response<Lines> {
    match fault {
        Fault::Hangs => std::future::pending().await,
        Fault::Megabytes => {
            let (sender, lines) = mpsc::unbounded_channel();
            // More than any bound, and no end.
            for _ in 0..40 {
                sender.send(Bytes::from(vec![b' '; 1 << 20])).unwrap();
            }
            drop(tokio::spawn(async move { sender.closed().await }));
            Response::new(Lines(lines))
        }
        Fault::Garbage => whole(StatusCode::OK, "<html>\n"),
        Fault::Closes => whole(StatusCode::OK, ""),
        Fault::Refuses => whole(StatusCode::INTERNAL_SERVER_ERROR, "{}"),
    }
}

fn whole(status: StatusCode, body: &str) -> Response<Lines> {
    let (sender, lines) = mpsc::unbounded_channel();
    sender.send(Bytes::from(body.to_owned())).unwrap();
    let mut response = Response::new(Lines(lines));
    *response.status_mut() = status;
    response
}

/// A body that is sent piece by piece.
pub(crate) struct Lines(mpsc::UnboundedReceiver<Bytes>);

impl Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_recv(cx)
            .map(|line| Some(Ok(Frame::data(line?))))
    }
}
