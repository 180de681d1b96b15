//! The function's settings.

use std::num::NonZeroU64;
use std::sync::Arc;

use alluvium_aws::LakeUrl;
use alluvium_aws::function::DEFAULT_VERBOSITY;
use alluvium_lake::LakeSettings;
use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::prefix::PrefixStore;
use serde::{Deserialize, Deserializer};
use url::Url;

/// Every setting.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    #[serde(default = "verbosity")]
    pub verbosity: String,
    /// The lake's root: the tables and the commit messages lie under it.
    #[serde(deserialize_with = "lake")]
    pub lake: LakeUrl,
    pub commit: Commit,
    pub hot: Hot,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// The URL of the commit queue.
    pub queue: String,
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

fn lake<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LakeUrl, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

impl Settings {
    /// The store that is rooted at the lake, and the lake's URL. Region and credentials are those that Lambda gives the function;
    /// `endpoint` is an emulator's address, where one stands in for AWS.
    ///
    /// # Errors
    ///
    /// When the store cannot be set up.
    pub fn store(&self, endpoint: Option<&str>) -> anyhow::Result<(Arc<dyn ObjectStore>, Url)> {
        let mut bucket = AmazonS3Builder::from_env().with_bucket_name(self.lake.bucket());
        if let Some(endpoint) = endpoint {
            bucket = bucket.with_endpoint(endpoint).with_allow_http(true);
        }
        let store = PrefixStore::new(bucket.build()?, self.lake.prefix());
        Ok((Arc::new(store), Url::parse(&self.lake.to_string())?))
    }
}
