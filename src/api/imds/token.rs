//! ImdsTokens: stateless, bound to the caller.
//!
//! A token is sealed, never stored: a million of them cost nothing. It holds its own end; the
//! context it is sealed in holds the boot and the caller's principal, so that it is worth nothing
//! to another caller and after a reboot. Its end is counted on the boot-time clock.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::authority::{KeyRingError, SEALED_OVERHEAD, Seals};
use crate::caller::Principal;
use crate::clock::{BootTime, Clock};

/// The shortest life of a token, in seconds.
pub const MIN_TTL: u32 = 1;
/// The longest life of a token, in seconds: six hours.
pub const MAX_TTL: u32 = 21_600;

/// A sealed end.
const SEALED_LEN: usize = SEALED_OVERHEAD + 8;
/// Their length in base64 without padding.
pub const TOKEN_LEN: usize = (SEALED_LEN * 4).div_ceil(3);

/// Room for what a token is bound to, for most callers.
const MOST_CONTEXT: usize = 256;

/// The token is not one of this caller's that still lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the ImdsToken is unknown, expired or another caller's")]
pub struct InvalidToken;

/// Issues and opens ImdsTokens.
#[derive(Debug)]
pub struct Tokens {
    clock: Clock,
    boot_id: Box<str>,
    seals: Seals,
}

impl Tokens {
    /// Tokens under these seals. `boot_id` names the boot.
    pub fn new(clock: Clock, boot_id: &str, seals: Seals) -> Self {
        Self {
            clock,
            boot_id: boot_id.into(),
            seals,
        }
    }

    /// The seals, to rotate them.
    pub const fn seals(&self) -> &Seals {
        &self.seals
    }

    /// A token for this caller that lives `ttl` seconds.
    pub fn issue(&self, principal: Option<&Principal>, ttl: u32) -> Result<String, KeyRingError> {
        let end = self.clock.boot().plus(Duration::from_secs(u64::from(ttl)));
        let end = u64::try_from(end.since_boot().as_millis()).unwrap_or(u64::MAX);
        let sealed = self
            .seals
            .seal(&self.context(principal), &end.to_be_bytes())?;
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// When this caller's token ends.
    pub fn open(
        &self,
        principal: Option<&Principal>,
        token: &[u8],
    ) -> Result<BootTime, InvalidToken> {
        if token.len() != TOKEN_LEN {
            return Err(InvalidToken);
        }
        let mut sealed = [0; SEALED_LEN];
        let decoded = URL_SAFE_NO_PAD.decode_slice(token, &mut sealed);
        if decoded.map_err(|_not_base64| InvalidToken)? != SEALED_LEN {
            return Err(InvalidToken);
        }
        let plain = self.seals.open(&self.context(principal), &mut sealed);
        let plain = plain.map_err(|_not_ours| InvalidToken)?;
        let end = u64::from_be_bytes(plain.try_into().map_err(|_length| InvalidToken)?);
        let end = BootTime::after_boot(Duration::from_millis(end));
        if self.clock.boot() < end {
            Ok(end)
        } else {
            Err(InvalidToken)
        }
    }

    fn context(&self, principal: Option<&Principal>) -> Vec<u8> {
        let mut context = Vec::with_capacity(MOST_CONTEXT);
        context.extend_from_slice(b"rolecall ImdsToken 1\0");
        context.extend_from_slice(self.boot_id.as_bytes());
        context.push(0);
        if let Some(principal) = principal {
            principal.write_to(&mut context);
        }
        context
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::authority::KeyRing;

    fn tokens(clock: &Clock, boot_id: &str) -> Tokens {
        let seals = Seals::new(KeyRing::in_memory().unwrap(), None).unwrap();
        Tokens::new(clock.clone(), boot_id, seals)
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_lives_as_long_as_it_says() {
        let clock = Clock::simulated(SystemTime::UNIX_EPOCH);
        let tokens = tokens(&clock, "boot");
        let caller = Principal::uid(1000);
        let token = tokens.issue(Some(&caller), 60).unwrap();
        assert_eq!(token.len(), TOKEN_LEN);
        tokio::time::advance(Duration::from_secs(59)).await;
        assert!(tokens.open(Some(&caller), token.as_bytes()).is_ok());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(
            tokens.open(Some(&caller), token.as_bytes()),
            Err(InvalidToken)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_worth_nothing_to_another_caller_or_after_a_reboot() {
        let clock = Clock::simulated(SystemTime::UNIX_EPOCH);
        let tokens = tokens(&clock, "boot");
        let token = tokens.issue(Some(&Principal::uid(1000)), 60).unwrap();
        for other in [None, Some(Principal::uid(1001)), Some(Principal::uid(0))] {
            let opened = tokens.open(other.as_ref(), token.as_bytes());
            assert_eq!(opened, Err(InvalidToken), "{other:?}");
        }
        let rebooted = Tokens {
            boot_id: "another".into(),
            ..tokens
        };
        let opened = rebooted.open(Some(&Principal::uid(1000)), token.as_bytes());
        assert_eq!(opened, Err(InvalidToken));
    }

    #[tokio::test(start_paused = true)]
    async fn any_changed_byte_makes_it_invalid() {
        let clock = Clock::simulated(SystemTime::UNIX_EPOCH);
        let tokens = tokens(&clock, "boot");
        let token = tokens.issue(None, 60).unwrap().into_bytes();
        for at in 0..token.len() {
            let mut changed = token.clone();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            // The last character's low bits are padding; base64 refuses them when they are set.
            assert_eq!(tokens.open(None, &changed), Err(InvalidToken), "byte {at}");
        }
        assert_eq!(tokens.open(None, b""), Err(InvalidToken));
        assert_eq!(tokens.open(None, &vec![b'A'; 100_000]), Err(InvalidToken));
    }
}
