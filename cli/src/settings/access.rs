//! Who may call a node, and from where.

use alluvium_query::authorizer::DEFAULT_ROLE_CLAIM;
use serde::{Deserialize, Serialize};

use super::Secret;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    pub required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    pub role_claim: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cors {
    pub origins: Vec<String>,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            required: true,
            secret: None,
            jwks_url: None,
            issuer: None,
            audience: None,
            role_claim: DEFAULT_ROLE_CLAIM.to_owned(),
        }
    }
}
