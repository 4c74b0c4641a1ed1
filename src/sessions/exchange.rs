//! What a session can be exchanged for upstream: its own identity, a console sign-in, a container
//! registry's password. None of it is cached here, and none of it is a session.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::{FetchError, Session};
use crate::types::{AccessKeyId, AccountId, Partition, Region, RoleArn, SessionName};

/// What an exchange runs as.
pub type ExchangeFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, FetchError>> + Send + 'a>>;

/// What sessions of one request can be exchanged for. The futures end by themselves within the
/// bounds of [`Source::fetch`](super::Source::fetch).
pub trait Exchange: Send + Sync + Debug {
    /// What there is for these sessions.
    fn offers(&self) -> Offers;

    /// The callback, where people may be sent there when their console session ends.
    fn callback(&self, url: &str) -> Option<Callback>;

    /// Who the session is, as upstream says.
    fn identity<'a>(&'a self, session: &'a Session) -> ExchangeFuture<'a, CallerIdentity>;

    /// A URL that signs a browser in to the console.
    fn signin<'a>(
        &'a self,
        session: &'a Session,
        ask: &'a SigninAsk,
    ) -> ExchangeFuture<'a, SigninUrl>;

    /// Logins to the account's container registries.
    fn registry<'a>(
        &'a self,
        session: &'a Session,
        ask: &'a RegistryAsk,
    ) -> ExchangeFuture<'a, Vec<RegistryLogin>>;
}

/// What there is for the sessions of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offers {
    /// A console takes them.
    pub signin: bool,
    /// A container registry takes them.
    pub registry: bool,
}

/// A user's key, which does not end by itself.
#[derive(Clone, Debug)]
pub struct LongTermKey {
    /// Its id.
    pub access_key_id: AccessKeyId,
    /// The key.
    pub secret_access_key: SecretString,
    /// Where it is one.
    pub partition: Partition,
}

/// Who a session is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerIdentity {
    /// The account's id; empty where upstream names none.
    pub account: String,
    /// The ARN of the session.
    pub arn: String,
    /// Upstream's id of it.
    pub user_id: String,
}

/// How ids begin, and the digits that follow.
const ROLE_ID: &str = "AROA";
const USER_ID: &str = "AIDA";
const ID_DIGITS: usize = 17;

impl CallerIdentity {
    /// Who a session of this role and name is, where no upstream says it.
    pub fn assumed(role: &RoleArn, name: &SessionName) -> Self {
        let arn = role.as_str();
        let mut parts = arn.split(':').skip(1);
        let (partition, account) = (parts.next(), parts.nth(2));
        let (partition, account) = (partition.unwrap_or_default(), account.unwrap_or_default());
        let short = arn.rsplit('/').next().unwrap_or_default();
        Self {
            account: account.to_owned(),
            arn: format!("arn:{partition}:sts::{account}:assumed-role/{short}/{name}"),
            user_id: format!("{}:{name}", unique_id(ROLE_ID, arn)),
        }
    }

    /// Who the user of this name is, in an account of the daemon's own.
    pub fn user(partition: Option<&Partition>, account: Option<&AccountId>, name: &str) -> Self {
        let (partition, account) = (partition_of(partition), account_of(account));
        let arn = format!("arn:{partition}:iam::{account}:user/{name}");
        Self {
            account: account.to_owned(),
            user_id: unique_id(USER_ID, &arn),
            arn,
        }
    }

    /// Who somebody of this name is for whom a user of this account vouches.
    pub fn federated(
        partition: Option<&Partition>,
        account: Option<&AccountId>,
        name: &SessionName,
    ) -> Self {
        let (partition, account) = (partition_of(partition), account_of(account));
        Self {
            account: account.to_owned(),
            arn: format!("arn:{partition}:sts::{account}:federated-user/{name}"),
            user_id: format!("{account}:{name}"),
        }
    }
}

fn partition_of(partition: Option<&Partition>) -> &str {
    partition.map_or("aws", Partition::as_str)
}

fn account_of(account: Option<&AccountId>) -> &str {
    account.map_or("", AccountId::as_str)
}

/// An id as AWS's look: of the same ARN always the same.
fn unique_id(begin: &str, arn: &str) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let digest = digest(&SHA256, arn.as_bytes());
    let digits = digest.as_ref().iter().take(ID_DIGITS);
    let digits = digits.filter_map(|byte| ALPHABET.get(usize::from(byte & 31)));
    let mut id = begin.to_owned();
    id.extend(digits.copied().map(char::from));
    id
}

/// A URL that an account lets people be sent to when their console session ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback(Arc<str>);

impl Callback {
    /// A URL that is allowed. Who asks finds out by [`Exchange::callback`].
    pub fn allowed(url: &str) -> Self {
        Self(Arc::from(url))
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How a console session is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SigninAsk {
    /// Where a browser is sent when the session has ended.
    pub callback: Option<Callback>,
    /// How long exchanging may take, less than its own bounds.
    pub patience: Option<Duration>,
}

/// A URL that signs whoever opens it in: a secret, for a quarter of an hour.
#[derive(Debug)]
pub struct SigninUrl(pub SecretString);

/// Whose registries are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistryAsk {
    /// Instead of the account's own region.
    pub region: Option<Region>,
    /// Registries of other accounts, by their ids; the account's own otherwise.
    pub registries: Vec<String>,
}

/// A login to one container registry.
#[derive(Debug)]
pub struct RegistryLogin {
    /// `user:password` in base64, as upstream gave it.
    pub token: SecretString,
    /// When it ends.
    pub expires_at: SystemTime,
    /// The registry's URL.
    pub endpoint: String,
}

impl RegistryLogin {
    /// The registry's host, with its port where the URL names one.
    pub fn domain(&self) -> &str {
        let (_, rest) = self
            .endpoint
            .split_once("://")
            .unwrap_or(("", &self.endpoint));
        rest.split('/').next().unwrap_or_default()
    }

    /// What the token stands for, parted at its first colon.
    pub fn user_and_password(&self) -> Option<(String, SecretString)> {
        let decoded = STANDARD.decode(self.token.expose_secret()).ok()?;
        let decoded = Zeroizing::new(String::from_utf8(decoded).ok()?);
        let (user, password) = decoded.split_once(':')?;
        Some((user.to_owned(), SecretString::from(password)))
    }
}
