//! `AssumeRole`.

use std::borrow::Cow;
use std::sync::Arc;

use super::API;
use super::answer::{Answer, Assumed};
use super::ask::AssumeRole;
use super::fault::Fault;
use super::packed::{packed, pairs};
use super::signer::Signer;
use crate::api::Prover;
use crate::authority::{SessionClaims, SessionOf};
use crate::sessions::Assumption;
use crate::types::{SessionName, same_tag};
use crate::vending::{Proof, Want};

/// How many session tags there may be, those that are handed down among them.
const MOST_TAGS: usize = 50;

/// What a session hands down to those that are obtained with it.
#[derive(Debug, Default)]
struct Inherited<'c> {
    tags: Vec<(&'c str, &'c str)>,
    source_identity: Option<&'c str>,
    depth: u8,
}

/// A session of a role, for whoever signed.
pub(super) async fn assume(
    prover: &Prover<'_>,
    signer: &Signer,
    asked: AssumeRole,
    mfa: bool,
) -> Result<Answer, Fault> {
    let vending = &prover.deps.vending;
    let role = asked.role.clone();
    let denied = |what| {
        let arn = signer.identity(&vending.policy()).arn;
        format!("User: {arn} is not authorized to perform: {what} on resource: {role}")
    };
    let inherited = Inherited::of(signer);
    inherited.check(&asked)?;
    if inherited.overrides_identity(&asked) {
        return Err(Fault::AccessDenied(Cow::Owned(denied(
            "sts:SetSourceIdentity",
        ))));
    }
    let packed = packed(
        &asked.policies,
        inherited.tags.iter().copied().chain(pairs(&asked.tags)),
    )?;
    let refused = || denied("sts:AssumeRole");
    let person = signer.person(prover).await?;
    let person = person.ok_or_else(|| Fault::AccessDenied(Cow::Owned(refused())))?;
    let session_name = asked.session_name.clone();
    let want = Want {
        role: vending.role_of_arn(&role, Some(signer.account())),
        proof: Proof::Shown,
        identity: None,
        assumption: Some(Arc::new(inherited.assumption(asked, mfa))),
        patience: prover.deps.patience.of_people(),
        api: API,
    };
    let handout = vending.ask_fresh(&prover.visit(&person), &want).await;
    let handout = handout.map_err(|refusal| Fault::of(refusal, refused))?;
    let assumed = Assumed::new(&handout, &role, session_name, packed);
    Ok(Answer::Assumed(assumed))
}

impl<'c> Inherited<'c> {
    fn of(signer: &'c Signer) -> Self {
        match signer {
            Signer::Key(_) => Self::default(),
            Signer::Session(claims) => match &claims.of {
                SessionOf::Role(_) => Self {
                    depth: claims.chain_depth.saturating_add(1),
                    ..Self::handed_down(claims)
                },
                // A user's session is the user's own, and no chain begins with it.
                SessionOf::User { .. } | SessionOf::Federated { .. } => Self::handed_down(claims),
            },
        }
    }

    fn handed_down(claims: &'c SessionClaims) -> Self {
        let is_transitive = |key: &str| {
            let mut keys = claims.transitive_keys.iter();
            keys.any(|transitive| same_tag(transitive, key))
        };
        let tags = claims.tags.iter().filter(|(key, _)| is_transitive(key));
        Self {
            tags: tags
                .map(|(key, value)| (key.as_str(), value.as_str()))
                .collect(),
            source_identity: claims.source_identity.as_deref(),
            depth: 0,
        }
    }

    /// What is handed down cannot be said otherwise.
    fn check(&self, asked: &AssumeRole) -> Result<(), Fault> {
        let is_inherited = |key: &str| {
            let mut tags = self.tags.iter();
            tags.any(|(own, _)| same_tag(own, key))
        };
        if asked.tags.iter().any(|(key, _)| is_inherited(key)) {
            return Err(Fault::Validation(
                "One of the specified transitive tag keys can't be set because it conflicts with \
                 a transitive tag key from the calling session."
                    .to_owned(),
            ));
        }
        let count = self.tags.len() + asked.tags.len();
        if count > MOST_TAGS {
            return Err(Fault::Validation(format!(
                "The session would have {count} tags with those of the calling session: at most \
                 {MOST_TAGS} are allowed."
            )));
        }
        Ok(())
    }

    fn overrides_identity(&self, asked: &AssumeRole) -> bool {
        match (self.source_identity, &asked.source_identity) {
            (Some(set), Some(asked)) => set != asked.as_str(),
            (None, _) | (_, None) => false,
        }
    }

    fn assumption(&self, asked: AssumeRole, mfa: bool) -> Assumption {
        let inherited = self.tags.iter();
        let inherited = inherited.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let keys = self.tags.iter().map(|(key, _)| (*key).to_owned());
        let set = self
            .source_identity
            .and_then(|set| SessionName::new(set).ok());
        Assumption {
            session_name: Some(asked.session_name),
            duration: asked.duration,
            policy: asked.policies.policy.map(Arc::from),
            policy_arns: asked.policies.arns,
            tags: inherited.chain(asked.tags).collect(),
            transitive_tags: keys.chain(asked.transitive_tags).collect(),
            source_identity: set.or(asked.source_identity),
            provided_contexts: asked.contexts,
            external_id: asked.external_id,
            mfa,
            chain_depth: self.depth,
        }
    }
}
