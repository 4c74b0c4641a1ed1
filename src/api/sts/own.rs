//! Sessions of users themselves: `GetSessionToken` and `GetFederationToken`.
//!
//! The built-in authority issues them, whatever the account of the key is: they are known here, and
//! not to a cloud.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::API;
use super::answer::{Answer, issued};
use super::ask::{GetFederationToken, GetSessionToken};
use super::fault::Fault;
use super::packed::{packed, pairs};
use super::signer::Signer;
use crate::api::Prover;
use crate::authority::{IssueRequest, Issued, SessionOf};
use crate::grants::Person;
use crate::sessions::CallerIdentity;
use crate::store::AccessKey;
use crate::types::SessionName;
use crate::vending::OwnSession;

const SESSION_TOKEN: &str = "GetSessionToken";
const FEDERATION_TOKEN: &str = "GetFederationToken";

/// The life that is given where none is asked for.
const LIFE: Duration = Duration::from_hours(12);

/// A session of the user who signed.
pub(super) async fn session_token(
    prover: &Prover<'_>,
    signer: &Signer,
    asked: &GetSessionToken,
    mfa: bool,
) -> Result<Answer, Fault> {
    let (key, person) = long_term(prover, signer, SESSION_TOKEN).await?;
    let request = IssueRequest {
        principal: Some(key.draft.user.to_string()),
        of: SessionOf::User {
            account: key.draft.account.clone(),
            key: key.draft.id.clone(),
        },
        duration: asked.duration.unwrap_or(LIFE),
        mfa,
        ..plain(key)
    };
    let session = issue(prover, &person, SESSION_TOKEN, &request)?;
    Ok(Answer::SessionToken {
        credentials: issued(&session),
    })
}

/// A session of somebody for whom the user who signed vouches.
pub(super) async fn federation_token(
    prover: &Prover<'_>,
    signer: &Signer,
    asked: GetFederationToken,
) -> Result<Answer, Fault> {
    let (key, person) = long_term(prover, signer, FEDERATION_TOKEN).await?;
    let packed = packed(&asked.policies, pairs(&asked.tags))?;
    let account = prover.deps.vending.policy().account(&key.draft.account);
    let user =
        CallerIdentity::federated(account.partition.as_ref(), account.id.as_ref(), &asked.name);
    let request = IssueRequest {
        session_name: asked.name,
        duration: asked.duration.unwrap_or(LIFE),
        tags: asked.tags,
        policy: asked.policies.policy,
        policy_arns: asked.policies.arns,
        ..plain(key)
    };
    let session = issue(prover, &person, FEDERATION_TOKEN, &request)?;
    Ok(Answer::Federated {
        credentials: issued(&session),
        user,
        packed,
    })
}

/// The key that signed, and whose it is; sessions get no sessions of users.
async fn long_term<'s>(
    prover: &Prover<'_>,
    signer: &'s Signer,
    operation: &str,
) -> Result<(&'s AccessKey, Arc<Person>), Fault> {
    let Signer::Key(key) = signer else {
        let why = format!("Cannot call {operation} with session credentials");
        return Err(Fault::AccessDenied(Cow::Owned(why)));
    };
    let person = signer.person(prover).await?;
    Ok((key, person.ok_or(Fault::DENIED)?))
}

fn plain(key: &AccessKey) -> IssueRequest {
    let of = SessionOf::Federated {
        account: key.draft.account.clone(),
        key: key.draft.id.clone(),
    };
    let name = SessionName::from_any(&key.draft.user, SessionName::MAX);
    IssueRequest::plain(of, name, LIFE)
}

fn issue(
    prover: &Prover<'_>,
    person: &Arc<Person>,
    operation: &'static str,
    request: &IssueRequest,
) -> Result<Issued, Fault> {
    let issued = prover.deps.authority.issue(request).map_err(|error| {
        tracing::warn!(%error, "a user's session cannot be issued");
        Fault::InternalFailure
    })?;
    let given = OwnSession {
        api: API,
        reason: operation,
        name: &request.session_name,
        access_key_id: &issued.access_key_id,
        expires_at: issued.expires_at,
    };
    prover.deps.vending.gave_own(&prover.visit(person), &given);
    Ok(issued)
}
