//! Answers that fit what an invocation may return.

use alluvium_core::Problem;
use alluvium_core::limits::INVOCATION_BYTES;
use alluvium_query::api::problem_response;
use axum::body::{Body, to_bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;

/// What the status, the headers and the names around the body take at most.
const AROUND_BYTES: usize = 16 * 1024;

/// The answer itself, or a problem where it is too large to be returned: API Gateway would answer that with an error of its own.
pub async fn response(response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let media_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let written = if goes_as_text(media_type) { as_json_text } else { as_base64 };
    match to_bytes(body, INVOCATION_BYTES).await {
        Ok(bytes) if written(&bytes) <= INVOCATION_BYTES - AROUND_BYTES => {
            Response::from_parts(parts, Body::from(bytes))
        }
        _ => {
            let detail = "the answer is larger than the 6 MB that can be returned at once; ask with a smaller `limit`";
            problem_response(&Problem::new(422, "answer-too-large", detail))
        }
    }
}

/// Whether a body of this type is written as text: `lambda_http` writes it in base64 unless it knows the type, among the types that
/// are answered here `application/json`, `application/problem+json` and those of `text`.
fn goes_as_text(media_type: &str) -> bool {
    media_type.is_empty()
        || ["application/json", "application/problem+json", "text/"].iter().any(|text| media_type.starts_with(text))
}

fn as_base64(body: &[u8]) -> usize {
    body.len().div_ceil(3) * 4
}

/// How many bytes a body takes as a string of the JSON document that the function returns.
fn as_json_text(body: &[u8]) -> usize {
    let escaped = |byte: &u8| match byte {
        b'"' | b'\\' => 2_usize,
        0..0x20 => 6,
        _ => 1,
    };
    body.iter().map(escaped).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_counted_as_it_is_written() {
        for body in ["", "plain é", "{\"a\": \"b\\\"c\"}", "\u{1}"] {
            let written = serde_json::to_string(body).unwrap();
            assert_eq!(as_json_text(body.as_bytes()), written.len() - 2, "{written}");
        }
    }

    #[tokio::test]
    async fn an_answer_that_cannot_be_returned_is_a_problem() {
        let room = INVOCATION_BYTES - AROUND_BYTES;
        for (body, status) in [("x".repeat(room), 200), ("x".repeat(room + 1), 422), ("\"".repeat(room / 2 + 1), 422)] {
            assert_eq!(response(Response::new(Body::from(body))).await.status(), status);
        }
        for (media_type, bytes, status) in [
            ("application/x-ndjson", room / 4 * 3, 200),
            ("application/x-ndjson", room / 4 * 3 + 4, 422),
            ("application/vnd.apache.arrow.stream", room, 422),
            ("text/csv", room, 200),
            ("application/problem+json", room, 200),
        ] {
            let answer = Response::builder().header(CONTENT_TYPE, media_type).body(Body::from("x".repeat(bytes)));
            assert_eq!(response(answer.unwrap()).await.status(), status, "{media_type} {bytes}");
        }
    }
}
