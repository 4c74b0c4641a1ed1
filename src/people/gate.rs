//! The gate before people's APIs: what a request shows is held against what its mount takes.
//!
//! What is shown decides by the first of the mount's ways that takes its kind, and decides alone: a
//! wrong password or token is never made good by a cookie, nor by who is connected.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_lc_rs::digest;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Method};
use zeroize::Zeroizing;

use super::admission::{Admitted, Asking, Proven, Unproven};
use super::directory::{Directory, Member, NotMember, is_name};
use super::logins::{Logins, Ticket};
use super::memory::{Mark, Marker};
use super::oidc::Tokens;
use super::proxy::{NoWord, Proxy};
use super::roster::{Roster, Standing};
use super::shown::Shown;
use super::throttle::{Attempt, Peer, Throttle};
use super::{Issuers, is_token};
use crate::clock::Clock;
use crate::config::{self, Administrator, Mount};
use crate::grants::{Person, Way};
use crate::lookups::{Bounds, Lookups};
use crate::secret::{ExposeSecret as _, SecretString};
use crate::store::Store;

/// The challenges of a mount.
const BASIC: &str = "Basic realm=\"rolecall\", charset=\"UTF-8\"";
const BEARER: &str = "Bearer realm=\"rolecall\"";

/// What Atlassian's clients send with what changes something: no page of another site can.
const NO_CHECK: HeaderName = HeaderName::from_static("x-atlassian-token");

/// What was proved is remembered for so long.
const AGE: Duration = Duration::from_mins(1);
/// How long a proof is waited for.
const PATIENCE: Duration = Duration::from_secs(15);
const BOUNDS: Bounds = Bounds {
    at_once: 64,
    open: 512,
    remembered: 8192,
};

/// What the daemon has by which names are proved.
#[derive(Debug)]
pub struct Proofs {
    /// Time.
    pub clock: Clock,
    /// Whose tokens are believed.
    pub issuers: Arc<Issuers>,
    /// Where the daemon's own tokens are.
    pub store: Store,
    /// Who knows names besides the users file.
    pub directories: Vec<Arc<dyn Directory>>,
}

/// Who may pass.
#[derive(Debug)]
pub struct Gate {
    administrators: Vec<Administrator>,
    roster: Arc<Roster>,
    proxy: Option<Proxy>,
    oidc: Option<Tokens>,
    store: Store,
    clock: Clock,
    throttle: Arc<Throttle>,
    /// The same for access keys.
    keys: Arc<Throttle>,
    /// The same for those that services are shown: by whom they cannot be told.
    shown_to_services: Arc<Throttle>,
    /// The same for access tokens, about which a provider is asked.
    access_tokens: Arc<Throttle>,
    logins: Logins,
    marker: Marker,
    proved: Lookups<Mark, Result<Arc<Proved>, NotMember>>,
    standing: Lookups<Standing, Result<Arc<Person>, NotMember>>,
    /// Whether names are known that nobody proved.
    names: Lookups<Arc<str>, Result<bool, NotMember>>,
}

/// Somebody whose password was right.
#[derive(Debug)]
struct Proved {
    person: Arc<Person>,
    standing: Standing,
    ticket: OnceLock<Option<Ticket>>,
}

impl From<NotMember> for Unproven {
    fn from(error: NotMember) -> Self {
        match error {
            NotMember::Unknown | NotMember::Wrong => Self::Wrong,
            NotMember::NotReady => Self::NotReady,
        }
    }
}

impl Gate {
    /// A gate by this configuration.
    pub fn new(people: &config::People, proofs: Proofs) -> Self {
        let clock = proofs.clock;
        let oidc = people.oidc.clone();
        Self {
            administrators: people.administrators.clone(),
            roster: Arc::new(Roster::new(people, proofs.directories, &clock)),
            proxy: people.proxy_header.clone().map(Proxy::new),
            oidc: oidc.map(|oidc| Tokens::new(oidc, proofs.issuers)),
            store: proofs.store,
            throttle: Throttle::new(clock.clone()),
            keys: Throttle::of_keys(clock.clone()),
            shown_to_services: Throttle::of_keys(clock.clone()),
            access_tokens: Throttle::of_keys(clock.clone()),
            logins: Logins::new(clock.clone(), people.cookie_lifetime),
            marker: Marker::default(),
            proved: Lookups::new(clock.clone(), BOUNDS),
            standing: Lookups::new(clock.clone(), BOUNDS),
            names: Lookups::new(clock.clone(), BOUNDS),
            clock,
        }
    }

    /// Who a request comes from, by what its mount takes.
    pub async fn prove(&self, mount: &Mount, asking: Asking<'_>) -> Result<Admitted, Unproven> {
        let admitted = self.known(mount, &asking).await?;
        match &admitted.who {
            // Nobody who proved no name is in any group.
            Proven::Peer { .. } if !mount.require_group.is_empty() => {
                return Err(Unproven::Missing);
            }
            Proven::Peer { .. } => {}
            Proven::Person(person) => check_groups(mount, person)?,
        }
        Ok(admitted)
    }

    async fn known(&self, mount: &Mount, asking: &Asking<'_>) -> Result<Admitted, Unproven> {
        let proxys = self.proxys_word(asking)?;
        let shown = Shown::of(asking.headers);
        for way in &mount.authenticate {
            match (way, &shown, &proxys) {
                (Way::ProxyHeader, _, Some(name)) => {
                    let standing = Standing::of(Way::ProxyHeader, Arc::clone(name));
                    return Ok(plain(self.standing(&standing).await?));
                }
                (
                    Way::Basic | Way::Pam | Way::Ldap,
                    Shown::Password {
                        name,
                        password,
                        whole,
                    },
                    _,
                ) => return self.by_password(mount, asking, name, password, whole).await,
                (Way::Oidc, Shown::Bearer(token), _) if is_token(token) => {
                    return self.by_identity(token).await;
                }
                (Way::Token, Shown::Bearer(token), _) if !is_token(token) => {
                    let standing = self.by_token(token)?;
                    return Ok(plain(self.standing(&standing).await?));
                }
                _ => {}
            }
        }
        let takes_what_is_shown = mount.authenticate.iter().any(|way| is_shown(*way));
        if takes_what_is_shown && !matches!(shown, Shown::Nothing) {
            return Err(Unproven::Wrong);
        }
        if let Some(admitted) = self.by_cookie(mount, asking).await? {
            return Ok(admitted);
        }
        self.by_peer(mount, asking)
    }

    /// The name that the proxy says. Its header counts, or the request is refused, on every mount.
    fn proxys_word(&self, asking: &Asking<'_>) -> Result<Option<Arc<str>>, Unproven> {
        let Some(proxy) = &self.proxy else {
            return Ok(None);
        };
        proxy.name(asking).map_err(|error| match error {
            NoWord::Foreign => Unproven::ForeignProxy,
            NoWord::Malformed => Unproven::Wrong,
        })
    }

    async fn by_password(
        &self,
        mount: &Mount,
        asking: &Asking<'_>,
        name: &Arc<str>,
        password: &SecretString,
        whole: &[u8],
    ) -> Result<Admitted, Unproven> {
        let proved = self.proved(mount, asking, (name, password), whole).await?;
        let shown = self.logins.shown(asking.uid, asking.headers);
        if let Some(shown) = shown.filter(|shown| shown.standing == proved.standing) {
            return Ok(Admitted {
                session: Some(shown.public),
                ..plain(Arc::clone(&proved.person))
            });
        }
        let ticket = proved
            .ticket
            .get_or_init(|| self.logins.open(asking.uid, &proved.standing));
        Ok(Admitted {
            who: Proven::Person(Arc::clone(&proved.person)),
            cookie: ticket
                .as_ref()
                .and_then(|ticket| ticket.header(asking.secure)),
            session: ticket.as_ref().map(|ticket| Arc::clone(&ticket.public)),
        })
    }

    /// Whose name and password these are; `whole` is what showed them.
    async fn proved(
        &self,
        mount: &Mount,
        asking: &Asking<'_>,
        (name, password): (&Arc<str>, &SecretString),
        whole: &[u8],
    ) -> Result<Arc<Proved>, Unproven> {
        let ways = &mount.authenticate;
        let mark = self.marker.mark_for(ways, asking.uid, whole);
        let mark = mark.ok_or(Unproven::NotReady)?;
        if let Some(remembered) = self.proved.remembered(&mark) {
            return Ok(remembered?);
        }
        let attempt = self.throttle.begin(name, self.peer(asking));
        let attempt = attempt.map_err(Unproven::Throttled)?;
        let look = self.look(mount, name, password, attempt);
        let told = self.proved.get(mark, PATIENCE, look).await;
        Ok(told.unwrap_or(Err(NotMember::NotReady))?)
    }

    /// Whose name and password these are, which a protocol of its own brought, and what the name
    /// stands on from now on. Counted and remembered as what `Authorization` shows.
    pub async fn login(
        &self,
        mount: &Mount,
        asking: &Asking<'_>,
        name: &str,
        password: &SecretString,
    ) -> Result<(Arc<Person>, Standing), Unproven> {
        self.proxys_word(asking)?;
        let mut ways = mount.authenticate.iter();
        if !ways.any(|way| matches!(way, Way::Basic | Way::Pam | Way::Ldap)) || !is_name(name) {
            return Err(Unproven::Wrong);
        }
        let whole = [name.as_bytes(), b"\n", password.expose_secret().as_bytes()];
        let whole = Zeroizing::new(whole.concat());
        let proof = (&Arc::from(name), password);
        let proved = self.proved(mount, asking, proof, &whole).await?;
        let person = Arc::clone(&proved.person);
        check_groups(mount, &person)?;
        Ok((person, proved.standing.clone()))
    }

    /// Has a password looked at, and counted.
    fn look(
        &self,
        mount: &Mount,
        name: &Arc<str>,
        password: &SecretString,
        attempt: Attempt,
    ) -> impl Future<Output = (Result<Arc<Proved>, NotMember>, Duration)> + Send + use<> {
        let roster = Arc::clone(&self.roster);
        let ways = mount.authenticate.clone();
        let (name, password) = (Arc::clone(name), password.clone());
        async move {
            match roster.proved(&ways, &name, &password).await {
                Ok((standing, person)) => {
                    attempt.succeeded();
                    let proved = Proved {
                        person,
                        standing,
                        ticket: OnceLock::new(),
                    };
                    (Ok(Arc::new(proved)), AGE)
                }
                Err(refusal) => {
                    let error = refusal.why;
                    match error {
                        NotMember::Unknown | NotMember::Wrong => {
                            tracing::info!(name = &*name, %error, "a password was refused");
                            attempt.failed();
                        }
                        NotMember::NotReady if refusal.was_looked_at => attempt.undecided(),
                        NotMember::NotReady => drop(attempt),
                    }
                    (Err(error), Duration::ZERO)
                }
            }
        }
    }

    /// Who guesses is counted. A proxy speaks for many: its visitors are counted where it names
    /// them, else only the names that they try.
    fn peer(&self, asking: &Asking<'_>) -> Option<Peer> {
        match self.proxy.as_ref().filter(|proxy| proxy.is_trusted(asking)) {
            None => Some(Peer::of(asking.counted, asking.address)),
            Some(proxy) => proxy.visitor(asking.headers),
        }
    }

    async fn by_identity(&self, token: &str) -> Result<Admitted, Unproven> {
        let oidc = self.oidc.as_ref().ok_or(Unproven::Wrong)?;
        // The token's own end counts, so it is looked at each time; it is remembered there.
        let member: Member = oidc.verify(token).await?;
        let mark = self.marker.mark_for(&[Way::Oidc], None, token.as_bytes());
        let mark = mark.ok_or(Unproven::NotReady)?;
        let roster = Arc::clone(&self.roster);
        let look = async move {
            let standing = Standing::of(Way::Oidc, Arc::clone(&member.name));
            let person = roster.person(Way::Oidc, member).await;
            let age = if person.is_ok() { AGE } else { Duration::ZERO };
            let proved = person.map(|person| {
                Arc::new(Proved {
                    person,
                    standing,
                    ticket: OnceLock::new(),
                })
            });
            (proved, age)
        };
        let proved = self.proved.get(mark, PATIENCE, look).await;
        let proved = proved.unwrap_or(Err(NotMember::NotReady))?;
        Ok(plain(Arc::clone(&proved.person)))
    }

    /// Whose token of the daemon's own this is.
    fn by_token(&self, token: &str) -> Result<Standing, Unproven> {
        let objects = self.store.objects().map_err(|error| {
            tracing::warn!(%error, "a bearer token cannot be looked up");
            Unproven::NotReady
        })?;
        let known = objects.tokens.get(&token_hash(token));
        let known = known.filter(|known| self.clock.now() < known.draft.expires);
        let known = known.ok_or(Unproven::Wrong)?;
        Ok(Standing::of(Way::Token, Arc::clone(&known.draft.user)))
    }

    async fn by_cookie(
        &self,
        mount: &Mount,
        asking: &Asking<'_>,
    ) -> Result<Option<Admitted>, Unproven> {
        let shown = self.logins.shown(asking.uid, asking.headers);
        let shown = shown.filter(|shown| mount.authenticate.contains(&shown.standing.way));
        let Some(shown) = shown else {
            return Ok(None);
        };
        let person = match self.standing(&shown.standing).await {
            Ok(person) => person,
            Err(Unproven::Wrong) => {
                self.logins.end(&shown);
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        if changes_something(asking.method) && !says_no_check(asking.headers) {
            return Err(Unproven::CrossSite(Arc::clone(&person.name)));
        }
        Ok(Some(Admitted {
            session: Some(shown.public),
            ..plain(person)
        }))
    }

    fn by_peer(&self, mount: &Mount, asking: &Asking<'_>) -> Result<Admitted, Unproven> {
        if !mount.authenticate.contains(&Way::Peer) {
            return Err(Unproven::Missing);
        }
        let administrator = |uid| self.administrators.contains(&Administrator::Uid(uid));
        // Machines are known by their address or name, which grants ask for.
        if asking.uid.is_none() && !mount.machine {
            return Err(Unproven::Missing);
        }
        Ok(Admitted {
            who: Proven::Peer {
                administrator: !mount.machine && asking.uid.is_some_and(administrator),
            },
            cookie: None,
            session: None,
        })
    }

    /// Who has this standing today.
    async fn standing(&self, standing: &Standing) -> Result<Arc<Person>, Unproven> {
        match self.standing.remembered(standing) {
            Some(remembered) => Ok(remembered?),
            // In a box: most are remembered, and need no room to be looked up.
            None => Box::pin(self.look_up(standing)).await,
        }
    }

    async fn look_up(&self, standing: &Standing) -> Result<Arc<Person>, Unproven> {
        let (roster, asked) = (Arc::clone(&self.roster), standing.clone());
        let look = async move {
            let person = roster.standing(&asked).await;
            let age = if person.is_ok() { AGE } else { Duration::ZERO };
            (person, age)
        };
        let told = self.standing.get(standing.clone(), PATIENCE, look).await;
        Ok(told.unwrap_or(Err(NotMember::NotReady))?)
    }

    /// Who this name is, that something else than this gate proved: a signature, a token of the
    /// daemon's own.
    pub async fn of_name(&self, way: Way, name: &Arc<str>) -> Result<Arc<Person>, Unproven> {
        self.standing(&Standing::of(way, Arc::clone(name))).await
    }

    /// Whether a signature by this access key is looked at; else how long none is.
    pub fn signature(
        &self,
        asking: &Asking<'_>,
        access_key_id: &Arc<str>,
    ) -> Result<Attempt, Duration> {
        self.keys.begin(access_key_id, self.peer(asking))
    }

    /// Whether this provider is asked about an access token that is shown here; else how long not.
    pub fn access_token(
        &self,
        asking: &Asking<'_>,
        provider: &Arc<str>,
    ) -> Result<Attempt, Duration> {
        self.access_tokens.begin(provider, self.peer(asking))
    }

    /// Whether a wrong signature by this access key that this service was shown is one of few.
    pub fn shown_to_service(
        &self,
        service: Peer,
        access_key_id: &Arc<str>,
    ) -> Result<Attempt, Duration> {
        self.shown_to_services.begin(access_key_id, Some(service))
    }

    /// Who has this standing today, of whom the mount lets in.
    pub async fn of_standing(
        &self,
        mount: &Mount,
        standing: &Standing,
    ) -> Result<Arc<Person>, Unproven> {
        let person = self.standing(standing).await?;
        check_groups(mount, &person)?;
        Ok(person)
    }

    /// Whether anybody who keeps names has this one.
    pub async fn knows(&self, name: &Arc<str>) -> Result<bool, Unproven> {
        let mut administrators = self.administrators.iter();
        if administrators.any(|one| matches!(one, Administrator::Person(known) if known == name)) {
            return Ok(true);
        }
        let (roster, asked) = (Arc::clone(&self.roster), Arc::clone(name));
        let look = async move {
            let known = roster.knows(&asked).await;
            let age = if known.is_ok() { AGE } else { Duration::ZERO };
            (known, age)
        };
        let told = self.names.get(Arc::clone(name), PATIENCE, look).await;
        Ok(told.unwrap_or(Err(NotMember::NotReady))?)
    }

    /// The names that the users file lists, and those of administrators.
    pub async fn listed(&self) -> Result<Vec<Arc<str>>, Unproven> {
        let mut names = self.roster.listed().await?;
        let administrators = self.administrators.iter();
        names.extend(administrators.filter_map(|one| match one {
            Administrator::Person(name) => Some(Arc::clone(name)),
            Administrator::Group(_) | Administrator::Uid(_) => None,
        }));
        Ok(names)
    }

    /// What a request that proved nothing is told to show.
    pub fn challenges(mount: &Mount) -> impl Iterator<Item = HeaderValue> + use<> {
        let takes = |ways: &[Way]| mount.authenticate.iter().any(|way| ways.contains(way));
        let bearer = takes(&[Way::Oidc, Way::Token]);
        // Where nothing can be shown a challenge is due all the same (RFC 9110, 15.5.2).
        let basic = takes(&[Way::Basic, Way::Pam, Way::Ldap]) || !bearer;
        let basic = basic.then(|| HeaderValue::from_static(BASIC));
        basic
            .into_iter()
            .chain(bearer.then(|| HeaderValue::from_static(BEARER)))
    }
}

/// SHA-256 of a bearer token: what is kept of it.
pub fn token_hash(token: &str) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, token.as_bytes());
    let mut bytes = [0; 32];
    for (byte, of) in bytes.iter_mut().zip(digest.as_ref()) {
        *byte = *of;
    }
    bytes
}

/// Whether the mount is for this person.
fn check_groups(mount: &Mount, person: &Person) -> Result<(), Unproven> {
    let mut groups = person.groups.iter();
    let mut any = || groups.any(|group| mount.require_group.contains(group));
    if mount.require_group.is_empty() || any() {
        return Ok(());
    }
    Err(Unproven::NotMember(Arc::clone(&person.name)))
}

fn plain(person: Arc<Person>) -> Admitted {
    Admitted {
        who: Proven::Person(person),
        cookie: None,
        session: None,
    }
}

/// Whether a request shows something of its own for this way.
const fn is_shown(way: Way) -> bool {
    match way {
        Way::Basic | Way::Pam | Way::Ldap | Way::Oidc | Way::Token => true,
        Way::Peer
        | Way::ProxyHeader
        | Way::AccessKey
        | Way::Session
        | Way::Keystone
        | Way::Supposed => false,
    }
}

const fn changes_something(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn says_no_check(headers: &HeaderMap) -> bool {
    let value = headers.get(NO_CHECK).map(HeaderValue::as_bytes);
    // Older clients leave out the hyphen.
    value.is_some_and(|value| [b"no-check".as_slice(), b"nocheck"].contains(&value))
}
