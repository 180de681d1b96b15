//! The authorizer: whether a bearer token (JWT, RFC 7519) may call a route, and whose data it is about (AU-1).
//!
//! A token is a JWS in compact form (RFC 7515) of at most [`TOKEN_BYTES`], signed with HS256 by the shared secret, or with RS256 or
//! ES256 by a key of the key set (JWKS, RFC 7517). What kind of key verifies a token is decided by the key and not by the token:
//! the secret verifies HS256 alone, a key of the set only the algorithm that its own type gives, and there is no other algorithm.
//! Nothing of a token but its header is looked at before its signature is right.
//!
//! Its claims: `exp` is required, `nbf` holds if it is there, both with [`LEEWAY`]; `iss` and `aud` must be the ones that are set, if
//! they are; `sub` is the owner; the roles stand in a claim whose name is a setting, as a list or as text separated by spaces.
//!
//! Signatures are verified by `ring`, which does TLS in every program of ours too. A refusal never quotes the token.

mod access;
mod claims;
mod issue;
mod key_set;
mod link;
mod refusal;
mod signature;
mod token;

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::{Caller, Clock};

pub use access::Access;
pub use issue::{AccessKey, new_secret};
pub use key_set::{KEY_SET_BYTES, KeySource};
pub use link::{LINK_LIFETIME, Links};
pub use refusal::Refusal;

use key_set::KeySet;
use signature::{Algorithm, Secret};
use token::Token;

/// The most bytes of a token. Our own; Amazon API Gateway takes 10,240 bytes of headers in all.
pub const TOKEN_BYTES: usize = 8 * 1024;

/// The fewest bytes of the shared secret. RFC 7518, section 3.2: a key as long as the hash.
pub const SECRET_BYTES: usize = 32;

/// By how much clocks may differ.
pub const LEEWAY: Duration = Duration::from_secs(30);

/// The claim that holds the roles when nothing else is said.
pub const DEFAULT_ROLE_CLAIM: &str = "Role";

/// What a token must say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizerSettings {
    /// Its `iss`; `None`: any, or none.
    pub issuer: Option<String>,
    /// What its `aud` must be or hold; `None`: anything, or none.
    pub audience: Option<String>,
    /// The claim that holds the roles. Default: [`DEFAULT_ROLE_CLAIM`].
    pub role_claim: String,
}

impl Default for AuthorizerSettings {
    fn default() -> Self {
        Self { issuer: None, audience: None, role_claim: DEFAULT_ROLE_CLAIM.to_owned() }
    }
}

/// Why there is no authorizer with these settings.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AuthorizerError {
    /// The secret can be guessed.
    #[error("the secret of HS256 has {0} bytes; it needs at least {SECRET_BYTES}")]
    ShortSecret(usize),
    /// No token could ever be verified.
    #[error("there is neither a secret nor a key set, so that no token could be verified; set one of them")]
    NoKeys,
    /// Tokens can be verified here and not issued: they are signed elsewhere.
    #[error("there is no shared secret here to sign with; tokens come from whoever publishes the key set")]
    NoSecret,
    /// The token would not be taken.
    #[error("the token would have {0} bytes, more than the {TOKEN_BYTES} that one may have; shorten its `sub`")]
    TooLarge(usize),
    /// There is no randomness.
    #[error("the system gives no random bytes")]
    NoRandomness,
    /// A setting is empty that would then hold for no token.
    #[error("`{0}` is empty; leave it out, or say what a token must have there")]
    Empty(&'static str),
}

/// Checks tokens.
pub struct Authorizer {
    settings: AuthorizerSettings,
    secret: Option<Secret>,
    key_set: Option<KeySet>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authorizer").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Authorizer {
    /// An authorizer of tokens signed with `secret` (its UTF-8 bytes are the key), with a key of the set from `key_source`, or with
    /// either.
    ///
    /// # Errors
    ///
    /// When the secret is shorter than [`SECRET_BYTES`], there is nothing to verify with, or a setting is empty.
    pub fn new(
        settings: AuthorizerSettings,
        secret: Option<&str>,
        key_source: Option<Arc<dyn KeySource>>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AuthorizerError> {
        if secret.is_none() && key_source.is_none() {
            return Err(AuthorizerError::NoKeys);
        }
        let texts = [
            ("issuer", settings.issuer.as_deref()),
            ("audience", settings.audience.as_deref()),
            ("role_claim", Some(settings.role_claim.as_str())),
        ];
        if let Some((name, _)) = texts.into_iter().find(|(_, text)| *text == Some("")) {
            return Err(AuthorizerError::Empty(name));
        }
        let secret = secret.map(Secret::new).transpose()?;
        Ok(Self { settings, secret, key_set: key_source.map(KeySet::new), clock })
    }

    /// Checks what the header `Authorization` says against what a route asks for.
    ///
    /// # Errors
    ///
    /// A [`Refusal`]; [`Refusal::is_ours`] tells those apart that say nothing about the token.
    pub async fn check(&self, authorization: Option<&str>, access: Access) -> Result<Caller, Refusal> {
        // Nobody is to be let in by a token where none is asked for.
        let Access::Needs(_) = access else {
            return Err(Refusal::NoSuchRoute);
        };
        let caller = self.caller(authorization).await?;
        self.permit(caller, access)
    }

    /// The caller, if they may call what asks for this.
    fn permit(&self, caller: Caller, access: Access) -> Result<Caller, Refusal> {
        let Access::Needs(role) = access else {
            return Err(Refusal::NoSuchRoute);
        };
        if caller.roles().permit(role) {
            Ok(caller)
        } else {
            Err(Refusal::Role { needed: role, claim: self.settings.role_claim.clone() })
        }
    }

    /// Checks the token in the header `Authorization`: who it is about.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check), but for what a route asks for.
    pub async fn caller(&self, authorization: Option<&str>) -> Result<Caller, Refusal> {
        let token = Token::of_header(authorization)?;
        self.verify(&token).await?;
        claims::caller(&token.payload()?, &self.settings, self.clock.now_micros())
    }

    async fn verify(&self, token: &Token<'_>) -> Result<(), Refusal> {
        let verified = match token.algorithm {
            Algorithm::Hs256 => {
                let secret = self.secret.as_ref().ok_or(Refusal::NotAccepted(token.algorithm.name()))?;
                secret.verifies(token.signed, &token.signature)
            }
            Algorithm::Rs256 | Algorithm::Es256 => {
                let key_set = self.key_set.as_ref().ok_or(Refusal::NotAccepted(token.algorithm.name()))?;
                let key = key_set.key(token.kid.as_deref(), token.algorithm, self.clock.now_micros()).await?;
                key.verifies(token.signed, &token.signature)
            }
        };
        if verified { Ok(()) } else { Err(Refusal::Signature) }
    }
}

#[cfg(test)]
mod tests;
