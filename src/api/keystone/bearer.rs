//! Who shows a token, and whether it still counts.

use std::sync::Arc;

use hyper::header::HeaderName;

use super::answer::Fault;
use super::route::{Needs, What};
use super::subject::{Accounts, Subject, Written};
use super::{Call, Keystone};
use crate::api::Prover;
use crate::authority::{KeystoneClaims, TokenProof};
use crate::grants::Way;
use crate::http::Request;
use crate::people::{Standing, Unproven};
use crate::secret::{ExposeSecret as _, same_secret};
use crate::store::Objects;
use crate::types::{AccountAlias, RoleRef};

const X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

/// Who shows what as `X-Auth-Token`.
#[derive(Debug)]
pub(super) enum Shown {
    /// Nothing.
    Nothing,
    /// What services have of the operator.
    Service,
    /// A token.
    Bearer(Bearer),
}

/// A token that counts.
#[derive(Debug)]
pub(super) struct Bearer {
    pub(super) claims: KeystoneClaims,
    pub(super) subject: Arc<Subject>,
}

/// A token does not count.
#[derive(Debug)]
pub(super) enum Refused {
    /// It is none of ours, has ended or was revoked, or what proved its name no longer does.
    Ended,
    /// That cannot be said now.
    Unsaid(Fault),
}

impl From<Unproven> for Refused {
    fn from(unproven: Unproven) -> Self {
        match unproven {
            Unproven::NotReady | Unproven::Throttled(_) => Self::Unsaid(Fault::unavailable()),
            Unproven::Missing
            | Unproven::Wrong
            | Unproven::NotMember(_)
            | Unproven::ForeignProxy
            | Unproven::CrossSite(_) => Self::Ended,
        }
    }
}

impl Bearer {
    /// Whether it was given for a signature. Such a token is for the service that asked for it: it
    /// is good for nothing here.
    pub(super) const fn is_of_signature(&self) -> bool {
        matches!(
            self.claims.proof,
            TokenProof::AccessKey(_) | TokenProof::Session(_) | TokenProof::Federated(_)
        )
    }

    /// Whether it was given for an application credential, which ends, and which programs have.
    const fn is_of_a_program(&self) -> bool {
        matches!(self.claims.proof, TokenProof::Bearer(_))
    }

    /// What documents tell of its subject, in its project where it is for one.
    pub(super) fn written(&self) -> &Written {
        let project = self.claims.project.as_ref();
        self.subject.written(project)
    }
}

impl Shown {
    /// Who asks, where that is somebody with a token.
    pub(super) const fn bearer(&self) -> Option<&Bearer> {
        match self {
            Self::Bearer(bearer) => Some(bearer),
            Self::Nothing | Self::Service => None,
        }
    }

    /// Whether nothing is shown.
    pub(super) const fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    /// Whether an administrator asks.
    pub(super) fn is_administrator(&self) -> bool {
        let bearer = self.bearer();
        bearer.is_some_and(|bearer| bearer.subject.administrator && !bearer.is_of_signature())
    }

    /// Whether keys are the matter, which would outlive an application credential. One key of anybody's
    /// an administrator may read as a service does.
    fn is_for_people(&self, what: What) -> bool {
        matches!(what, What::MakeKey | What::Keys | What::DeleteKey)
            || what == What::ShowKey && !self.is_administrator()
    }

    /// Whether this may go on with a request that needs that; what it may see is its own matter.
    pub(super) fn check(&self, needs: Needs, what: What) -> Result<(), Fault> {
        let barred = match (self, needs) {
            (_, Needs::Nothing) => return Ok(()),
            (Self::Nothing, Needs::Service | Needs::Token | Needs::Administrator) => {
                return Err(Fault::unauthorized());
            }
            (Self::Service, Needs::Service) => false,
            (Self::Service, Needs::Token) => !matches!(what, What::Validate | What::ShowKey),
            (Self::Service, Needs::Administrator) => true,
            (Self::Bearer(bearer), Needs::Token) => {
                bearer.is_of_signature() && what != What::Validate
                    || bearer.is_of_a_program() && self.is_for_people(what)
            }
            (Self::Bearer(_), Needs::Service | Needs::Administrator) => !self.is_administrator(),
        };
        if barred {
            Err(Fault::forbidden(what))
        } else {
            Ok(())
        }
    }
}

impl Keystone {
    /// What a request shows.
    pub(super) async fn shown(
        &self,
        prover: Prover<'_>,
        request: &Request,
    ) -> Result<Shown, Fault> {
        let mut values = request.headers().get_all(X_AUTH_TOKEN).iter();
        let Some(value) = values.next() else {
            return Ok(Shown::Nothing);
        };
        let service = prover.deps.rules.service_token.as_ref();
        let is_service = service
            .is_some_and(|own| same_secret(own.expose_secret().as_bytes(), value.as_bytes()));
        match (value.to_str(), values.next()) {
            (_, None) if is_service => Ok(Shown::Service),
            (Ok(text), None) => match self.bearer(prover, text).await {
                Ok(bearer) => Ok(Shown::Bearer(bearer)),
                Err(Refused::Ended) => Err(Fault::unauthorized()),
                Err(Refused::Unsaid(fault)) => Err(fault),
            },
            // Two of them could be two people.
            (Ok(_) | Err(_), Some(_)) | (Err(_), None) => Err(Fault::unauthorized()),
        }
    }

    /// What a token says, if it counts.
    pub(super) async fn bearer(&self, prover: Prover<'_>, token: &str) -> Result<Bearer, Refused> {
        let opened = prover.deps.authority.open_keystone(token);
        let claims = opened.map_err(|_ended| Refused::Ended)?;
        let objects = prover.deps.store.objects();
        let objects = objects.map_err(|fault| Refused::Unsaid(Fault::from(fault)))?;
        if objects.revoked.contains_key(&claims.audit) {
            return Err(Refused::Ended);
        }
        let subject = self.subject(prover, &claims, &objects).await?;
        // Whoever has lost its last role in a project has no token for it.
        let lost = |project: &AccountAlias| subject.membership(project).is_none();
        if claims.project.as_ref().is_some_and(lost) {
            return Err(Refused::Ended);
        }
        Ok(Bearer { claims, subject })
    }

    /// Whose a token is, if what proved it still holds.
    async fn subject(
        &self,
        prover: Prover<'_>,
        claims: &KeystoneClaims,
        objects: &Objects,
    ) -> Result<Arc<Subject>, Refused> {
        let name = || Arc::clone(&claims.name);
        let person = match &claims.proof {
            TokenProof::Password { way, fingerprint } => {
                let way = [Way::Basic, Way::Pam, Way::Ldap]
                    .into_iter()
                    .find(|known| known.as_str() == &**way);
                let standing = Standing {
                    way: way.ok_or(Refused::Ended)?,
                    name: name(),
                    hash: *fingerprint,
                };
                prover.of_standing(&standing).await?
            }
            TokenProof::Bearer(hash) => {
                let known = objects.tokens.get(hash);
                known
                    .filter(|known| known.draft.user == claims.name)
                    .ok_or(Refused::Ended)?;
                let standing = Standing {
                    way: Way::Token,
                    name: name(),
                    hash: None,
                };
                prover.of_standing(&standing).await?
            }
            TokenProof::AccessKey(id) => {
                let known = objects.keys.get(id);
                known
                    .filter(|known| known.proved(&claims.name, claims.issued_at))
                    .ok_or(Refused::Ended)?;
                prover.holder(&claims.name).await?
            }
            TokenProof::Session(role) => {
                let account = claims.project.as_ref().ok_or(Refused::Ended)?;
                let of = RoleRef {
                    account: account.clone(),
                    role: role.clone(),
                };
                if !prover.deps.authority.accepts(&of, claims.issued_at) {
                    return Err(Refused::Ended);
                }
                let accounts = Accounts::now(prover).map_err(Refused::Unsaid)?;
                let subject = Subject::of_session(name(), (account, role.as_str()), &accounts);
                return Ok(Arc::new(subject.ok_or(Refused::Ended)?));
            }
            TokenProof::Federated(id) => {
                let known = objects.keys.get(id);
                let known = known.filter(|known| {
                    let (user, at) = (&known.draft.user, claims.issued_at);
                    let own = claims.name.strip_prefix(&**user);
                    own.is_some_and(|own| own.starts_with(':')) && known.proved(user, at)
                });
                let known = known.ok_or(Refused::Ended)?;
                let maker = prover.holder(&known.draft.user).await?;
                let maker = self.subjects.of(prover, &maker).await;
                let maker = maker.map_err(Refused::Unsaid)?;
                let project = claims.project.as_ref().ok_or(Refused::Ended)?;
                let subject = maker.vouches_for(name(), project);
                return subject.map(Arc::new).ok_or(Refused::Ended);
            }
        };
        let subject = self.subjects.of(prover, &person).await;
        subject.map_err(Refused::Unsaid)
    }
}

impl Call<'_> {
    /// Whose token asks: not a service, nor nobody.
    pub(super) fn own(&self) -> Result<&Bearer, Fault> {
        let own = self.shown.bearer();
        own.ok_or_else(|| Fault::forbidden(self.route.row.what))
    }
}
