//! Bearer tokens: any bytes as one, any header and any claims behind a right signature, and good tokens with a change (AU-1).

use std::sync::LazyLock;

use alluvium_core::{Caller, Roles};
use alluvium_query::authorizer::{Authorizer, TOKEN_BYTES};
use base64_simd::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value};
use sha2::Sha256;

use crate::pick::Pick;
use crate::tokens::{AUDIENCE, ISSUER, NOW_SECONDS, TOKENS, at_once, authorizer, decode};

const LEEWAY_SECONDS: f64 = 30.0;
const HEADER: &[u8] = br#"{"alg":"HS256"}"#;
const CLAIMS: &[u8] =
    br#"{"sub":"anna","Role":"data.read","exp":1000000060,"iss":"https://issuer.example","aud":"alluvium"}"#;

static AUTHORIZER: LazyLock<Authorizer> = LazyLock::new(|| {
    let keys = serde_json::json!({"keys": TOKENS.key_set.keys});
    authorizer(Some(&TOKENS.secret), keys.to_string().into_bytes())
});

/// Any bytes as a token. The first byte says how they are used.
pub fn token(bytes: &[u8]) {
    let mut pick = Pick(bytes);
    match pick.byte() % 4 {
        0 => {
            let Ok(text) = std::str::from_utf8(pick.rest()) else { return };
            earned(text);
            earned(&format!("Bearer {text}"));
        }
        1 => claims(pick.rest()),
        2 => header(pick.rest()),
        _ => changed(pick),
    }
}

fn caller(header: &str) -> Option<Caller> {
    at_once(AUTHORIZER.caller(Some(header))).ok()
}

/// A header `Authorization` is refused, or its token is signed.
fn earned(header: &str) {
    if caller(header).is_some() {
        let (_, token) = header.trim().split_once(' ').unwrap();
        assert!(is_signed(token.trim_start()), "`{header}` is accepted");
    }
}

/// Whether the secret signed it, or it says what a token says that was signed by another key.
fn is_signed(token: &str) -> bool {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    decode(signature).is_some_and(|signature| signature == hs256(TOKENS.secret.as_bytes(), signed))
        || TOKENS.good().values().any(|good| !is_hs256(good) && good.rsplit_once('.').unwrap().0 == signed)
}

fn is_hs256(token: &str) -> bool {
    let header = decode(token.split('.').next().unwrap()).unwrap();
    serde_json::from_slice::<Value>(&header).unwrap()["alg"] == "HS256"
}

fn hs256(key: &[u8], signed: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(signed.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// A token of this header and payload, signed with HMAC.
fn made(header: &[u8], payload: &[u8], key: &[u8]) -> String {
    let encode = |part: &[u8]| URL_SAFE_NO_PAD.encode_to_string(part);
    let signed = format!("{}.{}", encode(header), encode(payload));
    let signature = encode(&hs256(key, &signed));
    format!("Bearer {signed}.{signature}")
}

/// Any claims, signed by the secret, say what they say, and nothing when another key signed them.
fn claims(payload: &[u8]) {
    let token = made(HEADER, payload, TOKENS.secret.as_bytes());
    let expected = if token.len() > "Bearer ".len() + TOKEN_BYTES { None } else { who(payload) };
    assert_eq!(caller(&token), expected);
    assert_eq!(caller(&made(HEADER, payload, b"another secret of thirty-two bytes")), None);
}

/// Who the claims are about, as serde_json reads them.
fn who(payload: &[u8]) -> Option<Caller> {
    let claims: Map<String, Value> = serde_json::from_slice(payload).ok()?;
    let now = NOW_SECONDS as f64;
    let expires = claims.get("exp")?.as_f64()?;
    let begins = claims.get("nbf").map_or(Some(f64::NEG_INFINITY), Value::as_f64)?;
    let is_now = now < expires + LEEWAY_SECONDS && begins <= now + LEEWAY_SECONDS;
    let texts = |claim: &Value| match claim {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(texts) => texts.iter().map(|text| text.as_str().map(str::to_owned)).collect(),
        _ => None,
    };
    let is_for_us = texts(claims.get("aud")?)?.iter().any(|audience| audience == AUDIENCE);
    if !is_now || !is_for_us || claims.get("iss")?.as_str()? != ISSUER {
        return None;
    }
    Caller::new(claims.get("sub")?.as_str()?, Roles::of_text(&texts(claims.get("Role")?)?.join(" ")))
}

/// Any header over good claims: it is HS256 that the secret signs, and nothing that a public key does.
fn header(header: &[u8]) {
    if caller(&made(header, CLAIMS, TOKENS.secret.as_bytes())).is_some() {
        let text = std::str::from_utf8(header).unwrap();
        assert!(text.trim_ascii_start().starts_with('{'), "{text}");
        // It may hold more than fits a value: half a pair of surrogates, or a number that fits no double.
        if let Ok(header) = serde_json::from_str::<Value>(text) {
            assert!(header["alg"] == "HS256" && header.get("crit").is_none_or(Value::is_null), "{text}");
        }
    }
    for key in ["n", "x", "k"].into_iter().flat_map(|name| TOKENS.key_set.keys.iter().map(move |key| &key[name])) {
        let Some(key) = key.as_str().and_then(decode) else { continue };
        assert_eq!(caller(&made(header, CLAIMS, &key)), None);
    }
}

/// A good token with one byte changed, or cut short, is good no more.
fn changed(mut pick: Pick<'_>) {
    let good: Vec<_> = TOKENS.good().into_values().collect();
    let token = good[usize::from(pick.byte()) % good.len()];
    let (at, by) = (pick.number() % token.len(), pick.byte());
    let mut bytes = token.as_bytes().to_vec();
    match by {
        0 => bytes.truncate(at),
        by => bytes[at] ^= by,
    }
    let Ok(text) = std::str::from_utf8(&bytes) else { return };
    assert!(caller(&format!("Bearer {token}")).is_some());
    assert_eq!(caller(&format!("Bearer {text}")), None, "{token}");
}
