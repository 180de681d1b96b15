//! Every way in which a token is refused.

use alluvium_core::envelope::MAX_TEXT_BYTES;
use alluvium_core::{Problem, Role};

use super::{LEEWAY, TOKEN_BYTES};

/// Why a call was refused. Its text is the problem's detail; it never quotes the token, but for names out of its header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no token.
    #[error("there is no token; send `Authorization: Bearer TOKEN`")]
    NoToken,
    /// The header holds something else.
    #[error("the header `Authorization` is not of the scheme `Bearer`; send `Authorization: Bearer TOKEN`")]
    NotBearer,
    /// The token is too long.
    #[error("the token has {0} bytes, more than the {TOKEN_BYTES} that one may have")]
    TooLarge(usize),
    /// It is no JWT. The text says what of it.
    #[error("the token is not a JWT that can be read: {0}")]
    Malformed(&'static str),
    /// It is signed with an algorithm that nobody here verifies.
    #[error("the token's algorithm is {0:?}; expected HS256, RS256 or ES256")]
    Algorithm(String),
    /// There is no key for its algorithm.
    #[error("no key for {0} is set up here, so that its tokens cannot be verified")]
    NotAccepted(&'static str),
    /// No key of the set is the one it names, for its algorithm.
    #[error(
        "the key set has no key for {algorithm} named {kid:?}; sign with one that it has, or publish this one there"
    )]
    UnknownKey {
        /// The algorithm.
        algorithm: &'static str,
        /// The name.
        kid: String,
    },
    /// It names no key, and the set does not have exactly one for its algorithm.
    #[error("the token names no key (`kid`), and the key set does not have exactly one for {0}")]
    NoKeyNamed(&'static str),
    /// The signature is wrong.
    #[error("the token's signature is wrong; it was signed with another key, or changed since")]
    Signature,
    /// A claim is not there.
    #[error("the token has no `{0}`")]
    ClaimMissing(String),
    /// A claim has a value of another kind.
    #[error("the token's `{claim}` is not {expected}")]
    ClaimKind {
        /// Which.
        claim: String,
        /// What it should be.
        expected: &'static str,
    },
    /// It has expired.
    #[error("the token has expired; get a new one")]
    Expired,
    /// It does not hold yet.
    #[error("the token does not hold yet (`nbf`), by more than the {LEEWAY:?} that clocks may differ")]
    NotYet,
    /// `iss` or `aud` is another.
    #[error("the token's `{0}` is not the one that is expected here")]
    ClaimOther(&'static str),
    /// `sub` cannot be an owner.
    #[error("the token's `sub` cannot be an owner; expected 1 to {MAX_TEXT_BYTES} bytes of text")]
    Owner,
    /// The roles do not permit the call.
    #[error("this call needs the role `{needed}`{}, in the token's claim `{claim}`", or_admin(*.needed))]
    Role {
        /// The role.
        needed: Role,
        /// The claim where it is looked for.
        claim: String,
    },
    /// There is no such route.
    #[error("there is no such route")]
    NoSuchRoute,
    /// The key set cannot be had, so nobody knows whether the token is good.
    #[error("the key set that verifies the token cannot be had at the moment; try again")]
    KeysUnavailable,
}

/// The role that permits everything, where another is needed.
fn or_admin(needed: Role) -> &'static str {
    if needed == Role::Admin { "" } else { " or `data.admin`" }
}

impl Refusal {
    /// Whether the refusal says nothing about the token: a fault on our side, which may pass and must not be remembered.
    pub fn is_ours(&self) -> bool {
        matches!(self, Self::KeysUnavailable)
    }

    /// The problem document that a client gets.
    pub fn problem(&self) -> Problem {
        let (status, slug) = match self {
            Self::NoToken => (401, "no-token"),
            Self::NotBearer => (401, "not-a-bearer-token"),
            Self::TooLarge(_) => (401, "token-too-large"),
            Self::Malformed(_) => (401, "malformed-token"),
            Self::Algorithm(_) | Self::NotAccepted(_) => (401, "token-algorithm"),
            Self::UnknownKey { .. } | Self::NoKeyNamed(_) => (401, "unknown-key"),
            Self::Signature => (401, "wrong-signature"),
            Self::ClaimMissing(_) | Self::ClaimKind { .. } | Self::ClaimOther(_) | Self::Owner => (401, "wrong-claim"),
            Self::Expired => (401, "token-expired"),
            Self::NotYet => (401, "token-not-yet-valid"),
            Self::Role { .. } => (403, "role-missing"),
            Self::NoSuchRoute => (404, "no-such-route"),
            Self::KeysUnavailable => (503, "keys-unavailable"),
        };
        let problem = Problem::new(status, slug, self.to_string());
        if self.is_ours() { problem.retry_after(10) } else { problem }
    }
}
