//! What is written is read again, whatever happened to the file meanwhile.

#![expect(
    clippy::shadow_unrelated,
    reason = "a test asks the same thing again and again"
)]

mod damage;
mod erasing;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::SystemTime;

use secrecy::SecretString;
use tempfile::TempDir;

use super::book::Book;
use super::*;
use crate::authority::KeyRing;
use crate::clock::BootTime;
use crate::grants::{CallerPolicy, Names, Narrowing, Placeholder, Template};
use crate::secret::ExposeSecret;
use crate::sessions::{Assumption, KeyDigest, ProvidedContext, SessionCredentials, Wish};
use crate::types::{AccessKeyId, ExternalId, RoleRef, SessionName};

const HOUR: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_mins(1);
const SECRET: &str = "canary-of-a-held-session";

/// A state directory and a host's clock.
struct Scene {
    directory: TempDir,
    clock: Clock,
    host: &'static str,
    most: u64,
}

impl Scene {
    fn new() -> Self {
        // 2027.
        let wall = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
        Self {
            directory: tempfile::tempdir().unwrap(),
            clock: Clock::simulated(wall),
            host: "0123456789abcdef",
            most: 1024 * 1024,
        }
    }

    fn place(&self) -> Place {
        let ring = KeyRing::open(self.directory.path(), "sessions", None).unwrap();
        Place {
            directory: self.directory.path().to_owned(),
            seals: Seals::new(ring, None).unwrap(),
            host: host(self.host),
            clock: self.clock.clone(),
            most: self.most,
        }
    }

    /// The file as a process finds it, and what it reads in it.
    fn open(&self) -> (Book, Vec<Kept>) {
        let mut book = Book::new(self.place());
        let kept = book.open();
        (book, kept)
    }

    /// The access key ids that are read, and nobody uses the file afterwards.
    fn read(&self) -> Vec<String> {
        let (_, kept) = self.open();
        kept.iter().map(id).collect()
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join(FILE)
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.file()).unwrap()
    }

    fn put(&self, bytes: impl AsRef<[u8]>) {
        fs::write(self.file(), bytes).unwrap();
        fs::set_permissions(self.file(), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn refused(&self) -> bool {
        self.directory.path().join("sessions.refused").exists()
    }

    /// Session `number` of this role, obtained just now.
    fn session(&self, role: &str, number: usize) -> Kept {
        let credentials = SessionCredentials {
            access_key_id: AccessKeyId::new(&format!("ASIA{number:016}")).unwrap(),
            secret_access_key: SecretString::from(SECRET),
            session_token: SecretString::from("token ".repeat(50)),
        };
        // The wire shows whole seconds.
        let now = self
            .clock
            .now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(now.as_secs());
        let (ends, shown) = (self.clock.boot().plus(HOUR), (now, now + HOUR));
        let wish = Wish::declared(RoleRef::parse(role).unwrap(), Names::default());
        Kept {
            key: KeyDigest::default().field("role", role.as_bytes()).finish(),
            wish: Some(Arc::new(wish)),
            session: Arc::new(Session::kept(credentials, shown, ends, HOUR)),
            elsewhen: None,
        }
    }
}

fn id(kept: &Kept) -> String {
    kept.session.credentials.access_key_id.as_str().to_owned()
}

fn held(kept: &Kept) -> BTreeMap<SessionKey, Option<Kept>> {
    BTreeMap::from([(kept.key, Some(kept.clone()))])
}

fn gone(kept: &Kept) -> BTreeMap<SessionKey, Option<Kept>> {
    BTreeMap::from([(kept.key, None)])
}

#[test]
fn what_is_held_is_read_again_and_nobody_else_can() {
    let scene = Scene::new();
    let (mut book, none) = scene.open();
    assert!(none.is_empty());
    let web = scene.session("prod/web", 1);
    book.write(held(&web), &[]).unwrap();
    drop(book);
    let (_, kept) = scene.open();
    let again = &kept[0];
    assert_eq!((kept.len(), again.key), (1, web.key));
    assert_eq!(again.elsewhen, None);
    assert_eq!(again.wish, web.wish);
    let later = web.session.ends.since(again.session.ends);
    assert!(later < Duration::from_millis(1) && again.session.ends <= web.session.ends);
    assert_eq!(again.session.life, HOUR);
    assert_eq!(again.session.obtained_at, web.session.obtained_at);
    assert_eq!(again.session.expires_at, web.session.expires_at);
    let (a, b) = (&again.session.credentials, &web.session.credentials);
    assert_eq!(a.access_key_id, b.access_key_id);
    assert_eq!(a.secret_access_key.expose_secret(), SECRET);
    assert_eq!(
        a.session_token.expose_secret(),
        b.session_token.expose_secret()
    );
    let mode = fs::metadata(scene.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let bytes = scene.bytes();
    for plain in [SECRET.as_bytes(), b"ASIA", b"prod"] {
        assert!(!bytes.windows(plain.len()).any(|part| part == plain));
    }
}

#[test]
fn the_last_that_was_said_of_a_key_counts() {
    let scene = Scene::new();
    let (mut book, _) = scene.open();
    let (web, db) = (scene.session("prod/web", 1), scene.session("prod/db", 2));
    book.write(held(&web), &[]).unwrap();
    book.write(held(&db), &[]).unwrap();
    book.write(held(&scene.session("prod/web", 3)), &[])
        .unwrap();
    book.write(gone(&db), &[]).unwrap();
    drop(book);
    assert_eq!(scene.read(), ["ASIA0000000000000003"]);
    // The next process goes on where this one ended.
    let (mut book, _) = scene.open();
    book.write(held(&db), &[]).unwrap();
    drop(book);
    let mut read = scene.read();
    read.sort();
    assert_eq!(read, ["ASIA0000000000000002", "ASIA0000000000000003"]);
}

#[test]
fn a_session_that_is_held_again_is_not_written_again() {
    let scene = Scene::new();
    let (mut book, _) = scene.open();
    book.write(held(&scene.session("prod/web", 1)), &[])
        .unwrap();
    drop(book);
    let before = scene.bytes();
    let (mut book, kept) = scene.open();
    book.write(held(&kept[0]), &[]).unwrap();
    assert_eq!(scene.bytes(), before);
}

#[test]
fn what_could_not_be_written_is_written_later() {
    let scene = Scene::new();
    let (mut book, _) = scene.open();
    let way = scene.directory.path().join("sessions.new");
    fs::create_dir(&way).unwrap();
    let (web, db) = (scene.session("prod/web", 1), scene.session("prod/db", 2));
    let told = book.write(held(&web), &[Settle::Written]).unwrap_err();
    assert!(told.to_string().contains("sessions.new"), "{told}");
    assert!(book.is_behind());
    fs::remove_dir(&way).unwrap();
    // Not at each change: a full disk is not written to all the time.
    book.write(held(&db), &[]).unwrap();
    assert!(book.is_behind());
    book.write(BTreeMap::new(), &[Settle::Written]).unwrap();
    assert!(!book.is_behind());
    drop(book);
    assert_eq!(scene.read().len(), 2);
}

#[test]
fn the_file_stays_small_however_often_sessions_are_renewed() {
    let scene = Scene::new();
    let (mut book, _) = scene.open();
    for number in 0..5_000 {
        book.write(held(&scene.session("prod/web", number)), &[])
            .unwrap();
    }
    let length = scene.bytes().len();
    assert!(length < 300 * 1024, "{length}");
    drop(book);
    assert_eq!(scene.read(), ["ASIA0000000000004999"]);
}

#[test]
fn no_more_is_kept_than_may_be() {
    let scene = Scene {
        most: 1_500,
        ..Scene::new()
    };
    let (mut book, _) = scene.open();
    for number in 0..10 {
        let session = scene.session(&format!("prod/role{number}"), number);
        book.write(held(&session), &[]).unwrap();
    }
    drop(book);
    assert!(scene.bytes().len() < 1_700);
    assert!((1..10).contains(&scene.read().len()));
}

#[test]
fn a_session_that_is_too_long_takes_no_other_along() {
    let scene = Scene {
        most: 8 * 1024 * 1024,
        ..Scene::new()
    };
    let (mut book, _) = scene.open();
    let mut long = scene.session("prod/long", 1);
    let credentials = SessionCredentials {
        session_token: SecretString::from("token ".repeat(200_000)),
        ..long.session.credentials.clone()
    };
    let shown = (long.session.obtained_at, long.session.expires_at);
    long.session = Arc::new(Session::kept(credentials, shown, long.session.ends, HOUR));
    book.write(held(&long), &[]).unwrap();
    book.write(held(&scene.session("prod/web", 2)), &[])
        .unwrap();
    drop(book);
    assert_eq!(scene.read(), ["ASIA0000000000000002"]);
}

#[test]
fn two_daemons_never_write_to_one_file() {
    let scene = Scene::new();
    let (mut first, _) = scene.open();
    first
        .write(held(&scene.session("prod/web", 1)), &[])
        .unwrap();
    let (mut second, kept) = scene.open();
    assert!(kept.is_empty());
    let db = scene.session("prod/db", 2);
    let told = second.write(held(&db), &[Settle::Written]).unwrap_err();
    assert!(told.to_string().contains("another daemon"), "{told}");
    first.close();
    second.write(BTreeMap::new(), &[Settle::Written]).unwrap();
    drop((first, second));
    assert_eq!(scene.read(), ["ASIA0000000000000002"]);
}

#[tokio::test(start_paused = true)]
async fn the_boot_clock_tells_what_is_left_and_after_another_boot_wall_time() {
    let scene = Scene::new();
    let Clock::Simulated(simulation) = &scene.clock else {
        unreachable!()
    };
    let (mut book, _) = scene.open();
    let web = scene.session("prod/web", 1);
    book.write(held(&web), &[]).unwrap();
    drop(book);
    tokio::time::advance(MINUTE * 20).await;
    simulation.set_wall(SystemTime::UNIX_EPOCH + HOUR * 400_000);
    let (book, kept) = scene.open();
    assert_eq!(kept[0].elsewhen, None);
    assert_eq!(kept[0].session.remaining(&scene.clock), MINUTE * 40);
    drop(book);
    simulation.reboot(Duration::ZERO);
    let (mut book, kept) = scene.open();
    let elsewhen = kept[0].elsewhen.unwrap();
    assert_eq!(elsewhen.ends, web.session.expires_at);
    assert_eq!(elsewhen.written, web.session.obtained_at);
    // It is still known when it is written anew before anybody has asked for it.
    book.write(BTreeMap::new(), &[Settle::Erased]).unwrap();
    drop(book);
    let (_, kept) = scene.open();
    assert_eq!(kept[0].elsewhen, Some(elsewhen));
}

#[tokio::test(start_paused = true)]
async fn what_has_ended_is_not_read() {
    let scene = Scene::new();
    let (mut book, _) = scene.open();
    book.write(held(&scene.session("prod/web", 1)), &[])
        .unwrap();
    drop(book);
    tokio::time::advance(MINUTE * 59).await;
    assert!(scene.read().is_empty());
}

#[test]
fn a_session_with_more_left_than_it_ever_had_is_none() {
    let scene = Scene::new();
    let (mut book, _) = scene.open();
    let mut web = scene.session("prod/web", 1);
    let credentials = web.session.credentials.clone();
    let ends = BootTime::after_boot(HOUR * 100);
    let shown = (web.session.obtained_at, web.session.expires_at);
    web.session = Arc::new(Session::kept(credentials, shown, ends, HOUR));
    book.write(held(&web), &[]).unwrap();
    drop(book);
    assert!(scene.read().is_empty());
}

#[test]
fn wishes_are_read_as_they_were_written() {
    let scene = Scene::new();
    let (mut book, _) = scene.open();
    let group: Arc<str> = Arc::from("team");
    let template = Template::parse_in_grant("{team}-{unit}", &[Arc::clone(&group)]).unwrap();
    let names = Names::default()
        .with(Placeholder::Caller, "web.service")
        .with(Placeholder::User, "www")
        .with_groups(&[(group, Arc::from("blue"))]);
    let whole = Wish {
        may_be_undeclared: true,
        narrowing: Some(Arc::new(Narrowing {
            policy: Some(Arc::from("{}")),
            policy_arns: vec!["arn:aws:iam::aws:policy/ReadOnly".to_owned()],
            duration: Some(MINUTE * 20),
            tags: vec![("team".to_owned(), template.clone())],
            session_name: Some(template),
            source_identity: Some(Template::caller()),
            caller_policy: CallerPolicy::Replaces,
        })),
        principal: Some(Arc::from("ann")),
        assumption: Some(Arc::new(Assumption {
            session_name: Some(SessionName::new("ann-1").unwrap()),
            duration: Some(HOUR),
            policy: Some(Arc::from("{\"a\":1}")),
            policy_arns: vec!["arn".to_owned()],
            tags: vec![("a".to_owned(), "b".to_owned())],
            transitive_tags: vec!["a".to_owned()],
            source_identity: Some(SessionName::new("ann").unwrap()),
            external_id: Some(ExternalId::new("external").unwrap()),
            mfa: true,
            chain_depth: 1,
            provided_contexts: Vec::new(),
        })),
        ..Wish::declared(RoleRef::parse("prod/web").unwrap(), names)
    };
    let kept = Kept {
        wish: Some(Arc::new(whole.clone())),
        ..scene.session("prod/web", 1)
    };
    book.write(held(&kept), &[]).unwrap();
    drop(book);
    let (mut book, read) = scene.open();
    assert_eq!(read[0].wish.as_deref(), Some(&whole));

    // A caller's token is not written down: its session is known by its key alone.
    let shown = ProvidedContext {
        provider: Arc::from("arn:aws:iam::aws:contextProvider/IdentityCenter"),
        assertion: SecretString::from("canary"),
    };
    let asked = Assumption {
        provided_contexts: vec![shown],
        ..Assumption::default()
    };
    let of_token = Wish {
        assumption: Some(Arc::new(asked)),
        ..whole
    };
    let kept = Kept {
        wish: Some(Arc::new(of_token)),
        ..scene.session("prod/db", 2)
    };
    book.write(held(&kept), &[]).unwrap();
    drop(book);
    let (_, read) = scene.open();
    assert!(
        read.iter()
            .any(|again| again.key == kept.key && again.wish.is_none())
    );
}

#[tokio::test]
async fn the_thread_keeps_what_it_is_told_until_it_is_closed() {
    let scene = Scene::new();
    let (tell, told) = std::sync::mpsc::channel();
    let keeping =
        Keeping::start(scene.place(), move |kept| tell.send(kept.len()).unwrap()).unwrap();
    assert_eq!(told.recv().unwrap(), 0);
    let web = scene.session("prod/web", 1);
    keeping
        .0
        .tell(|asked| drop(asked.changes.insert(web.key, Some(web.clone()))));
    keeping.settled(Settle::Closed).await.unwrap();
    assert_eq!(scene.read(), ["ASIA0000000000000001"]);
    let after = keeping.settled(Settle::Written);
    drop(keeping.0.lock().waiting.drain(..));
    assert!(after.await.is_err());
}
