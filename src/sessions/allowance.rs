//! How many flights one caller may have begun and under way at once, so that a caller who asks for
//! ever new sessions takes its own time only.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// One caller's allowance of flights, which all its leases share.
#[derive(Debug)]
pub struct Allowance(Semaphore);

/// Leave to put one flight under way; given back when that flight ends.
#[derive(Debug)]
pub(super) struct Ticket(Option<Arc<Allowance>>);

impl Allowance {
    /// So many flights at once.
    pub fn new(flights: usize) -> Self {
        Self(Semaphore::new(flights.clamp(1, Semaphore::MAX_PERMITS)))
    }

    /// A ticket, if one is left.
    pub(super) fn take(self: &Arc<Self>) -> Option<Ticket> {
        self.0.try_acquire().ok()?.forget();
        Some(Ticket(Some(Arc::clone(self))))
    }

    /// A ticket, when it is this one's turn.
    pub(super) async fn wait(self: &Arc<Self>) -> Ticket {
        match self.0.acquire().await {
            Ok(permit) => {
                permit.forget();
                Ticket(Some(Arc::clone(self)))
            }
            // It is never closed; if it were, nobody would be bounded rather than nobody served.
            Err(_closed) => Ticket::of_nobody(),
        }
    }
}

impl Ticket {
    /// For flights that are nobody's: prefetches, renewals, the base roles of other flights.
    pub(super) const fn of_nobody() -> Self {
        Self(None)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(allowance) = &self.0 {
            allowance.0.add_permits(1);
        }
    }
}
