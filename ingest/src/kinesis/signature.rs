//! AWS Signature Version 4: a call is signed with a secret that only its sender and the node know.
//!
//! Source: AWS Identity and Access Management User Guide, "Create a signed AWS API request" and "Elements of an AWS API request
//! signature".
//!
//! The signature covers the method, the query, the headers that it lists, and the body. What this endpoint acts on beside the body
//! (`Host`, `X-Amz-Date`, `X-Amz-Target`) has to be among the headers. It is sent in the header `Authorization`; one in the query
//! is not read, and a body that the signature leaves out is refused.

mod canonical;

use std::fmt::Write as _;

use alluvium_core::clock::Micros;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use ring::hmac;

use super::exception::{Code, Exception};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const DATE: &str = "x-amz-date";
const CONTENT_HASH: &str = "x-amz-content-sha256";

/// What a signature has to cover beside the body.
const COVERED: [&str; 3] = ["host", DATE, "x-amz-target"];

/// How a time is written in a signature.
const TIME_FORMAT: &str = "%Y%m%dT%H%M%SZ";

/// How far the time of a signature may lie from the endpoint's. The source above: "requests expire after five minutes".
const SKEW_MINUTES: i64 = 5;
const SKEW_MICROS: i64 = SKEW_MINUTES * 60 * 1_000_000;

/// What a signed request's headers say, and what of it is signed, all but the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signed {
    access_key_id: String,
    /// When it was signed, in [`TIME_FORMAT`].
    time: String,
    at: Micros,
    /// What the signing key is good for: date, region, service, and an end.
    scope: String,
    headers: Vec<String>,
    /// The canonical request, but for the hash of the body, which ends it.
    request: Vec<u8>,
    signature: [u8; SHA256_OUTPUT_LEN],
}

impl Signed {
    /// Reads the signature of a request.
    pub(super) fn of(parts: &Parts) -> Result<Self, Exception> {
        let Authorization { credential, headers, signature } = Authorization::of(&parts.headers)?;
        let (access_key_id, scope) = credential.split_once('/').ok_or_else(|| {
            incomplete("`Credential` is not `<access key id>/<date>/<region>/<service>/aws4_request`")
        })?;
        let time = parts.headers.get(DATE).and_then(|value| value.to_str().ok());
        let time = time.ok_or_else(|| incomplete("there is no header `X-Amz-Date`"))?;
        let at = read_time(time).ok_or_else(|| incomplete("`X-Amz-Date` is not a time such as 20260101T000000Z"))?;
        check_body_is_signed(&parts.headers)?;
        let headers: Vec<String> = headers.split(';').map(str::to_owned).collect();
        let request = canonical::request(parts, &headers)?;
        let (access_key_id, scope) = (access_key_id.to_owned(), scope.to_owned());
        Ok(Self { access_key_id, time: time.to_owned(), at, scope, headers, request, signature })
    }

    pub(super) fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// Checks what can be checked without the secret: that the signature covers what it has to, is of now, and for this service.
    pub(super) fn check(&self, now: Micros) -> Result<(), Exception> {
        if let Some(missing) = COVERED.into_iter().find(|name| !self.headers.iter().any(|signed| signed == name)) {
            return Err(incomplete(&format!("`SignedHeaders` does not list `{missing}`; sign it too")));
        }
        let here = write_time(now);
        let sent = &self.time;
        if self.at < now.saturating_sub(SKEW_MICROS) {
            let earliest = write_time(now.saturating_sub(SKEW_MICROS));
            let why =
                format!("Signature expired: {sent} is now earlier than {earliest} ({here} - {SKEW_MINUTES} min.)");
            return Err(invalid(format!("{why}; set the clock of the caller, or of the node, whose time is {here}")));
        }
        if self.at > now.saturating_add(SKEW_MICROS) {
            let latest = write_time(now.saturating_add(SKEW_MICROS));
            let why = format!(
                "Signature not yet current: {sent} is still later than {latest} ({here} + {SKEW_MINUTES} min.)"
            );
            return Err(invalid(format!("{why}; set the clock of the caller, or of the node, whose time is {here}")));
        }
        let scope: Vec<&str> = self.scope.split('/').collect();
        let day = &sent[..8];
        match scope[..] {
            [date, region, "kinesis", "aws4_request"] if date == day && !region.is_empty() => Ok(()),
            _ => {
                let expected = format!("{day}/<region>/kinesis/aws4_request");
                Err(invalid(format!("Credential should be scoped to correct service and date: expected {expected}")))
            }
        }
    }

    /// Whether whoever sent this body knew this secret.
    pub(super) fn verify(&self, secret: &str, body: &[u8]) -> bool {
        let request = [&self.request[..], hex(digest(&SHA256, body).as_ref()).as_bytes()].concat();
        let (time, scope, hash) = (&self.time, &self.scope, hex(digest(&SHA256, &request).as_ref()));
        let text = format!("{ALGORITHM}\n{time}\n{scope}\n{hash}");
        let first = hmac::Key::new(hmac::HMAC_SHA256, format!("AWS4{secret}").as_bytes());
        let key = scope
            .split('/')
            .fold(first, |key, part| hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref()));
        // In a time that does not depend on how much of it is right.
        hmac::verify(&key, text.as_bytes(), &self.signature).is_ok()
    }
}

/// The fields of the header `Authorization`.
struct Authorization<'a> {
    credential: &'a str,
    headers: &'a str,
    signature: [u8; SHA256_OUTPUT_LEN],
}

impl<'a> Authorization<'a> {
    fn of(headers: &'a HeaderMap) -> Result<Self, Exception> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(Exception::early(
                Code::MissingAuthenticationToken,
                "the request has no header `Authorization`, or several, and this node knows its callers by it; sign with an access key of \
                 this node, which `alluvium token --access-key` makes",
            ));
        };
        let fields = value.to_str().ok().and_then(|value| value.strip_prefix(ALGORITHM)?.strip_prefix(' '));
        let fields = fields.ok_or_else(|| incomplete(&format!("`Authorization` does not begin with {ALGORITHM}")))?;
        let (mut credential, mut signed, mut signature) = (None, None, None);
        for field in fields.split(',') {
            let (name, value) = field.trim().split_once('=').unwrap_or_default();
            let place = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed,
                "Signature" => &mut signature,
                _ => return Err(incomplete("`Authorization` has a field beside the three that it takes")),
            };
            if place.replace(value).is_some() {
                return Err(incomplete(&format!("`Authorization` has the field `{name}` twice")));
            }
        }
        let there = |name: &str, value: Option<&'a str>| {
            value.ok_or_else(|| incomplete(&format!("`Authorization` has no field `{name}`")))
        };
        let (credential, headers) = (there("Credential", credential)?, there("SignedHeaders", signed)?);
        let signature = unhex(there("Signature", signature)?);
        let signature =
            signature.ok_or_else(|| incomplete("`Signature` is not 64 digits of lower-case hexadecimal"))?;
        Ok(Self { credential, headers, signature })
    }
}

/// Refuses what says of itself that its signature leaves its body out.
fn check_body_is_signed(headers: &HeaderMap) -> Result<(), Exception> {
    let is_hash = |value: &[u8]| value.len() == 2 * SHA256_OUTPUT_LEN && value.iter().all(u8::is_ascii_hexdigit);
    match headers.get(CONTENT_HASH) {
        Some(value) if !is_hash(value.as_bytes()) => Err(invalid(
            "`X-Amz-Content-Sha256` is no SHA-256 of the body, so the signature leaves the body out; sign it too"
                .to_owned(),
        )),
        _ => Ok(()),
    }
}

/// What is wrong with a request whose signature cannot be read whole.
fn incomplete(problem: &str) -> Exception {
    Exception::early(
        Code::IncompleteSignature,
        format!(
            "{problem}; expected `Authorization: {ALGORITHM} Credential=…, SignedHeaders=…, Signature=…` of Signature Version 4"
        ),
    )
}

fn invalid(problem: String) -> Exception {
    Exception::early(Code::InvalidSignature, problem)
}

fn read_time(text: &str) -> Option<Micros> {
    let time = DateTime::strptime(TIME_FORMAT, text).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp().as_microsecond();
    (write_time(time) == text).then_some(time)
}

fn write_time(time: Micros) -> String {
    let time = Timestamp::from_microsecond(time).unwrap_or_default();
    time.strftime(TIME_FORMAT).to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a text takes every text");
        text
    })
}

fn unhex(text: &str) -> Option<[u8; SHA256_OUTPUT_LEN]> {
    let mut bytes = [0; SHA256_OUTPUT_LEN];
    let digit = |byte: u8| (byte as char).to_digit(16).filter(|_| !byte.is_ascii_uppercase());
    if text.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
    }
    Some(bytes)
}

#[cfg(test)]
pub(super) mod tests;
