//! The body of a request that says what is asked for: one JSON object.

use serde::de::{DeserializeOwned, Error as _};

/// Reads a JSON object. An array is refused, which `serde` takes for the fields of one in their order: it would mean something else with
/// the next field.
///
/// # Errors
///
/// When it is no object, or not such a one.
pub fn object<T: DeserializeOwned>(body: &[u8]) -> Result<T, serde_json::Error> {
    let first = body.iter().find(|byte| !b" \t\n\r".contains(byte));
    if first == Some(&b'[') {
        return Err(serde_json::Error::custom("it is an array, and not an object"));
    }
    serde_json::from_slice(body)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Asked {
        sql: String,
    }

    #[test]
    fn an_object_is_read_and_nothing_else_that_could_stand_for_it() {
        let read = |body: &str| object::<Asked>(body.as_bytes());
        assert_eq!(read(" \n{\"sql\": \"select 1\"}").unwrap(), Asked { sql: "select 1".to_owned() });
        for (body, says) in [
            ("[\"select 1\"]", "an array"),
            (" \t\r\n[\"select 1\"]", "an array"),
            ("\"select 1\"", "expected struct"),
            ("", "EOF"),
        ] {
            let refused = read(body).unwrap_err().to_string();
            assert!(refused.contains(says), "{body}: {refused}");
        }
    }
}
