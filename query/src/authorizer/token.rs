//! The parts of a token, before anybody knows whether it is good.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::TOKEN_BYTES;
use super::refusal::Refusal;
use super::signature::{Algorithm, decode};

/// How many characters of a name out of a header a refusal quotes.
const QUOTED_CHARS: usize = 40;

/// A token taken apart. Its payload is not read before the signature is right.
#[derive(Debug)]
pub(super) struct Token<'a> {
    pub(super) algorithm: Algorithm,
    /// The name of the key that signed it.
    pub(super) kid: Option<String>,
    /// What the signature is over: header and payload as they were sent.
    pub(super) signed: &'a [u8],
    pub(super) signature: Vec<u8>,
    payload: &'a str,
}

/// A token's header. RFC 7515, section 4; names that are not known say nothing about the signature, unless `crit` lists them.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

impl<'a> Token<'a> {
    /// The token in a header `Authorization`. RFC 6750, section 2.1.
    pub(super) fn of_header(authorization: Option<&'a str>) -> Result<Self, Refusal> {
        let authorization = authorization.map(str::trim).filter(|text| !text.is_empty()).ok_or(Refusal::NoToken)?;
        let (scheme, token) = authorization.split_once(' ').unwrap_or((authorization, ""));
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Refusal::NotBearer);
        }
        match token.trim_start() {
            "" => Err(Refusal::NoToken),
            token if token.len() > TOKEN_BYTES => Err(Refusal::TooLarge(token.len())),
            token => Self::of_text(token),
        }
    }

    fn of_text(token: &'a str) -> Result<Self, Refusal> {
        const PARTS: Refusal = Refusal::Malformed("expected three parts with dots between them");
        let (signed, signature) = token.rsplit_once('.').ok_or(PARTS)?;
        let (header, payload) = signed.split_once('.').ok_or(PARTS)?;
        if payload.contains('.') {
            return Err(PARTS);
        }
        let header = decode(header).ok_or(Refusal::Malformed("its header is not base64url"))?;
        let header: Header =
            object(&header).ok_or(Refusal::Malformed("its header is not a JSON object with `alg` as text"))?;
        if header.crit.is_some() {
            return Err(Refusal::Malformed("its header asks for an extension (`crit`), and none is known here"));
        }
        let algorithm = Algorithm::of_name(&header.alg).ok_or_else(|| Refusal::Algorithm(quoted(&header.alg)))?;
        let signature = decode(signature).ok_or(Refusal::Malformed("its signature is not base64url"))?;
        Ok(Self { algorithm, kid: header.kid, signed: signed.as_bytes(), signature, payload })
    }

    /// The claims. Called when the signature is right.
    pub(super) fn payload(&self) -> Result<Map<String, Value>, Refusal> {
        let payload = decode(self.payload).ok_or(Refusal::Malformed("its payload is not base64url"))?;
        serde_json::from_slice(&payload).map_err(|_| Refusal::Malformed("its payload is not a JSON object"))
    }
}

/// What a JSON object in UTF-8 says; `None`: it is none, or not such a one. By itself, serde_json takes a list of the members' values
/// too, and any bytes as a text that nobody asks for.
pub(super) fn object<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Option<T> {
    let json = std::str::from_utf8(json).ok()?.trim_ascii_start();
    json.starts_with('{').then(|| serde_json::from_str(json).ok())?
}

/// The beginning of a name out of a header.
pub(super) fn quoted(name: &str) -> String {
    name.chars().take(QUOTED_CHARS).collect()
}
