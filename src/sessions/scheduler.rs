//! The scheduling task: one for all keys, so that a held session owns no future.

use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Sessions;
use super::allowance::Ticket;
use super::cache::BATCH;
use super::flight::Outcome;
use super::lease::LONGEST_SLEEP;
use super::registry::Look;

impl Sessions {
    /// The one scheduling task: renews what is due and lets go of what is idle, until `stop`. Then
    /// whoever waits is told so at once; what is held is still handed out.
    pub async fn run(&self, stop: CancellationToken) {
        tokio::select! {
            () = self.renew_what_is_due(&stop) => {}
            never = self.let_go_of_ended() => never,
        }
        let mut registry = self.lock();
        registry.stopping = true;
        for record in registry.records.values() {
            if let Some(flight) = &record.flight {
                flight.end(Outcome::Stopping);
            }
        }
    }

    async fn renew_what_is_due(&self, stop: &CancellationToken) {
        loop {
            let pause = self.look_at_due();
            if pause.is_zero() {
                yield_now().await;
                if !stop.is_cancelled() {
                    continue;
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.0.sooner.notified() => {}
                () = sleep(pause) => {}
            }
        }
    }

    /// Looks at one batch of what is due. How long until the next.
    fn look_at_due(&self) -> Duration {
        for _ in 0..BATCH {
            let now = self.clock().boot();
            let (key, look) = {
                let mut registry = self.lock();
                let Some((due, key)) = registry.first_due() else {
                    return LONGEST_SLEEP;
                };
                if due > now {
                    return due.since(now).min(LONGEST_SLEEP);
                }
                (key, registry.look(&key, now))
            };
            match look {
                Look::Nothing => {}
                Look::Fetch(class) => {
                    drop(self.depart(self.lock(), &key, class, Ticket::of_nobody()));
                }
                Look::Dropped(request, why) => self.dropped(&request, why),
            }
        }
        Duration::ZERO
    }
}
