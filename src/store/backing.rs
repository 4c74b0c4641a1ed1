//! Where objects are kept: the border that each kind of store implements.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::SystemTime;

use uuid::Uuid;

use super::{AccessKey, Account, Connector, Fault, MfaDevice, Token};
use crate::types::{AccessKeyId, MfaSerial};

/// Keeps objects. It has one user: who else writes to the same place is kept out.
///
/// Rules (names, versions, uses) are held before it is asked; what it keeps up itself of them is a
/// second guard.
pub trait Backing: Debug + Send {
    /// All that is kept.
    fn read(&mut self) -> Result<Kept, Fault>;

    /// Makes these changes, in this order: all or none, whatever happens meanwhile. When it returns
    /// they survive a loss of power.
    fn write(&mut self, changes: &[Change]) -> Result<(), Fault>;
}

/// All objects: access keys in the order in which they were made, others in none.
#[derive(Debug, Default)]
pub struct Kept {
    /// The accounts.
    pub accounts: Vec<Account>,
    /// The connectors.
    pub connectors: Vec<Connector>,
    /// The tokens.
    pub tokens: Vec<Token>,
    /// The access keys.
    pub keys: Vec<AccessKey>,
    /// The MFA devices.
    pub devices: Vec<MfaDevice>,
    /// The audit ids that were revoked, and until when.
    pub revoked: Vec<(Uuid, SystemTime)>,
}

/// One object's next state.
#[derive(Clone, Debug)]
pub enum Change {
    /// The account is this from now on.
    Account(Arc<Account>),
    /// There is no such account any more.
    NoAccount(Uuid),
    /// The connector is this from now on.
    Connector(Arc<Connector>),
    /// There is no such connector any more.
    NoConnector(Uuid),
    /// There is this token from now on.
    Token(Arc<Token>),
    /// There is no such token any more.
    NoToken(Uuid),
    /// There is this access key from now on.
    Key(Arc<AccessKey>),
    /// There is no such access key any more.
    NoKey(AccessKeyId),
    /// The MFA device is this from now on.
    Device(Arc<MfaDevice>),
    /// There is no such MFA device any more.
    NoDevice(MfaSerial),
    /// This audit id is revoked until then.
    Revoked(Uuid, SystemTime),
    /// Nobody need know any more that it was revoked.
    Forgotten(Uuid),
}

/// Keeps nothing: objects end with the process.
#[derive(Clone, Copy, Debug, Default)]
pub struct InMemory;

impl Backing for InMemory {
    fn read(&mut self) -> Result<Kept, Fault> {
        Ok(Kept::default())
    }

    fn write(&mut self, _changes: &[Change]) -> Result<(), Fault> {
        Ok(())
    }
}
