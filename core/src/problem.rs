//! Problem documents: what every error of the HTTP API looks like (RFC 9457, "Problem Details for HTTP APIs").

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The media type of a problem document.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// One problem document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// A stable name of the kind of problem, as a URI reference: `/problems/body-too-large`.
    #[serde(rename = "type")]
    #[schema(example = "/problems/unknown-dataset")]
    pub kind: String,
    /// The kind of problem in a few words, the same each time.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What was wrong this time, where, and what would be right.
    pub detail: String,
    /// After how many seconds the same request may go through.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub retry_after_seconds: Option<u64>,
}

impl Problem {
    /// A problem of the kind `/problems/<slug>`; its title is the slug in words.
    pub fn new(status: u16, slug: &str, detail: impl Into<String>) -> Self {
        let mut title = slug.replace('-', " ");
        if let Some(first) = title.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        Self { kind: format!("/problems/{slug}"), title, status, detail: detail.into(), retry_after_seconds: None }
    }

    /// The same problem, with the advice to try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// The document's bytes.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a problem holds only text and numbers")
    }
}
