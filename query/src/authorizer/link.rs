//! Links: calls that are signed beforehand, for whoever has no token at hand, such as a browser that downloads a file.
//!
//! A link is the target of a call (its path, and its query if it has one) with one more parameter, `link`, at its end. That holds the claims of
//! the caller whose call it is, as a token's, and behind a dot their keyed hash together with the method and the target. So a link is good for
//! one call alone, for as long as its claims say, and nothing has to be kept of it.

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::Caller;

use super::issue::checked;
use super::{Access, Authorizer, AuthorizerError, Refusal};

/// For how long a link is good.
pub const LINK_LIFETIME: Duration = Duration::from_secs(15 * 60);

/// What is hashed before a link's target and claims.
const LINK_CONTEXT: &str = "link: ";

/// Makes links.
#[derive(Debug, Clone)]
pub struct Links {
    authorizer: Option<Arc<Authorizer>>,
    lifetime: Duration,
}

impl Links {
    /// Links that this authorizer takes for [`LINK_LIFETIME`]; without one calls need no token, and a link is the bare target.
    pub fn new(authorizer: Option<Arc<Authorizer>>) -> Self {
        Self { authorizer, lifetime: LINK_LIFETIME }
    }

    /// The target with what lets it through as a call of this caller.
    ///
    /// # Errors
    ///
    /// As [`Authorizer::issue`].
    pub fn to(&self, method: &str, target: &str, caller: Option<&Caller>) -> Result<String, AuthorizerError> {
        match (&self.authorizer, caller) {
            (Some(authorizer), Some(caller)) => authorizer.issue_link(method, target, caller, self.lifetime),
            _ => Ok(target.to_owned()),
        }
    }
}

impl Authorizer {
    fn issue_link(
        &self,
        method: &str,
        target: &str,
        caller: &Caller,
        lifetime: Duration,
    ) -> Result<String, AuthorizerError> {
        let claims = self.claims(caller, lifetime);
        let tag = self.secret()?.tag(&signed(method, target, &claims));
        let separator = if target.contains('?') { '&' } else { '?' };
        checked(format!("{claims}.{tag}")).map(|link| format!("{target}{separator}link={link}"))
    }

    /// Checks the link of a call, the last parameter of its target; `None`: it has none.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub fn check_link(&self, method: &str, target: &str, access: Access) -> Option<Result<Caller, Refusal>> {
        let (target, link) = split(target)?;
        Some(self.tagged(link, |claims| signed(method, target, claims)).and_then(|caller| self.permit(caller, access)))
    }
}

/// A target without its link, and the link.
fn split(target: &str) -> Option<(&str, &str)> {
    let (rest, link) = target.rsplit_once("link=")?;
    let rest = rest.strip_suffix('?').or_else(|| rest.strip_suffix('&').filter(|rest| rest.contains('?')))?;
    (!link.contains('&')).then_some((rest, link))
}

/// What is hashed. A HEAD is a GET whose answer has no body (RFC 9110, section 9.3.2). Neither a method nor a target has a space.
fn signed(method: &str, target: &str, claims: &str) -> String {
    let method = if method == "HEAD" { "GET" } else { method };
    format!("{LINK_CONTEXT}{method} {target} {claims}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use alluvium_core::{ManualClock, Role, Roles};

    use super::*;
    use crate::authorizer::AuthorizerSettings;

    const READS: Access = Access::Needs(Role::Read);

    fn authorizer(secret: &str, now_s: i64) -> Authorizer {
        let clock = Arc::new(ManualClock::at(now_s * 1_000_000));
        Authorizer::new(AuthorizerSettings::default(), Some(secret), None, clock).unwrap()
    }

    fn ann() -> Caller {
        Caller::new("ann", Roles::of_text("data.read")).unwrap()
    }

    #[test]
    fn a_link_is_good_for_one_call_of_one_caller_and_a_while() {
        let secret = "0123456789abcdef0123456789abcdef";
        let links = Links::new(Some(Arc::new(authorizer(secret, 1_000))));
        for target in ["/v1/queries/q-1/results.csv", "/v1/telemetry?source=a%20b&limit=2"] {
            let link = links.to("GET", target, Some(&ann())).unwrap();
            assert!(link.starts_with(target) && link.parse::<http::Uri>().is_ok(), "{link}");
            let at = |now_s: i64| authorizer(secret, now_s);
            for method in ["GET", "HEAD"] {
                assert_eq!(at(1_001).check_link(method, &link, READS), Some(Ok(ann())), "{link}");
            }
            let refused = |method: &str, link: &str| at(1_001).check_link(method, link, READS).unwrap().unwrap_err();
            assert_eq!(refused("DELETE", &link), Refusal::Signature);
            assert_eq!(refused("GET", &link.replacen("1", "2", 1)), Refusal::Signature);
            assert_eq!(refused("GET", &link.replacen(['?', '&'], "?owner=*&", 1)), Refusal::Signature);
            assert!(matches!(refused("GET", "/v1/telemetry?link=x"), Refusal::Malformed(_)));
            assert!(matches!(refused("GET", "/v1/telemetry?link="), Refusal::Malformed(_)));
            assert_eq!(at(1_000 + 931).check_link("GET", &link, READS), Some(Err(Refusal::Expired)));
            let writes = at(1_001).check_link("GET", &link, Access::Needs(Role::Write));
            assert!(matches!(writes, Some(Err(Refusal::Role { .. }))));
            let other = authorizer(&"x".repeat(32), 1_001);
            assert_eq!(other.check_link("GET", &link, READS), Some(Err(Refusal::Signature)));
            assert_eq!(at(1_001).check_link("GET", &format!("{link}&limit=9"), READS), None, "it is not the last");
        }
    }

    #[test]
    fn neither_an_access_key_nor_a_token_is_a_link() {
        let authorizer = authorizer(&"x".repeat(32), 1_000);
        let key = authorizer.issue_access_key(&ann(), LINK_LIFETIME).unwrap();
        let token = authorizer.issue(&ann(), LINK_LIFETIME).unwrap();
        for other in [key.id.as_str(), token.as_str(), token.split_once('.').unwrap().1] {
            let checked = authorizer.check_link("GET", &format!("/v1/telemetry?link={other}"), READS);
            assert!(checked.unwrap().is_err(), "{other}");
        }
        let link = authorizer.issue_link("GET", "/", &ann(), LINK_LIFETIME).unwrap();
        assert!(authorizer.access_key(link.split_once("link=").unwrap().1).is_err());
    }

    #[test]
    fn where_nobody_needs_a_token_a_link_is_the_target() {
        assert_eq!(Links::new(None).to("GET", "/data", None).as_deref(), Ok("/data"));
        assert_eq!(authorizer(&"x".repeat(32), 0).check_link("GET", "/data?dislink=1", READS), None);
    }
}
