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

/// The parameters of a query that takes these alone, each at most once.
///
/// # Errors
///
/// When the query is no text, or one is unknown or given twice: a sentence that names it and says which there are.
pub fn known_parameters(query: Option<&str>, known: &[&str]) -> Result<Vec<(String, String)>, String> {
    let pairs = parameters(query).map_err(|error| error.to_string())?;
    for (at, (name, _)) in pairs.iter().enumerate() {
        if !known.contains(&name.as_str()) {
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let name: String = name.chars().take(80).collect();
            return Err(format!("`{name}`: there is no such parameter; known: {known}"));
        }
        if pairs[..at].iter().any(|(before, _)| before == name) {
            return Err(format!("`{name}`: it is given twice; give it once"));
        }
    }
    Ok(pairs)
}

/// The parameter that signs a link's target, its last: it is no parameter of the route.
const LINK: &str = "link";

/// As [`known_parameters`], of a route that links lead to.
///
/// # Errors
///
/// As there.
pub fn known_parameters_of_link(query: Option<&str>, known: &[&str]) -> Result<Vec<(String, String)>, String> {
    let own = query.map(|query| query.split('&').filter(|part| part.split('=').next() != Some(LINK)));
    known_parameters(own.map(|parts| parts.collect::<Vec<_>>().join("&")).as_deref(), known)
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
    fn what_is_not_known_or_given_twice_is_named() {
        let names = |query, known: &[&str]| {
            known_parameters(Some(query), known)
                .map(|pairs| pairs.into_iter().map(|(name, _)| name).collect::<Vec<_>>())
        };
        assert_eq!(names("a=1&b=2", &["b", "a"]), Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(names("", &[]), Ok(vec![]));
        assert_eq!(names("x=5", &[]), Err("`x`: there is no such parameter; known: none".to_owned()));
        assert_eq!(names("a=1&x", &["a", "b"]), Err("`x`: there is no such parameter; known: a, b".to_owned()));
        assert_eq!(names("a=1&a=1", &["a"]), Err("`a`: it is given twice; give it once".to_owned()));
        assert!(names("a=%FF", &["a"]).is_err() && names("link=x", &[]).is_err());
        assert_eq!(known_parameters_of_link(Some("link=x.y"), &[]), Ok(vec![]));
        let limited = known_parameters_of_link(Some("limit=5&link=x.y"), &["limit"]);
        assert_eq!(limited, Ok(vec![("limit".to_owned(), "5".to_owned())]));
        assert!(known_parameters_of_link(Some("linked=5"), &[]).is_err());
    }

    #[test]
    fn what_is_not_utf_8_is_refused_and_not_replaced() {
        for query in ["a=%FF", "%C3=1", "a=1&b=%ED%A0%80"] {
            assert_eq!(parameters(Some(query)), Err(NotUtf8), "{query}");
        }
    }
}
