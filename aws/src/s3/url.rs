//! Where the lake is: a bucket, and the prefix of every key in it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

/// The most bytes of a key. Amazon Simple Storage Service User Guide, "Naming Amazon S3 objects".
const KEY_BYTES: usize = 1024;

/// The lake's root, `s3://BUCKET/PREFIX`; the prefix may be missing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LakeUrl {
    bucket: String,
    /// Without slashes at its ends.
    prefix: String,
}

/// Text that is no lake's root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no place for a lake: {why}; expected `s3://BUCKET/PREFIX`, such as `s3://alluvium-lake/lake`")]
pub struct LakeUrlError {
    text: String,
    why: String,
}

impl LakeUrl {
    /// The bucket.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// What every key begins with, without slashes at its ends; empty: the root is the bucket.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The key of the object at `path` under the root.
    ///
    /// # Errors
    ///
    /// A sentence, when the path leads out of the root or nowhere, or the key would be too long.
    pub fn key(&self, path: &str) -> Result<String, String> {
        segments_are_names(path).map_err(|why| format!("`{path}` is no path under {self}: {why}"))?;
        let key = if self.prefix.is_empty() { path.to_owned() } else { format!("{}/{path}", self.prefix) };
        match key.len() {
            0..=KEY_BYTES => Ok(key),
            bytes => Err(format!("`{key}` is no key: it has {bytes} bytes, of at most {KEY_BYTES}")),
        }
    }

    /// The address of a key, for messages.
    pub(crate) fn object(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }
}

/// Whether a path is names with single slashes between them.
fn segments_are_names(path: &str) -> Result<(), String> {
    if path.is_empty() {
        return Err("it is empty".to_owned());
    }
    if path.chars().any(char::is_control) {
        return Err("it has a control character".to_owned());
    }
    match path.split('/').find(|segment| matches!(*segment, "" | "." | "..")) {
        Some("") => Err("a name between its slashes is empty".to_owned()),
        Some(segment) => Err(format!("`{segment}` names nothing in it")),
        None => Ok(()),
    }
}

/// Amazon Simple Storage Service User Guide, "General purpose bucket naming rules", as far as a mistake would break them.
fn bucket_is_one(bucket: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends_plain = bucket.bytes().next().is_some_and(plain) && bucket.bytes().next_back().is_some_and(plain);
    if !(3..=63).contains(&bucket.len()) || !ends_plain || !bucket.bytes().all(|b| plain(b) || matches!(b, b'-' | b'.'))
    {
        let rule = "a bucket's name has 3 to 63 lower-case letters, digits, hyphens and dots, and begins and ends with a \
                    letter or digit";
        return Err(format!("`{bucket}` names no bucket: {rule}"));
    }
    Ok(())
}

impl FromStr for LakeUrl {
    type Err = LakeUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = |why: String| LakeUrlError { text: text.chars().take(200).collect(), why };
        let rest = text.strip_prefix("s3://").ok_or_else(|| refused("it does not begin with `s3://`".to_owned()))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        bucket_is_one(bucket).map_err(refused)?;
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        if !prefix.is_empty() {
            segments_are_names(prefix).map_err(|why| refused(format!("its prefix `{prefix}` is none: {why}")))?;
        }
        Ok(Self { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }
}

impl fmt::Display for LakeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.bucket)?;
        if self.prefix.is_empty() { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

impl<'de> Deserialize<'de> for LakeUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> LakeUrl {
        text.parse().unwrap()
    }

    #[test]
    fn a_root_is_a_bucket_and_a_prefix() {
        let lake = url("s3://alluvium-lake/lake/");
        assert_eq!(
            (lake.bucket(), lake.prefix(), lake.to_string().as_str()),
            ("alluvium-lake", "lake", "s3://alluvium-lake/lake")
        );
        assert_eq!(lake.key("readings/a.parquet").unwrap(), "lake/readings/a.parquet");
        let whole = url("s3://alluvium-lake");
        assert_eq!((whole.prefix(), whole.key("a").unwrap().as_str()), ("", "a"));
        assert_eq!(url("s3://a.b-3/one/two").key("three").unwrap(), "one/two/three");
    }

    #[test]
    fn what_is_no_root_is_refused_with_the_reason() {
        for (text, why) in [
            ("/var/lake", "does not begin with `s3://`"),
            ("S3://bucket/lake", "does not begin with `s3://`"),
            ("s3://", "names no bucket"),
            ("s3://ab/lake", "3 to 63"),
            ("s3://Lake/lake", "`Lake` names no bucket"),
            ("s3://-lake/lake", "names no bucket"),
            ("s3://bucket//lake", "a name between its slashes is empty"),
            ("s3://bucket/../lake", "`..` names nothing"),
            ("s3://bucket/a\n", "control character"),
        ] {
            let error = text.parse::<LakeUrl>().unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("expected `s3://BUCKET/PREFIX`"), "{error}");
        }
    }

    #[test]
    fn a_path_that_leads_out_or_nowhere_has_no_key() {
        let lake = url("s3://alluvium-lake/lake");
        for path in ["", "/a", "a/", "a//b", "../a", "a/../../b", "./a", "a/.", "a\0b"] {
            assert!(lake.key(path).is_err(), "{path}");
        }
        assert!(lake.key(&"k".repeat(KEY_BYTES - 5)).is_ok());
        assert!(lake.key(&"k".repeat(KEY_BYTES - 4)).unwrap_err().contains("1025 bytes"));
    }
}
