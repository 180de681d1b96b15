//! The function's settings.

use alluvium_aws::function::DEFAULT_VERBOSITY;
use alluvium_query::AuthorizerSettings;
use alluvium_query::authorizer::DEFAULT_ROLE_CLAIM;
use serde::Deserialize;

/// Every setting.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    #[serde(default = "verbosity")]
    pub verbosity: String,
    pub auth: Auth,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// Where the secret of HS256 is: `secret:ARN`.
    pub secret: Option<String>,
    /// Where the key set of RS256 and ES256 is.
    pub jwks_url: Option<String>,
    /// What a token's `iss` must be.
    pub issuer: Option<String>,
    /// What a token's `aud` must be or hold. Some issuers name it by a number.
    #[serde(default, deserialize_with = "alluvium_aws::function::text")]
    pub audience: Option<String>,
    /// The claim that holds the roles.
    #[serde(default = "role_claim")]
    pub role_claim: String,
}

fn verbosity() -> String {
    DEFAULT_VERBOSITY.to_owned()
}

fn role_claim() -> String {
    DEFAULT_ROLE_CLAIM.to_owned()
}

impl Settings {
    /// What a token must say.
    pub fn authorizer(&self) -> AuthorizerSettings {
        let Auth { issuer, audience, role_claim, .. } = &self.auth;
        AuthorizerSettings { issuer: issuer.clone(), audience: audience.clone(), role_claim: role_claim.clone() }
    }
}
