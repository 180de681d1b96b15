//! What stands behind the `?` of a request's address.

use percent_encoding::percent_decode_str;

/// A query that is no text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the query holds bytes that are not UTF-8; percent-encode its names and values as UTF-8")]
pub struct NotUtf8;

/// The parameters of a query, names and values, in its order (URL Standard, "application/x-www-form-urlencoded parsing"; a byte sequence
/// that is not UTF-8 is refused instead of replaced, for it would be another name).
///
/// # Errors
///
/// When a name or a value is not UTF-8.
pub fn parameters(query: Option<&str>) -> Result<Vec<(String, String)>, NotUtf8> {
    let text = |part: &str| {
        let spaced = part.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8().map(|text| text.into_owned()).map_err(|_| NotUtf8)
    };
    let parts = query.unwrap_or_default().split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Ok((text(name)?, text(value)?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(query: &str) -> Vec<(String, String)> {
        parameters(Some(query)).unwrap()
    }

    #[test]
    fn names_and_values_are_decoded_in_their_order() {
        let expected = [("a", "1"), ("b c", "ä=&"), ("a", ""), ("d", ""), ("", "x"), ("e", "100%")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(pairs("a=1&b+c=%C3%A4%3D%26&&a=&d&=x&e=100%"), expected);
        assert_eq!((parameters(None), parameters(Some("&"))), (Ok(vec![]), Ok(vec![])));
    }

    #[test]
    fn what_is_not_utf_8_is_refused_and_not_replaced() {
        for query in ["a=%FF", "%C3=1", "a=1&b=%ED%A0%80"] {
            assert_eq!(parameters(Some(query)), Err(NotUtf8), "{query}");
        }
    }
}
