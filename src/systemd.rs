//! The service manager: sockets it hands over, what it is told, and its watchdog.

use std::time::Duration;

use listenfd::ListenFd;
use sd_notify::NotifyState;

use crate::listener::{Passed, PassedSocket};

/// What is not counted: telling that it is done, and a machine that is busy.
const SPARE: Duration = Duration::from_secs(10);

/// Takes the sockets that were handed over, by their names. `names` is `$LISTEN_FDNAMES`.
///
/// Called once, before any thread starts: it takes the variables out of the environment.
pub fn passed_sockets(names: Option<&str>) -> Passed {
    let mut handed = ListenFd::from_env();
    let mut names = names.unwrap_or_default().split(':');
    let mut sockets = Vec::with_capacity(handed.len());
    for index in 0..handed.len() {
        let name = names
            .next()
            .filter(|name| !name.is_empty())
            .unwrap_or("unknown");
        sockets.push((name.to_owned(), take(&mut handed, index)));
    }
    Passed::new(sockets)
}

fn take(handed: &mut ListenFd, index: usize) -> PassedSocket {
    if let Ok(Some(listener)) = handed.take_tcp_listener(index) {
        return PassedSocket::Tcp(listener);
    }
    if let Ok(Some(listener)) = handed.take_unix_listener(index) {
        return PassedSocket::Unix(listener);
    }
    PassedSocket::Unknown
}

/// Tells the service manager; nobody may be listening.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}

/// The start or the end, whichever is under way, may take so long from now on: longer than the unit
/// says, never shorter. No more than an hour and some minutes can be told.
pub fn extend(by: Duration) {
    let most = u32::try_from(by.saturating_add(SPARE).as_micros()).unwrap_or(u32::MAX);
    tell(&[NotifyState::ExtendTimeoutUsec(most)]);
}

/// All is bound and held that callers were promised.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// One line that `systemctl status` shows.
pub fn status(status: &str) {
    tell(&[NotifyState::Status(status)]);
}

/// A reload begins. systemd wants the moment of it with the word (`Type=notify-reload`).
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(moment) => tell(&[NotifyState::Reloading, moment]),
        Err(_no_clock) => tell(&[NotifyState::Reloading]),
    }
}

/// The daemon ends.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// How long the watchdog waits for the next sign of life, where there is one.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

/// A sign of life.
pub fn feed_watchdog() {
    tell(&[NotifyState::Watchdog]);
}
