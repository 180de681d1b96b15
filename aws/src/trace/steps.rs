//! A layer that makes subsegments of spans.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alluvium_core::Clock;
use alluvium_core::clock::Micros;
use serde_json::Value;
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::daemon::Daemon;
use super::document::{Document, id_of, name_of, seconds};
use super::invocation::Invocation;
use super::{STEP, TraceHeader};
use crate::fields::Fields;

/// The target of the span that the runtime opens for each invocation: `lambda_runtime::layers::TracingLayer`.
pub(crate) const INVOCATION: &str = "lambda_runtime::layers::trace";

/// Knows the invocation that spans belong to, and sends what its steps took to X-Ray.
#[derive(Debug)]
pub struct Steps {
    /// The function's.
    name: String,
    daemon: Option<Daemon>,
    clock: Arc<dyn Clock>,
    /// So that steps which begin in the same microsecond have ids of their own.
    begun: AtomicU64,
}

/// What spans within this one belong to.
#[derive(Debug, Clone)]
struct Within {
    invocation: Arc<Invocation>,
    /// The id of the segment or subsegment; `None`: the invocation has no trace.
    id: Option<String>,
}

/// A step under way.
#[derive(Debug)]
struct Step {
    begun: Micros,
    said: Fields,
    /// The id of the segment or subsegment that it belongs to.
    parent: Option<String>,
}

impl Steps {
    /// Of the function of this name; without a daemon nothing is sent.
    pub fn new(name: &str, daemon: Option<Daemon>, clock: Arc<dyn Clock>) -> Self {
        Self { name: name_of(name), daemon, clock, begun: AtomicU64::new(0) }
    }

    /// Whether a span is one that this layer is to see.
    pub fn wants(metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && [STEP, INVOCATION].contains(&metadata.target())
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn now(&self) -> Micros {
        self.clock.now_micros()
    }

    pub(super) fn send(&self, document: &Document) {
        if let Some(daemon) = &self.daemon {
            daemon.send(document);
        }
    }

    fn opened(&self, said: &Fields) -> Within {
        let header = said.text("xrayTraceId").and_then(TraceHeader::read);
        let id = header.as_ref().and_then(|header| header.parent.clone());
        let request_id = said.text("requestId").unwrap_or_default().to_owned();
        Within { invocation: Arc::new(Invocation::new(request_id, header, self.now())), id }
    }

    fn ended(&self, name: &str, step: Step, within: Within) {
        let Some(id) = within.id else { return };
        let Fields(mut fields) = step.said;
        let of = fields.remove("of").and_then(|of| of.as_str().map(|of| format!("{name} {of}")));
        let fault = fields.remove("fault").is_some_and(|fault| fault == Value::Bool(true));
        let header = within.invocation.header();
        let document = Document {
            name: name_of(of.as_deref().unwrap_or(name)),
            id,
            start_time: seconds(step.begun),
            end_time: seconds(self.now()),
            kind: Some("subsegment"),
            trace_id: header.map(|header| header.root.clone()),
            parent_id: step.parent,
            fault,
            annotations: fields,
            subsegments: Vec::new(),
        };
        if header.is_some_and(|header| header.sampled) {
            self.send(&document);
        }
        within.invocation.ended(document);
    }
}

/// The invocation that a span belongs to, if it says so itself.
pub(crate) fn invocation_of<'a, S: LookupSpan<'a>>(span: &SpanRef<'a, S>) -> Option<Arc<Invocation>> {
    span.extensions().get::<Within>().map(|within| within.invocation.clone())
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Steps {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut said = Fields::default();
        attributes.record(&mut said);
        if attributes.metadata().target() == INVOCATION {
            let within = self.opened(&said);
            span.extensions_mut().insert(within);
            return;
        }
        let around = span.scope().skip(1).find_map(|span| span.extensions().get::<Within>().cloned());
        let Some(Within { invocation, id: parent }) = around else { return };
        let begun = self.now();
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        let id = parent.as_ref().map(|parent| id_of(&format!("{parent} {begun} {number}")));
        let mut extensions = span.extensions_mut();
        extensions.insert(Within { invocation, id });
        extensions.insert(Step { begun, said, parent });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(step) = span.extensions_mut().get_mut::<Step>()
        {
            values.record(&mut step.said);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let mut extensions = span.extensions_mut();
        if let (Some(step), Some(within)) = (extensions.remove::<Step>(), extensions.remove::<Within>()) {
            self.ended(span.name(), step, within);
        }
    }
}
