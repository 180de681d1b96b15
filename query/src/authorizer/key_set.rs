//! The key set: fetched when it is needed, kept for a while, and asked for anew when a token names a key that it does not have.

use std::sync::Arc;

use alluvium_core::clock::Micros;
use alluvium_core::ports::PortError;
use async_trait::async_trait;
use bytes::Bytes;
use futures::lock::Mutex;
use serde::Deserialize;
use serde_json::Value;

use super::refusal::Refusal;
use super::signature::{Algorithm, PublicKey};
use super::token::{object, quoted};

/// The most bytes of a key set: an entry point stops reading there.
pub const KEY_SET_BYTES: usize = 256 * 1024;

const SECOND: Micros = 1_000_000;
/// The least time between two attempts to fetch the set, so that tokens with made-up keys cannot make us ask without end.
const ATTEMPT_EVERY: Micros = 10 * SECOND;
/// From this age on the set is fetched anew, so that a key that was taken out of it is forgotten.
const FRESH: Micros = 600 * SECOND;
/// Past this age the set is not used any more: if its source is gone, tokens are refused.
const USABLE: Micros = 3600 * SECOND;

/// Where the key set comes from. The entry point implements it, with time-outs and at most [`KEY_SET_BYTES`].
#[async_trait]
pub trait KeySource: Send + Sync {
    /// The JWKS document as it is now.
    ///
    /// # Errors
    ///
    /// When it cannot be had.
    async fn fetch(&self) -> Result<Bytes, PortError>;
}

/// The keys of a source.
pub(super) struct KeySet {
    source: Arc<dyn KeySource>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The keys, and when they were fetched.
    kept: Option<(Vec<NamedKey>, Micros)>,
    attempted_at: Option<Micros>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct NamedKey {
    kid: Option<String>,
    key: PublicKey,
}

impl KeySet {
    pub(super) fn new(source: Arc<dyn KeySource>) -> Self {
        Self { source, state: Mutex::default() }
    }

    /// The key that a token names, for its algorithm. Fetches the set at most once.
    pub(super) async fn key(&self, kid: Option<&str>, algorithm: Algorithm, now: Micros) -> Result<PublicKey, Refusal> {
        // Held while fetching: whoever comes meanwhile waits for the same answer.
        let mut state = self.state.lock().await;
        let settled = state.younger_than(FRESH, now).is_some_and(|keys| find(keys, kid, algorithm).is_ok());
        if !settled && state.may_attempt(now) {
            state.attempted_at = Some(now);
            match self.source.fetch().await.map(|document| parse(&document)) {
                Ok(Some(keys)) => state.kept = Some((keys, now)),
                Ok(None) => tracing::error!("the key set is not a JSON object with a list `keys`"),
                Err(error) => tracing::error!(%error, "the key set could not be fetched"),
            }
        }
        let keys = state.younger_than(USABLE, now).ok_or(Refusal::KeysUnavailable)?;
        find(keys, kid, algorithm).cloned()
    }
}

impl State {
    fn younger_than(&self, age: Micros, now: Micros) -> Option<&[NamedKey]> {
        self.kept.as_ref().filter(|(_, at)| now.saturating_sub(*at) < age).map(|(keys, _)| keys.as_slice())
    }

    fn may_attempt(&self, now: Micros) -> bool {
        // A clock that was set back must not keep us waiting.
        self.attempted_at.is_none_or(|at| !(at..at.saturating_add(ATTEMPT_EVERY)).contains(&now))
    }
}

fn find<'a>(keys: &'a [NamedKey], kid: Option<&str>, algorithm: Algorithm) -> Result<&'a PublicKey, Refusal> {
    let mut fitting = keys.iter().filter(|named| named.key.algorithm() == algorithm);
    match kid {
        Some(kid) => {
            let named = fitting.find(|named| named.kid.as_deref() == Some(kid));
            let unknown = || Refusal::UnknownKey { algorithm: algorithm.name(), kid: quoted(kid) };
            named.map(|named| &named.key).ok_or_else(unknown)
        }
        None => match (fitting.next(), fitting.next()) {
            (Some(only), None) => Ok(&only.key),
            _ => Err(Refusal::NoKeyNamed(algorithm.name())),
        },
    }
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

/// A key of the document. RFC 7517, section 4; RFC 7518, section 6.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    n: Option<String>,
    e: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// The keys of a document that verify what we take; `None`: it is no key set. Others in it are left out: RFC 7517, section 5.
fn parse(document: &[u8]) -> Option<Vec<NamedKey>> {
    let Document { keys } = object(document)?;
    let jwks = keys.into_iter().filter(Value::is_object).filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
    Some(jwks.filter_map(Jwk::named_key).collect())
}

impl Jwk {
    fn named_key(self) -> Option<NamedKey> {
        let key = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => PublicKey::rsa(&self.n?, &self.e?)?,
            ("EC", Some("P-256")) => PublicKey::p256(&self.x?, &self.y?)?,
            _ => return None,
        };
        let signs = self.usage.is_none_or(|usage| usage == "sig");
        let verifies = self.key_ops.is_none_or(|operations| operations.iter().any(|name| name == "verify"));
        let fits = self.alg.is_none_or(|name| name == key.algorithm().name());
        (signs && verifies && fits).then_some(NamedKey { kid: self.kid, key })
    }
}
