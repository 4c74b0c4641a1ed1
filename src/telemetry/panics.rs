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
