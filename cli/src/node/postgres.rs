//! The node's door for clients of Postgres: the same guard as before its routes.

use std::sync::Arc;

use alluvium_core::{Caller, Problem, Role};
use alluvium_local::folder::private_file;
use alluvium_query::Access;
use alluvium_query::postgres::{Encryption, Gate, Postgres, PostgresSettings};
use anyhow::Context as _;
use async_trait::async_trait;

use super::admin::Statements;
use super::front::Guard;
use crate::settings;

/// What serves these clients. Their statements are jobs, as those of `POST /v1/queries` are: a client that reads slowly keeps no engine
/// waiting.
pub fn server(
    guard: Guard,
    statements: &Statements,
    settings: &settings::Postgres,
    encryption: Option<Encryption>,
) -> Postgres {
    let settings = PostgresSettings { connections: settings.connections, idle: settings.idle };
    Postgres::new(Arc::new(guard), statements.jobs.clone(), statements.engine.clone(), settings)
        .with_encryption(encryption)
}

/// With what connections are encrypted, if they are.
///
/// # Errors
///
/// When a file is not there or of no use, or others can read the key.
pub fn encryption(settings: &settings::Postgres) -> anyhow::Result<Option<Encryption>> {
    let (Some(certificate), Some(key)) = (&settings.certificate, &settings.key) else { return Ok(None) };
    let of = || format!("postgres.certificate is {} and postgres.key is {}", certificate.display(), key.display());
    let certificates = std::fs::read_to_string(certificate)
        .with_context(|| format!("postgres.certificate is {}, which cannot be read", certificate.display()))?;
    let key = private_file(key)
        .context("postgres.key")?
        .with_context(|| format!("postgres.key is {}, and there is no such file", key.display()))?;
    Encryption::new(&certificates, &key).with_context(of).map(Some)
}

#[async_trait]
impl Gate for Guard {
    fn asks(&self) -> bool {
        self.authorizer.is_some()
    }

    async fn caller(&self, token: &str) -> Result<Caller, Problem> {
        let Some(authorizer) = &self.authorizer else {
            return Err(Problem::new(401, "malformed-token", "this node asks nobody for a token"));
        };
        let checked = authorizer.check(Some(&format!("Bearer {token}")), Access::Needs(Role::Read)).await;
        checked.map_err(|refusal| Self::refused(&refusal))
    }

    fn admit(&self, owner: &str) -> Result<(), Problem> {
        self.pace.admit(owner)
    }
}
