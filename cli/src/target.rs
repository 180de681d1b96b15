//! Whom a command asks: the node at a URL, the node that runs on a data folder, the folder itself, or a stage.

use std::path::{Path, PathBuf};

use alluvium_local::folder::{DataFolder, FolderError, Missing};

use crate::client::Client;
use crate::settings::{self, Flags, Settings};
#[cfg(feature = "aws")]
use crate::stage::{OnStage, StageName};
use crate::{Common, credentials, node};

/// The flags that say so.
#[derive(Debug, Clone, clap::Args)]
pub struct Target {
    /// The data folder.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The node to ask, instead of a folder: `http://127.0.0.1:7171`.
    #[arg(long, value_name = "URL", conflicts_with = "data")]
    url: Option<String>,
    /// A stage on AWS, instead of a folder, such as `dev`: what it is made of is looked up in its SSM parameters, with the region and
    /// the credentials that the AWS SDKs find.
    #[cfg(feature = "aws")]
    #[arg(long, value_name = "STAGE", conflicts_with_all = ["data", "url"], group = "on_aws")]
    stage: Option<StageName>,
}

impl Target {
    /// The settings, with the folder among them.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub fn settings(&self, common: &Common) -> anyhow::Result<Settings> {
        let flags = Flags { data: self.data.clone(), ..Flags::default() };
        Ok(settings::load(common.config.as_deref(), &flags)?.settings)
    }

    /// The stage to work on, if one is named.
    ///
    /// # Errors
    ///
    /// When it cannot be looked up.
    #[cfg(feature = "aws")]
    pub async fn stage(&self, common: &Common) -> anyhow::Result<Option<OnStage>> {
        match &self.stage {
            Some(stage) => OnStage::open(common, stage).await.map(Some),
            None => Ok(None),
        }
    }

    /// The API to ask: that of the stage, of the node at the URL, or of the node that runs on the folder.
    ///
    /// # Errors
    ///
    /// When there is none, or as [`asked`](Self::asked).
    pub async fn api(&self, common: &Common) -> anyhow::Result<Client> {
        let settings = self.settings(common)?;
        self.asked(common, &settings).await?.ok_or_else(|| {
            let folder = settings.data.display();
            anyhow::anyhow!("no node runs on {folder}; start one with `alluvium up --data …`, or name one with --url")
        })
    }

    /// The API to ask, as [`api`](Self::api); `None`: there is none, and the folder is to be opened.
    ///
    /// # Errors
    ///
    /// When the stage cannot be looked up, or as [`node`](Self::node).
    pub async fn asked(&self, common: &Common, settings: &Settings) -> anyhow::Result<Option<Client>> {
        #[cfg(feature = "aws")]
        if let Some(on) = self.stage(common).await? {
            return on.api().map(Some);
        }
        #[cfg(not(feature = "aws"))]
        let _ = common;
        self.node(settings)
    }

    /// The node to ask; `None`: none runs on the folder, which is to be opened.
    ///
    /// # Errors
    ///
    /// When a stage is named, the token to show it cannot be read, or the HTTP client cannot be set up.
    pub fn node(&self, settings: &Settings) -> anyhow::Result<Option<Client>> {
        #[cfg(feature = "aws")]
        if let Some(stage) = &self.stage {
            anyhow::bail!("--stage {stage}: this command works on a folder or a node alone");
        }
        if let Some(url) = &self.url {
            return Client::new(url, credentials::token(None)?.as_deref()).map(Some);
        }
        let Some(node) = node::running(&settings.data) else { return Ok(None) };
        Client::new(&node.url(), credentials::token(Some(&settings.data))?.as_deref()).map(Some)
    }
}

/// Opens the folder that a command reads, which may as well be told to ask a node or a stage.
///
/// # Errors
///
/// When there is none, or it is in use or damaged.
pub fn open_folder(data: &Path) -> anyhow::Result<DataFolder> {
    DataFolder::open(data, Missing::Refuse).map_err(|error| match error {
        FolderError::Missing { .. } => anyhow::anyhow!("{error}; {ELSEWHERE}"),
        error => error.into(),
    })
}

#[cfg(feature = "aws")]
const ELSEWHERE: &str = "--data names another one, --url a node, --stage a stage on AWS";
#[cfg(not(feature = "aws"))]
const ELSEWHERE: &str = "--data names another one, --url a node";
