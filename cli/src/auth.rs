//! The authorizer that the settings describe.

mod access_keys;
mod key_source;

use std::sync::Arc;

use alluvium_core::Clock;
use alluvium_query::{Authorizer, AuthorizerSettings, KeySource};
use anyhow::Context as _;

use self::key_source::HttpKeySource;
use crate::settings::Settings;

pub use access_keys::IssuedKeys;

/// An authorizer with the settings' secret; without one, with what `of_folder` gives.
///
/// # Errors
///
/// When a secret cannot be read or is too short, or the key set's address cannot be used.
pub fn authorizer(
    settings: &Settings,
    of_folder: impl FnOnce() -> anyhow::Result<String>,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<Authorizer> {
    let auth = &settings.auth;
    let secret = match &auth.secret {
        Some(secret) => secret.read().context("the setting `auth.secret` cannot be used")?.trim().to_owned(),
        None => of_folder()?,
    };
    let key_source = auth.jwks_url.as_deref().map(HttpKeySource::new).transpose()?;
    let authorizer = Authorizer::new(
        AuthorizerSettings {
            issuer: auth.issuer.clone(),
            audience: auth.audience.clone(),
            role_claim: auth.role_claim.clone(),
        },
        Some(&secret),
        key_source.map(|source| Arc::new(source) as Arc<dyn KeySource>),
        clock,
    );
    authorizer.context("the settings of `auth` cannot be used")
}

#[cfg(test)]
mod tests;
