//! What a request reports, and the trace that its records bear.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alluvium_aws::Metrics;
use alluvium_aws::trace::TraceHeader;
use alluvium_core::Clock;
use alluvium_ingest::Acceptance;
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
pub(super) async fn request(State(observer): State<Observer>, mut request: Request, next: Next) -> Response {
    let context = request.extensions().get::<Context>().cloned().unwrap_or_default();
    let header = context.xray_trace_id.as_deref().and_then(TraceHeader::read);
    if let Some(trace) = header.and_then(|header| header.parent()) {
        request.extensions_mut().insert(trace);
    }
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

/// Reports an answer that took so long. Lambda hands a request over whole, so that it is the time to the acknowledgement.
fn report(metrics: &mut Metrics, response: &Response, took: Duration) {
    metrics.request(response.status().as_u16());
    if let Some(acceptance) = response.extensions().get::<Acceptance>() {
        metrics.count("EventsAccepted", acceptance.accepted).millis("AcknowledgeMilliseconds", took);
    }
}

#[cfg(test)]
mod tests {
    use alluvium_ingest::Receipt;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_answer_is_counted_and_what_it_acknowledges() {
        let took = Duration::from_micros(1_500);
        let said = |status: u16, accepted: Option<u64>| {
            let mut response = Response::new(axum::body::Body::empty());
            *response.status_mut() = status.try_into().unwrap();
            let acceptance =
                |accepted| Acceptance { dataset: "telemetry".to_owned(), accepted, receipt: Receipt::of([]) };
            if let Some(accepted) = accepted {
                response.extensions_mut().insert(acceptance(accepted));
            }
            let mut metrics = Metrics::new("test");
            report(&mut metrics, &response, took);
            let lines: Vec<Value> = metrics.lines(0).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
            let whole = ["EventsAccepted", "AcknowledgeMilliseconds"].map(|name| lines[0][name].clone());
            (lines[1]["Status"].clone(), lines[1]["Requests"].clone(), whole)
        };
        assert_eq!(said(202, Some(7)), (json!("2xx"), json!(1), [json!(7), json!(1.5)]));
        assert_eq!(said(413, None), (json!("4xx"), json!(1), [Value::Null, Value::Null]));
    }
}
