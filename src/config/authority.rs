//! How signatures and Keystone's tokens count.

use std::time::Duration;

use secrecy::SecretString;

/// `[authority]`.
#[derive(Clone, Debug)]
pub struct Authority {
    /// How far the time of a signature may be off; zero: any date is taken.
    pub signature_age: Duration,
    /// How long a KeystoneToken lives.
    pub token_lifetime: Duration,
    /// What services show that have signatures verified.
    pub service_token: Option<SecretString>,
    /// Whether signatures are verified for whoever asks, as Keystone did before 2025.
    pub ec2tokens_without_token: bool,
    /// How many signatures are remembered, each to count once; zero: none.
    pub replay_cache: usize,
}

impl Default for Authority {
    fn default() -> Self {
        Self {
            signature_age: Duration::from_mins(15),
            token_lifetime: Duration::from_hours(1),
            service_token: None,
            ec2tokens_without_token: false,
            replay_cache: 0,
        }
    }
}
