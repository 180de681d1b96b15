//! The names that a dataset may have.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A dataset's name: 1 to 64 of `a-z`, `0-9` and `_`, beginning with a letter.
///
/// It is a table's name in every engine, a folder's name and a route, so it is held to what all of them take. Names of our own
/// tables and endings of our own views are reserved.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DatasetName(Arc<str>);

/// A name that no dataset can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatasetNameError {
    /// It has other characters, or too many.
    #[error("`{0}` is no name for a dataset: expected 1 to 64 of a-z, 0-9 and _, beginning with a letter")]
    Characters(String),
    /// It is taken.
    #[error(
        "`{0}` is reserved: `dead_letters`, `ledger`, `queries`, `reports` and `uploads` are ours, and so is every name ending in `_raw`"
    )]
    Reserved(String),
}

const DEAD_LETTERS: &str = "dead_letters";
const LEDGER: &str = "ledger";

impl DatasetName {
    /// A name that a schema file may have.
    ///
    /// # Errors
    ///
    /// When it has other characters than a name may have, or is reserved.
    pub fn new(name: &str) -> Result<Self, DatasetNameError> {
        let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        let rest = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if !first || !rest || name.len() > 64 {
            return Err(DatasetNameError::Characters(name.chars().take(80).collect()));
        }
        if [DEAD_LETTERS, LEDGER, "queries", "reports", "uploads"].contains(&name) || name.ends_with("_raw") {
            return Err(DatasetNameError::Reserved(name.to_owned()));
        }
        Ok(Self(name.into()))
    }

    /// The dataset of events that could not become a row.
    pub fn dead_letters() -> Self {
        Self(DEAD_LETTERS.into())
    }

    /// The table of what became of every event.
    pub fn ledger() -> Self {
        Self(LEDGER.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for DatasetName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DatasetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for DatasetName {
    type Error = DatasetNameError;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        match name.as_str() {
            DEAD_LETTERS => Ok(Self::dead_letters()),
            LEDGER => Ok(Self::ledger()),
            other => Self::new(other),
        }
    }
}

impl From<DatasetName> for String {
    fn from(name: DatasetName) -> Self {
        name.0.as_ref().to_owned()
    }
}
