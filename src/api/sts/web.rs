//! `AssumeRoleWithWebIdentity`.

use std::borrow::Cow;

use super::answer::Answer;
use super::ask::AssumeRoleWithWebIdentity;
use super::fault::Fault;

/// A session of a role, for whoever shows a token of an issuer that is believed: none is.
pub(super) fn assume(_asked: &AssumeRoleWithWebIdentity) -> Result<Answer, Fault> {
    Err(Fault::InvalidIdentityToken(Cow::Borrowed(
        "No OpenIDConnect provider found in your account for the token's issuer",
    )))
}
