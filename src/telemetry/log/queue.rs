//! The bounded queue before each target, and the thread behind it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;

use super::record::Record;

/// How many events wait for a slow target; more are lost and counted.
const WAITING: usize = 1024;

/// Where events end: runs on its own thread and may take its time.
pub(super) trait Target: Send {
    /// Writes one event.
    fn write(&mut self, record: &Record) -> io::Result<()>;

    /// Opens anew what may have been moved away.
    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The sending side of one target.
#[derive(Debug)]
pub(super) struct Queue {
    sender: SyncSender<Message>,
    lost: Arc<Lost>,
}

#[derive(Debug)]
struct Lost {
    untold: AtomicU64,
    total: Counter,
}

impl Lost {
    fn one(&self) {
        self.untold.fetch_add(1, Ordering::Relaxed);
        self.total.inc();
    }
}

enum Message {
    Record(Arc<Record>),
    Reopen,
    Flush(SyncSender<()>),
}

impl Queue {
    /// Starts the target's thread.
    pub(super) fn start(name: &str, target: Box<dyn Target>, total: Counter) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(WAITING);
        let lost = Arc::new(Lost {
            untold: AtomicU64::new(0),
            total,
        });
        let writer = Writer {
            name: name.to_owned(),
            target,
            lost: Arc::clone(&lost),
            failing: false,
        };
        thread::Builder::new()
            .name("log".to_owned())
            .stack_size(128 * 1024)
            .spawn(move || writer.run(&receiver))?;
        Ok(Self { sender, lost })
    }

    pub(super) fn push(&self, record: &Arc<Record>) {
        match self.sender.try_send(Message::Record(Arc::clone(record))) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => self.lost.one(),
        }
    }

    pub(super) fn reopen(&self) {
        if self.sender.try_send(Message::Reopen).is_err() {
            self.lost.one();
        }
    }

    /// Waits until all that was pushed before is written, or for `limit`.
    pub(super) fn flush(&self, limit: Duration) {
        let (done, written) = sync_channel(1);
        if self.sender.try_send(Message::Flush(done)).is_ok() {
            // An error means that the time is over or the thread gone: nothing is left to wait for.
            let _: Result<(), _> = written.recv_timeout(limit);
        }
    }
}

struct Writer {
    name: String,
    target: Box<dyn Target>,
    lost: Arc<Lost>,
    failing: bool,
}

impl Writer {
    fn run(mut self, receiver: &Receiver<Message>) {
        while let Ok(message) = receiver.recv() {
            match message {
                Message::Record(record) => self.write(&record),
                Message::Reopen => {
                    if let Err(error) = self.target.reopen() {
                        self.failed(&error);
                    }
                }
                // Nobody waits any more: that is the waiter's choice.
                Message::Flush(done) => drop(done.try_send(())),
            }
        }
    }

    /// The events told here go through all queues like any other, this one's too: they are told
    /// once for each change between working and failing, so that nothing feeds on itself.
    fn write(&mut self, record: &Record) {
        match self.target.write(record) {
            Ok(()) => {
                self.failing = false;
                let lost = self.lost.untold.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    tracing::warn!(target: "rolecall::log", log_target = self.name, lost, "log events were lost");
                }
            }
            Err(error) => {
                self.lost.one();
                self.failed(&error);
            }
        }
    }

    fn failed(&mut self, error: &io::Error) {
        if !self.failing {
            self.failing = true;
            tracing::warn!(target: "rolecall::log", log_target = self.name, %error, "a log target takes no events");
        }
    }
}
