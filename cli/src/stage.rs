//! A stage on AWS, or on an emulator where `AWS_ENDPOINT_URL` stands: what commands do there that do it to a folder elsewhere.

pub mod athena;
pub mod delivery;
pub mod erasure;
pub mod lake;
pub mod settings;
mod uploads;

use alluvium_aws::config::from_environment;
use aws_config::SdkConfig;

use crate::Common;
use crate::client::Client;
use crate::credentials;
use crate::settings::{Flags, Settings};
use lake::StageLake;
pub use settings::{StageName, StageSettings};

/// A stage that a command was told to work on.
pub struct OnStage {
    /// How AWS is asked.
    pub aws: SdkConfig,
    /// What the stage's parameters say.
    pub stage: StageSettings,
    /// The program's settings, with the owner and the default dataset of the stage.
    pub settings: Settings,
}

impl OnStage {
    /// Reads the stage's parameters.
    ///
    /// # Errors
    ///
    /// When there is no such stage, a right is missing, or what is found is not what this release knows.
    pub async fn open(common: &Common, name: &StageName) -> anyhow::Result<Self> {
        crate::observe::log("warn", common.json)?;
        let aws = from_environment().await;
        let stage = settings::load(&aws, name).await?;
        let mut settings = crate::settings::load(common.config.as_deref(), &Flags::default())?.settings;
        settings.owner.clone_from(&stage.owner);
        settings.default_dataset.clone_from(&stage.default_dataset);
        Ok(Self { aws, stage, settings })
    }

    /// The stage's lake.
    ///
    /// # Errors
    ///
    /// When there is no region, no credentials, or a schema is wrong.
    pub fn lake(&self) -> anyhow::Result<StageLake> {
        StageLake::open(&self.aws, &self.settings, &self.stage.lake)
    }

    /// The stage's API, with the token in `ALLUVIUM_TOKEN`.
    ///
    /// # Errors
    ///
    /// When the HTTP client cannot be set up.
    pub fn api(&self) -> anyhow::Result<Client> {
        Client::new(&self.stage.api_url, credentials::token(None)?.as_deref())
    }
}
