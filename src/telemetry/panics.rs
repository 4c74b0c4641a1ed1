//! Panics: counted and logged by their place, never by their text, which may hold anything.

use std::panic;

use prometheus_client::metrics::counter::Counter;

/// Replaces the panic hook.
pub fn install(panics: Counter) {
    panic::set_hook(Box::new(move |info| {
        panics.inc();
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(target: "rolecall", place, "a task panicked; this is a fault in rolecall");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::witness;

    #[test]
    fn panics_are_counted_and_logged_without_their_text() {
        let panics = Counter::default();
        let usual = panic::take_hook();
        install(panics.clone());
        let lines = witness::of(|| {
            let caught = panic::catch_unwind(|| panic!("hunter2"));
            assert!(caught.is_err());
        });
        panic::set_hook(usual);
        assert!(panics.get() >= 1);
        assert!(lines.contains("place=src/telemetry/panics.rs:"), "{lines}");
        assert!(!lines.contains("hunter2"), "{lines}");
    }
}
