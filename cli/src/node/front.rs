//! What stands before a node's routes: who calls, how often, and what every answer carries.
//!
//! From the outside in: a request id, the access log, the headers of every answer, other origins (CORS), pages
//! of elsewhere where nobody needs a token, panics; then, for a route that is there, the
//! token and the pace of its owner.

mod guard;
mod log;
mod pace;
mod pages;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LINK, LOCATION,
    REFERRER_POLICY, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::{from_fn, from_fn_with_state, map_request};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::settings::{Cors, Settings};

pub use guard::Guard;
pub use pace::Pace;

/// How long a browser remembers what it was told of other origins.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// The routes behind what stands before them.
///
/// # Errors
///
/// When an origin cannot be one.
pub fn before(routes: Router, guard: Guard, settings: &Settings) -> anyhow::Result<Router> {
    let guarded = routes.route_layer(from_fn_with_state(guard, guard::admit)).layer(CatchPanicLayer::new());
    let guarded = if settings.auth.required {
        guarded
    } else {
        guarded.layer(from_fn_with_state(Arc::new(settings.cors.clone()), pages::refuse_foreign))
    };
    let shared = match cors(&settings.cors)? {
        Some(cors) => guarded.layer(cors),
        None => guarded,
    };
    let unless_set = |name, value| SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value));
    Ok(shared
        .layer(unless_set(X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(unless_set(X_FRAME_OPTIONS, "DENY"))
        .layer(unless_set(REFERRER_POLICY, "no-referrer"))
        .layer(unless_set(CACHE_CONTROL, "no-store"))
        .layer(unless_set(CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"))
        .layer(from_fn(log::log))
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .layer(map_request(log::without_an_odd_id)))
}

/// What web pages of other origins may do; `None`: nothing.
fn cors(settings: &Cors) -> anyhow::Result<Option<CorsLayer>> {
    let origins = settings.origins.iter().map(|origin| {
        let usable = origin == "*" || origin.starts_with("https://") || origin.starts_with("http://");
        anyhow::ensure!(usable && !origin.ends_with('/'), "cors.origins: `{origin}`: expected https://host, or `*`");
        Ok(HeaderValue::try_from(origin)?)
    });
    let origins = origins.collect::<anyhow::Result<Vec<_>>>()?;
    if origins.is_empty() {
        return Ok(None);
    }
    let allowed =
        if origins.iter().any(|origin| origin == "*") { AllowOrigin::any() } else { AllowOrigin::list(origins) };
    let named = |names: [&'static str; 3]| names.map(HeaderName::from_static);
    let sent = [AUTHORIZATION, CONTENT_TYPE, CONTENT_ENCODING].into_iter();
    let read = [LINK, LOCATION, RETRY_AFTER].into_iter();
    let cors = CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers(sent.chain(named(["idempotency-key", "last-event-id", "x-request-id"])).collect::<Vec<_>>())
        .expose_headers(read.chain(named(["alluvium-next", "alluvium-complete", "x-request-id"])).collect::<Vec<_>>())
        .max_age(REMEMBERED);
    Ok(Some(cors))
}

#[cfg(test)]
mod tests;
