//! One account whose roles are obtained from an STS: where it is, what its calls are proved with,
//! and what a session's key is made of.

use std::path::PathBuf;
use std::sync::Arc;

use super::Engine;
use super::base::{Base, Metadata, TokenFile, token_file};
use super::call::{Action, Call};
use super::exchange::Outlets;
use super::sts::{Endpoint, Signer};
use crate::config::{Account, BaseCredentials, Dialect, RoleKind};
use crate::grants::WebIdentity;
use crate::sessions::{KeyDigest, NoRequest, Request, SessionKey, Upstream, Wish};
use crate::types::{AccountAlias, Region, RoleRef};

/// A configuration that cannot be turned into requests.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The account says neither where its STS is nor in which region.
    #[error("account {account}: no `region`, and the partition {partition} has no default one")]
    NoRegion {
        /// The account.
        account: AccountAlias,
        /// Its partition.
        partition: String,
    },
    /// Chained roles that lead back to themselves, or to a role that is not there.
    #[error("account {account}: its base role {role} {why}")]
    BaseRole {
        /// The account.
        account: AccountAlias,
        /// The base role that it names.
        role: RoleRef,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The account's base credentials or its STS are this daemon itself.
    #[error("account {account}: {what} is an address that this daemon serves itself")]
    OwnAddress {
        /// The account.
        account: AccountAlias,
        /// What leads back.
        what: String,
    },
    /// A kind of role that the account cannot have.
    #[error("role {role}: {why}")]
    Role {
        /// The role.
        role: RoleRef,
        /// Why not.
        why: &'static str,
    },
}

/// The account, ready to make calls for its roles.
#[derive(Debug)]
pub(super) struct StsAccount {
    pub(super) account: Account,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) upstream: Arc<Upstream>,
    pub(super) outlets: Arc<Outlets>,
    region: Region,
    signer: Signer,
    token: Option<Arc<TokenFile>>,
}

impl StsAccount {
    pub(super) fn new(account: &Account, engine: &Engine) -> Result<Self, PlanError> {
        refuse_own(account, engine)?;
        let region = region(account, engine)?;
        let token = token(&account.base, engine);
        let signer = match Base::new(&account.base, &region, engine) {
            Some(base) => Signer::Base(engine.base(base)),
            None => token.clone().map_or(Signer::Chained, Signer::Token),
        };
        let has_token = token.is_some() || matches!(account.base, BaseCredentials::CallerToken);
        for role in account.roles.values() {
            let action = Action::of(role.kind, &account.base);
            if let Some(why) = unfit(action, account, has_token) {
                return Err(PlanError::Role {
                    role: role.reference.clone(),
                    why,
                });
            }
        }
        let upstream = Upstream {
            name: format!("{} {region}", account.alias),
            per_second: account.rate_limit.per_second,
            burst: account.rate_limit.burst,
        };
        Ok(Self {
            account: account.clone(),
            endpoint: engine.endpoint(Endpoint::new(account.endpoint.clone(), region.clone())),
            upstream: Arc::new(upstream),
            outlets: Arc::new(Outlets::of(account, &region)),
            region,
            signer,
            token,
        })
    }

    /// Why it cannot have a role of this kind.
    pub(super) fn unfit(&self, kind: RoleKind) -> Option<&'static str> {
        let base = &self.account.base;
        let has_token = self.token.is_some() || matches!(base, BaseCredentials::CallerToken);
        unfit(Action::of(kind, base), &self.account, has_token)
    }

    /// What the account's calls are proved with, unless they need a web identity.
    pub(super) const fn own_signer(&self) -> &Signer {
        &self.signer
    }

    /// What this call is proved with, for a caller that showed this.
    pub(super) fn signer(
        &self,
        call: &Call,
        identity: Option<&Arc<WebIdentity>>,
    ) -> Result<Signer, NoRequest> {
        if let BaseCredentials::CallerToken = self.account.base {
            let identity = identity.ok_or(NoRequest::NoIdentity)?;
            return Ok(Signer::Caller(Arc::clone(identity)));
        }
        Ok(match (&self.token, call.action) {
            (Some(token), Action::AssumeRoleWithWebIdentity) => Signer::Token(Arc::clone(token)),
            _ => self.signer.clone(),
        })
    }

    /// The key of a session: everything that changes the call's meaning, and no alias.
    pub(super) fn key(
        &self,
        call: &Call,
        signer: &Signer,
        wish: &Wish,
        base: Option<&Request>,
    ) -> SessionKey {
        let account = &self.account;
        let id = account.id.as_ref().map(|id| id.as_str().as_bytes());
        let endpoint = account.endpoint.as_deref().map(str::as_bytes);
        let key = KeyDigest::default()
            .field("kind", b"sts")
            .field("partition", account.partition.as_str().as_bytes())
            .optional("account", id)
            .field("region", self.region.as_str().as_bytes())
            .field("dialect", account.dialect.as_str().as_bytes())
            .optional("endpoint", endpoint)
            .optional("base-role", base.map(|base| base.key.as_bytes()));
        let key = match signer {
            Signer::Base(own) => key.field("base", own.fingerprint().as_bytes()),
            Signer::Chained => key,
            Signer::Token(token) => token.digest(key),
            Signer::Caller(identity) => principal(key, identity),
        };
        let key = match wish.named_by_token() {
            Some(identity) => principal(key, identity),
            None => key,
        };
        call.digest(key).finish()
    }
}

/// Whose token it is: renewed ones are the same principal's.
pub(super) fn principal(key: KeyDigest, identity: &WebIdentity) -> KeyDigest {
    let key = key
        .field("token-issuer", identity.issuer.as_bytes())
        .field("token-subject", identity.subject.as_bytes());
    let audiences = identity.audiences.iter();
    audiences.fold(key, |key, audience| {
        key.field("token-audience", audience.as_bytes())
    })
}

/// The web identity token of an account: its own, or the environment's.
fn token(base: &BaseCredentials, engine: &Engine) -> Option<Arc<TokenFile>> {
    let path: Option<PathBuf> = match base {
        BaseCredentials::WebIdentity { token_file } => Some(token_file.clone()),
        BaseCredentials::Environment => token_file(engine.environment()),
        BaseCredentials::Profile(_)
        | BaseCredentials::Key { .. }
        | BaseCredentials::Process(_)
        | BaseCredentials::Endpoint { .. }
        | BaseCredentials::Imds
        | BaseCredentials::Role(_)
        | BaseCredentials::CallerToken
        | BaseCredentials::Local => None,
    };
    path.map(|path| Arc::new(TokenFile::new(path)))
}

/// Why the account cannot make this call.
fn unfit(action: Action, account: &Account, has_token: bool) -> Option<&'static str> {
    let of_session = match &account.base {
        BaseCredentials::Key { token, .. } => token.is_some(),
        BaseCredentials::Role(_)
        | BaseCredentials::Imds
        | BaseCredentials::Endpoint { .. }
        | BaseCredentials::WebIdentity { .. }
        | BaseCredentials::CallerToken => true,
        BaseCredentials::Environment
        | BaseCredentials::Profile(_)
        | BaseCredentials::Process(_)
        | BaseCredentials::Local => false,
    };
    match (action, account.dialect) {
        (Action::AssumeRoleWithWebIdentity, _) if !has_token => {
            Some("a web identity needs credentials from a `web-identity` token file")
        }
        (Action::GetFederationToken, Dialect::Ceph | Dialect::Minio) => {
            Some("this dialect has no GetFederationToken")
        }
        (Action::GetSessionToken, Dialect::Minio) => Some("this dialect has no GetSessionToken"),
        (Action::GetFederationToken | Action::GetSessionToken, _) if of_session => Some(
            "federation and session tokens need long-term keys, and these base credentials are a \
             session's",
        ),
        _ => None,
    }
}

/// Refuses what names one of our own listeners by its address.
fn refuse_own(account: &Account, engine: &Engine) -> Result<(), PlanError> {
    let own = engine.own();
    let refused = |what: &str| PlanError::OwnAddress {
        account: account.alias.clone(),
        what: what.to_owned(),
    };
    if let Some(url) = account.endpoint.as_deref().filter(|url| own.serves(url)) {
        return Err(refused(&format!("its endpoint {url}")));
    }
    if let Some(url) = StsAccount::own_outlet(account, |url| own.serves(url)) {
        return Err(refused(&url));
    }
    match &account.base {
        BaseCredentials::Endpoint { url, .. } if own.serves(url) => {
            Err(refused(&format!("its credentials' url {url}")))
        }
        BaseCredentials::Imds if matches!(Metadata::of(engine), Metadata::Ours) => {
            Err(refused("the instance metadata service"))
        }
        BaseCredentials::Environment
        | BaseCredentials::Profile(_)
        | BaseCredentials::Key { .. }
        | BaseCredentials::WebIdentity { .. }
        | BaseCredentials::Process(_)
        | BaseCredentials::Endpoint { .. }
        | BaseCredentials::Imds
        | BaseCredentials::Role(_)
        | BaseCredentials::CallerToken
        | BaseCredentials::Local => Ok(()),
    }
}

/// The region whose STS is asked, or that requests to a named endpoint are signed for.
fn region(account: &Account, engine: &Engine) -> Result<Region, PlanError> {
    if let Some(region) = &account.region {
        return Ok(region.clone());
    }
    let environment = engine.environment();
    let ambient = environment
        .get("AWS_REGION")
        .or_else(|| environment.get("AWS_DEFAULT_REGION"));
    let default = match account.partition.as_str() {
        "aws" => Some("us-east-1"),
        "aws-cn" => Some("cn-north-1"),
        "aws-us-gov" => Some("us-gov-west-1"),
        _ if account.endpoint.is_some() => Some("us-east-1"),
        _ => None,
    };
    ambient
        .filter(|_| matches!(account.base, BaseCredentials::Environment))
        .into_iter()
        .chain(default)
        .find_map(|name| Region::new(name).ok())
        .ok_or_else(|| PlanError::NoRegion {
            account: account.alias.clone(),
            partition: account.partition.as_str().to_owned(),
        })
}
