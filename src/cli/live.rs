//! `rolecall check --live`: obtains every role once.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use nix::unistd::{Uid, User, gethostname};

use super::configuration::count;
use super::failure::{Exit, Failure};
use super::output::{print, span};
use crate::authority::{Authority, KeyRing};
use crate::clock::Clock;
use crate::config::{Bind, Config};
use crate::grants::Names;
use crate::sessions::{Catalogue as _, FailureKind, FetchError, Request, Session};
use crate::source::local::LocalPlans;
use crate::source::{Engine, Environment, OwnAddresses, Plans};
use crate::types::RoleRef;

/// Tells what came of each role; fails if one could not be obtained.
pub(super) fn check(config: &Config) -> Result<(), Failure> {
    let plans = plans(config)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Fault, "cannot start").because(&error))?;
    let names = own_names();
    let roles = config
        .accounts
        .values()
        .flat_map(|account| account.roles.values());
    let (mut tried, mut failed) = (0, 0);
    for role in roles {
        tried += 1;
        let obtained = runtime.block_on(obtain_role(&plans, &role.reference, &names));
        failed += usize::from(obtained.is_err());
        print(&told(&role.reference, &obtained))?;
    }
    if failed > 0 {
        let what = format!(
            "{} of {} could not be obtained",
            failed,
            count(tried, "role", "roles")
        );
        return Err(Failure::new(Exit::No, what).remedy("what stands above says what is missing"));
    }
    Ok(())
}

fn plans(config: &Config) -> Result<Plans, Failure> {
    let unusable = |error: &dyn std::error::Error| {
        Failure::new(Exit::Configuration, "the roles cannot be obtained").because(error)
    };
    let clock = Clock::System;
    let binds = config.listeners.iter().flat_map(|listener| &listener.binds);
    let own: OwnAddresses = binds
        .filter_map(|bind| match bind {
            Bind::Tcp(address) => Some(*address),
            Bind::Unix(_) | Bind::Passed(_) => None,
        })
        .collect();
    let engine = Engine::new(clock.clone(), Environment::of_process(), own);
    let ring = KeyRing::in_memory().map_err(|error| unusable(&error))?;
    let authority = Authority::new(ring, None, clock).map_err(|error| unusable(&error))?;
    let local = Arc::new(LocalPlans::new(Arc::new(authority), config));
    Plans::build(config, &engine, local).map_err(|error| unusable(&error))
}

/// Names for the roles' texts, as if this user asked.
fn own_names() -> Names {
    let uid = Uid::current();
    let user = User::from_uid(uid).ok().flatten();
    let hostname = gethostname().map(|name| name.to_string_lossy().into_owned());
    Names {
        uid: Some(uid.as_raw()),
        user: user.map(|user| user.name),
        place: None,
        hostname: hostname.unwrap_or_default(),
    }
}

async fn obtain_role(plans: &Plans, role: &RoleRef, names: &Names) -> Result<Session, FetchError> {
    let undeclared = || {
        let message = "the role of its base credentials is not declared";
        FetchError::new(FailureKind::Misconfigured, message)
    };
    let request = plans.request(role, names).ok_or_else(undeclared)?;
    obtain(&request).await
}

/// A chain is obtained from its end.
fn obtain(request: &Request) -> Pin<Box<dyn Future<Output = Result<Session, FetchError>> + '_>> {
    Box::pin(async move {
        let base = match &request.base {
            Some(base) => Some(obtain(base).await?),
            None => None,
        };
        let fetched = request.source.fetch(base.as_ref()).await?;
        Ok(Session::obtained(fetched, request.duration, &Clock::System))
    })
}

fn told(role: &RoleRef, obtained: &Result<Session, FetchError>) -> String {
    match obtained {
        Ok(session) => {
            let (key, life) = (&session.credentials.access_key_id, session.life.as_secs());
            format!("{role}: obtained, key {key}, {} of life\n", span(life))
        }
        Err(error) => format!("{role}: {}: {error}\n", error.kind.as_str()),
    }
}
