//! People's APIs at their paths: which mount a request is for, who it comes from, and what vending
//! remembers of that person on this connection.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE};

use super::{Deps, Guest, accounts, connectors, keystone, sts};
use crate::caller::CallerKey;
use crate::config::{self, Api, Mount};
use crate::grants::{Person, Select, Way};
use crate::http::{Guard, Leave, Local, MAX_BODY, Refused, Request, Response};
use crate::people::{Asking, Attempt, Gate, Peer, Proven, Standing, Unproven};
use crate::secret::SecretString;
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
    keystone: Option<keystone::Keystone>,
    sts: Option<sts::Sts>,
}

/// Which of a mount's APIs a request is for.
enum Whose<'a> {
    /// One whose askers pass the gate.
    Gated(Gated<'a>),
    Keystone(&'a keystone::Keystone),
    Sts(&'a sts::Sts),
}

enum Gated<'a> {
    Accounts(&'a accounts::Accounts),
    Connectors(&'a connectors::Connectors),
}

/// What an API is given that reads proofs out of its own protocol: signatures and tokens.
#[derive(Clone, Copy, Debug)]
pub struct Prover<'a> {
    /// What all protocols are given.
    pub deps: &'a Deps,
    /// The connection.
    pub guest: &'a Guest,
    /// The rules of the mount that is asked.
    pub mount: &'a Mount,
    gate: &'a Gate,
    /// Whether who is connected speaks for many.
    for_many: bool,
    /// Whether nobody on the way can read what it is told.
    secure: bool,
}

impl Prover<'_> {
    /// Who this name is, which the API has proved this way.
    pub async fn person(&self, way: Way, name: &Arc<str>) -> Result<Arc<Person>, Unproven> {
        self.gate.of_name(way, name).await
    }

    /// Who holds a key of this name's, if the mount lets it in.
    pub async fn holder(&self, name: &Arc<str>) -> Result<Arc<Person>, Unproven> {
        let standing = Standing {
            way: Way::AccessKey,
            name: Arc::clone(name),
            hash: None,
        };
        self.of_standing(&standing).await
    }

    /// Whether a signature by this access key is looked at; else how long none is. Who is connected
    /// is counted with it, or for whom it speaks.
    pub fn attempt(
        &self,
        request: &Request,
        access_key_id: &Arc<str>,
    ) -> Result<Attempt, Duration> {
        let counted = self.guest.connection.caller.key();
        let asking = self.asking(&counted, request);
        self.gate.signature(&asking, access_key_id)
    }

    /// Whether this provider is asked about an access token; else how long not: who guesses is
    /// counted, and nobody has all places in which an answer is waited for.
    pub fn access_token(&self, request: &Request, provider: &str) -> Result<Attempt, Duration> {
        let counted = self.guest.connection.caller.key();
        let asking = self.asking(&counted, request);
        self.gate.access_token(&asking, &Arc::from(provider))
    }

    /// What vending knows of whoever showed a web identity in this request.
    pub fn bearer(&self) -> Visit {
        let connected = &self.guest.connection;
        let caller = self.deps.vending.bearer(&connected.caller, self.for_many);
        let listener = Arc::clone(&connected.listener);
        Visit::new(listener, Arc::new(caller), Select::First)
    }

    /// Counts a wrong signature by this access key that a service was shown, while few are.
    pub fn guess(&self, access_key_id: &Arc<str>) -> Result<Attempt, Duration> {
        let caller = &self.guest.connection.caller;
        let service = Peer::of(&caller.key(), caller.address());
        self.gate.shown_to_service(service, access_key_id)
    }

    /// Whose name and password these are, which the request brought, and what the name stands on.
    pub async fn login(
        &self,
        request: &Request,
        name: &str,
        password: &SecretString,
    ) -> Result<(Arc<Person>, Standing), Unproven> {
        let connected = &self.guest.connection.caller;
        self.deps.vending.identify(connected).await;
        let counted = connected.key();
        let asking = self.asking(&counted, request);
        self.gate.login(self.mount, &asking, name, password).await
    }

    /// Who has this standing today.
    pub async fn of_standing(&self, standing: &Standing) -> Result<Arc<Person>, Unproven> {
        self.gate.of_standing(self.mount, standing).await
    }

    /// Whether anybody who keeps names has this one.
    pub async fn knows(&self, name: &Arc<str>) -> Result<bool, Unproven> {
        self.gate.knows(name).await
    }

    /// The names that are listed anywhere.
    pub async fn listed(&self) -> Result<Vec<Arc<str>>, Unproven> {
        self.gate.listed().await
    }

    /// What the request is known by before it has proved anything.
    fn asking<'r>(&'r self, counted: &'r CallerKey, request: &'r Request) -> Asking<'r> {
        let connection = &self.guest.connection;
        let connected = &connection.caller;
        let encrypted = connection.encrypted.as_ref();
        Asking {
            counted,
            uid: connected.facts().uid_on_host().yes().copied(),
            over_unix: connection.local == Local::Unix,
            subject: encrypted.and_then(|encrypted| encrypted.subject.as_deref()),
            address: connected.address(),
            listener: &connection.listener,
            secure: self.secure,
            method: request.method(),
            headers: request.headers(),
        }
    }

    /// What vending knows of this person on this connection.
    pub fn visit(&self, person: &Arc<Person>) -> Arc<Visit> {
        self.guest.people.visit(self.deps, person, self.guest)
    }
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
        let (mount, below, whose) = self.mounts.iter().find_map(|(prefix, mount)| {
            let below = below(prefix, path)?;
            let whose = mount.whose(below, request)?;
            Some((mount, below, whose))
        })?;
        let guarded = guarded.or_else(|refused| match refused {
            Refused::Browser | Refused::Forwarded if !mount.rules.machine => {
                guard.check_people(&guest.connection, request, self.leave(mount, below))
            }
            Refused::Browser | Refused::Forwarded | Refused::ForeignHost | Refused::Malformed => {
                Err(refused)
            }
        });
        let prover = Prover {
            deps,
            guest,
            mount: &mount.rules,
            gate: &self.gate,
            for_many: self.behind_proxy,
            secure: self.secure,
        };
        Some(match whose {
            // In boxes: a request for another API need not carry the room that these take.
            Whose::Keystone(keystone) => {
                Box::pin(keystone.answer(prover, guarded, below, request)).await
            }
            Whose::Sts(sts) => sts.answer(prover, guarded, request).await,
            Whose::Gated(gated) => match guarded {
                Ok(()) => Box::pin(self.gated(gated, mount, prover, below, request)).await,
                Err(refused) => gated.refuse(deps, refused),
            },
        })
    }

    fn whose(&self, head: &Request) -> Option<Whose<'_>> {
        let path = head.uri().path();
        let mut mounts = self.mounts.iter();
        mounts.find_map(|(prefix, mount)| mount.whose(below(prefix, path)?, head))
    }

    /// How long the body of such a request may be.
    pub fn longest_body(&self, head: &Request) -> usize {
        match self.whose(head) {
            Some(Whose::Keystone(_)) => keystone::Keystone::LONGEST_BODY,
            Some(Whose::Sts(_) | Whose::Gated(_)) | None => MAX_BODY,
        }
    }

    /// Refuses a request whose body is longer than is read, in the words of the API that it is for.
    pub fn refuse_long(&self, deps: &Deps, head: &Request) -> Option<Response> {
        Some(match self.whose(head)? {
            Whose::Gated(Gated::Accounts(_)) => accounts::refuse_long(),
            Whose::Gated(Gated::Connectors(connectors)) => connectors.refuse_long(deps),
            Whose::Keystone(keystone) => keystone.refuse_long(),
            Whose::Sts(sts) => sts.refuse_long(),
        })
    }

    /// Answers a request of an API whose askers pass the gate.
    async fn gated(
        &self,
        gated: Gated<'_>,
        mount: &Mounted,
        prover: Prover<'_>,
        below: &str,
        request: &Request,
    ) -> Response {
        let Prover { deps, guest, .. } = prover;
        let mut asker = self.prove(mount, prover, request).await;
        let failed = asker.as_ref().err().and_then(Unproven::retry_after);
        let cookie = asker.as_mut().ok().and_then(|asker| asker.cookie.take());
        let mut response = gated.answer(deps, guest, below, asker, request).await;
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
        response
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
        mount: &Mounted,
        prover: Prover<'_>,
        request: &Request,
    ) -> Result<Asker, Unproven> {
        let Prover { deps, guest, .. } = prover;
        let connected = &guest.connection.caller;
        deps.vending.identify(connected).await;
        if mount.rules.machine {
            return machine(guest, request);
        }
        let counted = connected.key();
        let asking = prover.asking(&counted, request);
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
            keystone: serves(Api::Keystone)
                .then(|| keystone::Keystone::new(&rules, listener, deps)),
            sts: serves(Api::Sts).then(|| sts::Sts::new(deps)),
            rules,
        }
    }

    /// Whose a path below this mount is. STS and Keystone meet at the root.
    fn whose(&self, below: &str, request: &Request) -> Option<Whose<'_>> {
        if let Some(connectors) = self.connectors.as_ref().filter(|_| connectors::owns(below)) {
            return Some(Whose::Gated(Gated::Connectors(connectors)));
        }
        if let Some(sts) = self.sts.as_ref().filter(|_| sts::owns(below, request)) {
            return Some(Whose::Sts(sts));
        }
        if let Some(keystone) = self.keystone.as_ref().filter(|_| keystone::owns(below)) {
            return Some(Whose::Keystone(keystone));
        }
        let accounts = self.accounts.as_ref();
        accounts.map(|accounts| Whose::Gated(Gated::Accounts(accounts)))
    }
}

impl Gated<'_> {
    fn refuse(&self, deps: &Deps, refused: Refused) -> Response {
        match self {
            Self::Connectors(connectors) => connectors.refuse(deps, refused),
            Self::Accounts(_) => accounts::refuse(refused),
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
        match self {
            Self::Connectors(connectors) => {
                connectors.answer(deps, guest, below, asker, request).await
            }
            Self::Accounts(accounts) => accounts.answer(deps, guest, below, asker, request).await,
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
