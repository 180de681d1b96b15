//! The keyword `format`, asserted: how a text must be written.
//!
//! What is accepted agrees with the crate `jsonschema`, which the tests of the transform hold it to, but for two of its habits:
//! it takes a display name before an e-mail address (`Ann <ann@example.org>`), which is no mailbox, and it holds host labels
//! with hyphens in the third and fourth place (`xn--…`) to IDNA, whereas here, as in RFC 5321, they are labels like any other.

use std::net::{Ipv4Addr, Ipv6Addr};

use email_address::EmailAddress;
use fluent_uri::Uri;

use super::TextFormat;

/// The longest name of a host, in bytes (RFC 1035, section 2.3.4, written without its last dot).
const HOST_BYTES: usize = 253;
/// The longest label of a host's name, in bytes (RFC 1035, section 2.3.4).
const LABEL_BYTES: usize = 63;

impl TextFormat {
    /// Whether a text is written so. Allocates nothing.
    pub fn matches(self, text: &str) -> bool {
        match self {
            Self::Uuid => is_uuid(text.as_bytes()),
            Self::Email => is_email(text),
            Self::Ipv4 => text.parse::<Ipv4Addr>().is_ok(),
            Self::Ipv6 => text.parse::<Ipv6Addr>().is_ok(),
            Self::Uri => Uri::parse(text).is_ok(),
        }
    }
}

/// 32 hexadecimal digits of any case in groups of 8, 4, 4, 4 and 12.
fn is_uuid(text: &[u8]) -> bool {
    text.len() == 36
        && text.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    // The crate does not take the empty quoted string, which RFC 5321 allows.
    let local_fits = local == "\"\"" || (local.is_ascii() && EmailAddress::is_valid_local_part(local));
    local_fits
        && match domain.strip_prefix('[').and_then(|literal| literal.strip_suffix(']')) {
            Some(literal) => is_address_literal(literal),
            None => is_host(domain),
        }
}

/// An address in place of a host's name (RFC 5321, section 4.1.3); tags that are not registered are not taken.
fn is_address_literal(literal: &str) -> bool {
    match literal.split_at_checked(5) {
        Some((tag, address)) if tag.eq_ignore_ascii_case("IPv6:") => address.parse::<Ipv6Addr>().is_ok(),
        _ => literal.parse::<Ipv4Addr>().is_ok(),
    }
}

fn is_host(name: &str) -> bool {
    let fits = |label: &str| {
        (1..=LABEL_BYTES).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name.len() <= HOST_BYTES && name.split('.').all(fits)
}

#[cfg(test)]
mod tests;
