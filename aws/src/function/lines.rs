//! The lines of a function's log: one JSON object each, flat, with whose invocation it is of.
//!
//! `timestamp`, `level`, `target` and the event's own fields, `message` among them; `request_id` and `trace_id` of the invocation. A field
//! of the event that is called as one of these is left out.

use std::fmt;

use serde_json::{Map, Value};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::fields::Fields;
use crate::trace::invocation_of;

/// What begins the names of the fields of a line that came through the crate `log`. One of them is its target.
const OF_LOG: &str = "log.";

/// Writes such lines.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let mut fields = Fields::default();
        event.record(&mut fields);
        let target = fields.text("log.target").unwrap_or(event.metadata().target());
        let mut line = Map::new();
        line.insert("timestamp".to_owned(), timestamp.into());
        line.insert("level".to_owned(), event.metadata().level().as_str().into());
        line.insert("target".to_owned(), target.into());
        if let Some(invocation) =
            context.event_scope().and_then(|mut spans| spans.find_map(|span| invocation_of(&span)))
        {
            line.insert("request_id".to_owned(), invocation.request_id().into());
            line.extend(invocation.header().map(|header| ("trace_id".to_owned(), header.root.as_str().into())));
        }
        for (name, value) in fields.0.into_iter().filter(|(name, _)| !name.starts_with(OF_LOG)) {
            line.entry(name).or_insert(value);
        }
        writeln!(writer, "{}", Value::Object(line))
    }
}
