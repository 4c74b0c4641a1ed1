//! What goes over the admin socket, as JSON: written by the daemon, read by the command line.

mod confinement;
mod keys;

use std::collections::BTreeMap;
use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use confinement::{Confinement, Landlock, Memory};
pub use keys::{
    AccessKeys, BearerToken, BearerTokens, DeleteKey, Devices, KnownDevice, KnownKey, MadeDevice,
    MadeKey, MadeToken, NewDevice, NewKey, NewToken, RemoveDevice, RemovedDevice, TakenOver,
};

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What happened.
    pub message: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// Answer of `/v1/health`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Whether it serves: sockets bound, prefetched roles held or their deadline over.
    pub ready: bool,
}

/// Answer of `/v1/status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The daemon's version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Its user.
    pub uid: u32,
    /// How long it has been running.
    pub uptime_seconds: u64,
    /// Whether it serves.
    pub ready: bool,
    /// Where its configuration came from.
    pub configuration: String,
    /// What it has given up: told to administrators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confinement: Option<Confinement>,
    /// How far this machine's clock was from upstream's when it last told: positive where it is
    /// behind, 0 where none was measured.
    pub clock_skew_seconds: f64,
    /// Its sockets.
    pub listeners: Vec<Socket>,
    /// Sessions, held or being fetched: the asking user's own, all of them for an administrator.
    pub sessions: Vec<Session>,
    /// Upstream accounts that were called.
    pub upstreams: Vec<Upstream>,
    /// Who was handed credentials, or refused.
    pub callers: Vec<Caller>,
}

/// A bound socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Socket {
    /// The listener's name.
    pub name: String,
    /// `address:port` or `unix:/path`.
    pub address: String,
    /// What is served there.
    pub apis: Vec<String>,
    /// How many hops its answers make, of TCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hop_limit: Option<u8>,
}

/// One session of the cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// `account/role`.
    pub role: String,
    /// As upstream knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_name: Option<String>,
    /// Where one is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<String>,
    /// Upstream's expiration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// What is left of its life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining_seconds: Option<u64>,
    /// Until the next refresh, or the next attempt after a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_fetch_seconds: Option<u64>,
    /// Whether upstream is being asked at this moment.
    pub fetching: bool,
    /// The last failure, if no success came after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// A failed fetch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// `denied`, `throttled`, `unavailable`, `misconfigured`, `base-credentials`.
    pub kind: String,
    /// What upstream said, and what to do. For administrators only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How long ago.
    pub seconds_ago: u64,
}

/// An upstream account and region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Upstream {
    /// `prod eu-central-1`.
    pub name: String,
    /// Calls a second that it is given at present.
    pub per_second: f64,
    /// Whether it has asked for fewer calls.
    pub throttled: bool,
}

/// One caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// As in the audit trail.
    pub caller: String,
    /// How we know.
    pub evidence: String,
    /// The roles handed out to it.
    pub roles: Vec<String>,
}

/// Answer of `/v1/credentials`. Its JSON is valid output of a credential_process, version 1; what
/// stands there besides is ignored by SDKs.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Credentials {
    /// 1, a number.
    pub version: u8,
    /// The access key's id.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: Secret,
    /// The session token.
    pub session_token: Secret,
    /// Whole seconds, `Z`.
    pub expiration: String,
    /// The account, where it has an id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// `account/role`.
    pub role: String,
    /// The account's region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// Answer of `/v1/token`: where a program finds credentials, and what it shows there.
#[derive(Debug, Serialize, Deserialize)]
pub struct Token {
    /// For `AWS_CONTAINER_CREDENTIALS_FULL_URI`.
    pub uri: String,
    /// For `AWS_CONTAINER_AUTHORIZATION_TOKEN`.
    pub token: Secret,
    /// `account/role`.
    pub role: String,
    /// The account's region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// Answer of `/v1/console`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Console {
    /// Signs in whoever opens it.
    pub url: Secret,
    /// `account/role`.
    pub role: String,
}

/// Answer of `/v1/registry`, or `null`.
#[derive(Debug, Serialize, Deserialize)]
pub struct RegistryLogin {
    /// The user.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// `account/role`.
    pub role: String,
}

/// Body of `/v1/refresh`: one role, or all that are held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refresh {
    /// `account/role`; none: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

/// Answer of `/v1/refresh`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refreshed {
    /// One for each session that was held, or asked for and not had.
    pub fetches: Vec<Fetch>,
}

/// What came of one upstream call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetch {
    /// `account/role`.
    pub role: String,
    /// Why there is no new session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// Body of `/v1/forget`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forget {
    /// `account/role`.
    pub role: String,
}

/// Answer of `/v1/forget`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    /// How many sessions were dropped.
    pub sessions: usize,
}

/// Answer of `/v1/reload`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// What changed, a line each.
    pub changes: Vec<String>,
}

/// Answer of `/v1/explain`: what one caller gets, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explained {
    /// As in the audit trail.
    pub caller: String,
    /// How we know.
    pub evidence: String,
    /// What is known of the caller, as far as grants ask for it.
    pub known: Vec<Fact>,
    /// What placeholders stand for.
    pub placeholders: BTreeMap<String, String>,
    /// One for all listeners where the answer is the same.
    pub answers: Vec<Answer>,
}

/// One thing that is known of a caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// `unit`, `group`, `container.image` …
    pub name: String,
    /// What it is.
    pub value: String,
}

/// What one caller gets on some listeners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Where.
    pub listeners: Vec<String>,
    /// The role, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Given>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refused>,
    /// What each grant makes of it, in the order in which they are tried.
    pub grants: Vec<Tried>,
}

/// A role that a caller gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// `account/role`.
    pub role: String,
    /// Its ARN, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// The grant that gives it.
    pub grant: String,
    /// Why, in the operator's words.
    pub reason: String,
    /// The role session name that upstream is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_name: Option<String>,
    /// The source identity that upstream is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_identity: Option<String>,
    /// The session tags that upstream is told.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// The life asked for.
    pub duration_seconds: u64,
}

/// Why a caller gets no role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// As in the audit trail.
    pub kind: String,
    /// In words.
    pub message: String,
}

/// What one grant makes of a caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// `grant 3`.
    pub grant: String,
    /// The role it gives, where the asking user may know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// `gives`, `no-role`, `fails`, `unknown`.
    pub verdict: String,
    /// The first key that does not match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// In words; what the grant asks for is for administrators only.
    pub why: String,
}

/// Answer of `/v1/verify`, and what `rolecall verify` prints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The access key id that the request names.
    pub access_key_id: String,
    /// Whose key it is, where the daemon knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<Holder>,
    /// By which version it is signed, in words.
    pub signed_by: String,
    /// For which service and region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_at: Option<String>,
    /// How many seconds ago that is; negative where it is to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_seconds_ago: Option<i64>,
    /// Whether a session token came with it.
    pub session_token: bool,
    /// How its body counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Whether the signature is right and in time.
    pub right: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrong: Option<String>,
    /// What the client has likely done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub likely: Option<String>,
    /// The canonical request of version 4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canonical_request: Option<String>,
    /// The string to sign.
    pub string_to_sign: String,
}

/// Whose an access key is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// For whom it stands, where somebody proved a name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Its account.
    pub account: String,
    /// Of which session it is: `role/name`, or a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The session's policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Managed policies as session policies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policy_arns: Vec<String>,
}

/// A secret on its way over the admin socket: the one place where secrets are serialised as fields.
pub struct Secret(SecretString);

impl Secret {
    /// Wraps it.
    pub const fn new(secret: SecretString) -> Self {
        Self(secret)
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(SecretString::from(text)))
    }
}
