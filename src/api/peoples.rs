//! People's APIs at their paths: which mount a request is for, who it comes from, and what vending
//! remembers of that person on this connection.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE};

use super::{Deps, Guest, accounts, connectors};
use crate::config::{self, Api, Mount};
use crate::grants::{Person, Select, Way};
use crate::http::{Guard, Leave, Local, Refused, Request, Response};
use crate::people::{Asking, Gate, Proven, Unproven};
use crate::vending::Visit;

/// How many people a connection remembers: a proxy's carries requests of many.
const REMEMBERED: usize = 32;

/// The mounts of one listener.
#[derive(Debug)]
pub struct Peoples {
    /// How paths begin and what is there, the longest first.
    mounts: Vec<(String, Arc<Mounted>)>,
    gate: Arc<Gate>,
    /// Whether it is a trusted proxy's listener.
    behind_proxy: bool,
    /// Whether people's clients speak TLS to it, or to who stands before it.
    secure: bool,
}

/// One mount with what is served there.
#[derive(Debug)]
struct Mounted {
    rules: Mount,
    accounts: Option<accounts::Accounts>,
    connectors: Option<connectors::Connectors>,
}

/// Who asks, as far as an API has to know.
#[derive(Debug)]
pub struct Asker {
    /// What vending knows of the person; of the connection's own caller otherwise.
    person: Option<Arc<Visit>>,
    /// The name that it proved, or its caller's.
    pub name: Arc<str>,
    /// Whether it may manage accounts and connectors.
    pub administrator: bool,
    /// What its session may be called in public: it proves nothing.
    pub session: Option<Arc<str>>,
    /// The cookie that proves its name from now on.
    cookie: Option<HeaderValue>,
}

/// What a connection remembers of the people who asked over it.
#[derive(Debug, Default)]
pub struct Memory {
    people: Mutex<Vec<(Arc<Person>, Arc<Visit>)>>,
    /// Its own caller, where that is a machine.
    machine: OnceLock<Arc<Visit>>,
}

impl Asker {
    /// What vending knows of it.
    pub fn visit<'a>(&'a self, guest: &'a Guest) -> &'a Visit {
        self.person.as_deref().unwrap_or(&guest.visit)
    }
}

impl Peoples {
    /// The mounts that this listener's configuration names; `None` where there are none.
    pub fn new(listener: &config::Listener, gate: &Arc<Gate>, deps: &Deps) -> Option<Self> {
        let served = listener.mounts.iter();
        let served: Vec<Arc<Mounted>> = served
            .map(|mount| Arc::new(Mounted::new(mount.clone(), listener, deps)))
            .collect();
        let mounts = at_prefixes(&served, listener.public().map_or("", |(_, path)| path));
        let takes = |way: Way| {
            let mut all = listener.mounts.iter();
            all.any(|mount| mount.authenticate.contains(&way))
        };
        (!mounts.is_empty()).then(|| Self {
            mounts,
            gate: Arc::clone(gate),
            behind_proxy: takes(Way::ProxyHeader),
            secure: is_secure(listener),
        })
    }

    /// Answers one request; `None` where its path is nobody's here.
    pub async fn answer(
        &self,
        deps: &Deps,
        guest: &Guest,
        (guard, guarded): (&Guard, Result<(), Refused>),
        request: &Request,
    ) -> Option<Response> {
        let path = request.uri().path();
        let (mount, below) = self.mounts.iter().find_map(|(prefix, mount)| {
            let below = below(prefix, path)?;
            mount.serves(below).then_some((mount, below))
        })?;
        let guarded = guarded.or_else(|refused| match refused {
            Refused::Browser | Refused::Forwarded if !mount.rules.machine => {
                guard.check_people(&guest.connection, request, self.leave(mount, below))
            }
            Refused::Browser | Refused::Forwarded | Refused::ForeignHost | Refused::Malformed => {
                Err(refused)
            }
        });
        let mut asker = match guarded {
            Ok(()) => self.prove(deps, mount, guest, request).await,
            Err(refused) => return Some(mount.refuse(deps, below, refused)),
        };
        let failed = asker.as_ref().err().and_then(Unproven::retry_after);
        let cookie = asker.as_mut().ok().and_then(|asker| asker.cookie.take());
        let mut response = mount.answer(deps, guest, below, asker, request).await;
        let unauthorized = response.status() == StatusCode::UNAUTHORIZED;
        let headers = response.headers_mut();
        if let Some(cookie) = cookie {
            headers.append(SET_COOKIE, cookie);
        }
        if let Some(wait) = failed {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        if unauthorized {
            headers.remove(WWW_AUTHENTICATE);
            for challenge in Gate::challenges(&mount.rules) {
                headers.append(WWW_AUTHENTICATE, challenge);
            }
        }
        Some(response)
    }

    /// What the guard lets through to this path. A proxy's headers never where its own process
    /// would be the proof: it speaks for others.
    fn leave(&self, mount: &Mounted, below: &str) -> Leave {
        Leave {
            forwarded: self.behind_proxy && !mount.rules.authenticate.contains(&Way::Peer),
            navigation: mount.connectors.is_some() && connectors::is_servlet(below),
        }
    }

    async fn prove(
        &self,
        deps: &Deps,
        mount: &Mounted,
        guest: &Guest,
        request: &Request,
    ) -> Result<Asker, Unproven> {
        let connected = &guest.connection.caller;
        deps.vending.identify(connected).await;
        if mount.rules.machine {
            return machine(guest, request);
        }
        let encrypted = guest.connection.encrypted.as_ref();
        let counted = connected.key();
        let asking = Asking {
            counted: &counted,
            uid: connected.facts().uid_on_host().yes().copied(),
            over_unix: guest.connection.local == Local::Unix,
            subject: encrypted.and_then(|encrypted| encrypted.subject.as_deref()),
            address: connected.address(),
            listener: &guest.connection.listener,
            secure: self.secure,
            method: request.method(),
            headers: request.headers(),
        };
        let admitted = self.gate.prove(&mount.rules, asking).await?;
        let (person, name, administrator) = match admitted.who {
            Proven::Peer { administrator } => (None, Arc::from(connected.name()), administrator),
            Proven::Person(person) => (
                Some(guest.people.visit(deps, &person, guest)),
                Arc::clone(&person.name),
                person.administrator,
            ),
        };
        Ok(Asker {
            person,
            name,
            administrator,
            session: admitted.session,
            cookie: admitted.cookie,
        })
    }
}

impl Mounted {
    fn new(rules: Mount, listener: &config::Listener, deps: &Deps) -> Self {
        let serves = |api: Api| rules.apis.contains(&api);
        Self {
            accounts: serves(Api::Accounts).then(|| accounts::Accounts::new(&rules, deps)),
            connectors: serves(Api::Connectors)
                .then(|| connectors::Connectors::new(&rules, listener, deps)),
            rules,
        }
    }

    fn serves(&self, below: &str) -> bool {
        (self.connectors.is_some() && connectors::owns(below)) || self.accounts.is_some()
    }

    fn refuse(&self, deps: &Deps, below: &str, refused: Refused) -> Response {
        match self.connectors.as_ref().filter(|_| connectors::owns(below)) {
            Some(connectors) => connectors.refuse(deps, refused),
            None => accounts::refuse(refused),
        }
    }

    async fn answer(
        &self,
        deps: &Deps,
        guest: &Guest,
        below: &str,
        asker: Result<Asker, Unproven>,
        request: &Request,
    ) -> Response {
        if let Some(connectors) = self.connectors.as_ref().filter(|_| connectors::owns(below)) {
            return connectors.answer(deps, guest, below, asker, request).await;
        }
        match &self.accounts {
            Some(accounts) => accounts.answer(deps, guest, below, asker, request).await,
            None => super::metrics::not_found(),
        }
    }
}

/// Each mount at its prefix, and below the path of the public URL; the longest prefix first, and
/// where two are one, that which is said before that which follows.
fn at_prefixes(served: &[Arc<Mounted>], public: &str) -> Vec<(String, Arc<Mounted>)> {
    let said = served.iter().map(|mount| {
        let prefix = mount.rules.prefix.clone();
        (prefix, Arc::clone(mount))
    });
    let follows = served.iter().filter(|_| !public.is_empty()).map(|mount| {
        let prefix = format!("{public}{}", mount.rules.prefix);
        (prefix, Arc::clone(mount))
    });
    let mut all: Vec<_> = said.chain(follows).collect();
    // Accounts answer every path: what answers few comes before them.
    all.sort_by_key(|(prefix, mount)| (std::cmp::Reverse(prefix.len()), mount.accounts.is_some()));
    all
}

/// The path below this prefix, with its slash; `None` where it lies elsewhere.
fn below<'p>(prefix: &str, path: &'p str) -> Option<&'p str> {
    let below = path.strip_prefix(prefix)?;
    (below.is_empty() || below.starts_with('/')).then_some(below)
}

fn is_secure(listener: &config::Listener) -> bool {
    let public = listener.public_url.as_deref();
    listener.tls.is_some() || public.is_some_and(|url| url.starts_with("https://"))
}

/// A machine is whoever is connected, and has one role or none. What would prove a person's name is
/// never held against anything weaker.
fn machine(guest: &Guest, request: &Request) -> Result<Asker, Unproven> {
    if request.headers().contains_key(AUTHORIZATION) {
        return Err(Unproven::Wrong);
    }
    let connected = &guest.connection;
    let visit = guest.people.machine.get_or_init(|| {
        let listener = Arc::clone(&connected.listener);
        let caller = Arc::clone(&connected.caller);
        Arc::new(Visit::new(listener, caller, Select::Only))
    });
    let name = match connected.caller.address() {
        Some(address) => Arc::from(address.to_string()),
        None => Arc::from(connected.caller.name()),
    };
    Ok(Asker {
        person: Some(Arc::clone(visit)),
        name,
        administrator: false,
        session: None,
        cookie: None,
    })
}

impl Memory {
    /// What vending knows of this person on this connection.
    fn visit(&self, deps: &Deps, person: &Arc<Person>, guest: &Guest) -> Arc<Visit> {
        let mut known = self.people.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, visit)) = known.iter().find(|(known, _)| Arc::ptr_eq(known, person)) {
            return Arc::clone(visit);
        }
        let connected = &guest.connection;
        let caller = deps.vending.person(person, &connected.caller);
        let listener = Arc::clone(&connected.listener);
        let visit = Arc::new(Visit::new(listener, Arc::new(caller), Select::First));
        if known.len() >= REMEMBERED {
            known.remove(0);
        }
        known.push((Arc::clone(person), Arc::clone(&visit)));
        visit
    }
}
