//! systemd's journal, in its native protocol with each field as a field of its own.

use std::io;

use tracing::field::Value as TracingValue;
use tracing::{Event, Subscriber};
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::{Layer, Layered};

use super::queue::Target;
use super::record::{Record, Value};
use super::render::Beside;

/// Prefix of our fields in the journal: `ROLECALL_ROLE`, `ROLECALL_EVENT` and so on, to be found by
/// `journalctl ROLECALL_ROLE=prod/web`. Fields without one could forge the journal's own.
const FIELD_PREFIX: &str = "ROLECALL";

/// Fails where no journal listens.
pub(super) fn open() -> io::Result<Box<dyn Target>> {
    // The default maps INFO to NOTICE, which `journalctl` prints in bold.
    let priorities = PriorityMappings {
        info: Priority::Informational,
        debug: Priority::Debug,
        trace: Priority::Debug,
        ..PriorityMappings::new()
    };
    let layer = tracing_journald::layer()?
        .with_field_prefix(Some(FIELD_PREFIX.to_owned()))
        .with_syslog_identifier("rolecall".to_owned())
        .with_priority_mappings(priorities);
    Ok(Box::new(Journal(
        layer.with_subscriber(Registry::default()),
    )))
}

/// The journal's layer over a registry of its own, which is never installed: events are played to
/// it on the target's thread, since sending to a stopped journal blocks.
struct Journal(Layered<tracing_journald::Layer, Registry>);

impl Target for Journal {
    fn write(&mut self, record: &Record) -> io::Result<()> {
        // `journalctl` and `systemctl status` show the message alone.
        let sentence = format!("{}{}", record.message(), Beside(record));
        let sentence: &dyn TracingValue = &sentence;
        let values: Vec<Option<&dyn TracingValue>> = record
            .values()
            .map(|(is_message, value)| match value {
                Some(_) if is_message => Some(sentence),
                other => other.map(as_value),
            })
            .collect();
        let values = record.metadata.fields().value_set_all(&values);
        self.0.event(&Event::new(record.metadata, &values));
        Ok(())
    }
}

fn as_value(value: &Value) -> &dyn TracingValue {
    match value {
        Value::Text(text) => text,
        Value::Unsigned(number) => number,
        Value::Signed(number) => number,
        Value::Float(number) => number,
        Value::Bool(truth) => truth,
    }
}
