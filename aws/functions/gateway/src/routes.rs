//! The gateway's routes behind API Gateway: each request has the writer that the authorizer names (AU-1).

mod observed;

use alluvium_aws::function::caller;
use alluvium_core::{Caller, Problem, Role};
use alluvium_ingest::ProblemAnswer;
use alluvium_ingest::gateway::{Gateway, Writer, router};
use alluvium_ingest::uploads::{Desk, desk_router};
use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use lambda_http::request::RequestContext;
use serde_json::Value;

pub use observed::Observer;

/// The routes of this gateway, and those about uploads where there are any.
pub fn of(gateway: Gateway, uploads: Option<Desk>, observer: Observer) -> Router {
    let events = router(gateway);
    let all = match uploads {
        Some(desk) => events.merge(desk_router(desk)),
        None => events,
    };
    let routes = all.layer(middleware::from_fn(identified)).fallback(nothing_there);
    routes.layer(middleware::from_fn_with_state(observer, observed::request))
}

async fn identified(mut request: Request, next: Next) -> Response {
    match writer(&request) {
        Ok((caller, writer)) => {
            request.extensions_mut().insert(caller);
            request.extensions_mut().insert(writer);
            next.run(request).await
        }
        Err(problem) => ProblemAnswer(problem).into_response(),
    }
}

/// Who calls, and whose events the request brings. The authorizer has checked the role; it is checked again, because its verdict may have been
/// remembered for a path that two routes share.
fn writer(request: &Request) -> Result<(Caller, Writer), Problem> {
    let said = |name| match request.extensions().get() {
        Some(RequestContext::ApiGatewayV2(context)) => {
            context.authorizer.as_ref()?.fields.get(name).and_then(Value::as_str)
        }
        _ => None,
    };
    let caller = caller(said("owner"), said("roles"))?;
    if !caller.roles().permit(Role::Write) {
        let detail = format!("writing events needs the role `{}`, or `data.admin`", Role::Write);
        return Err(Problem::new(403, "role-missing", detail));
    }
    let writer = Writer::of(&caller, request.uri())?;
    Ok((caller, writer))
}

async fn nothing_there(request: Request) -> ProblemAnswer {
    let detail = format!("there is nothing at {}; events are sent to /v1/{{dataset}} or /data", request.uri().path());
    ProblemAnswer(Problem::new(404, "no-such-route", detail))
}

#[cfg(test)]
mod tests;
