//! Traces in AWS X-Ray: what the steps of an invocation took, and which requests it carried on.
//!
//! Lambda makes the segment of an invocation and says in `_X_AMZN_TRACE_ID` which trace it is of. A *step* is a `tracing` span with the
//! target [`STEP`]; [`Steps`] sends each that ends to X-Ray's daemon as a subsegment. So a stage names its steps and knows nothing of
//! X-Ray, and where nobody looks they cost nothing.
//!
//! X-Ray does not follow a request through Kinesis and Firehose: there another invocation begins, with a trace of its own. So a request
//! that is sampled leaves its [`TraceParent`] with its records, and [`follow`] says in the *request's* trace what a later invocation did for
//! it: a segment below the one before, with the invocation's steps in it.
//!
//! ```text
//! gateway, Lambda's segment ── put records
//!   └─ transform (follow) ── transform, store file, store hot, store message, enqueue
//!        └─ commit (follow) ── commit telemetry, commit dead_letters
//! ```
//!
//! Nothing here fails or waits: what the daemon does not take is not seen, and does no other harm.
//!
//! Sources: AWS X-Ray Developer Guide, "AWS X-Ray segment documents" and "AWS X-Ray daemon"; AWS Lambda Developer Guide, "Lambda
//! environment variables".

mod daemon;
mod document;
mod header;
mod invocation;
mod steps;

use alluvium_core::TraceParent;
pub use alluvium_core::trace::STEP;
use tracing::Span;
use tracing_subscriber::Registry;
use tracing_subscriber::registry::LookupSpan as _;

pub use daemon::Daemon;
pub use header::TraceHeader;
pub use steps::Steps;

pub(crate) use invocation::Invocation;
pub(crate) use steps::{INVOCATION, invocation_of};

use document::Document;

/// What a request is followed by: the first invocation that works on its records has the request's own segment before it, each further
/// one the segment of the invocation before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Out of the stream.
    Transform,
    /// Into the tables.
    Commit,
}

/// The most requests that an invocation says something of.
const MOST_FOLLOWED: usize = 32;

/// Says in the traces of these requests, each with the batch in which its records were, that the invocation under way worked on it: from
/// its beginning until now, and by its steps so far.
pub fn follow<'a>(stage: Stage, requests: impl IntoIterator<Item = (&'a TraceParent, &'a str)>) {
    let mut requests = requests.into_iter().take(MOST_FOLLOWED).peekable();
    if requests.peek().is_none() {
        return;
    }
    with_current(|steps, invocation| {
        requests.for_each(|(parent, batch)| {
            let before = match stage {
                Stage::Transform => format!("{:016x}", parent.span()),
                Stage::Commit => segment_of(Stage::Transform, parent, batch),
            };
            steps.send(&Document {
                id: segment_of(stage, parent, batch),
                trace_id: Some(header::root_of(parent)),
                parent_id: Some(before),
                ..invocation.document(steps.name(), steps.now(), batch)
            });
        });
    });
}

/// The span of an invocation, as the runtime opens it for those that it calls.
pub fn invocation_span(request_id: &str, trace: Option<&str>) -> Span {
    tracing::info_span!(target: INVOCATION, "Lambda runtime invoke", requestId = request_id, xrayTraceId = trace)
}

/// The header with which the invocation under way asks others for something; `None`: there is none, or it has no trace.
pub fn header() -> Option<TraceHeader> {
    let mut header = None;
    with_current(|_, invocation| header = invocation.header().cloned());
    header
}

/// The id of the segment that a stage leaves in the trace of a request for a batch: the same whoever makes it out, and how often.
fn segment_of(stage: Stage, parent: &TraceParent, batch: &str) -> String {
    document::id_of(&format!("{stage:?} {parent} {batch}"))
}

pub(crate) fn with_current(tell: impl FnOnce(&Steps, &Invocation)) {
    Span::current().with_subscriber(|(id, subscriber)| {
        let steps = subscriber.downcast_ref::<Steps>();
        let span = subscriber.downcast_ref::<Registry>().and_then(|registry| registry.span(id));
        if let (Some(steps), Some(span)) = (steps, span) {
            let invocation = span.scope().find_map(|span| invocation_of(&span));
            if let Some(invocation) = invocation {
                tell(steps, &invocation);
            }
        }
    });
}

#[cfg(test)]
mod tests;
