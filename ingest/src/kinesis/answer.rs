//! Answers: what a call returns, and how a failure looks.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use super::call::Encoding;
use super::exception::Exception;
use crate::gateway::budget::Reservation;

/// What a call returns.
#[derive(Debug)]
pub(super) struct Answer(Bytes);

impl Answer {
    pub(super) fn json(value: &impl Serialize) -> Self {
        Self(json(value).into())
    }

    /// The same, of an answer so large that it holds a share of the endpoint's memory until it is sent or given up. What is too much
    /// of the share is given back at once.
    pub(super) fn large_json(value: &impl Serialize, mut reservation: Reservation) -> Self {
        let bytes = json(value);
        reservation.shrink_to(bytes.capacity());
        Self(Bytes::from_owner(Held { bytes, _reservation: reservation }))
    }

    pub(super) fn into_response(self) -> Response {
        response(StatusCode::OK, Encoding::Json, self.0)
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("an answer holds only text, numbers and lists")
}

/// Bytes with their share of the endpoint's memory.
struct Held {
    bytes: Vec<u8>,
    _reservation: Reservation,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A failure in AWS's shape: the code in `__type`, and both code and message where SDKs look for them first.
pub(super) fn failure(exception: &Exception, encoding: Encoding) -> Response {
    #[derive(Serialize)]
    struct Failure<'a> {
        __type: &'a str,
        message: &'a str,
    }
    let (code, message) = (exception.code.as_str(), exception.message.as_str());
    let body = match encoding {
        Encoding::Json => json(&Failure { __type: code, message }),
        Encoding::Cbor => cbor([("__type", code), ("message", message)]),
    };
    let mut response = response(exception.status(), encoding, body.into());
    response.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(code));
    response
}

fn response(status: StatusCode, encoding: Encoding, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(encoding.content_type()));
    let id = uuid::Uuid::new_v4().to_string();
    headers.insert("x-amzn-requestid", HeaderValue::try_from(id).expect("a UUID is ASCII"));
    response
}

/// A map of two texts. RFC 8949, "Concise Binary Object Representation (CBOR)", section 3.1: major types 5 and 3.
fn cbor(entries: [(&str, &str); 2]) -> Vec<u8> {
    let mut bytes = vec![0xA2];
    for text in entries.into_iter().flat_map(|(key, value)| [key, value]) {
        match text.len() {
            length @ 0..24 => bytes.push(0x60 | length as u8),
            length @ 24..256 => bytes.extend([0x78, length as u8]),
            length => {
                let length = u32::try_from(length).expect("messages are short");
                bytes.push(0x7A);
                bytes.extend(length.to_be_bytes());
            }
        }
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}
