//! `AssumeRoleWithWebIdentity`.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::API;
use super::answer::{Answer, Assumed, ShownFor};
use super::ask::AssumeRoleWithWebIdentity;
use super::fault::Fault;
use super::packed::packed;
use crate::api::Prover;
use crate::grants::WebIdentity;
use crate::http::Request;
use crate::people::{NotProven, Refused};
use crate::secret::ExposeSecret as _;
use crate::sessions::Assumption;
use crate::vending::{Proof, Want};

/// A session of a role, for whoever shows a token of an issuer that is believed.
pub(super) async fn assume(
    prover: &Prover<'_>,
    request: &Request,
    asked: AssumeRoleWithWebIdentity,
) -> Result<Answer, Fault> {
    let deps = prover.deps;
    let packed = packed(&asked.policies, std::iter::empty())?;
    let patience = deps.patience.of_people();
    let token = asked.token.expose_secret();
    let identity = match &asked.provider {
        Some(provider) => by_access_token(prover, request, provider, token, patience).await?,
        None => deps.issuers.verify(token, patience).await?,
    };
    let provider = asked.provider.as_deref().unwrap_or(&identity.issuer);
    let shown_for = ShownFor {
        subject: Arc::clone(&identity.subject),
        audience: identity.audiences.first().cloned(),
        provider: Arc::from(provider),
    };
    let want = Want {
        role: deps.vending.role_of_arn(&asked.role, None),
        proof: Proof::Shown,
        identity: Some(identity),
        assumption: Some(Arc::new(Assumption {
            session_name: Some(asked.session_name.clone()),
            duration: asked.duration,
            policy: asked.policies.policy.map(Arc::from),
            policy_arns: asked.policies.arns,
            ..Assumption::default()
        })),
        patience,
        api: API,
    };
    let handout = deps.vending.ask_fresh(&prover.bearer(), &want).await;
    let denied = || "Not authorized to perform sts:AssumeRoleWithWebIdentity".to_owned();
    let handout = handout.map_err(|refusal| Fault::of(refusal, denied))?;
    let assumed = Assumed::new(&handout, &asked.role, asked.session_name, packed);
    Ok(Answer::Federation { assumed, shown_for })
}

/// Who a token stands for about which its provider may have to be asked.
async fn by_access_token(
    prover: &Prover<'_>,
    request: &Request,
    provider: &str,
    token: &str,
    patience: Duration,
) -> Result<Arc<WebIdentity>, Fault> {
    let attempt = prover.access_token(request, provider);
    let attempt = attempt.map_err(|_wait| Fault::Throttling)?;
    let issuers = &prover.deps.issuers;
    let identity = issuers.access_token(provider, token, patience).await;
    match &identity {
        Ok(_) => attempt.succeeded(),
        Err(NotProven::Refused(_)) => attempt.failed(),
        Err(NotProven::NotReady) => drop(attempt),
    }
    Ok(identity?)
}

impl From<NotProven> for Fault {
    fn from(error: NotProven) -> Self {
        let invalid = |why| Self::InvalidIdentityToken(Cow::Borrowed(why));
        match error {
            NotProven::NotReady => Self::IdpCommunication,
            NotProven::Refused(why) => match why {
                Refused::Expired => Self::ExpiredIdentityToken,
                Refused::Inactive => Self::IdpRejected,
                Refused::Issuer => invalid(
                    "No OpenIDConnect provider found in your account for the token's issuer",
                ),
                Refused::Audience => invalid("Incorrect token audience"),
                Refused::Key | Refused::Signature | Refused::Algorithm => {
                    invalid("Couldn't verify the token's signature with its issuer's keys")
                }
                Refused::NotYetValid => invalid("The token is not valid yet"),
                Refused::Malformed | Refused::Claims => invalid(
                    "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)",
                ),
            },
        }
    }
}
