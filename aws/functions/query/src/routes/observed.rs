//! What a request reports.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alluvium_aws::Metrics;
use alluvium_core::Clock;
use alluvium_query::api::Completeness;
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;
use lambda_http::Context;
use lambda_http::request::RequestContext;

/// Under which name an answer says how API Gateway's log calls its request, as a node's answers do.
const REQUEST_ID: &str = "x-request-id";

/// Knows whose metrics they are, and the time.
#[derive(Debug, Clone)]
pub struct Observer {
    pub stage: Arc<str>,
    pub clock: Arc<dyn Clock>,
}

/// Answers a request, and writes its metrics.
pub(super) async fn request(State(observer): State<Observer>, request: Request, next: Next) -> Response {
    let context = request.extensions().get::<Context>().cloned().unwrap_or_default();
    let id = request_id(&request);
    let begun = Instant::now();
    let mut response = next.run(request).await;
    if let Some(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    let mut metrics = Metrics::of(&*observer.stage, &context);
    report(&mut metrics, &response, begun.elapsed());
    metrics.flush(observer.clock.now_micros());
    response
}

/// How API Gateway calls a request.
fn request_id(request: &Request) -> Option<HeaderValue> {
    match request.extensions().get() {
        Some(RequestContext::ApiGatewayV2(context)) => context.request_id.as_deref()?.parse().ok(),
        _ => None,
    }
}

/// Reports an answer that took so long: every one by its status, and reads of records by what they are about.
fn report(metrics: &mut Metrics, response: &Response, took: Duration) {
    metrics.request(response.status().as_u16()).count("StatementsFailed", 0);
    if let Some(read) = response.extensions().get::<Completeness>() {
        metrics.millis("ReadMilliseconds", took).count("IncompleteReads", u64::from(!read.complete));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_answer_is_counted_and_a_read_by_whether_it_is_complete() {
        let said = |status: u16, complete: Option<bool>| {
            let mut response = Response::new(axum::body::Body::empty());
            *response.status_mut() = status.try_into().unwrap();
            if let Some(complete) = complete {
                response.extensions_mut().insert(Completeness { complete });
            }
            let mut metrics = Metrics::new("test");
            report(&mut metrics, &response, Duration::from_micros(1_500));
            let lines: Vec<Value> = metrics.lines(0).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
            let whole = ["ReadMilliseconds", "IncompleteReads"].map(|name| lines[0][name].clone());
            (lines[1]["Status"].clone(), lines[1]["Requests"].clone(), whole)
        };
        assert_eq!(said(200, Some(true)), (json!("2xx"), json!(1), [json!(1.5), json!(0)]));
        assert_eq!(said(200, Some(false)), (json!("2xx"), json!(1), [json!(1.5), json!(1)]));
        assert_eq!(said(503, None), (json!("5xx"), json!(1), [Value::Null, Value::Null]));
    }
}
