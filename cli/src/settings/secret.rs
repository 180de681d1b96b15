//! Settings that are never printed.

use std::fmt;

use anyhow::Context as _;
use serde::{Deserialize, Serialize, Serializer};

/// A secret, or the file that holds it (`file:PATH`). It is written out as `set`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The secret itself, read from its file if it names one.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn read(&self) -> anyhow::Result<String> {
        match self.0.strip_prefix("file:") {
            None => Ok(self.0.clone()),
            Some(path) => std::fs::read_to_string(path).with_context(|| format!("cannot read the secret in {path}")),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("set")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("set")
    }
}
