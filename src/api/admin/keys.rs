//! Access keys and MFA devices of people: made once, their secrets told once.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use hyper::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

use super::Admin;
use super::answer::Failure;
use super::wire::{
    AccessKeys, DeleteKey, Devices, KnownDevice, KnownKey, MadeDevice, MadeKey, NewDevice, NewKey,
    RemoveDevice, RemovedDevice, Secret, TakenOver,
};
use crate::people::is_name;
use crate::secret::{ExposeSecret as _, SecretString};
use crate::store::{AccessKeyDraft, Fault, MfaDeviceDraft, Objects, StoreError};
use crate::types::{AccessKeyId, AccountAlias, MfaSerial};

/// Who issues one-time codes, as applications show it.
const ISSUER: &str = "rolecall";

impl Admin {
    /// Makes an access key. Its secret is told here; Keystone's API tells it to its user.
    pub(super) async fn make_key(&self, asked: &NewKey) -> Result<MadeKey, Failure> {
        let user = named(&asked.user)?;
        let account = self.account(asked.account.as_deref(), "--account")?;
        let draft = match &asked.taken_over {
            None => AccessKeyDraft::generate(user, account).map_err(|error| no_entropy(&error))?,
            Some(key) => taken_over(key, user, account)?,
        };
        let made = self.store.create_key(draft).await;
        let made = made.map_err(|error| {
            if error == StoreError::NameTaken {
                let taken = "there is an access key of this id";
                return Failure::new(StatusCode::CONFLICT, taken)
                    .remedy("`rolecall key list` shows whose it is");
            }
            failed("access key", error)
        })?;
        let key = &made.draft;
        tracing::info!(access_key_id = %key.id, user = %key.user, account = %key.account, "an access key was made");
        Ok(MadeKey {
            access: key.id.to_string(),
            secret: Secret::new(key.secret.clone()),
            user: key.user.to_string(),
            account: key.account.to_string(),
        })
    }

    /// All access keys, each user's in the order in which they were made.
    pub(super) fn access_keys(&self) -> Result<AccessKeys, Failure> {
        let objects = self.objects()?;
        let mut users: Vec<_> = objects.keys_of.iter().collect();
        users.sort_unstable_by_key(|(user, _)| Arc::clone(user));
        let ids = users.into_iter().flat_map(|(_, ids)| ids.iter());
        let keys = ids
            .filter_map(|id| objects.keys.get(id))
            .map(|key| KnownKey {
                access: key.draft.id.to_string(),
                user: key.draft.user.to_string(),
                account: key.draft.account.to_string(),
                made: seconds(key.made),
            });
        Ok(AccessKeys {
            keys: keys.collect(),
        })
    }

    /// Deletes an access key, or the token of this id.
    pub(super) async fn delete_key(&self, asked: &DeleteKey) -> Result<DeleteKey, Failure> {
        let key = AccessKeyId::new(&asked.id).map_err(|error| {
            Failure::new(StatusCode::BAD_REQUEST, error.to_string())
                .remedy("`rolecall key list` shows the ids of keys and tokens")
        })?;
        let is_key = self.objects()?.keys.contains_key(&key);
        let id = key.to_string();
        let deleted = match asked.id.parse::<Uuid>() {
            Ok(token) if !is_key => self.store.delete_token(token).await,
            Ok(_) | Err(_) => self.store.delete_key(key).await,
        };
        deleted.map_err(|error| failed("key or token", error))?;
        tracing::info!(id, "an access key or a token was deleted");
        Ok(DeleteKey { id })
    }

    /// Enrols an MFA device. What its codes are made of is told here and never again.
    pub(super) async fn enrol(&self, asked: &NewDevice) -> Result<MadeDevice, Failure> {
        let user = named(&asked.user)?;
        let serial = match &asked.serial {
            Some(serial) => serial_of(serial)?,
            None => serial_of(&self.serial(&user, asked.account.as_deref())?)?,
        };
        if self.objects()?.devices.contains_key(&serial) {
            let taken = "there is a device of this serial number";
            return Err(
                Failure::new(StatusCode::CONFLICT, taken).remedy("give it another by --serial")
            );
        }
        let draft = MfaDeviceDraft::generate(serial, user).map_err(|error| no_entropy(&error))?;
        let made = self.store.enrol_device(draft).await;
        let made = made.map_err(|error| failed("device", error))?;
        let device = &made.draft;
        tracing::info!(serial = %device.serial, user = %device.user, "an MFA device was enrolled");
        let secret = device.seed.base32();
        let shown = utf8_percent_encode(&device.user, NON_ALPHANUMERIC);
        let uri = format!(
            "otpauth://totp/{ISSUER}:{shown}?secret={}&issuer={ISSUER}&algorithm=SHA1&digits=6&period=30",
            secret.expose_secret(),
        );
        Ok(MadeDevice {
            serial: device.serial.to_string(),
            user: device.user.to_string(),
            secret: Secret::new(secret),
            uri: Secret::new(SecretString::from(uri)),
        })
    }

    /// All MFA devices, by user.
    pub(super) fn devices(&self) -> Result<Devices, Failure> {
        let objects = self.objects()?;
        let known = objects.devices.values().map(|device| KnownDevice {
            serial: device.draft.serial.to_string(),
            user: device.draft.user.to_string(),
            made: seconds(device.made),
        });
        let mut devices: Vec<KnownDevice> = known.collect();
        devices.sort_by(|one, other| one.user.cmp(&other.user));
        Ok(Devices { devices })
    }

    /// Removes a user's MFA device.
    pub(super) async fn remove_device(
        &self,
        asked: &RemoveDevice,
    ) -> Result<RemovedDevice, Failure> {
        let objects = self.objects()?;
        let all = objects.devices.values();
        let own = all.filter(|device| *device.draft.user == *asked.user);
        let own: Vec<&MfaSerial> = own.map(|device| &device.draft.serial).collect();
        let serial = match (&asked.serial, own.as_slice()) {
            (None, [only]) => (*only).clone(),
            (None, [_, _, ..]) => {
                let several = "the user has several devices";
                return Err(Failure::new(StatusCode::BAD_REQUEST, several)
                    .remedy("name one by --serial; `rolecall key mfa list` shows them"));
            }
            (Some(said), _) if own.iter().any(|serial| serial.as_str() == said) => serial_of(said)?,
            (Some(_), _) | (None, []) => return Err(failed("device", StoreError::Unknown)),
        };
        let removed = self.store.remove_device(serial.clone()).await;
        removed.map_err(|error| failed("device", error))?;
        tracing::info!(%serial, user = asked.user, "an MFA device was removed");
        Ok(RemovedDevice {
            serial: serial.to_string(),
        })
    }

    /// As AWS names a user's device.
    fn serial(&self, user: &str, account: Option<&str>) -> Result<String, Failure> {
        let account = self.account(account, "--account, or a serial number by --serial")?;
        let facts = self.vending.policy().account(&account);
        let partition = facts
            .partition
            .map_or_else(|| "aws".to_owned(), |it| it.to_string());
        let id = facts.id.map(|id| id.to_string()).unwrap_or_default();
        Ok(format!("arn:{partition}:iam::{id}:mfa/{user}"))
    }

    /// The account of this alias; the only one where none is named.
    fn account(&self, named: Option<&str>, by: &str) -> Result<AccountAlias, Failure> {
        let policy = self.vending.policy();
        let objects = self.objects()?;
        let mut all: Vec<&AccountAlias> = policy.accounts.keys().collect();
        all.extend(objects.aliases.keys());
        all.sort_unstable();
        all.dedup();
        let found = match (named, all.as_slice()) {
            (Some(alias), known) => known.iter().find(|known| known.as_str() == alias),
            (None, [only]) => Some(only),
            (None, _) => {
                let several = "there is not exactly one account";
                return Err(Failure::new(StatusCode::BAD_REQUEST, several)
                    .remedy(format!("name one by {by}")));
            }
        };
        let found = found.map(|alias| (*alias).clone());
        found.ok_or_else(|| Failure::new(StatusCode::BAD_REQUEST, "there is no such account"))
    }

    pub(super) fn objects(&self) -> Result<Arc<Objects>, Failure> {
        let objects = self.store.objects();
        objects.map_err(|fault| unavailable(&fault))
    }
}

/// A key that was made elsewhere.
fn taken_over(
    key: &TakenOver,
    user: Arc<str>,
    account: AccountAlias,
) -> Result<AccessKeyDraft, Failure> {
    let wrong = |why: String| Failure::new(StatusCode::BAD_REQUEST, why);
    let id = AccessKeyDraft::takes_id(&key.access);
    let id = id.ok_or_else(|| {
        wrong("an access key's id has 3 to 128 letters, digits, `-` and `_`".to_owned())
    })?;
    let secret = key.secret.expose();
    if !AccessKeyDraft::takes_secret(secret) {
        let lengths = AccessKeyDraft::SECRETS_OF_OTHERS;
        let (least, most) = (lengths.start(), lengths.end());
        return Err(wrong(format!(
            "a secret access key has {least} to {most} printable characters, and no spaces"
        )));
    }
    Ok(AccessKeyDraft {
        id,
        secret: SecretString::from(secret),
        user,
        account,
        label: Arc::default(),
    })
}

/// The name of a user.
pub(super) fn named(user: &str) -> Result<Arc<str>, Failure> {
    if is_name(user) {
        Ok(Arc::from(user))
    } else {
        let wrong = "a user's name is printable, and not long";
        Err(Failure::new(StatusCode::BAD_REQUEST, wrong))
    }
}

fn serial_of(text: &str) -> Result<MfaSerial, Failure> {
    MfaSerial::new(text).map_err(|error| {
        Failure::new(StatusCode::BAD_REQUEST, format!("`{text}` cannot be used"))
            .reason(Some(error.to_string()))
            .remedy("give the device a serial number by --serial")
    })
}

pub(super) fn seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs()
}

fn no_entropy(error: &dyn std::error::Error) -> Failure {
    Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "there is no randomness")
        .reason(Some(error.to_string()))
}

/// Something of this kind was not written.
pub(super) fn failed(what: &str, error: StoreError) -> Failure {
    match error {
        StoreError::Unknown => {
            Failure::new(StatusCode::NOT_FOUND, format!("there is no such {what}"))
                .remedy("`rolecall key list` and `rolecall key mfa list` show what there is")
        }
        StoreError::Unavailable(fault) => unavailable(&fault),
        StoreError::Changed
        | StoreError::NameTaken
        | StoreError::InUse { .. }
        | StoreError::NoAccount(_)
        | StoreError::TooMany { .. }
        | StoreError::Used => {
            Failure::new(StatusCode::CONFLICT, format!("the {what} was not written"))
                .reason(Some(error.to_string()))
        }
    }
}

pub(super) fn unavailable(fault: &Fault) -> Failure {
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, "the store cannot be used")
        .reason(Some(fault.to_string()))
        .remedy("the daemon's log says more")
}
