//! The function's settings.

use std::time::Duration;

use alluvium_aws::LakeUrl;
use alluvium_aws::function::DEFAULT_VERBOSITY;
use alluvium_core::limits;
use alluvium_transform::{PseudonymKey, TransformSettings};
use serde::{Deserialize, Deserializer};

/// Every setting. Those that `alluvium up` has too mean what they mean in `docs/configuration.md`.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    #[serde(default = "verbosity")]
    pub verbosity: String,
    /// The lake's root: data files and commit messages lie under it.
    pub lake: LakeUrl,
    pub commit: Commit,
    pub hot: Hot,
    /// Whose data it is that was put straight into the stream.
    #[serde(default = "owner", deserialize_with = "required_text")]
    pub owner: String,
    #[serde(default, deserialize_with = "alluvium_aws::function::text")]
    pub default_dataset: Option<String>,
    /// Where the key of pseudonyms is: `secret:ARN`.
    #[serde(default)]
    pub pseudonym_key: Option<String>,
    #[serde(default)]
    pub limits: Limits,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// The URL of the commit queue.
    pub queue: String,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hot {
    /// The name of the hot index's table.
    pub table: String,
    #[serde(default = "margin", with = "alluvium_core::duration::text")]
    pub margin: Duration,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    pub event_bytes: usize,
    pub json_depth: usize,
    pub record_expanded_bytes: usize,
    pub dead_letter_original_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            event_bytes: limits::EVENT_BYTES,
            json_depth: limits::JSON_DEPTH,
            record_expanded_bytes: limits::RECORD_EXPANDED_BYTES,
            dead_letter_original_bytes: limits::DEAD_LETTER_ORIGINAL_BYTES,
        }
    }
}

fn verbosity() -> String {
    DEFAULT_VERBOSITY.to_owned()
}

fn owner() -> String {
    TransformSettings::default().stream_owner
}

fn margin() -> Duration {
    TransformSettings::default().hot_margin
}

fn required_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(alluvium_aws::function::text(deserializer)?.unwrap_or_default())
}

impl Settings {
    /// The transform's settings.
    pub fn transform(&self, pseudonym_key: Option<PseudonymKey>) -> TransformSettings {
        TransformSettings {
            stream_owner: self.owner.clone(),
            event_bytes: self.limits.event_bytes,
            json_depth: self.limits.json_depth,
            record_expanded_bytes: self.limits.record_expanded_bytes,
            dead_letter_original_bytes: self.limits.dead_letter_original_bytes,
            hot_margin: self.hot.margin,
            pseudonym_key,
            ..TransformSettings::default()
        }
    }
}
