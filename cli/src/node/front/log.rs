//! The access log: one line a request, without what it is about.
//!
//! What succeeds is told at `debug` (`verbosity` of `info,access=debug`), what is refused at `info`, what fails at `warn`.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use tower_http::request_id::RequestId;

/// The target by which the log is told from others.
const TARGET: &str = "access";

/// Logs and counts a request. Of its address only the route is told: sources and owners stand in the rest.
pub async fn log(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let id = request.extensions().get::<RequestId>().and_then(|id| id.header_value().to_str().ok()).unwrap_or_default();
    let id: String = id.chars().take(80).collect();
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
