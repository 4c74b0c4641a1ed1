//! What this thread logs while a test does something.

use std::fmt::{self, Debug, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// The events as lines of `LEVEL field=value …`.
pub(super) fn of(does: impl FnOnce()) -> String {
    let witness = Witness::default();
    let subscriber = Registry::default().with(witness.clone());
    tracing::subscriber::with_default(subscriber, does);
    let lines = witness.0.lock().unwrap_or_else(PoisonError::into_inner);
    lines.clone()
}

#[derive(Clone, Default)]
struct Witness(Arc<Mutex<String>>);

impl<S: Subscriber> Layer<S> for Witness {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push_str(&line.0);
        lines.push('\n');
    }
}

struct Line(String);

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a String cannot fail.
        let _: fmt::Result = write!(self.0, " {}={value:?}", field.name());
    }
}
