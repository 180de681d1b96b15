//! CloudEvents in binary mode: attributes in headers, data in the body.
//!
//! Source: CloudEvents, "HTTP Protocol Binding for CloudEvents", version 1.0.2, section 3.1.

use alluvium_core::envelope::MAX_TEXT_BYTES;
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use percent_encoding::percent_decode;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::rejection::Rejection;

const PREFIX: &str = "ce-";

/// Whether a request is a CloudEvent in binary mode.
pub(super) fn is_binary_mode(headers: &HeaderMap) -> bool {
    let structured = headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().to_ascii_lowercase().starts_with(b"application/cloudevents"));
    headers.contains_key("ce-specversion") && !structured
}

/// The one event of a request in binary mode, in structured form.
///
/// A body that is JSON becomes `data` as it is, other text a string, anything else `data_base64`.
pub(super) fn structured(headers: &HeaderMap, body: &[u8]) -> Result<Bytes, Rejection> {
    let mut attributes = Map::new();
    for (name, value) in headers {
        let Some(attribute) = name.as_str().strip_prefix(PREFIX) else { continue };
        let refused = |problem: &str| Rejection::Header { header: name.to_string(), problem: problem.to_owned() };
        if value.len() > MAX_TEXT_BYTES {
            return Err(refused(&format!("is too long; expected at most {MAX_TEXT_BYTES} bytes")));
        }
        let text = percent_decode(value.as_bytes()).decode_utf8();
        let text = text.map_err(|_| refused("is not UTF-8; expected it percent-encoded"))?;
        if attributes.insert(attribute.to_owned(), Value::from(text)).is_some() {
            return Err(refused("is there twice; expected it once"));
        }
    }
    if let Some(content_type) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) {
        attributes.insert("datacontenttype".to_owned(), Value::from(content_type));
    }
    let mut event = serde_json::to_vec(&attributes).expect("attributes are texts");
    if !body.is_empty() {
        event.pop();
        let json = serde_json::from_slice::<&RawValue>(body);
        match (json, std::str::from_utf8(body)) {
            (Ok(json), _) => {
                event.extend_from_slice(b",\"data\":");
                event.extend_from_slice(json.get().as_bytes());
            }
            (Err(_), Ok(text)) => {
                event.extend_from_slice(b",\"data\":");
                serde_json::to_writer(&mut event, text).expect("writing to memory does not fail");
            }
            (Err(_), Err(_)) => {
                event.extend_from_slice(b",\"data_base64\":\"");
                event.extend_from_slice(base64::Engine::encode(&base64::prelude::BASE64_STANDARD, body).as_bytes());
                event.push(b'"');
            }
        }
        event.push(b'}');
    }
    Ok(event.into())
}
