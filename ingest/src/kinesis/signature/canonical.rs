//! The canonical request: the one way of writing down what is signed of a request.

use http::HeaderName;
use http::header::HOST;
use http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

use super::super::exception::Exception;
use super::incomplete;

/// What is written as it is in a query: RFC 3986, "Uniform Resource Identifier (URI)", section 2.3.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The canonical request with these headers, but for the hash of its body. Its path is `/`, the only one that is served here.
pub(super) fn request(parts: &Parts, signed: &[String]) -> Result<Vec<u8>, Exception> {
    let mut bytes = format!("{}\n/\n{}\n", parts.method, query(parts.uri.query().unwrap_or_default())).into_bytes();
    for name in signed {
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(b':');
        put_values(&mut bytes, parts, name)?;
        bytes.push(b'\n');
    }
    bytes.push(b'\n');
    bytes.extend_from_slice(signed.join(";").as_bytes());
    bytes.push(b'\n');
    Ok(bytes)
}

/// The pairs of a query in the order of their encoded names, then values.
fn query(query: &str) -> String {
    let encode = |text: &str| percent_encode(&Vec::from_iter(percent_decode(text.as_bytes())), ENCODED).to_string();
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (encode(name), encode(value))
    };
    let mut pairs: Vec<_> = query.split('&').filter(|text| !text.is_empty()).map(pair).collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// The values of a header, which has to be there.
fn put_values(bytes: &mut Vec<u8>, parts: &Parts, name: &str) -> Result<(), Exception> {
    let not_there = || {
        let name: String = name.chars().take(60).collect();
        incomplete(&format!("`SignedHeaders` lists {name:?}, and there is no such header, or not in lower case"))
    };
    let header = HeaderName::from_lowercase(name.as_bytes()).map_err(|_| not_there())?;
    let mut values = parts.headers.get_all(&header).iter().map(|value| value.as_bytes()).peekable();
    if values.peek().is_none() {
        // A request of HTTP/2 has its host elsewhere.
        let host = parts.uri.authority().filter(|_| header == HOST).ok_or_else(not_there)?;
        bytes.extend_from_slice(host.as_str().as_bytes());
    }
    for (index, value) in values.enumerate() {
        if index > 0 {
            bytes.push(b',');
        }
        put_value(bytes, value);
    }
    Ok(())
}

/// A value without spaces around it, and with one where there are several.
fn put_value(bytes: &mut Vec<u8>, value: &[u8]) {
    let words = value.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
    for (index, word) in words.enumerate() {
        if index > 0 {
            bytes.push(b' ');
        }
        bytes.extend_from_slice(word);
    }
}
