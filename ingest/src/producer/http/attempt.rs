//! One attempt to send a body, and what its answer means.

use std::time::Duration;

use alluvium_core::Problem;
use alluvium_core::destination::CallEffect;
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use reqwest::{Client, Response, Url};

use super::BodyEncoding;
use crate::Acceptance;

/// The most bytes of an answer that are read. A receipt of a full request takes a few thousand.
const ANSWER_BYTES: usize = 256 * 1024;

/// What became of one attempt.
#[derive(Debug)]
pub(super) enum Attempt {
    /// The gateway holds the events durably.
    Accepted(Acceptance),
    /// It may go through later.
    Later { problem: String, retry_after: Option<Duration>, effect: CallEffect },
    /// It would be refused again.
    Refused { status: u16, detail: String },
}

/// Posts a body once.
pub(super) async fn post(
    client: &Client,
    url: &Url,
    encoding: BodyEncoding,
    body: &Bytes,
    idempotency_key: &str,
) -> Attempt {
    let mut request = client
        .post(url.clone())
        .header(CONTENT_TYPE, "application/x-ndjson")
        .header("idempotency-key", idempotency_key)
        .body(encoding.encode(body));
    if let Some(encoding) = encoding.header() {
        request = request.header(CONTENT_ENCODING, encoding);
    }
    match request.send().await {
        Ok(response) => understand(response).await,
        Err(error) if error.is_builder() => Attempt::Refused { status: 0, detail: causes(&error) },
        Err(error) => {
            // Without a connection nothing was sent.
            let effect = if error.is_connect() { CallEffect::NothingStored } else { CallEffect::Unknown };
            Attempt::Later { problem: causes(&error), retry_after: None, effect }
        }
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
        Err(problem) => {
            let problem = format!("status {status}, then {problem}");
            return Attempt::Later { problem, retry_after, effect: CallEffect::Unknown };
        }
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
        let (problem, effect) = (format!("status {}: {detail}", status.as_u16()), effect_of(status));
        return Attempt::Later { problem, retry_after, effect };
    }
    Attempt::Refused { status: status.as_u16(), detail }
}

/// What is known of the events when this status was the answer.
fn effect_of(status: StatusCode) -> CallEffect {
    match status.as_u16() {
        // A gateway answers so before it stores anything.
        425 | 429 => CallEffect::NothingStored,
        // Some of a request's records may be stored when it could not store the others.
        _ => CallEffect::Unknown,
    }
}

fn may_go_through_later(status: StatusCode) -> bool {
    // Whoever answers for a gateway with another 5xx may have passed the request on before.
    matches!(status.as_u16(), 408 | 425 | 429) || (status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED)
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
