//! What is answered with: statements, their protocols, and reports.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use alluvium_local::reports::ReportsSettings;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sql {
    pub memory_bytes: usize,
    pub keys_bytes: usize,
    #[serde(with = "alluvium_core::duration::text")]
    pub time: Duration,
    pub concurrency: usize,
    pub statements: usize,
    pub result_bytes: u64,
    pub results_bytes: u64,
    #[serde(with = "alluvium_core::duration::text")]
    pub result_kept: Duration,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Postgres {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    pub connections: usize,
    #[serde(with = "alluvium_core::duration::text")]
    pub idle: Duration,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reports {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    pub windows_kept: usize,
    pub catch_up: usize,
}

impl Default for Sql {
    fn default() -> Self {
        Self {
            memory_bytes: 128 << 20,
            keys_bytes: 48 << 20,
            time: Duration::from_secs(60),
            concurrency: 4,
            statements: 64,
            result_bytes: 256 << 20,
            results_bytes: 2 << 30,
            result_kept: Duration::from_secs(3600),
        }
    }
}

impl Default for Postgres {
    fn default() -> Self {
        Self { listen: None, certificate: None, key: None, connections: 50, idle: Duration::from_secs(3600) }
    }
}

impl Default for Reports {
    fn default() -> Self {
        let ReportsSettings { windows_kept, catch_up, .. } = ReportsSettings::default();
        Self { folder: None, windows_kept, catch_up }
    }
}
