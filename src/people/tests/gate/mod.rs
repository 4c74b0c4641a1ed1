//! What is shown at the gate, and who passes.

mod cookies;
mod guesses;
mod mounts;
mod passwords;
mod proxy;
mod tokens;

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use argon2::password_hash::PasswordHasher as _;
use argon2::{Argon2, Params};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, COOKIE, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method};
use tempfile::TempDir;

use crate::caller::CallerKey;
use crate::clock::Clock;
use crate::config::{self, Administrator, Api, Mount, ProxyHeader};
use crate::grants::{Person, Way};
use crate::people::directory::Asked;
use crate::people::{
    Admitted, Asking, Directory, Gate, Issuers, Member, NotMember, Proofs, Proven, Unproven,
    token_hash,
};
use crate::secret::{ExposeSecret as _, SecretString};
use crate::store::{Store, TokenDraft};
use crate::transport::{Client, OwnAddresses, Thread, Transport};

/// A directory that knows `dora`, whose password is `dora's`; `hang` and `down` cannot be told.
#[derive(Debug, Default)]
struct Known {
    asked: AtomicUsize,
    gone: AtomicUsize,
    groups: Mutex<Vec<Arc<str>>>,
}

impl Directory for Known {
    fn way(&self) -> Way {
        Way::Ldap
    }

    fn verify<'a>(&'a self, name: &'a str, password: &'a SecretString) -> Asked<'a, Member> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            match name.to_lowercase().as_str() {
                "dora" if password.expose_secret() == "dora's" => Ok(Member {
                    name: Arc::from("dora"),
                    groups: self.groups.lock().unwrap().clone(),
                }),
                "dora" => Err(NotMember::Wrong),
                "down" => Err(NotMember::NotReady),
                _ => Err(NotMember::Unknown),
            }
        })
    }

    fn member<'a>(&'a self, name: &'a str) -> Asked<'a, Member> {
        Box::pin(async move {
            match name.to_lowercase().as_str() {
                "dora" if self.gone.load(Ordering::Relaxed) == 0 => Ok(Member {
                    name: Arc::from("dora"),
                    groups: self.groups.lock().unwrap().clone(),
                }),
                "down" => Err(NotMember::NotReady),
                _ => Err(NotMember::Unknown),
            }
        })
    }
}

struct Scene {
    home: TempDir,
    clock: Clock,
    store: Store,
    directory: Arc<Known>,
    gate: Gate,
}

const ALL: [Way; 4] = [Way::ProxyHeader, Way::Basic, Way::Ldap, Way::Token];

fn mount(ways: &[Way]) -> Mount {
    let mut mounts = Mount::defaults(&[Api::Connectors], ways);
    mounts.remove(0)
}

/// A hash that costs little.
fn hash(password: &str) -> String {
    let params = Params::new(64, 1, 1, None).unwrap();
    let argon2 = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let hash = argon2.hash_password_with_salt(password.as_bytes(), b"saltsaltsalt");
    hash.unwrap().to_string()
}

impl Scene {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let users = home.path().join("users");
        let groups = home.path().join("groups");
        fs::write(
            &users,
            format!("ann:{}\nbob:{}\n", hash("ann's"), hash("bob's")),
        )
        .unwrap();
        fs::write(&groups, "ops: ann dora peter\ndev: bob\n").unwrap();
        let clock = Clock::simulated(SystemTime::UNIX_EPOCH);
        let people = config::People {
            users_file: Some(users),
            groups_file: Some(groups),
            administrators: vec![
                Administrator::Person(Arc::from("bob")),
                Administrator::Group(Arc::from("admins")),
                Administrator::Uid(7),
            ],
            proxy_header: Some(ProxyHeader {
                name: "x-remote-user".to_owned(),
                listener: Arc::from("proxy"),
                uids: vec![33],
                subjects: Vec::new(),
                lower_case: false,
                visitor_header: Some("x-forwarded-for".to_owned()),
            }),
            ..config::People::default()
        };
        let transport = Transport::new(OwnAddresses::default(), Arc::from("mark"), None);
        let client = Client::new(Thread::default(), transport);
        let store = Store::in_memory(clock.clone());
        let directory = Arc::new(Known::default());
        let of_gate: Arc<dyn Directory> = Arc::<Known>::clone(&directory);
        let proofs = Proofs {
            clock: clock.clone(),
            issuers: Arc::new(Issuers::new(&[], client, clock.clone())),
            store: store.clone(),
            directories: vec![of_gate],
        };
        let gate = Gate::new(&people, proofs);
        Self {
            home,
            clock,
            store,
            directory,
            gate,
        }
    }

    async fn prove(&self, ways: &[Way], headers: &HeaderMap) -> Result<Admitted, Unproven> {
        self.gate.prove(&mount(ways), asking(headers)).await
    }

    async fn person(&self, ways: &[Way], headers: &HeaderMap) -> Arc<Person> {
        person(self.prove(ways, headers).await.unwrap())
    }

    fn write(&self, name: &str, text: &str) {
        let new = self.home.path().join("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.home.path().join(name)).unwrap();
    }

    async fn token(&self, user: &str, expires: SystemTime) -> HeaderMap {
        let text = format!("token-of-{user}");
        let draft = TokenDraft {
            user: Arc::from(user),
            hash: token_hash(&text),
            expires,
        };
        self.store.create_token(draft).await.unwrap();
        bearer(&text)
    }
}

fn asking(headers: &HeaderMap) -> Asking<'_> {
    Asking {
        uid: Some(1000),
        counted: &CallerKey::Uid(1000),
        over_unix: false,
        subject: None,
        address: None,
        listener: "api",
        secure: false,
        method: &Method::GET,
        headers,
    }
}

fn from_proxy(headers: &HeaderMap) -> Asking<'_> {
    Asking {
        uid: Some(33),
        over_unix: true,
        listener: "proxy",
        ..asking(headers)
    }
}

fn person(admitted: Admitted) -> Arc<Person> {
    match admitted.who {
        Proven::Person(person) => person,
        Proven::Peer { .. } => panic!("nobody proved a name"),
    }
}

fn header(name: HeaderName, value: &str) -> HeaderMap {
    HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
}

fn basic(name: &str, password: &str) -> HeaderMap {
    let encoded = STANDARD.encode(format!("{name}:{password}"));
    header(AUTHORIZATION, &format!("Basic {encoded}"))
}

fn bearer(token: &str) -> HeaderMap {
    header(AUTHORIZATION, &format!("Bearer {token}"))
}

fn remote_user(name: &str) -> HeaderMap {
    header(HeaderName::from_static("x-remote-user"), name)
}

/// What a client that keeps cookies sends next.
fn cookie(admitted: &Admitted) -> HeaderMap {
    let set = admitted.cookie.as_ref().unwrap().to_str().unwrap();
    header(COOKIE, set.split(';').next().unwrap())
}

fn both(one: &HeaderMap, other: &HeaderMap) -> HeaderMap {
    let mut all = one.clone();
    all.extend(other.clone());
    all
}

fn groups(person: &Person) -> Vec<&str> {
    person.groups.iter().map(|group| &**group).collect()
}

/// This long later.
async fn after(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}
