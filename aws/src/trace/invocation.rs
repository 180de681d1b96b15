//! One invocation, as its spans know it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use alluvium_core::clock::Micros;
use serde_json::json;

use super::TraceHeader;
use super::document::{Document, id_of, seconds};

/// The most steps that are kept for the traces of requests.
const MOST_STEPS: usize = 64;

/// What its log lines, its steps and the requests that it carries on are told by.
#[derive(Debug)]
pub(crate) struct Invocation {
    request_id: String,
    header: Option<TraceHeader>,
    begun: Micros,
    /// Those that have ended.
    steps: Mutex<Vec<Document>>,
    /// What was noted for its metrics.
    noted: Mutex<BTreeMap<&'static str, u64>>,
}

impl Invocation {
    pub(super) fn new(request_id: String, header: Option<TraceHeader>, begun: Micros) -> Self {
        Self { request_id, header, begun, steps: Mutex::default(), noted: Mutex::default() }
    }

    /// Lambda's id of it, by which its log and Lambda's own lines are told.
    pub(crate) fn request_id(&self) -> &str {
        &self.request_id
    }

    pub(crate) fn header(&self) -> Option<&TraceHeader> {
        self.header.as_ref()
    }

    /// Adds to a number that its metrics are to have.
    pub(crate) fn note(&self, name: &'static str, things: u64) {
        *self.noted.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default() += things;
    }

    /// What was noted since this was last asked.
    pub(crate) fn take_noted(&self) -> BTreeMap<&'static str, u64> {
        std::mem::take(&mut *self.noted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn ended(&self, step: Document) {
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        if steps.len() < MOST_STEPS {
            steps.push(step);
        }
    }

    /// The segment of what was done for a batch until now; without trace, id and parent.
    pub(super) fn document(&self, name: &str, now: Micros, batch: &str) -> Document {
        let steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        // In another trace, and in it once for each batch, so that they are other subsegments than the invocation's own.
        let subsegments = steps.iter().map(|step| Document {
            id: id_of(&format!("{} {batch}", step.id)),
            kind: None,
            trace_id: None,
            parent_id: None,
            ..step.clone()
        });
        let mut document = Document {
            name: name.to_owned(),
            start_time: seconds(self.begun),
            end_time: seconds(now),
            subsegments: subsegments.collect(),
            ..Document::default()
        };
        document.annotations.insert("batch".to_owned(), json!(batch));
        document.annotations.insert("request_id".to_owned(), json!(self.request_id));
        if let Some(header) = &self.header {
            document.annotations.insert("invocation_trace".to_owned(), json!(header.root));
        }
        document
    }
}
