//! `rolecall audit`.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;

use super::daemon::Daemon;
use super::failure::{Exit, Failure};
use super::output::{plain, print, print_bytes};

/// Show who was handed credentials, and who was refused
///
/// The daemon keeps its last thousand events; older ones are where `[log]` sends them. The first
/// hand-out of each access key to each caller is an event, and so is each first denial; what follows
/// is counted once a minute. Users see their own events, the daemon's user and root see all.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Go on as events happen, until interrupted
    #[arg(long, short)]
    follow: bool,
    /// Print one JSON object a line, for programs
    #[arg(long)]
    json: bool,
}

/// What is shown of an event.
#[derive(Debug, Deserialize)]
struct Event {
    timestamp: String,
    #[serde(rename = "event")]
    kind: String,
    of: Option<String>,
    caller: String,
    evidence: String,
    listener: String,
    api: String,
    role: Option<String>,
    reason: String,
    access_key_id: Option<String>,
    count: u64,
}

impl Options {
    pub(super) fn run(&self, socket: Option<PathBuf>) -> Result<(), Failure> {
        let daemon = Daemon::find(socket)?;
        let mut path = "/v1/audit".to_owned();
        loop {
            let (events, next) = daemon.events(&path)?;
            if events.is_empty() && !self.json && !self.follow {
                return print("nothing was handed out or refused yet\n");
            }
            for line in events.split_inclusive(|&byte| byte == b'\n') {
                self.show(line)?;
            }
            if !self.follow {
                return Ok(());
            }
            path = format!("/v1/audit?after={next}&wait=1");
        }
    }

    fn show(&self, line: &[u8]) -> Result<(), Failure> {
        if self.json {
            return print_bytes(line);
        }
        let event: Event = serde_json::from_slice(line).map_err(|error| {
            Failure::new(Exit::Fault, "an event is not understood").because(&error)
        })?;
        print(&readable(&event))
    }
}

fn readable(event: &Event) -> String {
    let mut line = format!("{} {:<8} {}", event.timestamp, event.kind, event.caller);
    let mut add = |text: std::fmt::Arguments<'_>| {
        // Writing to a String cannot fail.
        let _: std::fmt::Result = line.write_fmt(text);
    };
    if let Some(of) = &event.of {
        add(format_args!(" {} more of {of}", event.count));
    }
    if let Some(role) = &event.role {
        add(format_args!(" {role}"));
    }
    if let Some(key) = &event.access_key_id {
        add(format_args!(" {key}"));
    }
    add(format_args!(
        " ({}) by {} on {}",
        event.reason, event.api, event.listener
    ));
    add(format_args!(", evidence {}", event.evidence));
    // Names in it are their owners' choice.
    plain(&line) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_shown_on_one_line() {
        let event = r#"{"timestamp":"2026-01-01T00:00:00Z","event":"count","of":"hand-out",
            "caller":"uid 1000","evidence":"sock_diag","listener":"metadata","api":"imds",
            "role":"prod/web","reason":"the web server","access_key_id":"ASIA1","count":3}"#;
        let event: Event = serde_json::from_str(event).unwrap();
        let line = "2026-01-01T00:00:00Z count    uid 1000 3 more of hand-out prod/web ASIA1 \
                    (the web server) by imds on metadata, evidence sock_diag\n";
        assert_eq!(readable(&event), line);
        let named = Event {
            caller: "container a\x1b[2J\nb".to_owned(),
            ..event
        };
        let told = readable(&named);
        assert!(told.contains(r"container a\u{1b}[2J\nb 3 more"), "{told}");
    }
}
