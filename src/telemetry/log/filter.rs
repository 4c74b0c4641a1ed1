//! Which events are logged: `[log] level`.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

use super::{AUDIT, LogError};

/// The filter that `level` asks for, `info` where it says nothing: a level, or a list of
/// `target=level`.
///
/// It is for this daemon's own events. Other crates are held at `info` whatever is asked: at
/// `trace` HTTP clients and the SDK print requests and answers, and with them secrets. The audit
/// trail is always on.
pub(super) fn targets(level: Option<&str>) -> Result<Targets, LogError> {
    let asked: Targets = match level {
        None => Targets::new().with_default(LevelFilter::INFO),
        Some(text) => text.parse().map_err(|source| LogError::Level {
            text: text.to_owned(),
            source,
        })?,
    };
    let general = asked.default_level().unwrap_or(LevelFilter::INFO);
    let own = Targets::new()
        .with_default(general.min(LevelFilter::INFO))
        .with_target("rolecall", general);
    let all = asked.iter().fold(own, |all, (target, most)| {
        let ours = target == "rolecall" || target.starts_with("rolecall::");
        let capped = if ours {
            most
        } else {
            most.min(LevelFilter::INFO)
        };
        all.with_target(target, capped)
    });
    Ok(all.with_target(AUDIT, LevelFilter::INFO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn other_crates_are_never_traced() {
        for level in [
            "trace",
            "hyper=trace",
            "aws_smithy_runtime=debug,trace",
            "hyper::proto=trace",
        ] {
            let filter = targets(Some(level)).unwrap();
            for target in ["hyper", "hyper::proto", "aws_smithy_runtime", "rustls"] {
                assert!(
                    !filter.would_enable(target, &Level::DEBUG),
                    "{level} {target}"
                );
            }
        }
        let filter = targets(Some("trace")).unwrap();
        assert!(filter.would_enable("rolecall::sessions", &Level::TRACE));
        assert!(filter.would_enable("hyper", &Level::INFO));
    }

    #[test]
    fn one_room_can_be_asked_for() {
        let filter = targets(Some("warn,rolecall::sessions=debug")).unwrap();
        assert!(filter.would_enable("rolecall::sessions", &Level::DEBUG));
        assert!(!filter.would_enable("rolecall::listener", &Level::INFO));
    }

    #[test]
    fn the_audit_trail_is_always_on() {
        for level in ["off", "error", "rolecall::audit=off"] {
            let filter = targets(Some(level)).unwrap();
            assert!(filter.would_enable(AUDIT, &Level::INFO), "{level}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(targets(Some("rolecall=loud")).is_err());
    }
}
