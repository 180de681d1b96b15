//! The access log: one line a request, without what it is about.
//!
//! What succeeds is told at `debug` (`verbosity` of `info,access=debug`), what is refused at `info`, what fails at `warn`.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tower_http::request_id::RequestId;

/// The target by which the log is told from others.
const TARGET: &str = "access";

/// The most characters of a request's id.
const ID_CHARS: usize = 128;

const ID: HeaderName = HeaderName::from_static("x-request-id");

/// The same request without the id that it came with, where that is too long to be answered and logged, or no visible ASCII: it gets one here.
pub async fn without_an_odd_id(mut request: Request) -> Request {
    let fits = |id: &HeaderValue| (1..=ID_CHARS).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic);
    if request.headers().get(ID).is_some_and(|id| !fits(id)) {
        request.headers_mut().remove(ID);
    }
    request
}

/// Logs and counts a request. Of its address only the route is told: sources and owners stand in the rest.
pub async fn log(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let id = request.extensions().get::<RequestId>().and_then(|id| id.header_value().to_str().ok()).unwrap_or_default();
    let id = id.to_owned();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let response = next.run(request).await;
    let status = response.status().as_u16();
    let took_ms = began.elapsed().as_secs_f64() * 1e3;
    match status {
        500.. => tracing::warn!(target: TARGET, %method, route, status, took_ms, id, "a request failed"),
        400.. => tracing::info!(target: TARGET, %method, route, status, took_ms, id, "a request was refused"),
        _ => tracing::debug!(target: TARGET, %method, route, status, took_ms, id, "a request"),
    }
    response
}
