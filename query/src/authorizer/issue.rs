//! Tokens and access keys of our own, signed with the shared secret: for development, and for commands on the machine of a node.
//!
//! An access key is what a client of the Kinesis API signs with. Its id holds the same claims as a token, in base64url, and behind a dot their
//! keyed hash, so that nobody else can make one up; its secret is another keyed hash of the id. Nothing has to be kept of either.

use std::time::Duration;

use alluvium_core::Caller;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::{Map, Value, json};

use super::refusal::Refusal;
use super::signature::{Algorithm, Secret, decode, encode};
use super::token::object;
use super::{Authorizer, AuthorizerError, SECRET_BYTES, TOKEN_BYTES, claims};

/// What is hashed before an id for the secret of an access key, and before claims for its id. No signed part of a token begins so: that is
/// base64url.
const KEY_CONTEXT: &str = "access key: ";
const ID_CONTEXT: &str = "access key id: ";

/// What a client of the Kinesis API signs its calls with.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// It is sent with each call.
    pub id: String,
    /// It is not sent.
    pub secret: String,
}

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessKey").finish_non_exhaustive()
    }
}

/// A secret for HS256 that nobody can guess, as hexadecimal digits.
///
/// # Errors
///
/// When the system gives no random bytes.
pub fn new_secret() -> Result<String, AuthorizerError> {
    let mut bytes = [0; SECRET_BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| AuthorizerError::NoRandomness)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

impl Authorizer {
    /// A token that this authorizer takes for `lifetime` from now.
    ///
    /// # Errors
    ///
    /// When there is no shared secret, or the token would be larger than [`TOKEN_BYTES`].
    pub fn issue(&self, caller: &Caller, lifetime: Duration) -> Result<String, AuthorizerError> {
        let secret = self.secret()?;
        let header = json!({"alg": Algorithm::Hs256.name(), "typ": "JWT"});
        let signed = format!("{}.{}", encode(header.to_string().as_bytes()), self.claims(caller, lifetime));
        checked(format!("{signed}.{}", secret.tag(&signed)))
    }

    /// An access key that this authorizer takes for `lifetime` from now.
    ///
    /// # Errors
    ///
    /// As [`issue`](Self::issue).
    pub fn issue_access_key(&self, caller: &Caller, lifetime: Duration) -> Result<AccessKey, AuthorizerError> {
        let (secret, claims) = (self.secret()?, self.claims(caller, lifetime));
        let id = checked(format!("{claims}.{}", secret.tag(&format!("{ID_CONTEXT}{claims}"))))?;
        let secret = secret_of(secret, &id);
        Ok(AccessKey { id, secret })
    }

    /// The access key with this id, and who signs with it. Whoever asks has to verify the signature with the key's secret: until then
    /// nothing says that the caller is this one.
    ///
    /// # Errors
    ///
    /// When the id is none of ours, has expired, or there is no shared secret.
    pub fn access_key(&self, id: &str) -> Result<(AccessKey, Caller), Refusal> {
        let caller = self.tagged(id, |claims| format!("{ID_CONTEXT}{claims}"))?;
        let secret = self.secret.as_ref().ok_or(Refusal::NotAccepted(Algorithm::Hs256.name()))?;
        Ok((AccessKey { id: id.to_owned(), secret: secret_of(secret, id) }, caller))
    }

    /// Whose claims these are: base64url, a dot, and the keyed hash of the text that `signed` makes of them.
    pub(super) fn tagged(&self, tagged: &str, signed: impl FnOnce(&str) -> String) -> Result<Caller, Refusal> {
        const NONE: Refusal = Refusal::Malformed("it is none that was issued here");
        let secret = self.secret.as_ref().ok_or(Refusal::NotAccepted(Algorithm::Hs256.name()))?;
        let (claims, tag) = Some(tagged)
            .filter(|tagged| tagged.len() <= TOKEN_BYTES)
            .and_then(|tagged| tagged.split_once('.'))
            .ok_or(NONE)?;
        if !secret.verifies(signed(claims).as_bytes(), &decode(tag).ok_or(NONE)?) {
            return Err(Refusal::Signature);
        }
        let payload = decode(claims).ok_or(NONE)?;
        let payload: Map<String, Value> = object(&payload).ok_or(NONE)?;
        claims::caller(&payload, &self.settings, self.clock.now_micros())
    }

    pub(super) fn secret(&self) -> Result<&Secret, AuthorizerError> {
        self.secret.as_ref().ok_or(AuthorizerError::NoSecret)
    }

    /// The claims of a caller, in base64url.
    pub(super) fn claims(&self, caller: &Caller, lifetime: Duration) -> String {
        let now = self.clock.now_micros() / 1_000_000;
        let mut claims = Map::new();
        let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        put("sub", caller.owner().into());
        put("iat", now.into());
        put("exp", now.saturating_add_unsigned(lifetime.as_secs()).into());
        self.settings.issuer.as_deref().map(|issuer| put("iss", issuer.into()));
        self.settings.audience.as_deref().map(|audience| put("aud", audience.into()));
        put(&self.settings.role_claim, caller.roles().to_string().split(' ').collect::<Value>());
        encode(Value::from(claims).to_string().as_bytes())
    }
}

fn secret_of(secret: &Secret, id: &str) -> String {
    secret.tag(&format!("{KEY_CONTEXT}{id}"))
}

pub(super) fn checked(token: String) -> Result<String, AuthorizerError> {
    if token.len() > TOKEN_BYTES { Err(AuthorizerError::TooLarge(token.len())) } else { Ok(token) }
}

#[cfg(test)]
mod tests;
