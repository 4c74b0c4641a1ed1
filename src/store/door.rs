//! What others see of the store: objects at once, writes that are waited for.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use super::sqlite::Sqlite;
use super::thread::{self, Desk, Hook, Job, Open, Published};
use super::work::Work;
use super::{
    AccessKey, AccessKeyDraft, Account, AccountDraft, AccountEdit, Connector, ConnectorDraft,
    Fault, InMemory, MfaDevice, MfaDeviceDraft, Objects, Reserved, ReservedNames, StoreError,
    Token, TokenDraft, Version,
};
use crate::authority::StateKey;
use crate::clock::Clock;
use crate::types::{AccessKeyId, MfaSerial};

fn names(reserved: impl FnOnce() -> Reserved + Send + 'static) -> Arc<ReservedNames> {
    Arc::new(ReservedNames::new(Box::new(reserved)))
}

/// The store. Clones are the same store.
#[derive(Clone, Debug)]
pub struct Store(Arc<Shared>);

struct Shared {
    objects: watch::Receiver<Result<Arc<Objects>, Fault>>,
    settled: watch::Receiver<bool>,
    reserved: Arc<ArcSwap<ReservedNames>>,
    hook: Hook,
    desk: Mutex<Desk>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Store {
    /// A store that is opened with `open`, on a thread of its own: now, or with the first write where
    /// nothing is kept yet (`is_new`).
    pub fn new(open: Open, is_new: bool, clock: Clock) -> Self {
        let first = if is_new {
            Ok(Arc::default())
        } else {
            Err(Fault::Opening)
        };
        let (publish, objects) = watch::channel(first);
        let (settle, settled) = watch::channel(is_new);
        let reserved = Arc::new(ArcSwap::new(names(Reserved::default)));
        let hook = Hook::default();
        let published = Published::new(publish, settle, Arc::clone(&hook));
        let mut desk = Desk::new(open, published, Arc::clone(&reserved), clock);
        if !is_new {
            desk.start();
        }
        Self(Arc::new(Shared {
            objects,
            settled,
            reserved,
            hook,
            desk: Mutex::new(desk),
        }))
    }

    /// The store of this state directory, sealed with this key, else with a generated one.
    pub fn at(directory: &Path, key: Option<StateKey>, clock: Clock) -> Self {
        let is_new = Sqlite::is_new(directory);
        let directory = directory.to_owned();
        let open: Open = Box::new(move || {
            let opened = Sqlite::open(&directory, key.as_ref())?;
            Ok(Box::new(opened))
        });
        Self::new(open, is_new, clock)
    }

    /// A store that ends with the process.
    pub fn in_memory(clock: Clock) -> Self {
        let open: Open = Box::new(|| Ok(Box::new(InMemory)));
        Self::new(open, true, clock)
    }

    /// All objects at this moment; never waits.
    pub fn objects(&self) -> Result<Arc<Objects>, Fault> {
        self.0.objects.borrow().clone()
    }

    /// Waits while it is being opened for the first time: after that it is open or it is known why
    /// not, and what is done at each next moment ([`when_changed`](Self::when_changed)) was done.
    pub async fn settled(&self) {
        let mut settled = self.0.settled.clone();
        // Where its thread is gone nothing is to be waited for either.
        drop(settled.wait_for(|settled| *settled).await);
    }

    /// Whether [`settled`](Self::settled) has nothing to wait for.
    pub fn is_settled(&self) -> bool {
        *self.0.settled.borrow()
    }

    /// Is told of each next moment.
    pub fn changes(&self) -> watch::Receiver<Result<Arc<Objects>, Fault>> {
        self.0.objects.clone()
    }

    /// Does this at each next moment, on the store's thread, before anybody is told of the write that
    /// made it.
    pub fn when_changed(&self, then: impl Fn() + Send + Sync + 'static) {
        self.0.hook.store(Some(Arc::new(Box::new(then))));
    }

    /// The names that no object is given.
    pub fn reserved(&self) -> Arc<ReservedNames> {
        self.0.reserved.load_full()
    }

    /// From now on no object is given these names, which are found out when an object is.
    pub fn reserve(&self, reserved: impl FnOnce() -> Reserved + Send + 'static) {
        self.0.reserved.store(names(reserved));
    }

    /// Makes an account. Errors: `NameTaken`.
    pub async fn create_account(&self, draft: AccountDraft) -> Result<Arc<Account>, StoreError> {
        self.write(|work| work.create_account(draft)).await
    }

    /// Replaces what is said of an account, if it is of the version expected (whatever version it is
    /// of otherwise). Its alias stays. Errors: `Unknown`, `Changed`, `NameTaken`.
    pub async fn replace_account(
        &self,
        id: Uuid,
        edit: AccountEdit,
        expected: Option<Version>,
    ) -> Result<Arc<Account>, StoreError> {
        self.write(move |work| work.replace_account(id, edit, expected))
            .await
    }

    /// Deletes an account that no connector uses, and the access keys that were made for it. Errors: `Unknown`, `Changed`, `InUse`.
    pub async fn delete_account(
        &self,
        id: Uuid,
        expected: Option<Version>,
    ) -> Result<(), StoreError> {
        self.write(move |work| work.delete_account(id, expected))
            .await
    }

    /// Makes a connector. Errors: `NameTaken`, `NoAccount`.
    pub async fn create_connector(
        &self,
        draft: ConnectorDraft,
    ) -> Result<Arc<Connector>, StoreError> {
        self.write(|work| work.create_connector(draft)).await
    }

    /// Replaces what is said of a connector. Its role's name stays, as long as its account does.
    /// Errors: `Unknown`, `Changed`, `NameTaken`, `NoAccount`.
    pub async fn replace_connector(
        &self,
        id: Uuid,
        draft: ConnectorDraft,
        expected: Option<Version>,
    ) -> Result<Arc<Connector>, StoreError> {
        self.write(move |work| work.replace_connector(id, draft, expected))
            .await
    }

    /// Deletes a connector. Errors: `Unknown`, `Changed`.
    pub async fn delete_connector(
        &self,
        id: Uuid,
        expected: Option<Version>,
    ) -> Result<(), StoreError> {
        self.write(move |work| work.delete_connector(id, expected))
            .await
    }

    /// Makes a token. Errors: `NameTaken` (the same hash).
    pub async fn create_token(&self, draft: TokenDraft) -> Result<Arc<Token>, StoreError> {
        self.write(|work| work.create_token(draft)).await
    }

    /// Revokes a token. Errors: `Unknown`.
    pub async fn delete_token(&self, id: Uuid) -> Result<(), StoreError> {
        self.write(move |work| work.delete_token(id)).await
    }

    /// Makes an access key. Errors: `NameTaken` (its id), `NoAccount`, `TooMany`.
    pub async fn create_key(&self, draft: AccessKeyDraft) -> Result<Arc<AccessKey>, StoreError> {
        self.write(|work| work.create_key(draft)).await
    }

    /// Deletes an access key. Errors: `Unknown`.
    pub async fn delete_key(&self, id: AccessKeyId) -> Result<(), StoreError> {
        self.write(move |work| work.delete_key(&id)).await
    }

    /// Enrols an MFA device. Errors: `NameTaken` (its serial number), `TooMany`.
    pub async fn enrol_device(&self, draft: MfaDeviceDraft) -> Result<Arc<MfaDevice>, StoreError> {
        self.write(|work| work.enrol_device(draft)).await
    }

    /// Uses the code of this step of an MFA device, which counts no more from then on, as those
    /// before it: of two who use it at once one does. Errors: `Unknown`, `Used`.
    pub async fn use_code(&self, serial: MfaSerial, step: u64) -> Result<(), StoreError> {
        self.write(move |work| work.use_code(&serial, step)).await
    }

    /// Removes an MFA device. Errors: `Unknown`.
    pub async fn remove_device(&self, serial: MfaSerial) -> Result<(), StoreError> {
        self.write(move |work| work.remove_device(&serial)).await
    }

    /// Revokes the Keystone token of this audit id, which ends by itself then.
    pub async fn revoke(&self, audit: Uuid, until: SystemTime) -> Result<(), StoreError> {
        self.write(move |work| {
            work.revoke(audit, until);
            Ok(())
        })
        .await
    }

    /// Has the store's thread hold the rules and keep what they allow. The write goes on to its end
    /// if nobody waits any more.
    async fn write<T: Send + 'static>(
        &self,
        rules: impl FnOnce(&mut Work) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |work| {
            let made = work.and_then(rules);
            Box::new(move |kept| {
                let result = match kept {
                    Ok(()) => made,
                    Err(fault) => made.and(Err(StoreError::Unavailable(fault))),
                };
                // Who asked may have gone.
                drop(answer.send(result));
            })
        });
        {
            let mut desk = self.0.desk.lock().unwrap_or_else(PoisonError::into_inner);
            desk.ask(job)?;
        }
        let ended = |_gone| StoreError::Unavailable(Fault::Ended);
        answered.await.map_err(ended)?
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let desk = self.desk.get_mut();
        thread::end(desk.unwrap_or_else(PoisonError::into_inner));
    }
}
