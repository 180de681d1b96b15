//! Key sets: any bytes as a document, any keys in one, and keys beside those that sign (AU-1).

use serde_json::Value;

use crate::pick::Pick;
use crate::tokens::{KeySetJson, TOKENS, at_once, authorizer, decode};

/// Good tokens by the name that they have, and where in the set their key is.
const SIGNED: [(&str, usize); 3] =
    [("RS256", 0), ("ES256", 5), ("ES256 without a key named, of which there is one", 5)];

/// Any bytes as a key set. The first byte says how they are used.
pub fn key_set(bytes: &[u8]) {
    let mut pick = Pick(bytes);
    match pick.byte() % 4 {
        0 => earned(pick.rest()),
        1 => earned(&[b"{\"keys\":[", pick.rest(), b"]}"].concat()),
        2 => members(pick),
        _ => beside(pick.rest()),
    }
}

/// Which of the tokens are accepted with this document.
fn accepted(document: &[u8]) -> [bool; 3] {
    let authorizer = authorizer(None, document.to_vec());
    let good = TOKENS.good();
    SIGNED.map(|(name, _)| at_once(authorizer.caller(Some(&format!("Bearer {}", good[name])))).is_ok())
}

/// A token is refused, or its key is in the document.
fn earned(document: &[u8]) {
    for ((name, at), is_accepted) in SIGNED.into_iter().zip(accepted(document)) {
        if is_accepted {
            let document = std::str::from_utf8(document).unwrap();
            assert!(document.trim_ascii_start().starts_with('{'), "{document}");
            let KeySetJson { keys } = serde_json::from_str(document).unwrap();
            assert!(keys.iter().any(|key| is_same(key, &TOKENS.key_set.keys[at])), "{name}: {document}");
        }
    }
}

/// Whether a key has the numbers of another, whatever else is said of it.
fn is_same(one: &Value, other: &Value) -> bool {
    let number = |key: &Value, name: &str| {
        let bytes = key.get(name)?.as_str().and_then(decode)?;
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        Some(bytes[zeros..].to_vec())
    };
    one["kty"] == other["kty"]
        && ["n", "e", "x", "y"]
            .iter()
            .all(|name| other.get(*name).is_none() || number(one, name) == number(other, name))
}

/// The members of a key that signs are replaced by pieces of the input.
fn members(mut pick: Pick<'_>) {
    const MEMBERS: [&str; 10] = ["kty", "kid", "alg", "use", "key_ops", "n", "e", "crv", "x", "y"];
    let mut key = TOKENS.key_set.keys[usize::from(pick.byte()) % 6].clone();
    while !pick.0.is_empty() {
        let (member, length) = (usize::from(pick.byte()), usize::from(pick.byte()).min(pick.0.len()));
        let (piece, rest) = pick.0.split_at(length);
        pick.0 = rest;
        let value = match serde_json::from_slice(piece) {
            Ok(value) => value,
            Err(_) => Value::from(String::from_utf8_lossy(piece)),
        };
        key[MEMBERS[member % MEMBERS.len()]] = value;
    }
    earned(serde_json::json!({"keys": [key]}).to_string().as_bytes());
}

/// Whatever lies beside the keys that sign takes nothing from them.
fn beside(other: &[u8]) {
    let Ok(other) = serde_json::from_slice::<Value>(other) else { return };
    let keys = &TOKENS.key_set.keys;
    let document = serde_json::json!({"more": other, "keys": [keys[0], keys[5], other]}).to_string();
    // One more key on the curve, and a token must say which it means; numbers and depths may not survive being written.
    if serde_json::from_str::<Value>(&document).is_ok() {
        assert_eq!(accepted(document.as_bytes())[..2], [true, true], "{document}");
    }
}
