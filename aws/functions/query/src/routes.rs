//! The routes behind API Gateway: each request reads what its caller may see (AU-1).

mod document;
mod fitting;
mod observed;

use alluvium_aws::function::caller;
use alluvium_core::{Caller, Datasets, Problem, Role};
use alluvium_query::Records;
use alluvium_query::api::{RecordsApi, problem_response, records_routes};
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use lambda_http::request::RequestContext;
use serde_json::{Value, json};

pub use observed::Observer;

/// The routes that read these records of these datasets, and those of statements and reports for `data.admin` alone. `keys` are the routes that the
/// stage has, this function's and others', of which `GET /openapi.json` tells.
pub fn of(records: Records, datasets: &Datasets, admins: Router, keys: Vec<String>, observer: Observer) -> Router {
    let about = health_of(datasets);
    // Every request has a caller, see `reads_own`; one that had none and named no owner would read nobody's, whose name is empty.
    let records = records_routes(RecordsApi { records, owner: Some(String::new()) })
        .route("/v1/{dataset}/live", get(no_tail))
        .route_layer(middleware::from_fn(reads_own));
    let admins = if admins.has_routes() { admins.route_layer(middleware::from_fn(admin_alone)) } else { admins };
    Router::new()
        .route("/health", get(async || Json(about)))
        .merge(document::routes(keys))
        .merge(records)
        .merge(admins)
        .fallback(nothing_there)
        .method_not_allowed_fallback(not_allowed)
        .layer(middleware::map_response(fitting::response))
        .layer(middleware::from_fn_with_state(observer, observed::request))
}

/// What `GET /health` says, as a node does, so that the console begins alike. An answer at all says that requests reach the function and
/// that it has started: its settings and schemas can be used.
fn health_of(datasets: &Datasets) -> Value {
    json!({"status": "ok", "version": env!("CARGO_PKG_VERSION"), "datasets": datasets.names(), "tokens": true})
}

/// The live tail of a node, which a function cannot have.
async fn no_tail() -> Response {
    let detail = "a function behind an HTTP API holds no connection open, so that there are no live tails on AWS; \
                  poll `GET /v1/{dataset}?after=newest`, and go on with `after=` and the answer's `next`";
    problem_response(&Problem::new(501, "no-live-tail", detail))
}

/// Lets a caller with the role read, and says who it is: the route keeps to what that caller may see. The authorizer has checked the
/// role; it is checked again, because its verdict may have been remembered for a path that two routes share.
async fn reads_own(mut request: Request, next: Next) -> Response {
    let detail = format!("reading records needs the role `{}`, or `data.admin`", Role::Read);
    match permitted(&request, Role::Read, detail) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem_response(&problem),
    }
}

/// Lets a caller run SQL, which sees everybody's data.
async fn admin_alone(mut request: Request, next: Next) -> Response {
    let detail = "SQL and reports see everybody's data, so they need the role `data.admin`; \
                  `GET /v1/{dataset}` reads your own records with `data.read`";
    match permitted(&request, Role::Admin, detail.to_owned()) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem_response(&problem),
    }
}

fn permitted(request: &Request, role: Role, detail: String) -> Result<Caller, Problem> {
    let said = |name| match request.extensions().get() {
        Some(RequestContext::ApiGatewayV2(context)) => {
            context.authorizer.as_ref()?.fields.get(name).and_then(Value::as_str)
        }
        _ => None,
    };
    let caller = caller(said("owner"), said("roles"))?;
    if caller.roles().permit(role) { Ok(caller) } else { Err(Problem::new(403, "role-missing", detail)) }
}

async fn nothing_there(request: Request) -> Response {
    let detail = format!("there is nothing at {}; records are at /v1/{{dataset}} and /data", request.uri().path());
    problem_response(&Problem::new(404, "no-such-route", detail))
}

async fn not_allowed(request: Request) -> Response {
    let detail = format!("{} is not allowed at {}", request.method(), request.uri().path());
    problem_response(&Problem::new(405, "method-not-allowed", detail))
}

#[cfg(test)]
mod tests;
