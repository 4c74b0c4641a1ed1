//! Access keys, bearer tokens and devices: made, listed and deleted.

use serde::{Deserialize, Serialize};

use super::Secret;

/// Body of `/v1/tokens/create`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewToken {
    /// For whom it stands.
    pub user: String,
    /// How long it lives.
    pub expires_in_seconds: u64,
}

/// Answer of `/v1/tokens/create`.
#[derive(Debug, Serialize, Deserialize)]
pub struct MadeToken {
    /// What stays known of it.
    #[serde(flatten)]
    pub known: BearerToken,
    /// The token itself.
    pub token: Secret,
}

/// Answer of `/v1/tokens`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BearerTokens {
    /// Those that count.
    pub tokens: Vec<BearerToken>,
}

/// One bearer token of people's APIs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BearerToken {
    /// Its id.
    pub id: String,
    /// For whom it stands.
    pub user: String,
    /// When it was made, in seconds since 1970.
    pub made: u64,
    /// When it ends, in seconds since 1970.
    pub expires: u64,
}

/// Body of `/v1/keys/create`.
#[derive(Debug, Serialize, Deserialize)]
pub struct NewKey {
    /// Who signs with it stands for this name.
    pub user: String,
    /// For which account it is made: the only one otherwise.
    pub account: Option<String>,
    /// The key that was made elsewhere: a fresh one otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_over: Option<TakenOver>,
}

/// A key that was made elsewhere.
#[derive(Debug, Serialize, Deserialize)]
pub struct TakenOver {
    /// Its id.
    pub access: String,
    /// The key.
    pub secret: Secret,
}

/// Answer of `/v1/keys/create`.
#[derive(Debug, Serialize, Deserialize)]
pub struct MadeKey {
    /// Its id.
    pub access: String,
    /// The key.
    pub secret: Secret,
    /// For whom it stands.
    pub user: String,
    /// For which account it was made.
    pub account: String,
}

/// Answer of `/v1/keys`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessKeys {
    /// All of them.
    pub keys: Vec<KnownKey>,
}

/// One access key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownKey {
    /// Its id.
    pub access: String,
    /// For whom it stands.
    pub user: String,
    /// For which account it was made.
    pub account: String,
    /// When it was made, in seconds since 1970.
    pub made: u64,
}

/// Body and answer of `/v1/keys/delete`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteKey {
    /// The id of an access key or of a token.
    pub id: String,
}

/// Body of `/v1/mfa/enrol`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewDevice {
    /// Whose it is.
    pub user: String,
    /// What it is to be known by: an ARN of the account's otherwise.
    pub serial: Option<String>,
    /// The account in that ARN: the only one otherwise.
    pub account: Option<String>,
}

/// Answer of `/v1/mfa/enrol`.
#[derive(Debug, Serialize, Deserialize)]
pub struct MadeDevice {
    /// What it is known by.
    pub serial: String,
    /// Whose it is.
    pub user: String,
    /// What its codes are made of, in base32.
    pub secret: Secret,
    /// The same as a URI that applications read.
    pub uri: Secret,
}

/// Answer of `/v1/mfa`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Devices {
    /// All of them.
    pub devices: Vec<KnownDevice>,
}

/// One MFA device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownDevice {
    /// What it is known by.
    pub serial: String,
    /// Whose it is.
    pub user: String,
    /// When it was enrolled, in seconds since 1970.
    pub made: u64,
}

/// Body of `/v1/mfa/remove`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoveDevice {
    /// Whose it is.
    pub user: String,
    /// What it is known by: the user's only one otherwise.
    pub serial: Option<String>,
}

/// Answer of `/v1/mfa/remove`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedDevice {
    /// What it was known by.
    pub serial: String,
}
