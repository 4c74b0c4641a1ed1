//! One event, copied so that it can leave the thread that logged it.

use std::fmt::{self, Debug};
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata};

use crate::telemetry::error_chain;

/// An event with its fields' values and its time.
pub(super) struct Record {
    pub(super) time: SystemTime,
    pub(super) metadata: &'static Metadata<'static>,
    /// By field index, as `metadata.fields()` numbers them.
    values: Box<[Option<Value>]>,
}

/// A field's value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Text(String),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
}

/// The field that holds an event's text.
const MESSAGE: &str = "message";

impl Record {
    pub(super) fn of(event: &Event<'_>, time: SystemTime) -> Self {
        let metadata = event.metadata();
        let mut values = Values(vec![None; metadata.fields().len()]);
        event.record(&mut values);
        Self {
            time,
            metadata,
            values: values.0.into_boxed_slice(),
        }
    }

    pub(super) fn level(&self) -> Level {
        *self.metadata.level()
    }

    pub(super) fn target(&self) -> &'static str {
        self.metadata.target()
    }

    /// The constant text.
    pub(super) fn message(&self) -> &str {
        let message = self.all().find(|(name, _)| *name == MESSAGE);
        message
            .and_then(|(_, value)| value.text())
            .unwrap_or_default()
    }

    /// The fields beside the message.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.all().filter(|(name, _)| *name != MESSAGE)
    }

    /// The value of every field in its order, and whether it is the message.
    pub(super) fn values(&self) -> impl Iterator<Item = (bool, Option<&Value>)> {
        let names = self.metadata.fields().iter().map(|field| field.name());
        names
            .zip(&self.values)
            .map(|(name, value)| (name == MESSAGE, value.as_ref()))
    }

    fn all(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        let names = self.metadata.fields().iter().map(|field| field.name());
        names
            .zip(&self.values)
            .filter_map(|(name, value)| Some((name, value.as_ref()?)))
    }
}

impl Value {
    fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self {
            Some(text)
        } else {
            None
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Unsigned(number) => write!(f, "{number}"),
            Self::Signed(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number}"),
            Self::Bool(truth) => write!(f, "{truth}"),
        }
    }
}

struct Values(Vec<Option<Value>>);

impl Values {
    fn set(&mut self, field: &Field, value: Value) {
        if let Some(slot) = self.0.get_mut(field.index()) {
            *slot = Some(value);
        }
    }
}

impl Visit for Values {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, Value::Text(value.to_owned()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, Value::Unsigned(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, Value::Signed(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, Value::Float(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, Value::Bool(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.set(field, Value::Text(error_chain(value)));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.set(field, Value::Text(format!("{value:?}")));
    }
}
