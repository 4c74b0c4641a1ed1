//! The store through its door, whatever keeps it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use secrecy::{ExposeSecret, SecretString};

use super::*;
use uuid::Uuid;

use crate::authority::totp::Seed;
use crate::clock::Clock;
use crate::types::{AccessKeyId, AccountAlias, MfaSerial, Partition, RoleArn, RoleRef};

fn account(name: &str) -> AccountDraft {
    AccountDraft {
        name: Arc::from(name),
        access_key_id: AccessKeyId::new("AKIAEXAMPLE").unwrap(),
        secret_access_key: SecretString::from(format!("secret of {name}")),
        partition: Partition::new("aws").unwrap(),
    }
}

fn connector(name: &str, account: &str, groups: &[&str]) -> ConnectorDraft {
    ConnectorDraft {
        name: Arc::from(name),
        account: AccountAlias::new(account).unwrap(),
        kind: ConnectorKind::FederationToken,
        system: false,
        groups: groups.iter().map(|group| Arc::from(*group)).collect(),
        policy: None,
        policy_arns: Vec::new(),
        max_duration: None,
    }
}

fn edit(name: &str, secret: Option<&str>) -> AccountEdit {
    let AccountDraft {
        name,
        access_key_id,
        partition,
        ..
    } = account(name);
    AccountEdit {
        name,
        access_key_id,
        secret_access_key: secret.map(SecretString::from),
        partition,
    }
}

fn names(objects: &Objects) -> Vec<String> {
    objects
        .names
        .iter()
        .map(|named| named.0.draft.name.to_string())
        .collect()
}

#[tokio::test]
async fn what_is_made_is_seen_at_once() {
    let store = Store::in_memory(Clock::System);
    let made = store.create_account(account("Team A")).await.unwrap();
    assert_eq!(made.alias.as_str(), "team-a");
    let web = connector("Web console", "team-a", &["devs", "ops"]);
    let web = store.create_connector(web).await.unwrap();
    assert_eq!(web.role, RoleRef::parse("team-a/web-console").unwrap());
    let objects = store.objects().unwrap();
    assert_eq!(names(&objects), ["Web console"]);
    assert!(objects.groups["devs"].contains("Web console"));
    assert!(Arc::ptr_eq(&objects.roles[&web.role], &web));
    let nobody = connector("x", "nowhere", &[]);
    let refused = store.create_connector(nobody).await.unwrap_err();
    let nowhere = AccountAlias::new("nowhere").unwrap();
    assert_eq!(refused, StoreError::NoAccount(nowhere));
}

#[tokio::test]
async fn connectors_are_found_by_the_role_that_they_assume() {
    let store = Store::in_memory(Clock::System);
    store.create_account(account("team a")).await.unwrap();
    let arn = |name: &str| RoleArn::new(&format!("arn:aws:iam::123456789012:role/{name}")).unwrap();
    let draft = |name: &str, of: &str| ConnectorDraft {
        kind: ConnectorKind::AssumeRole {
            arn: arn(of),
            external_id: None,
        },
        ..connector(name, "team-a", &[])
    };
    let one = store.create_connector(draft("one", "web")).await.unwrap();
    let two = store.create_connector(draft("two", "web")).await.unwrap();
    let user = connector("user", "team-a", &[]);
    store.create_connector(user).await.unwrap();
    let roles = |of: &str| -> Vec<String> {
        let objects = store.objects().unwrap();
        let roles = objects.arns.get(&arn(of));
        let roles = roles.into_iter().flat_map(|roles| roles.iter());
        roles.map(ToString::to_string).collect()
    };
    assert_eq!(roles("web"), ["team-a/one", "team-a/two"]);
    store
        .replace_connector(one.id, draft("one", "ci"), None)
        .await
        .unwrap();
    assert_eq!((roles("web").len(), roles("ci").len()), (1, 1));
    store.delete_connector(two.id, None).await.unwrap();
    assert!(roles("web").is_empty());
    assert_eq!(store.objects().unwrap().arns.len(), 1);
}

#[tokio::test]
async fn names_are_unique_and_slugs_are_made_so() {
    let store = Store::in_memory(Clock::System);
    store.create_account(account("team a")).await.unwrap();
    let again = store.create_account(account("team a")).await;
    assert_eq!(again.unwrap_err(), StoreError::NameTaken);
    let alike = store.create_account(account("Team  A!")).await.unwrap();
    assert_eq!(alike.alias.as_str(), "team-a-2");
    let other = store.create_account(account("東京")).await.unwrap();
    assert_eq!(other.alias.as_str(), "account");
    store.reserve(|| Reserved {
        aliases: [AccountAlias::new("prod").unwrap()].into(),
        roles: [RoleRef::parse("prod/web").unwrap()].into(),
        connectors: [Arc::from("The web")].into(),
    });
    let taken = store.create_account(account("prod")).await;
    assert_eq!(taken.unwrap_err(), StoreError::NameTaken);
    let slug = store.create_account(account("Prod!")).await.unwrap();
    assert_eq!(slug.alias.as_str(), "prod-2");
    let shown = connector("The web", "prod", &[]);
    let shown = store.create_connector(shown).await;
    assert_eq!(shown.unwrap_err(), StoreError::NameTaken);
    let web = store.create_connector(connector("web", "prod", &[])).await;
    assert_eq!(web.unwrap().role.role.as_str(), "web-2");
}

#[tokio::test]
async fn a_write_that_expects_another_version_changes_nothing() {
    let store = Store::in_memory(Clock::System);
    let first = store.create_account(account("a1")).await.unwrap();
    let id = first.id;
    let second = store
        .replace_account(id, edit("a2", None), Some(first.version))
        .await
        .unwrap();
    assert!(second.version > first.version);
    assert_eq!(second.alias, first.alias, "paths stay");
    assert_eq!(
        second.draft.secret_access_key.expose_secret(),
        "secret of a1"
    );
    let stale = Some(first.version);
    let late = store.replace_account(id, edit("a3", Some("s")), stale);
    assert_eq!(late.await.unwrap_err(), StoreError::Changed);
    let too_late = store.delete_account(id, stale).await;
    assert_eq!(too_late.unwrap_err(), StoreError::Changed);
    assert_eq!(*store.objects().unwrap().accounts[&id].draft.name, *"a2");
}

#[tokio::test]
async fn an_account_in_use_stays() {
    let store = Store::in_memory(Clock::System);
    let made = store.create_account(account("a1")).await.unwrap();
    let user = store.create_connector(connector("c1", "a1", &["g"])).await;
    let user = user.unwrap();
    let refused = store.delete_account(made.id, None).await.unwrap_err();
    let by = Arc::from("c1");
    assert_eq!(refused, StoreError::InUse { by });
    store.delete_connector(user.id, None).await.unwrap();
    store.delete_account(made.id, None).await.unwrap();
    let objects = store.objects().unwrap();
    assert!(objects.groups.is_empty() && objects.aliases.is_empty());
    let gone = store.delete_account(made.id, None).await.unwrap_err();
    assert_eq!(gone, StoreError::Unknown);
}

#[tokio::test]
async fn tokens_that_have_ended_go_with_the_next_one() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let store = Store::in_memory(Clock::simulated(now));
    let token = |hash: u8, expires: SystemTime| TokenDraft {
        user: Arc::from("ci"),
        hash: [hash; 32],
        expires,
    };
    let kept = now + Duration::from_hours(1);
    let first = store.create_token(token(1, now)).await.unwrap();
    assert!(store.objects().unwrap().tokens.contains_key(&[1; 32]));
    let second = store.create_token(token(2, kept)).await.unwrap();
    assert_eq!(store.objects().unwrap().tokens.len(), 1);
    let gone = store.delete_token(first.id).await.unwrap_err();
    assert_eq!(gone, StoreError::Unknown);
    store.delete_token(second.id).await.unwrap();
    assert!(store.objects().unwrap().tokens.is_empty());
}

fn key(id: &str, user: &str, account: &str) -> AccessKeyDraft {
    AccessKeyDraft {
        id: AccessKeyId::new(id).unwrap(),
        secret: SecretString::from(format!("secret of {id}")),
        user: Arc::from(user),
        account: AccountAlias::new(account).unwrap(),
        label: Arc::default(),
    }
}

fn serial(text: &str) -> MfaSerial {
    MfaSerial::new(text).unwrap()
}

fn device(serial: &str, user: &str) -> MfaDeviceDraft {
    MfaDeviceDraft {
        serial: self::serial(serial),
        seed: Seed::generate().unwrap(),
        user: Arc::from(user),
    }
}

fn ids_of(objects: &Objects, user: &str) -> Vec<String> {
    let ids = objects.keys_of.get(user).map_or(&[][..], |ids| ids);
    ids.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn an_access_key_is_its_users_and_its_accounts() {
    let store = Store::in_memory(Clock::System);
    store.create_account(account("a1")).await.unwrap();
    let made = store.create_key(key("k-2", "ann", "a1")).await.unwrap();
    store.create_key(key("k-1", "ann", "a1")).await.unwrap();
    store.create_key(key("k-3", "bob", "a1")).await.unwrap();
    let objects = store.objects().unwrap();
    assert_eq!(ids_of(&objects, "ann"), ["k-2", "k-1"]);
    assert!(Arc::ptr_eq(&objects.keys[&made.draft.id], &made));
    let again = store.create_key(key("k-2", "bob", "a1")).await;
    assert_eq!(again.unwrap_err(), StoreError::NameTaken);
    let nowhere = store.create_key(key("k-4", "bob", "nowhere")).await;
    let alias = AccountAlias::new("nowhere").unwrap();
    assert_eq!(nowhere.unwrap_err(), StoreError::NoAccount(alias));
    let id = made.draft.id.clone();
    store.delete_key(id.clone()).await.unwrap();
    let gone = store.delete_key(id).await.unwrap_err();
    assert_eq!(gone, StoreError::Unknown);
    assert_eq!(ids_of(&store.objects().unwrap(), "ann"), ["k-1"]);
}

#[tokio::test]
async fn an_accounts_access_keys_go_with_it_unless_the_configuration_has_one_of_its_name() {
    let store = Store::in_memory(Clock::System);
    let first = store.create_account(account("a1")).await.unwrap();
    let second = store.create_account(account("a2")).await.unwrap();
    for (id, account) in [("k-1", "a1"), ("k-2", "a2"), ("k-3", "a1")] {
        store.create_key(key(id, "ann", account)).await.unwrap();
    }
    store.delete_account(first.id, None).await.unwrap();
    assert_eq!(ids_of(&store.objects().unwrap(), "ann"), ["k-2"]);
    let reserved = second.alias.clone();
    store.reserve(|| Reserved {
        aliases: [reserved].into(),
        ..Reserved::default()
    });
    store.delete_account(second.id, None).await.unwrap();
    assert_eq!(ids_of(&store.objects().unwrap(), "ann"), ["k-2"]);
    store.create_key(key("k-4", "ann", "a2")).await.unwrap();
}

#[tokio::test]
async fn nobody_fills_the_store_with_keys_or_devices() {
    let store = Store::in_memory(Clock::System);
    store.create_account(account("a1")).await.unwrap();
    for number in 0..100 {
        let draft = key(&format!("key{number}"), "ann", "a1");
        store.create_key(draft).await.unwrap();
    }
    let one_more = store.create_key(key("key100", "ann", "a1")).await;
    assert_eq!(one_more.unwrap_err(), StoreError::TooMany { most: 100 });
    store.create_key(key("of-bob", "bob", "a1")).await.unwrap();
    for number in 0..8 {
        let draft = device(&format!("of-ann-{number:02}"), "ann");
        store.enrol_device(draft).await.unwrap();
    }
    let ninth = store.enrol_device(device("of-ann-08", "ann")).await;
    assert_eq!(ninth.unwrap_err(), StoreError::TooMany { most: 8 });
    let taken = store.enrol_device(device("of-ann-01", "bob")).await;
    assert_eq!(taken.unwrap_err(), StoreError::NameTaken);
}

#[tokio::test]
async fn a_code_is_used_once_also_by_two_at_once() {
    let store = Store::in_memory(Clock::System);
    store
        .enrol_device(device("of-ann-01", "ann"))
        .await
        .unwrap();
    let use_code = |step| store.use_code(serial("of-ann-01"), step);
    let (one, other) = tokio::join!(use_code(7), use_code(7));
    assert_eq!((one, other), (Ok(()), Err(StoreError::Used)));
    assert_eq!(use_code(6).await, Err(StoreError::Used));
    assert_eq!(use_code(8).await, Ok(()));
    let objects = store.objects().unwrap();
    assert_eq!(objects.devices[&serial("of-ann-01")].used, Some(8));
    let unknown = store.use_code(serial("of-nobody"), 1).await;
    assert_eq!(unknown, Err(StoreError::Unknown));
    store.remove_device(serial("of-ann-01")).await.unwrap();
    assert_eq!(use_code(9).await, Err(StoreError::Unknown));
    let gone = store.remove_device(serial("of-ann-01")).await;
    assert_eq!(gone, Err(StoreError::Unknown));
}

#[tokio::test]
async fn what_was_revoked_is_known_until_it_has_ended() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let store = Store::in_memory(Clock::simulated(now));
    let [ended, open, last] = [(); 3].map(|()| Uuid::new_v4());
    store.revoke(ended, now).await.unwrap();
    let soon = now + Duration::from_millis(10);
    store.revoke(open, soon).await.unwrap();
    let until = store.objects().unwrap().revoked[&open];
    assert_eq!(until, now + Duration::from_secs(1), "never too early");
    store.revoke(open, soon).await.unwrap();
    store.revoke(last, soon).await.unwrap();
    let objects = store.objects().unwrap();
    assert!(!objects.revoked.contains_key(&ended));
    assert_eq!(objects.revoked.len(), 2);
}

/// Keeps what it is given, and says of the first write that it failed.
#[derive(Debug)]
struct Shaky {
    fault: Option<Fault>,
    kept: Arc<Mutex<Vec<Account>>>,
}

impl Backing for Shaky {
    fn read(&mut self) -> Result<Kept, Fault> {
        let accounts = self.kept.lock().unwrap().clone();
        Ok(Kept {
            accounts,
            ..Kept::default()
        })
    }

    fn write(&mut self, changes: &[Change]) -> Result<(), Fault> {
        let accounts = changes.iter().filter_map(|change| match change {
            Change::Account(account) => Some(Account::clone(account)),
            Change::NoAccount(_)
            | Change::Connector(_)
            | Change::NoConnector(_)
            | Change::Token(_)
            | Change::NoToken(_)
            | Change::Key(_)
            | Change::NoKey(_)
            | Change::Device(_)
            | Change::NoDevice(_)
            | Change::Revoked(..)
            | Change::Forgotten(_) => None,
        });
        self.kept.lock().unwrap().extend(accounts);
        self.fault.take().map_or(Ok(()), Err)
    }
}

fn fault(cause: Cause) -> Fault {
    let path = Arc::from(Path::new("/there"));
    Fault::Kept { path, cause }
}

#[tokio::test]
async fn a_store_that_could_not_be_opened_is_tried_again() {
    let mut faults = vec![fault(Cause::Locked)];
    let open: Open = Box::new(move || match faults.pop() {
        Some(fault) => Err(fault),
        None => Ok(Box::new(InMemory)),
    });
    let store = Store::new(open, false, Clock::System);
    let mut changes = store.changes();
    let locked = fault(Cause::Locked);
    let told = changes.wait_for(|now| now.as_ref().err() == Some(&locked));
    drop(told.await.unwrap());
    store.create_account(account("a1")).await.unwrap();
    assert_eq!(store.objects().unwrap().accounts.len(), 1);
}

#[tokio::test]
async fn who_waits_for_a_store_to_open_finds_it_followed() {
    let (let_go, held) = std::sync::mpsc::channel();
    let open: Open = Box::new(move || {
        held.recv().unwrap();
        Ok(Box::new(InMemory))
    });
    let store = Store::new(open, false, Clock::System);
    let followed = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&followed);
    store.when_changed(move || seen.store(true, Ordering::Relaxed));
    assert!(!store.is_settled());
    assert_eq!(store.objects().unwrap_err(), Fault::Opening);
    let waiting = store.settled();
    let_go.send(()).unwrap();
    waiting.await;
    assert!(store.objects().is_ok() && store.is_settled());
    assert!(followed.load(Ordering::Relaxed));
}

#[tokio::test]
async fn a_store_that_cannot_be_opened_is_not_waited_for() {
    let open: Open = Box::new(|| Err(fault(Cause::Foreign)));
    let store = Store::new(open, false, Clock::System);
    store.settled().await;
    assert_eq!(store.objects().unwrap_err(), fault(Cause::Foreign));
    assert!(Store::in_memory(Clock::System).is_settled());
}

#[tokio::test]
async fn after_a_write_of_which_nobody_knows_what_was_kept_it_is_read_again() {
    let lost = fault(Cause::Failed(Arc::from("disk I/O error")));
    let kept = Arc::default();
    let mut faults = vec![lost.clone()];
    let open: Open = Box::new(move || {
        Ok(Box::new(Shaky {
            fault: faults.pop(),
            kept: Arc::clone(&kept),
        }))
    });
    let store = Store::new(open, true, Clock::System);
    let failed = store.create_account(account("a1")).await.unwrap_err();
    assert_eq!(failed, StoreError::Unavailable(lost));
    let again = store.create_account(account("a1")).await.unwrap_err();
    assert_eq!(again, StoreError::NameTaken, "it was kept all the same");
    assert_eq!(store.objects().unwrap().accounts.len(), 1);
}

#[tokio::test]
async fn writers_at_once_are_all_held_to_the_rules() {
    let store = Store::in_memory(Clock::System);
    store.create_account(account("a1")).await.unwrap();
    let same = || store.create_connector(connector("same", "a1", &["g"]));
    let (first, second, third) = tokio::join!(same(), same(), same());
    let made = [first, second, third].into_iter().flatten();
    assert_eq!(made.count(), 1);
    let id = store.objects().unwrap().names.get("same").unwrap().0.id;
    let read = Some(Version(1));
    let edit = |name| store.replace_connector(id, connector(name, "a1", &["h"]), read);
    let (one, other) = tokio::join!(edit("x"), edit("y"));
    let errors = [one.err(), other.err()];
    let errors: Vec<_> = errors.into_iter().flatten().collect();
    assert_eq!(errors, [StoreError::Changed]);
    let objects = store.objects().unwrap();
    let groups: Vec<_> = objects.groups.keys().map(AsRef::as_ref).collect();
    assert_eq!(groups, ["h"]);
}
