//! Traces in AWS X-Ray: which one an invocation belongs to, what its steps took, and which requests it carries on.

mod header;

pub use header::TraceHeader;
