//! The names that a report may have.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// A report's name: 1 to 64 of `a-z`, `0-9` and `_`, beginning with a letter. It is a file's name, a folder's and a part of a route.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReportName(Arc<str>);

/// A name that no report can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no name for a report: expected 1 to 64 of a-z, 0-9 and _, beginning with a letter")]
pub struct ReportNameError(String);

impl ReportName {
    /// A name that a report's file may have, without its ending.
    ///
    /// # Errors
    ///
    /// When it has other characters than a name may have, or too many.
    pub fn new(name: &str) -> Result<Self, ReportNameError> {
        let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        let rest = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if !first || !rest || name.len() > 64 {
            return Err(ReportNameError(name.chars().take(80).collect()));
        }
        Ok(Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for ReportName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReportName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
