//! What sessions of an STS can be exchanged for: who they are, a console sign-in, registry logins.

use std::sync::{Arc, Mutex, PoisonError};

use super::account::StsAccount;
use super::base;
use super::call::{Action, Call};
use super::console::{ConsoleLife, Exchanged, Signin};
use super::ecr::Registries;
use super::sts::{Signer, StsSource, identity};
use crate::config::{Account, Dialect};
use crate::sessions::{
    Callback, CallerIdentity, Exchange, ExchangeFuture, FailureKind, FetchError, Offers,
    RegistryAsk, RegistryLogin, Session, SigninAsk, SigninUrl,
};
use crate::types::{AccountId, Partition, Region};

/// What an account's sessions can be taken to.
#[derive(Debug)]
pub(super) struct Outlets {
    signin: Option<Signin>,
    registries: Option<Registries>,
    tells: Tells,
    /// The account's id, where it has one.
    account: Option<AccountId>,
    partition: Partition,
}

/// Whether an STS tells whose a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tells {
    Yes,
    Perhaps,
    No,
}

impl Outlets {
    /// Those of this account; `region` is that of its STS.
    pub(super) fn of(account: &Account, region: &Region) -> Self {
        Self {
            signin: Signin::of(account),
            registries: Registries::of(account, region),
            tells: match account.dialect {
                Dialect::Aws => Tells::Yes,
                Dialect::Generic => Tells::Perhaps,
                Dialect::Ceph | Dialect::Minio => Tells::No,
            },
            account: account.id.clone(),
            partition: account.partition.clone(),
        }
    }

    /// Who a session of this call is, as far as the call itself tells.
    fn named(&self, call: &Call, session: &Session) -> CallerIdentity {
        let account = self.account.as_ref().map_or("", AccountId::as_str);
        match (&call.role_arn, &call.session_name) {
            (Some(role), Some(name)) => CallerIdentity::assumed(role, name),
            (None, Some(name)) => {
                CallerIdentity::federated(Some(&self.partition), self.account.as_ref(), name)
            }
            // A session token is its user's, of whom nothing is told.
            (_, None) => CallerIdentity {
                account: account.to_owned(),
                arn: String::new(),
                user_id: session.credentials.access_key_id.to_string(),
            },
        }
    }
}

/// Who the last session is, as STS said when it issued it. Kept only where STS does not tell later.
#[derive(Clone, Debug, Default)]
pub(super) struct Issued(Option<Arc<Mutex<Option<User>>>>);

/// An `AssumedRoleUser` or `FederatedUser`.
#[derive(Clone, Debug)]
pub(super) struct User {
    pub(super) arn: String,
    pub(super) id: String,
}

impl Issued {
    /// Keeps what this account's sessions are said to be, where that is needed.
    pub(super) fn of(outlets: &Outlets) -> Self {
        Self((outlets.tells != Tells::Yes).then(Arc::default))
    }

    pub(super) fn keep(&self, user: Option<User>) {
        if let (Some(kept), Some(user)) = (&self.0, user) {
            *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(user);
        }
    }

    fn last(&self) -> Option<CallerIdentity> {
        let kept = self
            .0
            .as_ref()?
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let User { arn, id } = kept.as_ref()?;
        Some(CallerIdentity {
            account: arn.split(':').nth(4).unwrap_or_default().to_owned(),
            arn: arn.clone(),
            user_id: id.clone(),
        })
    }
}

impl StsSource {
    /// How long the console sessions of its credentials may last.
    async fn console_life(engine: &super::Engine, action: Action, signer: &Signer) -> ConsoleLife {
        let Signer::Base(base) = signer else {
            return ConsoleLife::OfCredentials;
        };
        if action != Action::AssumeRole {
            return ConsoleLife::OfCredentials;
        }
        match base.load(engine).await {
            Ok(keys) if keys.session_token().is_none() => ConsoleLife::Own,
            Ok(_) | Err(_) => ConsoleLife::OfCredentials,
        }
    }
}

impl Exchange for StsSource {
    fn offers(&self) -> Offers {
        // The console takes no credentials of GetSessionToken.
        let is_user = self.call.action == Action::GetSessionToken;
        Offers {
            signin: self.outlets.signin.is_some() && !is_user,
            registry: self.outlets.registries.is_some(),
        }
    }

    fn callback(&self, url: &str) -> Option<Callback> {
        self.outlets.signin.as_ref()?.callback(url)
    }

    fn identity<'a>(&'a self, session: &'a Session) -> ExchangeFuture<'a, CallerIdentity> {
        let named = || {
            let issued = self.issued.last();
            issued.unwrap_or_else(|| self.outlets.named(&self.call, session))
        };
        Box::pin(async move {
            if self.outlets.tells == Tells::No {
                return Ok(named());
            }
            let (engine, endpoint) = (self.engine.clone(), Arc::clone(&self.endpoint));
            let keys = base::of_session(session);
            let asked = async move { identity(&engine, &endpoint, &keys).await };
            match self.engine.run(asked).await {
                Err(error) if self.outlets.tells == Tells::Perhaps && is_unknown(&error) => {
                    Ok(named())
                }
                answered => answered,
            }
        })
    }

    fn signin<'a>(
        &'a self,
        session: &'a Session,
        ask: &'a SigninAsk,
    ) -> ExchangeFuture<'a, SigninUrl> {
        let credentials = Exchanged::from(&session.credentials);
        let (engine, outlets) = (self.engine.clone(), Arc::clone(&self.outlets));
        let (signer, action, ask) = (self.signer.clone(), self.call.action, ask.clone());
        Box::pin(self.engine.run(async move {
            let signin = outlets.signin.as_ref().ok_or_else(|| missing("console"))?;
            let life = Self::console_life(&engine, action, &signer);
            signin.exchange(&engine, &credentials, life, &ask).await
        }))
    }

    fn registry<'a>(
        &'a self,
        session: &'a Session,
        ask: &'a RegistryAsk,
    ) -> ExchangeFuture<'a, Vec<RegistryLogin>> {
        let credentials = base::of_session(session);
        let (engine, outlets) = (self.engine.clone(), Arc::clone(&self.outlets));
        let ask = ask.clone();
        Box::pin(self.engine.run(async move {
            let registries = outlets.registries.as_ref();
            let registries = registries.ok_or_else(|| missing("container registry"))?;
            registries.logins(&engine, &credentials, &ask).await
        }))
    }
}

/// Whether a server does not know the question.
const fn is_unknown(error: &FetchError) -> bool {
    matches!(error.kind, FailureKind::Misconfigured | FailureKind::Denied)
}

fn missing(what: &str) -> FetchError {
    FetchError::new(
        FailureKind::Misconfigured,
        format!("the account has no {what}"),
    )
}

impl StsAccount {
    /// The address among its outlets that leads back to the daemon, if one does.
    pub(super) fn own_outlet(account: &Account, serves: impl Fn(&str) -> bool) -> Option<String> {
        let signin = Signin::of(account);
        let signin = signin.as_ref().map(Signin::endpoint);
        let urls = signin.into_iter().chain(account.ecr_endpoint.as_deref());
        urls.into_iter().find(|url| serves(url)).map(str::to_owned)
    }
}
