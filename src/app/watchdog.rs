//! The service manager's watchdog, fed by a request that goes the way of all requests: a daemon that
//! runs and answers nobody is restarted.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::api::admin::Admin;
use crate::listener::Inside;
use crate::systemd;

/// What is asked, and how the answer begins.
const ASKED: &[u8] = b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const ANSWERED: &[u8] = b"HTTP/1.1 200 ";

/// Feeds the watchdog, where there is one, after each request that was answered.
pub(super) async fn feed(way: Inside<Admin>) -> ! {
    let Some(limit) = systemd::watchdog() else {
        std::future::pending().await
    };
    let mut beat = tokio::time::interval((limit / 2).max(Duration::from_millis(100)));
    loop {
        beat.tick().await;
        match tokio::time::timeout(limit, answered(&way)).await {
            Ok(Ok(())) => systemd::feed_watchdog(),
            Ok(Err(error)) => {
                tracing::error!(%error, "the daemon does not answer itself; the watchdog is not fed");
            }
            Err(_elapsed) => tracing::error!("the daemon did not answer itself in time"),
        }
    }
}

/// One request, answered as it must be.
async fn answered(way: &Inside<Admin>) -> io::Result<()> {
    let mut connection = way.connect()?;
    connection.write_all(ASKED).await?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await?;
    if answer.starts_with(ANSWERED) {
        return Ok(());
    }
    let answer = String::from_utf8_lossy(&answer);
    let line = answer.lines().next().unwrap_or("nothing").to_owned();
    Err(io::Error::other(format!("answered {line}")))
}
