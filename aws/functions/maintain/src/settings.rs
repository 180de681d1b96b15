//! The function's settings.

use std::time::Duration;

use alluvium_aws::LakeUrl;
use alluvium_aws::function::DEFAULT_VERBOSITY;
use alluvium_lake::{AuditSettings, CompactSettings, RetainSettings, UpkeepSettings};
use serde::Deserialize;

/// Every setting. Those that `alluvium up` has too mean what they mean in `docs/configuration.md`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    #[serde(default = "verbosity")]
    pub verbosity: String,
    /// The deployment, for whoever reads lines of several.
    #[serde(default = "stage")]
    pub stage: String,
    /// The lake's root: the tables lie under it.
    pub lake: LakeUrl,
    #[serde(default)]
    pub commit: Commit,
    #[serde(default)]
    pub maintain: Maintain,
    /// What erasures have to do with beside the tables. Without it they are not looked after.
    pub erasures: Option<Erasures>,
    /// Whose counts the audit holds the ledger against. Without it none are asked.
    pub counts: Option<Counts>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// The name of the Kinesis stream.
    pub stream: String,
    /// The name of the Firehose stream that reads it, if one does.
    pub delivery: Option<String>,
    /// For how long Firehose gathers records.
    #[serde(with = "alluvium_core::duration::text")]
    pub buffer: Duration,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Erasures {
    /// The name of the hot index's table.
    pub hot_table: String,
    /// Where Firehose puts what it could not hand over.
    pub set_aside: LakeUrl,
    /// How long the stream keeps records.
    #[serde(with = "alluvium_core::duration::text")]
    pub stream: Duration,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Commit {
    /// How long a commit message may wait in the queue; the audit finds fault with one that waits for longer.
    #[serde(with = "alluvium_core::duration::text")]
    pub lag: Duration,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Maintain {
    pub compact_files: usize,
    pub target_bytes: u64,
    pub round_bytes: u64,
    pub memory_bytes: usize,
    #[serde(with = "alluvium_core::duration::optional")]
    pub dead_letter_retention: Option<Duration>,
}

impl Default for Commit {
    fn default() -> Self {
        Self { lag: AuditSettings::COMMIT_WITHIN }
    }
}

impl Default for Maintain {
    fn default() -> Self {
        let CompactSettings { target_bytes, memory_bytes, .. } = CompactSettings::default();
        // A quarter of a node's round, for it has to end in a function's time, on a function's disk.
        Self { compact_files: 16, target_bytes, round_bytes: 256 << 20, memory_bytes, dead_letter_retention: None }
    }
}

fn verbosity() -> String {
    DEFAULT_VERBOSITY.to_owned()
}

fn stage() -> String {
    "local".to_owned()
}

impl Maintain {
    /// How the tables are maintained.
    pub fn upkeep(&self) -> UpkeepSettings {
        UpkeepSettings {
            compact: CompactSettings {
                target_bytes: self.target_bytes,
                round_bytes: self.round_bytes,
                memory_bytes: self.memory_bytes,
            },
            retain: RetainSettings { dead_letters: self.dead_letter_retention },
        }
    }
}
