//! Texts that are nearly written as a format says, and agreement on them alone.

use super::*;

/// Texts of a format.
fn written(format: &str) -> BoxedStrategy<String> {
    match format {
        "uuid" => "[0-9a-fA-F]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-fA-F]{12}".boxed(),
        "ipv4" => prop_oneof!["[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}", any::<[u8; 4]>().prop_map(|ip| std::net::Ipv4Addr::from(ip).to_string())].boxed(),
        "ipv6" => prop_oneof![
            any::<[u16; 8]>().prop_map(|ip| std::net::Ipv6Addr::from(ip).to_string()),
            "[0-9a-f]{1,4}::[0-9A-F]{1,5}(:[0-9.]{1,9})?",
            "([0-9a-f]{0,4}:){1,8}[0-9a-f]{0,4}",
        ]
        .boxed(),
        "email" => prop_oneof![
            "[a-z.+!#]{1,6}@[a-z0-9-]{1,5}(\\.[a-z-]{1,4}){0,2}",
            "\"[a-z@ ]{0,4}\"@[a-z]{1,3}",
            "[a-z]@\\[(IPv6:)?[0-9a-f:.]{1,9}\\]",
        ]
        .boxed(),
        "uri" => "[a-z][a-z0-9+.-]{0,4}:(//([a-z%0-9]{0,4}@)?[a-z0-9.\\[\\]:]{0,8}(:[0-9]{0,3})?)?[/a-z%0-9]{0,5}(\\?[a-z/?]{0,3})?(#[a-z#]{0,2})?".boxed(),
        "date" => "[12][0-9]{3}-(0[1-9]|1[0-2])-([012][0-9]|3[01])".boxed(),
        _ => "[12][0-9]{3}-(0[1-9]|1[0-2])-([012][0-9]|3[01])[Tt ]([01][0-9]|2[0-4]):[0-5][0-9]:([0-5][0-9]|60)([.,][0-9]{0,7})?(|Z|z|[+-][012][0-9]:?[0-6][0-9]|\\+01)".boxed(),
    }
}

/// Texts of a format, of which every other one has been changed in one place.
pub(super) fn near(format: &str) -> BoxedStrategy<String> {
    let with = select(vec!["", "-", ":", ".", "0", "a", "G", "@", " ", "é", "[", "\"", "%", "/"]);
    (written(format), any::<bool>(), any::<prop::sample::Index>(), with)
        .prop_map(|(text, changes, at, with)| {
            if !changes {
                return text;
            }
            let chars: Vec<char> = text.chars().collect();
            let at = at.index(chars.len() + 1);
            let rest = chars.get(at + usize::from(with.is_empty() || at % 2 == 0)..).unwrap_or_default();
            chars[..at].iter().copied().chain(with.chars()).chain(rest.iter().copied()).collect()
        })
        .prop_filter("a difference that is known", |text| !differs(text))
        .boxed()
}

/// Whether the two are known not to agree on such a text: see the module of the formats in core; the year 0000, which no reader of
/// the lake can show, is refused here; and `jsonschema` 0.60.2 takes some signs for digits where a date or time has digits
/// (`10-0-01-01`).
fn differs(text: &str) -> bool {
    let bytes = text.as_bytes();
    let looks_like_a_date = matches!(bytes, [_, _, _, _, b'-', _, _, b'-', ..]);
    let offset = bytes.len().saturating_sub(5);
    let mut digits = vec![0..4, 5..7, 8..10, 11..13, 14..16, 17..19];
    if offset > 0 && matches!(bytes[offset - 1], b'+' | b'-') {
        digits.extend([offset..offset + 2, offset + 3..offset + 5]);
    }
    let stray = |range| bytes.get(range).is_some_and(|found: &[u8]| !found.iter().all(u8::is_ascii_digit));
    text.contains("--")
        || text.contains(" <")
        || text.starts_with("0000-")
        || looks_like_a_date && digits.into_iter().any(stray)
}

fn agree(format: &str, text: &str) -> Result<(), TestCaseError> {
    check(&json!({"properties": {"a": {"type": "string", "format": format}}}), &json!({"a": text}))
}

proptest! {
    #[test]
    fn uuids_agree(text in near("uuid")) {
        agree("uuid", &text)?;
    }

    #[test]
    fn addresses_agree(v4 in near("ipv4"), v6 in near("ipv6")) {
        agree("ipv4", &v4)?;
        agree("ipv6", &v6)?;
    }

    #[test]
    fn emails_and_uris_agree(email in near("email"), uri in near("uri")) {
        agree("email", &email)?;
        agree("uri", &uri)?;
    }

    #[test]
    fn times_agree(time in near("date-time"), date in near("date")) {
        agree("date-time", &time)?;
        agree("date", &date)?;
    }
}

#[test]
fn a_sign_is_no_digit_of_a_date() {
    for text in ["10-0-01-01", "2014-0--01", "2014-01-0/"] {
        assert!(!crate::time::is_date(text) && crate::time::from_text(text).is_none(), "{text}");
    }
}
