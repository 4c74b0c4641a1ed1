//! Callers in containers: what the runtime unit tells of them, and connections that come out of
//! their own networks, where no socket of this host is the other end.

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::desk::{Desk, is_open, place};
use super::evidence::{Doubt, Evidence};
use super::identity::{Caller, Reach};
use super::places::Whereabouts;
use super::redirect::original_destination;
use crate::grants::{ContainerFacts, ContainerPlace, Grant, Known, Place};
use crate::runtime::{At, Containers, Interest};

/// Whose runtimes speak for containers that only root could make.
const ROOT: u32 = 0;

/// What a runtime told of a caller's container. It counts for as long as grants ask the same.
#[derive(Debug)]
pub(super) struct Told {
    /// How often what grants ask has changed.
    interest: Arc<AtomicU64>,
    told: Mutex<(u64, Known<Arc<ContainerFacts>>)>,
}

impl Told {
    /// Nothing yet.
    pub(super) fn new(interest: &Arc<AtomicU64>) -> Self {
        Self {
            interest: Arc::clone(interest),
            told: Mutex::new((0, Known::NotYet)),
        }
    }

    pub(super) fn get(&self) -> Known<Arc<ContainerFacts>> {
        let told = self.lock();
        if told.0 == self.interest() {
            told.1.clone()
        } else {
            Known::NotYet
        }
    }

    /// To be asked before the runtime is.
    fn interest(&self) -> u64 {
        self.interest.load(Ordering::Acquire)
    }

    fn set(&self, interest: u64, told: Known<Arc<ContainerFacts>>) {
        *self.lock() = (interest, told);
    }

    fn lock(&self) -> MutexGuard<'_, (u64, Known<Arc<ContainerFacts>>)> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desk {
    /// The same desk, which asks this unit of containers.
    #[must_use]
    pub fn asking(mut self, containers: Option<Containers>) -> Self {
        self.containers = containers;
        self
    }

    /// What is kept of containers is what these grants may ask from now on.
    pub fn follow(&self, grants: &[Arc<Grant>]) {
        if let Some(containers) = &self.containers
            && containers.follow(Interest::of(grants))
        {
            self.interest.fetch_add(1, Ordering::Release);
        }
    }

    /// Whether this caller's address may be that of a container on this host; [`Self::confirm`]
    /// tells.
    pub fn may_be_container(&self, caller: &Caller) -> bool {
        matches!(self.holder_of(caller), Some(At::One | At::Perhaps))
    }

    /// Whether this caller's address is one that a container on this host was last said to have.
    pub fn is_containers(&self, caller: &Caller) -> bool {
        self.holder_of(caller) == Some(At::One)
    }

    fn holder_of(&self, caller: &Caller) -> Option<At> {
        let (containers, peer) = self.address_asked(caller)?;
        Some(containers.at(peer.ip()))
    }

    /// The same caller as the one running container, or pod, that holds its address now; `None`
    /// where that is nobody, or several, or cannot be told in time.
    pub async fn confirm(
        &self,
        caller: &Caller,
        local: SocketAddr,
        accepted: BorrowedFd<'_>,
    ) -> Option<Caller> {
        let (containers, peer) = self.address_asked(caller)?;
        let interest = caller.container.interest();
        let Known::Yes(held) = containers.confirm(peer.ip()).await else {
            return None;
        };
        // Whoever held the address when the connection was made and holds it no more has lost the
        // connection with it.
        if !is_open(accepted) {
            return None;
        }
        let evidence = Evidence::ContainerAddress {
            id: held.id.clone(),
            redirected_from: original_destination(accepted, local),
        };
        let confirmed = self.caller(evidence, Some(peer), Reach::Here);
        let in_container = Place::Container(ContainerPlace {
            id: held.id,
            owner: None,
        });
        let whereabouts = Whereabouts::at(in_container);
        place(&confirmed, Arc::new(whereabouts));
        confirmed.container.set(interest, Known::Yes(held.facts));
        Some(confirmed)
    }

    fn address_asked(&self, caller: &Caller) -> Option<(&Containers, SocketAddr)> {
        let elsewhere = caller.reach() == Reach::Elsewhere
            && matches!(caller.evidence(), Evidence::None(Doubt::NoSocket));
        let containers = self.containers.as_ref().filter(|_| elsewhere)?;
        Some((containers, caller.peer()?))
    }

    /// What the place tells by itself, or else the unit.
    pub(super) async fn look_up_container(&self, caller: &Caller) {
        self.look_up_place(caller).await;
        if caller.container() != Known::NotYet {
            return;
        }
        let interest = caller.container.interest();
        let Some(found) = caller.whereabouts.get() else {
            return;
        };
        let told = match &found.container {
            Some(told) => Known::Yes(Arc::clone(told)),
            None => self.ask_unit(found).await,
        };
        caller.container.set(interest, told);
    }

    async fn ask_unit(&self, found: &Whereabouts) -> Known<Arc<ContainerFacts>> {
        match (&self.containers, found.place.yes().map(AsRef::as_ref)) {
            (Some(containers), Some(Place::Container(ContainerPlace { id, owner }))) => {
                containers.inspect(id, owner.unwrap_or(ROOT)).await
            }
            (Some(_), Some(Place::Host(_)) | None) | (None, _) => Known::No,
        }
    }
}
