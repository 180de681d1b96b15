//! The function's settings.

use std::num::NonZeroU64;
use std::time::Duration;

use alluvium_aws::LakeUrl;
use alluvium_aws::function::DEFAULT_VERBOSITY;
use alluvium_core::limits;
use alluvium_ingest::UploadSettings;
use serde::Deserialize;

/// Every setting.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    #[serde(default = "verbosity")]
    pub verbosity: String,
    pub stream: Stream,
    pub uploads: Uploads,
    #[serde(default)]
    pub limits: Limits,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// The name of the Kinesis stream.
    pub name: String,
}

/// Those of `uploads` that a node has too mean what they mean in `docs/configuration.md`.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uploads {
    /// What content lies under.
    pub bucket: LakeUrl,
    /// The name of the table.
    pub table: String,
    /// The URL of the queue that calls this function.
    pub queue: String,
    /// How fast one instance of the function puts events into the stream.
    pub bytes_per_second: NonZeroU64,
    #[serde(default = "max_bytes")]
    pub max_bytes: u64,
    #[serde(default = "expanded_bytes")]
    pub expanded_bytes: u64,
    #[serde(default = "kept", with = "alluvium_core::duration::text")]
    pub kept: Duration,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    pub event_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { event_bytes: limits::EVENT_BYTES }
    }
}

fn verbosity() -> String {
    DEFAULT_VERBOSITY.to_owned()
}

fn max_bytes() -> u64 {
    UploadSettings::default().max_bytes
}

fn expanded_bytes() -> u64 {
    UploadSettings::default().expanded_bytes
}

fn kept() -> Duration {
    UploadSettings::default().kept
}

impl Settings {
    /// The limits of loading. How much may be stored at a time is the gateway's to look at.
    pub fn uploads(&self) -> UploadSettings {
        let Uploads { max_bytes, expanded_bytes, kept, .. } = self.uploads;
        let stored_bytes = UploadSettings::default().stored_bytes.max(max_bytes);
        let event_bytes = self.limits.event_bytes;
        UploadSettings { max_bytes, expanded_bytes, stored_bytes, kept, event_bytes, ..UploadSettings::default() }
    }
}
