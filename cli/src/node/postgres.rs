//! The node's door for clients of Postgres: the same guard as before its routes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

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

/// How often it is looked whether a certificate was renewed.
const LOOKED_AT_EVERY: Duration = Duration::from_secs(10);

/// With what connections are encrypted, and the files that it is read from.
pub struct Certificate {
    pub encryption: Encryption,
    files: Files,
    /// What the files had in them when they were last tried.
    tried: Texts,
}

#[derive(Clone)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

#[derive(PartialEq, Eq)]
struct Texts {
    certificates: String,
    key: String,
}

impl Files {
    /// What is in them.
    ///
    /// # Errors
    ///
    /// When one is not there or cannot be read, or others can read the key.
    fn read(&self) -> anyhow::Result<Texts> {
        let Self { certificate, key } = self;
        let certificates = std::fs::read_to_string(certificate)
            .with_context(|| format!("postgres.certificate is {}, which cannot be read", certificate.display()))?;
        let key = private_file(key)
            .context("postgres.key")?
            .with_context(|| format!("postgres.key is {}, and there is no such file", key.display()))?;
        Ok(Texts { certificates, key })
    }

    /// What they are called where they are of no use.
    fn named(&self) -> String {
        let Self { certificate, key } = self;
        format!("postgres.certificate is {} and postgres.key is {}", certificate.display(), key.display())
    }
}

impl Certificate {
    /// The certificate of the settings, if there is one.
    ///
    /// # Errors
    ///
    /// When a file is not there or of no use, or others can read the key.
    pub fn of(settings: &settings::Postgres) -> anyhow::Result<Option<Self>> {
        let (Some(certificate), Some(key)) = (&settings.certificate, &settings.key) else { return Ok(None) };
        let files = Files { certificate: certificate.clone(), key: key.clone() };
        let texts = files.read()?;
        let encryption = Encryption::new(&texts.certificates, &texts.key).with_context(|| files.named())?;
        Ok(Some(Self { encryption, files, tried: texts }))
    }

    /// Takes what is in the files, again and again, for the connections that are made then. What is of no use is told once, and what was
    /// there before goes on.
    pub async fn keep_renewed(mut self) {
        // Of files that cannot be read, what was told last.
        let mut told = None;
        loop {
            tokio::time::sleep(LOOKED_AT_EVERY).await;
            let files = self.files.clone();
            let Ok(read) = tokio::task::spawn_blocking(move || files.read()).await else { return };
            let renewed = match read {
                Ok(texts) if texts == self.tried => {
                    told = None;
                    continue;
                }
                Ok(texts) => {
                    let renewed = self.encryption.renew(&texts.certificates, &texts.key);
                    self.tried = texts;
                    renewed.with_context(|| self.files.named())
                }
                Err(error) => Err(error),
            };
            match renewed {
                Ok(()) => {
                    tracing::info!("the certificate of the Postgres protocol was renewed");
                    told = None;
                }
                Err(error) => {
                    let error = format!("{error:#}");
                    if told.as_ref() != Some(&error) {
                        tracing::warn!(%error, "the certificate of the Postgres protocol was not renewed; the one before goes on");
                    }
                    told = Some(error);
                }
            }
        }
    }
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
