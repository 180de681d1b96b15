//! The function's settings.

use std::num::NonZeroU64;

use alluvium_aws::LakeUrl;
use alluvium_aws::function::DEFAULT_VERBOSITY;
use alluvium_lake::LakeSettings;
use serde::Deserialize;

/// Every setting.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    #[serde(default = "verbosity")]
    pub verbosity: String,
    /// The lake's root: the tables and the commit messages lie under it.
    pub lake: LakeUrl,
    pub commit: Commit,
    pub hot: Hot,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// The URL of the commit queue.
    pub queue: String,
    /// The ARN of the topic where commits are told of; without it nowhere.
    #[serde(default)]
    pub topic: Option<String>,
    /// After how many commits of a table a checkpoint of it is written.
    #[serde(default = "checkpoint_every")]
    pub checkpoint_every: NonZeroU64,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hot {
    /// The name of the hot index's table, which is told of tables that are new.
    pub table: String,
}

fn verbosity() -> String {
    DEFAULT_VERBOSITY.to_owned()
}

fn checkpoint_every() -> NonZeroU64 {
    LakeSettings::default().checkpoint_every
}
