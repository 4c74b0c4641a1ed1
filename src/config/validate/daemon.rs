//! `[state]`, `[log]`, `[limits]`, `[admin]`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use tracing_subscriber::filter::Targets;
use zeroize::Zeroizing;

use super::reader::Reader;
use crate::config::{KeptSessions, Limits, Log, LogTarget, State, SyslogAddress};
use crate::secret::SEAL_KEY_LEN;

/// Where syslog listens on this host.
const DEV_LOG: &str = "/dev/log";

/// A log target that is none.
#[derive(Debug, thiserror::Error)]
enum TargetError {
    #[error("the path of a log file is absolute, as `file:/var/log/rolecall.log`")]
    RelativePath,
    #[error("a syslog server is written `udp://HOST:PORT` or `tcp://HOST:PORT`")]
    Server,
    #[error(
        "it is none of `journald`, `json`, `text`, `syslog`, `udp://…`, `tcp://…`, `file:/path`"
    )]
    Unknown,
}

pub(super) fn state(root: &Reader<'_>) -> State {
    let surroundings = root.context().surroundings;
    let state = root.table("state");
    let directory = state.as_ref().and_then(|state| state.path("directory"));
    State {
        directory: directory
            .map(|spot| spot.value)
            .or_else(|| surroundings.state_directory()),
        key: state.as_ref().and_then(state_key),
        sessions: state.as_ref().map(kept_sessions).unwrap_or_default(),
    }
}

fn kept_sessions(state: &Reader<'_>) -> KeptSessions {
    match state.text("sessions").map(|spot| spot.value) {
        Some("memory") => KeptSessions::Memory,
        Some(_) | None => KeptSessions::Sealed,
    }
}

fn state_key(state: &Reader<'_>) -> Option<SecretString> {
    let key = state.secret("key")?;
    let text = key.expose_secret();
    if !text.is_empty() && !is_key(text) {
        state
            .problems()
            .error(
                &state.place("key"),
                format!("this key is not {SEAL_KEY_LEN} bytes, in hex or base64"),
            )
            .hint("`openssl rand -hex 32` makes one");
    }
    Some(key)
}

fn is_key(text: &str) -> bool {
    let hex = text.len() == SEAL_KEY_LEN * 2 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let decoded = STANDARD.decode(text).map(Zeroizing::new);
    hex || decoded.is_ok_and(|bytes| bytes.len() == SEAL_KEY_LEN)
}

pub(super) fn log(root: &Reader<'_>) -> Log {
    let Some(log) = root.table("log") else {
        return Log::default();
    };
    let targets = log.texts("to");
    Log {
        to: targets
            .iter()
            .filter_map(|spot| spot.parse(log.problems(), target))
            .collect(),
        level: log.parsed("level", |text| {
            if is_filter(text) {
                Ok(text.to_owned())
            } else {
                Err("a level is error, warn, info, debug or trace, a filter `target=level`")
            }
        }),
    }
}

/// A level, or levels of targets; a target alone would let everything of it through.
fn is_filter(text: &str) -> bool {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let parts = text
        .split(',')
        .map(|part| part.rsplit('=').next().unwrap_or_default());
    let mut levels = parts.map(|level| level.trim().to_ascii_lowercase());
    text.parse::<Targets>().is_ok() && levels.all(|level| LEVELS.contains(&level.as_str()))
}

fn target(text: &str) -> Result<LogTarget, TargetError> {
    let local = |path: &str| LogTarget::Syslog(SyslogAddress::Local(PathBuf::from(path)));
    match text {
        "journald" => return Ok(LogTarget::Journald),
        "json" => return Ok(LogTarget::Json),
        "text" => return Ok(LogTarget::Text),
        "syslog" => return Ok(local(DEV_LOG)),
        _ => {}
    }
    if let Some(path) = text.strip_prefix("file:") {
        return if Path::new(path).is_absolute() {
            Ok(LogTarget::File(PathBuf::from(path)))
        } else {
            Err(TargetError::RelativePath)
        };
    }
    let server = text.strip_prefix("syslog:").unwrap_or(text);
    if let Some(server) = server.strip_prefix("udp://") {
        return host_and_port(server).map(|server| LogTarget::Syslog(SyslogAddress::Udp(server)));
    }
    if let Some(server) = server.strip_prefix("tcp://") {
        return host_and_port(server).map(|server| LogTarget::Syslog(SyslogAddress::Tcp(server)));
    }
    if server != text && server.starts_with('/') {
        return Ok(local(server));
    }
    Err(TargetError::Unknown)
}

fn host_and_port(text: &str) -> Result<String, TargetError> {
    let (host, port) = text.rsplit_once(':').ok_or(TargetError::Server)?;
    let port: u16 = port.parse().map_err(|_no_port| TargetError::Server)?;
    let valid =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':' | '[' | ']');
    if host.is_empty() || port == 0 || !host.chars().all(valid) {
        return Err(TargetError::Server);
    }
    Ok(text.to_owned())
}

pub(super) fn limits(root: &Reader<'_>) -> Limits {
    let default = Limits::default();
    let Some(limits) = root.table("limits") else {
        return default;
    };
    let time = |key: &str, otherwise: Duration, most: Duration| {
        let Some(spot) = limits.duration(key) else {
            return otherwise;
        };
        if spot.value > most {
            let most = crate::config::duration::text(most);
            limits
                .problems()
                .error(&spot.at, format!("`{key}` is at most {most}"));
        }
        spot.value
    };
    let patience = limits
        .own("patience")
        .map(|_| time("patience", Duration::ZERO, Duration::from_hours(1)));
    let read = Limits {
        connections: limits.size("connections").unwrap_or(default.connections),
        connections_per_caller: limits
            .size("connections-per-caller")
            .unwrap_or(default.connections_per_caller),
        requests_per_caller: limits
            .size("requests-per-caller")
            .unwrap_or(default.requests_per_caller),
        flights_per_caller: limits
            .size("flights-per-caller")
            .unwrap_or(default.flights_per_caller),
        sessions: limits.size("sessions").unwrap_or(default.sessions),
        ready_deadline: time(
            "ready-deadline",
            default.ready_deadline,
            Duration::from_hours(1),
        ),
        linger: time("linger", default.linger, Duration::from_hours(1)),
        drain: time("drain", default.drain, Duration::from_hours(1)),
        patience,
    };
    if read.connections_per_caller > read.connections
        && limits.own("connections-per-caller").is_some()
    {
        limits.problems().warning(
            &limits.place("connections-per-caller"),
            "one caller may take all connections: this is above `connections`",
        );
    }
    read
}

pub(super) fn admin_socket(root: &Reader<'_>) -> PathBuf {
    let socket = root.table("admin").and_then(|admin| admin.path("socket"));
    socket.map_or_else(
        || root.context().surroundings.admin_socket(),
        |spot| spot.value,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_targets_of_all_forms_parse() {
        let syslog = |address| LogTarget::Syslog(address);
        for (text, expected) in [
            ("journald", LogTarget::Journald),
            ("syslog", syslog(SyslogAddress::Local("/dev/log".into()))),
            (
                "syslog:/run/log",
                syslog(SyslogAddress::Local("/run/log".into())),
            ),
            (
                "udp://log.example:514",
                syslog(SyslogAddress::Udp("log.example:514".to_owned())),
            ),
            (
                "syslog:tcp://[::1]:601",
                syslog(SyslogAddress::Tcp("[::1]:601".to_owned())),
            ),
            ("file:/var/log/a", LogTarget::File("/var/log/a".into())),
        ] {
            assert_eq!(target(text).unwrap(), expected);
        }
        for text in [
            "stderr",
            "file:a",
            "udp://host",
            "tcp://:1",
            "/dev/log",
            "udp://h:0",
        ] {
            assert!(target(text).is_err(), "{text}");
        }
    }

    #[test]
    fn keys_are_thirty_two_bytes() {
        assert!(is_key(&"0a".repeat(32)));
        assert!(is_key(&STANDARD.encode([7; 32])));
        assert!(!is_key(&"0a".repeat(31)));
        assert!(!is_key("secret"));
    }
}
