//! A problem document as an HTTP answer.

use alluvium_core::Problem;
use alluvium_core::problem::PROBLEM_JSON;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};

/// Answers with a problem document: its status, its media type, and `Retry-After` when it advises to try again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProblemAnswer(pub Problem);

impl IntoResponse for ProblemAnswer {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, self.0.to_json()).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(seconds) = self.0.retry_after_seconds {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
