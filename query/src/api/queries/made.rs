//! Files that are made when they are first asked for.
//!
//! ```text
//! 202  {"state": "running", "location": "/v1/queries/{id}/results.parquet"}   ask again there, after `Retry-After`
//! 302  to the one file
//! 300  {"files": ["https://…", …]}                                            the rows are in these, each good for 15 minutes and without a token
//! ```

use alluvium_core::file::{FileFormat, MadeFile};
use alluvium_core::ports::StatementId;
use axum::Json;
use axum::response::{IntoResponse as _, Response};
use http::header::{CACHE_CONTROL, LOCATION, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde_json::json;

use crate::api::files;

/// How soon the client shall ask again, in seconds.
const AGAIN_SECONDS: u64 = 2;

/// What is answered of a file that is made so far.
pub(super) fn response(id: &StatementId, format: FileFormat, made: MadeFile) -> Response {
    let (status, body) = match made {
        MadeFile::At(urls) if urls.len() == 1 => return files::elsewhere(&urls[0]),
        MadeFile::At(urls) => (StatusCode::MULTIPLE_CHOICES, json!({"files": urls})),
        MadeFile::UnderWay => {
            let location = format!("/v1/queries/{}/results.{}", id.0, format.ending());
            let mut response = Json(json!({"state": "running", "location": location})).into_response();
            *response.status_mut() = StatusCode::ACCEPTED;
            response.headers_mut().insert(RETRY_AFTER, AGAIN_SECONDS.into());
            let location = HeaderValue::try_from(location).expect("ids are letters, digits and `-`");
            response.headers_mut().insert(LOCATION, location);
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            return response;
        }
    };
    let mut response = (status, Json(body)).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
