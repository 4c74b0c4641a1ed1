//! What the fuzz targets reach of this room: claims behind a seal that no fuzzer breaks, and the
//! parameters of a query as signatures have them.

use super::signature;
use super::token::{SealedClaims, SessionClaims, TokenError};
use crate::secret::SecretString;
use crate::types::AccessKeyId;

/// What the plain text under a session token's seal says.
pub fn session_claims(plain: &[u8]) -> Result<SessionClaims, TokenError> {
    let access_key_id =
        AccessKeyId::new("ASIAAAAAAAAAAAAAAAAA").map_err(|_invalid| TokenError::Malformed)?;
    SealedClaims::decode(plain)?.claims(access_key_id, SecretString::default())
}

/// The names and values of a query or form that are signed, decoded.
pub fn signed_pairs(sent: &[u8]) -> Vec<(String, String)> {
    signature::decoded_pairs(sent)
}
