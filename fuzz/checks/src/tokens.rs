//! Tokens that another implementation made, with the keys that verify them, and an authorizer that takes them.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Waker};

use alluvium_core::ManualClock;
use alluvium_core::ports::PortError;
use alluvium_query::authorizer::{Authorizer, AuthorizerSettings, KeySource};
use async_trait::async_trait;
use base64_simd::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

pub(crate) const NOW_SECONDS: i64 = 1_000_000_000;
pub(crate) const ISSUER: &str = "https://issuer.example";
pub(crate) const AUDIENCE: &str = "alluvium";

/// The file of the authorizer's own tests.
#[derive(Deserialize)]
pub(crate) struct Tokens {
    pub(crate) secret: String,
    pub(crate) key_set: KeySetJson,
    tokens: Vec<TokenJson>,
}

#[derive(Deserialize)]
pub(crate) struct KeySetJson {
    pub(crate) keys: Vec<Value>,
}

#[derive(Deserialize)]
struct TokenJson {
    name: String,
    verdict: String,
    token: String,
}

impl Tokens {
    /// Those that are good, by their name.
    pub(crate) fn good(&self) -> BTreeMap<&str, &str> {
        let good = self.tokens.iter().filter(|token| token.verdict == "ok");
        good.map(|token| (token.name.as_str(), token.token.as_str())).collect()
    }
}

pub(crate) static TOKENS: LazyLock<Tokens> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../../query/src/authorizer/tests/tokens.json")).unwrap());

/// A key set that is there at once.
struct Document(Bytes);

#[async_trait]
impl KeySource for Document {
    async fn fetch(&self) -> Result<Bytes, PortError> {
        Ok(self.0.clone())
    }
}

/// An authorizer with this key set, at the time that the tokens are around.
pub(crate) fn authorizer(secret: Option<&str>, key_set: Vec<u8>) -> Authorizer {
    let settings = AuthorizerSettings {
        issuer: Some(ISSUER.to_owned()),
        audience: Some(AUDIENCE.to_owned()),
        ..AuthorizerSettings::default()
    };
    let clock = Arc::new(ManualClock::at(NOW_SECONDS * 1_000_000));
    Authorizer::new(settings, secret, Some(Arc::new(Document(key_set.into()))), clock).unwrap()
}

/// What work comes to that waits for nothing.
pub(crate) fn at_once<T>(work: impl Future<Output = T>) -> T {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("nothing is waited for"),
    }
}

/// The bytes of a part of a token.
pub(crate) fn decode(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode_to_vec(part).ok()
}
