//! Who calls a function behind the HTTP API: what the authorizer said of the token (AU-1).

use alluvium_core::{Caller, Problem, Roles};

/// The caller by `owner` and `roles`, as they stand in the request's `requestContext.authorizer.lambda`.
///
/// # Errors
///
/// A problem for the client when they are not there: then no authorizer was asked, and nobody is let in.
pub fn caller(owner: Option<&str>, roles: Option<&str>) -> Result<Caller, Problem> {
    let caller = owner.zip(roles).and_then(|(owner, roles)| Caller::new(owner, Roles::of_text(roles)));
    caller.ok_or_else(|| {
        tracing::error!("a request came without the authorizer's owner and roles; its route must have the authorizer");
        Problem::new(500, "no-caller", "the request came without the authorizer's verdict, so that nothing was done")
    })
}
