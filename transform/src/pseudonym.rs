//! Pseudonyms: the keyed HMAC-SHA-256 of a value in its place (`x-alluvium.pseudonymise`).
//!
//! A text's pseudonym is the HMAC of its UTF-8 bytes after cleaning, any other value's that of its JSON text as it was sent; 64
//! lowercase hexadecimal digits either way. It depends on the key and the value alone, so that equal values can be joined across
//! columns and datasets, and so that who holds the key can find a person's rows again.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac};
use sha2::Sha256;

/// The fewest bytes of a key: as many as the hash has.
const KEY_BYTES: usize = 32;

/// The key that pseudonyms are made with. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct PseudonymKey(Box<[u8]>);

/// Why a text is no key. The text is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a pseudonym key is at least 32 random bytes, written as hexadecimal digits or in base64; make one with `openssl rand -hex 32`"
)]
pub struct PseudonymKeyError;

impl PseudonymKey {
    /// Reads a key that is written as hexadecimal digits or in base64 (padded or not); white space around it is ignored.
    ///
    /// # Errors
    ///
    /// When it is neither, or shorter than 32 bytes.
    pub fn from_text(text: &str) -> Result<Self, PseudonymKeyError> {
        let text = text.trim().as_bytes();
        // Digits alone are never taken for base64: a digit that was lost would go unseen.
        let key = if text.iter().all(u8::is_ascii_hexdigit) { hexadecimal(text) } else { base64(text) };
        key.filter(|key| key.len() >= KEY_BYTES).map(|key| Self(key.into())).ok_or(PseudonymKeyError)
    }
}

fn hexadecimal(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let (pairs, rest) = text.as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    rest.is_empty().then(|| bytes.collect()).flatten()
}

fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    base64_simd::STANDARD_NO_PAD.decode_to_vec(&text[..text.len() - padding]).ok()
}

impl fmt::Debug for PseudonymKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PseudonymKey(not shown)")
    }
}

/// Makes pseudonyms: a key, made ready.
#[derive(Clone)]
pub(crate) struct Pseudonyms(Hmac<Sha256>);

impl Pseudonyms {
    pub(crate) fn new(key: &PseudonymKey) -> Self {
        Self(Hmac::new_from_slice(&key.0).expect("HMAC takes keys of any length"))
    }

    /// Appends the pseudonym of a value.
    pub(crate) fn write(&self, value: &str, out: &mut String) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut mac = self.0.clone();
        mac.update(value.as_bytes());
        let digits = mac.finalize().into_bytes();
        out.extend(
            digits.iter().flat_map(|byte| [byte >> 4, byte & 15].map(|digit| char::from(DIGITS[usize::from(digit)]))),
        );
    }
}

impl fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pseudonyms(key not shown)")
    }
}

#[cfg(test)]
mod tests;
