//! The answer that a read is under way, and where it is had.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use http::header::{CACHE_CONTROL, LOCATION, RETRY_AFTER};
use http::{HeaderValue, StatusCode, Uri};
use serde::Serialize;
use utoipa::ToSchema;

use super::parameters::READING;
use crate::records::Reading;

/// How soon the client shall ask again, in seconds.
const AGAIN_SECONDS: u64 = 1;

/// A read of records that takes longer than a request may: it goes on, and is had at `location`.
#[derive(Serialize, ToSchema)]
#[schema(as = ReadUnderWay)]
pub(super) struct UnderWay {
    #[schema(inline)]
    state: State,
    /// The request to ask again with, which answers like this until the page is there.
    location: String,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum State {
    Running,
}

/// 202 with the request that goes on with this read: the one that was made, and the read as its last parameter.
pub(super) fn response(asked: &Uri, reading: &Reading) -> Response {
    let others = asked.query().unwrap_or_default().split('&').filter(|pair| {
        let name = pair.split_once('=').map_or(*pair, |(name, _)| name);
        !pair.is_empty() && name != READING
    });
    let mut location = format!("{}?", asked.path());
    others.for_each(|pair| {
        location.push_str(pair);
        location.push('&');
    });
    location.push_str(&format!("{READING}={reading}"));
    let mut response = Json(UnderWay { state: State::Running, location: location.clone() }).into_response();
    *response.status_mut() = StatusCode::ACCEPTED;
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, AGAIN_SECONDS.into());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(LOCATION, HeaderValue::try_from(location).expect("a request's target is visible ASCII"));
    response
}
