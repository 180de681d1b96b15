//! Keys, and what each of them verifies.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey};

use super::{AuthorizerError, SECRET_BYTES};

/// How tokens may be signed. RFC 7518, section 3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    /// HMAC with SHA-256.
    Hs256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

impl Algorithm {
    /// The algorithm of this name; `None`: another, `none` among them.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        [Self::Hs256, Self::Rs256, Self::Es256].into_iter().find(|algorithm| algorithm.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}

/// The secret shared with whoever signs: it verifies HS256, and nothing else.
pub(super) struct Secret(hmac::Key);

impl Secret {
    pub(super) fn new(secret: &str) -> Result<Self, AuthorizerError> {
        if secret.len() < SECRET_BYTES {
            return Err(AuthorizerError::ShortSecret(secret.len()));
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())))
    }

    pub(super) fn verifies(&self, signed: &[u8], signature: &[u8]) -> bool {
        hmac::verify(&self.0, signed, signature).is_ok()
    }

    /// The keyed hash of a text, in base64url.
    pub(super) fn tag(&self, text: &str) -> String {
        encode(hmac::sign(&self.0, text.as_bytes()).as_ref())
    }
}

/// A public key: its type says what it verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PublicKey {
    /// RS256, by modulus and exponent, big-endian without leading zeros. Verifies nothing under 2,048 bits.
    Rsa { n: Vec<u8>, e: Vec<u8> },
    /// ES256, by the uncompressed point.
    P256(Vec<u8>),
}

/// The bytes of one coordinate of P-256.
const COORDINATE_BYTES: usize = 32;

impl PublicKey {
    /// The RSA key of a JWK's `n` and `e`. RFC 7518, section 6.3.1.
    pub(super) fn rsa(n: &str, e: &str) -> Option<Self> {
        let number = |text| {
            let bytes = decode(text)?;
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            Some(bytes[zeros..].to_vec())
        };
        Some(Self::Rsa { n: number(n)?, e: number(e)? })
    }

    /// The key on P-256 of a JWK's `x` and `y`. RFC 7518, section 6.2.1.
    pub(super) fn p256(x: &str, y: &str) -> Option<Self> {
        const UNCOMPRESSED: u8 = 4;
        let coordinate = |text| decode(text).filter(|bytes| bytes.len() == COORDINATE_BYTES);
        Some(Self::P256([vec![UNCOMPRESSED], coordinate(x)?, coordinate(y)?].concat()))
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa { .. } => Algorithm::Rs256,
            Self::P256(_) => Algorithm::Es256,
        }
    }

    pub(super) fn verifies(&self, signed: &[u8], signature: &[u8]) -> bool {
        let outcome = match self {
            Self::Rsa { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature)
            }
            Self::P256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed, signature),
        };
        outcome.is_ok()
    }
}

/// Base64url without padding, as JWS and JWK have it. RFC 7515, section 2.
pub(super) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What [`encode`] makes, taken back; `None`: it is something else.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
