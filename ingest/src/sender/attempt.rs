//! One attempt to send a body, and what its answer means.

use std::time::Duration;

use alluvium_core::Problem;
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use reqwest::{Client, Response, Url};

use super::SenderSettings;
use crate::Acceptance;

/// The most bytes of an answer that are read. A receipt of a full request takes a few thousand.
const ANSWER_BYTES: usize = 256 * 1024;

/// What became of one attempt.
#[derive(Debug)]
pub(super) enum Attempt {
    /// The gateway holds the events durably.
    Accepted(Acceptance),
    /// It may go through later.
    Later { problem: String, retry_after: Option<Duration> },
    /// It would be refused again.
    Refused { status: u16, detail: String },
}

/// Posts a body once.
pub(super) async fn post(
    client: &Client,
    url: &Url,
    settings: &SenderSettings,
    payload: Bytes,
    idempotency_key: &str,
) -> Attempt {
    let mut request = client
        .post(url.clone())
        .header(CONTENT_TYPE, "application/x-ndjson")
        .header("idempotency-key", idempotency_key)
        .body(payload);
    if let Some(encoding) = settings.encoding.header() {
        request = request.header(CONTENT_ENCODING, encoding);
    }
    match request.send().await {
        Ok(response) => understand(response).await,
        Err(error) if error.is_builder() => Attempt::Refused { status: 0, detail: causes(&error) },
        Err(error) => Attempt::Later { problem: causes(&error), retry_after: None },
    }
}

async fn understand(response: Response) -> Attempt {
    let status = response.status();
    let header = |name| response.headers().get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
    let retry_after = header(RETRY_AFTER).and_then(|value| value.trim().parse().ok()).map(Duration::from_secs);
    let location = header(LOCATION).map(str::to_owned);
    let answer = match read_answer(response).await {
        Ok(answer) => answer,
        // The events may have been stored; sent again under the same key they are the same ones.
        Err(problem) => return Attempt::Later { problem: format!("status {status}, then {problem}"), retry_after },
    };
    if status.is_success() {
        return match serde_json::from_slice(&answer) {
            Ok(acceptance) => Attempt::Accepted(acceptance),
            Err(error) => Attempt::Refused {
                status: status.as_u16(),
                detail: format!("the answer is no acceptance ({error}); is this address a gateway's?"),
            },
        };
    }
    let detail = match (serde_json::from_slice::<Problem>(&answer), location) {
        (Ok(problem), _) => problem.detail,
        (Err(_), Some(location)) => format!("moved to {location}; send there"),
        (Err(_), None) => String::from_utf8_lossy(&answer).chars().take(200).collect(),
    };
    if may_go_through_later(status) {
        return Attempt::Later { problem: format!("status {}: {detail}", status.as_u16()), retry_after };
    }
    Attempt::Refused { status: status.as_u16(), detail }
}

fn may_go_through_later(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

async fn read_answer(mut response: Response) -> Result<Vec<u8>, String> {
    let mut answer = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| causes(&error))? {
        if answer.len() + chunk.len() > ANSWER_BYTES {
            return Err(format!("an answer of more than {ANSWER_BYTES} bytes"));
        }
        answer.extend_from_slice(&chunk);
    }
    Ok(answer)
}

/// An error and its causes in one line: the HTTP client's own text leaves out what the system said.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
