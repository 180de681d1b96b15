//! Who may come in, and how fast.

use alluvium_core::{Caller, Problem};
use async_trait::async_trait;

/// What a connection is held to: the same as a call over HTTP.
#[async_trait]
pub trait Gate: std::fmt::Debug + Send + Sync {
    /// Whether a token is asked for; without one everybody's rows are read.
    fn asks(&self) -> bool;

    /// Whose token this is.
    ///
    /// # Errors
    ///
    /// When it is no good, or does not let its bearer read.
    async fn caller(&self, token: &str) -> Result<Caller, Problem>;

    /// Lets one statement of this owner through; empty: of nobody in particular.
    ///
    /// # Errors
    ///
    /// When there are too many.
    fn admit(&self, owner: &str) -> Result<(), Problem>;
}
