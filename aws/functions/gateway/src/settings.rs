//! The function's settings.

use std::time::Duration;

use alluvium_aws::LakeUrl;
use alluvium_aws::function::DEFAULT_VERBOSITY;
use alluvium_aws::uploads::UploadLimits;
use alluvium_core::limits;
use alluvium_ingest::{GatewaySettings, UploadSettings};
use serde::Deserialize;

/// Every setting. Those of `limits` mean what they mean in `docs/configuration.md`.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    #[serde(default = "verbosity")]
    pub verbosity: String,
    pub stream: Stream,
    #[serde(default)]
    pub limits: Limits,
    /// Missing: there are no uploads here.
    pub uploads: Option<Uploads>,
}

/// Those that a node has too mean what they mean in `docs/configuration.md`.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uploads {
    /// What content lies under.
    pub bucket: LakeUrl,
    /// The name of the table.
    pub table: String,
    #[serde(default = "max_bytes")]
    pub max_bytes: u64,
    #[serde(default = "stored_bytes")]
    pub stored_bytes: u64,
    #[serde(default = "unfinished")]
    pub unfinished: usize,
    #[serde(default = "unfinished_of_owner")]
    pub unfinished_of_owner: usize,
    #[serde(default = "kept", with = "alluvium_core::duration::text")]
    pub kept: Duration,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// The name of the Kinesis stream.
    pub name: String,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    pub body_bytes: usize,
    pub body_expanded_bytes: usize,
    pub event_bytes: usize,
    pub json_depth: usize,
    pub events_per_request: usize,
    #[serde(with = "alluvium_core::duration::text")]
    pub request_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // As base64, in which a compressed body comes, it must fit an invocation.
            body_bytes: 4 * 1024 * 1024,
            // With what it is wrapped into, it must fit the memory of a small function: a compressed body is expanded whole.
            body_expanded_bytes: 32 * 1024 * 1024,
            event_bytes: limits::EVENT_BYTES,
            json_depth: limits::JSON_DEPTH,
            events_per_request: 100_000,
            // The function is stopped after 29 seconds; this one leaves time to say what happened.
            request_time: Duration::from_secs(25),
        }
    }
}

fn verbosity() -> String {
    DEFAULT_VERBOSITY.to_owned()
}

fn max_bytes() -> u64 {
    UploadSettings::default().max_bytes
}

fn stored_bytes() -> u64 {
    UploadSettings::default().stored_bytes
}

fn unfinished() -> usize {
    UploadSettings::default().unfinished
}

fn unfinished_of_owner() -> usize {
    UploadSettings::default().unfinished_of_owner
}

fn kept() -> Duration {
    UploadSettings::default().kept
}

impl Uploads {
    /// The settings as a node has them.
    pub fn settings(&self) -> UploadSettings {
        UploadSettings {
            max_bytes: self.max_bytes,
            stored_bytes: self.stored_bytes,
            unfinished: self.unfinished,
            unfinished_of_owner: self.unfinished_of_owner,
            kept: self.kept,
            ..UploadSettings::default()
        }
    }

    /// What there may be of uploads.
    pub fn limits(&self) -> UploadLimits {
        UploadLimits {
            unfinished: self.unfinished,
            unfinished_of_owner: self.unfinished_of_owner,
            stored_bytes: self.stored_bytes,
            stored_bytes_of_owner: self.settings().stored_bytes_of_owner(),
        }
    }
}

impl Settings {
    /// The gateway's settings. A function answers one request at a time, so that limits of several at a time never bind.
    pub fn gateway(&self) -> GatewaySettings {
        let limits = &self.limits;
        GatewaySettings {
            body_bytes: limits.body_bytes,
            body_expanded_bytes: limits.body_expanded_bytes,
            event_bytes: limits.event_bytes,
            json_depth: limits.json_depth,
            events: limits.events_per_request,
            request_time: limits.request_time,
            buffered_bytes: limits.body_bytes + 2 * limits.body_expanded_bytes.max(limits.body_bytes),
            ..GatewaySettings::default()
        }
    }
}
