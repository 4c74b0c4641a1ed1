//! `rolecall check --live`: asks every account, and obtains every role once.

use std::sync::Arc;

use nix::unistd::{Uid, User, gethostname};

use super::configuration::count;
use super::failure::{Exit, Failure};
use crate::authority::{Authority, KeyRing};
use crate::clock::Clock;
use crate::config::{Bind, Config};
use crate::grants::{Names, Placeholder};
use crate::source::local::LocalPlans;
use crate::source::{Engine, Environment, Finding, Plans, probe};
use crate::transport::OwnAddresses;

/// Tells what came of each thing that is tried; fails if something does not work.
pub(super) fn check(
    config: &Config,
    mut tell: impl FnMut(Finding) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let plans = plans(config)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Fault, "cannot start").because(&error))?;
    let (mut tried, mut failed) = (0, 0);
    let mut heard = Ok(());
    runtime.block_on(probe(&plans, &own_names(), |found| {
        tried += 1;
        failed += usize::from(found.outcome.is_err());
        if heard.is_ok() {
            heard = tell(found);
        }
    }));
    heard?;
    if failed > 0 {
        let of = count(tried, "thing that was tried", "things that were tried");
        let what = format!("{failed} of {of} failed");
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
    Names::default()
        .with(Placeholder::Uid, uid.to_string())
        .with_known(Placeholder::User, user.map(|user| user.name))
        .with_known(Placeholder::Hostname, hostname.ok())
}
