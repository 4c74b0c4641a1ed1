//! What is shown at the gate, and who passes.

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

    fn groups<'a>(&'a self, name: &'a str) -> Asked<'a, Vec<Arc<str>>> {
        Box::pin(async move {
            match name {
                "dora" if self.gone.load(Ordering::Relaxed) == 0 => {
                    Ok(self.groups.lock().unwrap().clone())
                }
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

#[tokio::test]
async fn a_password_of_the_users_file_proves_a_name_and_its_groups() {
    let scene = Scene::new();
    let ann = scene.person(&[Way::Basic], &basic("ann", "ann's")).await;
    assert_eq!(
        (&*ann.name, ann.way, ann.administrator),
        ("ann", Way::Basic, false)
    );
    assert_eq!(groups(&ann), ["ops"]);
    let bob = scene.person(&[Way::Basic], &basic("bob", "bob's")).await;
    assert!(bob.administrator);
}

#[tokio::test]
async fn what_proves_nothing_is_told_apart() {
    let scene = Scene::new();
    for (headers, why) in [
        (HeaderMap::new(), Unproven::Missing),
        (basic("ann", "bob's"), Unproven::Wrong),
        (basic("ann", ""), Unproven::Wrong),
        (basic("Ann", "ann's"), Unproven::Wrong),
        (basic("nobody", "ann's"), Unproven::Wrong),
        (basic("down", "x"), Unproven::NotReady),
        (bearer("nonsense"), Unproven::Wrong),
        (bearer("a.b.c"), Unproven::Wrong),
        (header(AUTHORIZATION, "Negotiate YII="), Unproven::Wrong),
        (header(COOKIE, "JSESSIONID=0"), Unproven::Missing),
        (remote_user("ann"), Unproven::ForeignProxy),
    ] {
        let proved = scene.prove(&ALL, &headers).await;
        assert_eq!(proved.unwrap_err(), why, "{headers:?}");
    }
}

#[tokio::test]
async fn a_wrong_proof_never_falls_back() {
    let scene = Scene::new();
    let ways = [Way::Basic, Way::Peer];
    let right = scene.prove(&ways, &basic("ann", "ann's")).await.unwrap();
    let wrong = both(&basic("ann", "wrong"), &cookie(&right));
    assert_eq!(
        scene.prove(&ways, &wrong).await.unwrap_err(),
        Unproven::Wrong
    );
    let other = both(&header(AUTHORIZATION, "Bearer x"), &cookie(&right));
    assert_eq!(
        scene.prove(&ways, &other).await.unwrap_err(),
        Unproven::Wrong
    );
    assert_eq!(
        person(scene.prove(&ways, &cookie(&right)).await.unwrap()).name,
        Arc::from("ann")
    );
    let peer = scene.prove(&ways, &HeaderMap::new()).await.unwrap();
    assert_eq!(
        peer.who,
        Proven::Peer {
            administrator: false
        }
    );
    // Of what one back end knows no other is asked.
    scene.write("users", &format!("dora:{}\n", hash("file's")));
    let shown = basic("dora", "dora's");
    let file = scene.prove(&[Way::Basic, Way::Ldap], &shown).await;
    assert_eq!(file.unwrap_err(), Unproven::Wrong);
    let ldap = scene.person(&[Way::Ldap, Way::Basic], &shown).await;
    assert_eq!(ldap.way, Way::Ldap);
}

#[tokio::test]
async fn a_mount_that_takes_no_passwords_is_not_told_them() {
    let scene = Scene::new();
    let peer = scene
        .prove(&[Way::Peer], &basic("ann", "wrong"))
        .await
        .unwrap();
    assert_eq!(
        peer.who,
        Proven::Peer {
            administrator: false
        }
    );
    let shown = basic("ann", "ann's");
    let tokens = scene.prove(&[Way::Token, Way::Peer], &shown).await;
    assert_eq!(tokens.unwrap_err(), Unproven::Wrong);
    let none = HeaderMap::new();
    let administrator = Asking {
        uid: Some(7),
        ..asking(&none)
    };
    let root = scene
        .gate
        .prove(&mount(&[Way::Peer]), administrator)
        .await
        .unwrap();
    assert_eq!(
        root.who,
        Proven::Peer {
            administrator: true
        }
    );
}

#[tokio::test]
async fn machines_are_known_without_a_user() {
    let scene = Scene::new();
    let none = HeaderMap::new();
    let far = Asking {
        uid: None,
        ..asking(&none)
    };
    let people = scene.gate.prove(&mount(&[Way::Peer]), far).await;
    assert_eq!(people.unwrap_err(), Unproven::Missing);
    let machines = Mount {
        machine: true,
        ..mount(&[Way::Peer])
    };
    for asking in [
        far,
        Asking {
            uid: Some(7),
            ..far
        },
    ] {
        let machine = scene.gate.prove(&machines, asking).await.unwrap();
        assert_eq!(
            machine.who,
            Proven::Peer {
                administrator: false
            }
        );
    }
}

#[tokio::test]
async fn a_directory_is_asked_for_whom_the_file_does_not_know() {
    let scene = Scene::new();
    *scene.directory.groups.lock().unwrap() = vec![Arc::from("admins")];
    let dora = scene.person(&ALL, &basic("DORA", "dora's")).await;
    assert_eq!(
        (&*dora.name, dora.way, dora.administrator),
        ("dora", Way::Ldap, true)
    );
    assert_eq!(groups(&dora), ["admins", "ops"]);
}

#[tokio::test]
async fn what_was_right_is_remembered_a_minute_and_what_was_wrong_is_not() {
    let scene = Scene::new();
    let right = basic("dora", "dora's");
    let first = scene.person(&[Way::Ldap], &right).await;
    let second = scene.person(&[Way::Ldap], &right).await;
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(scene.directory.asked.load(Ordering::Relaxed), 1);
    for _ in 0..2 {
        assert!(
            scene
                .prove(&[Way::Ldap], &basic("dora", "wrong"))
                .await
                .is_err()
        );
    }
    assert_eq!(scene.directory.asked.load(Ordering::Relaxed), 3);
    // What one mount takes proves nothing to another that does not.
    assert!(scene.prove(&[Way::Basic], &right).await.is_err());
    tokio::time::pause();
    tokio::time::advance(Duration::from_mins(1)).await;
    scene.person(&[Way::Ldap], &right).await;
    assert_eq!(scene.directory.asked.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn who_guesses_is_slowed_and_who_is_known_is_not() {
    let scene = Scene::new();
    let right = basic("ann", "ann's");
    scene.person(&[Way::Basic], &right).await;
    let mut last = None;
    for guess in 0..20 {
        let guess = basic("ann", &format!("guess {guess}"));
        let guesser = Asking {
            uid: Some(666),
            counted: &CallerKey::Uid(666),
            ..asking(&guess)
        };
        last = scene.gate.prove(&mount(&[Way::Basic]), guesser).await.err();
    }
    let Some(Unproven::Throttled(wait)) = last else {
        panic!("{last:?}");
    };
    assert!(wait > Duration::ZERO && wait <= Duration::from_mins(1));
    // From elsewhere the right password is not even looked at; what was proved lately counts on.
    let elsewhere = basic("ann", "ann's ");
    let throttled = Asking {
        uid: Some(667),
        counted: &CallerKey::Uid(667),
        ..asking(&elsewhere)
    };
    let throttled = scene.gate.prove(&mount(&[Way::Basic]), throttled).await;
    assert!(matches!(throttled, Err(Unproven::Throttled(_))));
    scene.person(&[Way::Basic], &right).await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    scene.person(&[Way::Basic], &right).await;
}

#[tokio::test]
async fn guesses_count_while_a_directory_is_silent() {
    let scene = Scene::new();
    let ways = [Way::Basic, Way::Ldap];
    let mut last = None;
    for guess in 0..11 {
        let shown = basic("down", &format!("guess {guess}"));
        last = scene.prove(&ways, &shown).await.err();
    }
    assert!(matches!(last, Some(Unproven::Throttled(_))), "{last:?}");
    // Of a directory alone they are none: nobody has looked.
    let other = Scene::new();
    for guess in 0..11 {
        let shown = basic("down", &format!("guess {guess}"));
        last = other.prove(&[Way::Ldap], &shown).await.err();
    }
    assert_eq!(last, Some(Unproven::NotReady));
}

#[tokio::test]
async fn a_users_subordinate_uids_guess_as_that_user() {
    let scene = Scene::new();
    let mut last = None;
    for guess in 0..40 {
        let shown = basic(&format!("user{guess}"), "a guess");
        let guesser = Asking {
            uid: Some(100_000 + guess),
            counted: &CallerKey::Uid(666),
            ..asking(&shown)
        };
        last = scene.gate.prove(&mount(&[Way::Basic]), guesser).await.err();
    }
    assert!(matches!(last, Some(Unproven::Throttled(_))), "{last:?}");
}

#[tokio::test]
async fn the_users_file_is_read_again() {
    let scene = Scene::new();
    let ways = [Way::Basic];
    assert!(scene.prove(&ways, &basic("eve", "eve's")).await.is_err());
    scene.write("users", &format!("eve:{}\n", hash("eve's")));
    scene.person(&ways, &basic("eve", "eve's")).await;
    assert!(scene.prove(&ways, &basic("bob", "bob's")).await.is_err());
}

#[tokio::test]
async fn a_cookie_proves_a_name_as_long_as_what_it_stands_on() {
    let scene = Scene::new();
    let ways = [Way::Basic];
    let admitted = scene.prove(&ways, &basic("ann", "ann's")).await.unwrap();
    let kept = cookie(&admitted);
    let again = scene.prove(&ways, &kept).await.unwrap();
    assert!(again.cookie.is_none());
    assert_eq!(again.session, admitted.session);
    assert!(again.session.is_some());
    assert_eq!(groups(&person(again)), ["ops"]);
    // Who sends both keeps the cookie; who keeps none is given the same one.
    let with_both = scene
        .prove(&ways, &both(&basic("ann", "ann's"), &kept))
        .await;
    assert!(with_both.unwrap().cookie.is_none());
    let without = scene.prove(&ways, &basic("ann", "ann's")).await.unwrap();
    assert_eq!(cookie(&without), kept);
    // Another mount may not take passwords.
    assert_eq!(
        scene.prove(&[Way::Token], &kept).await.unwrap_err(),
        Unproven::Missing
    );
    let next_minute = async || {
        tokio::time::pause();
        tokio::time::advance(Duration::from_mins(1)).await;
        tokio::time::resume();
    };
    scene.write("groups", "other: ann\n");
    next_minute().await;
    assert_eq!(groups(&*scene.person(&ways, &kept).await), ["other"]);
    scene.write("users", &format!("ann:{}\n", hash("another")));
    next_minute().await;
    assert_eq!(
        scene.prove(&ways, &kept).await.unwrap_err(),
        Unproven::Missing
    );
    // It does not come back with the old password either.
    scene.write("users", &format!("ann:{}\n", hash("ann's")));
    next_minute().await;
    assert_eq!(
        scene.prove(&ways, &kept).await.unwrap_err(),
        Unproven::Missing
    );
}

#[tokio::test]
async fn a_cookie_ends_with_the_directorys_entry() {
    let scene = Scene::new();
    let admitted = scene.prove(&[Way::Ldap], &basic("dora", "dora's")).await;
    let kept = cookie(&admitted.unwrap());
    scene.person(&[Way::Ldap], &kept).await;
    scene.directory.gone.store(1, Ordering::Relaxed);
    tokio::time::pause();
    tokio::time::advance(Duration::from_mins(1)).await;
    let ended = scene.prove(&[Way::Ldap], &kept).await.unwrap_err();
    assert_eq!(ended, Unproven::Missing);
}

#[tokio::test]
async fn a_cookie_alone_changes_nothing() {
    let scene = Scene::new();
    let ways = [Way::Basic];
    let kept = cookie(&scene.prove(&ways, &basic("ann", "ann's")).await.unwrap());
    let no_check = header(HeaderName::from_static("x-atlassian-token"), "no-check");
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        let with = async |headers: &HeaderMap| {
            let asking = Asking {
                method: &method,
                ..asking(headers)
            };
            scene.gate.prove(&mount(&ways), asking).await
        };
        let refused = with(&kept).await.unwrap_err();
        assert_eq!(refused, Unproven::CrossSite(Arc::from("ann")), "{method}");
        assert!(with(&both(&kept, &no_check)).await.is_ok());
        assert!(with(&both(&basic("ann", "ann's"), &kept)).await.is_ok());
    }
}

#[tokio::test]
async fn cookies_stay_on_tls_where_there_is_some() {
    let scene = Scene::new();
    let right = basic("ann", "ann's");
    let secure = Asking {
        secure: true,
        ..asking(&right)
    };
    let admitted = scene
        .gate
        .prove(&mount(&[Way::Basic]), secure)
        .await
        .unwrap();
    assert!(
        admitted
            .cookie
            .unwrap()
            .to_str()
            .unwrap()
            .ends_with("; Secure")
    );
}

#[tokio::test]
async fn the_proxy_says_who_asks_and_nobody_else_does() {
    let scene = Scene::new();
    let said = remote_user("peter");
    let peter = scene
        .gate
        .prove(&mount(&ALL), from_proxy(&said))
        .await
        .unwrap();
    assert!(peter.cookie.is_none());
    let peter = person(peter);
    assert_eq!((&*peter.name, peter.way), ("peter", Way::ProxyHeader));
    assert_eq!(groups(&peter), ["ops"]);
    // Its header alone is refused, also where nobody asks for it, and whatever stands beside it.
    let with_password = both(&said, &basic("ann", "ann's"));
    for ways in [&ALL[..], &[Way::Basic], &[Way::Peer]] {
        let foreign = scene.prove(ways, &with_password).await.unwrap_err();
        assert_eq!(foreign, Unproven::ForeignProxy);
    }
    // The order of the ways says whose word counts.
    let by_proxy = scene
        .gate
        .prove(&mount(&ALL), from_proxy(&with_password))
        .await;
    assert_eq!(person(by_proxy.unwrap()).way, Way::ProxyHeader);
    let first = [Way::Basic, Way::ProxyHeader];
    let wrong = both(&said, &basic("ann", "wrong"));
    let by_password = scene.gate.prove(&mount(&first), from_proxy(&wrong)).await;
    assert_eq!(by_password.unwrap_err(), Unproven::Wrong);
    // Groups are asked for where people are known; where that fails, so does the proof.
    let down = remote_user("down");
    let down = scene.gate.prove(&mount(&ALL), from_proxy(&down)).await;
    assert_eq!(down.unwrap_err(), Unproven::NotReady);
}

#[tokio::test]
async fn a_bearer_token_stands_for_its_user_until_it_ends() {
    let scene = Scene::new();
    let soon = scene.clock.now() + Duration::from_mins(5);
    let shown = scene.token("dora", soon).await;
    let dora = scene.prove(&ALL, &shown).await.unwrap();
    assert!(dora.cookie.is_none());
    let dora = person(dora);
    assert_eq!((&*dora.name, dora.way), ("dora", Way::Token));
    assert_eq!(groups(&dora), ["ops"]);
    assert_eq!(
        scene.prove(&[Way::Basic], &shown).await.unwrap_err(),
        Unproven::Wrong
    );
    tokio::time::pause();
    tokio::time::advance(Duration::from_mins(5)).await;
    tokio::time::resume();
    assert_eq!(
        scene.prove(&ALL, &shown).await.unwrap_err(),
        Unproven::Wrong
    );
    let anns = scene
        .token("ann", scene.clock.now() + Duration::from_mins(5))
        .await;
    scene.person(&ALL, &anns).await;
    let objects = scene.store.objects().unwrap();
    let id = objects.tokens.get(&token_hash("token-of-ann")).unwrap().id;
    scene.store.delete_token(id).await.unwrap();
    assert_eq!(scene.prove(&ALL, &anns).await.unwrap_err(), Unproven::Wrong);
}

#[tokio::test]
async fn some_mounts_are_for_members_only() {
    let scene = Scene::new();
    let for_ops = Mount {
        require_group: vec![Arc::from("none"), Arc::from("ops")],
        ..mount(&[Way::Basic, Way::Peer])
    };
    let (ann, bob) = (basic("ann", "ann's"), basic("bob", "bob's"));
    assert!(scene.gate.prove(&for_ops, asking(&ann)).await.is_ok());
    // An administrator is no member either.
    let bob = scene.gate.prove(&for_ops, asking(&bob)).await.unwrap_err();
    assert_eq!(bob, Unproven::NotMember(Arc::from("bob")));
    let none = HeaderMap::new();
    let nobody = scene.gate.prove(&for_ops, asking(&none)).await.unwrap_err();
    assert_eq!(nobody, Unproven::Missing);
}

#[test]
fn a_mount_asks_for_what_it_takes() {
    let asks = |ways: &[Way]| {
        let all = Gate::challenges(&mount(ways));
        all.map(|one| one.to_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let basic = "Basic realm=\"rolecall\", charset=\"UTF-8\"";
    let bearer = "Bearer realm=\"rolecall\"";
    assert_eq!(asks(&[Way::Basic]), [basic]);
    assert_eq!(asks(&[Way::Token, Way::Pam]), [basic, bearer]);
    assert_eq!(asks(&[Way::Oidc]), [bearer]);
    assert_eq!(asks(&[Way::Peer]), [basic]);
}
