//! The function's settings.

use std::time::Duration;

use alluvium_aws::LakeUrl;
use alluvium_aws::function::DEFAULT_VERBOSITY;
use serde::Deserialize;

/// Every setting.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    #[serde(default = "verbosity")]
    pub verbosity: String,
    pub sql: Sql,
    pub reports: Reports,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sql {
    /// The database of the lake's tables, and of those of reports.
    pub database: String,
    /// The workgroup that statements run in. It must leave it to its clients where results lie.
    pub workgroup: String,
    /// Where Athena leaves what statements answer.
    pub results: LakeUrl,
    /// How long a statement may take.
    #[serde(default = "time", with = "alluvium_core::duration::text")]
    pub time: Duration,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reports {
    /// The root of the results of reports. Its bucket keeps versions.
    pub bucket: LakeUrl,
    /// After how long the bucket removes a result.
    #[serde(default = "kept", with = "alluvium_core::duration::text")]
    pub kept: Duration,
    /// The most bytes of one file of a result: they are in memory.
    #[serde(default = "result_bytes")]
    pub result_bytes: usize,
}

fn verbosity() -> String {
    DEFAULT_VERBOSITY.to_owned()
}

fn time() -> Duration {
    Duration::from_secs(10 * 60)
}

fn kept() -> Duration {
    Duration::from_secs(400 * 86_400)
}

fn result_bytes() -> usize {
    64 << 20
}
