//! Whole files as responses.

use alluvium_core::file::{FileFormat, OpenFile};
use alluvium_core::ports::PortError;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::stream;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};

/// A file as a response, to be saved under this name, which is of letters, digits, `.`, `_` and `-`; 304 where the caller has it already.
pub(super) fn sent(name: &str, file: Box<dyn OpenFile>, format: FileFormat, asked: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", file.tag());
    let known = asked.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    // RFC 9110, section 13.1.2: the comparison is the weak one.
    let mut known = known.flat_map(|value| value.split(',')).map(|one| one.trim().trim_start_matches("W/"));
    let is_known = known.any(|one| one == tag || one == "*");
    let length = file.bytes();
    let mut response = Response::new(if is_known { Body::empty() } else { Body::from_stream(bytes_of(file)) });
    let headers = response.headers_mut();
    // It may be made anew, so whoever keeps it asks whether it still is what it was.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(ETAG, HeaderValue::try_from(tag).expect("it is of letters, digits and `-`"));
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    headers.insert(CONTENT_LENGTH, length.into());
    let disposition = format!("attachment; filename=\"{name}\"");
    headers.insert(CONTENT_DISPOSITION, HeaderValue::try_from(disposition).expect("names are letters and digits"));
    response
}

/// The answer that a file is to be had at this URL, which is good for a while.
pub(super) fn elsewhere(url: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    let headers = response.headers_mut();
    headers.insert(LOCATION, HeaderValue::try_from(url).expect("a URL is of visible ASCII"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn bytes_of(file: Box<dyn OpenFile>) -> impl futures::Stream<Item = Result<Bytes, PortError>> {
    stream::try_unfold((file, 0_u64), async |(file, offset)| {
        let bytes = file.read(offset).await.inspect_err(|error| tracing::error!(%error, "a file was cut off"))?;
        let next = offset + bytes.len() as u64;
        Ok((!bytes.is_empty()).then_some((bytes, (file, next))))
    })
}
