//! The token that a command shows a node.

use std::path::Path;

use alluvium_local::folder;
use figment::providers::Env;

/// The variable that holds one.
const VARIABLE: &str = "ALLUVIUM_TOKEN";

/// The token in `ALLUVIUM_TOKEN`, else the one that the node on `folder` has left for its user; `None`: there is neither, and the node
/// will say so if it asks for one.
///
/// # Errors
///
/// When the folder's token cannot be read.
pub fn token(folder: Option<&Path>) -> anyhow::Result<Option<String>> {
    match (Env::var(VARIABLE).filter(|token| !token.is_empty()), folder) {
        (Some(token), _) => Ok(Some(token)),
        (None, Some(folder)) => Ok(folder::token_of(folder)?),
        (None, None) => Ok(None),
    }
}
