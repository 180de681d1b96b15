//! What is told of an erasure.

use alluvium_core::clock::{Micros, micros};
use serde::{Deserialize, Serialize};

use super::open_until;
use super::stored::Erasure;
use crate::ages::{self, Ages};
use crate::error::{LakeError, Result};
use crate::upkeep::Upkeep;

/// The stores that are no tables, as a report names them.
pub const HOT_INDEX: &str = "hot index";
const UNNAMED: &str = "files that no table names";

/// What an erasure did, and when the last copies end. It names nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureReport {
    /// Its name; `None`: it was only tried.
    pub id: Option<String>,
    /// The one dataset that it is of; `None`: all.
    pub dataset: Option<String>,
    /// When it was asked for: what arrived later stays.
    #[serde(with = "alluvium_core::clock::rfc3339")]
    pub requested_at: Micros,
    /// By when it is closed at the earliest. Until then rows that arrived before it are left out wherever they come in again.
    #[serde(with = "alluvium_core::clock::rfc3339")]
    pub open_until: Micros,
    /// When it was closed; `None`: it is open.
    #[serde(with = "alluvium_core::clock::rfc3339::optional")]
    pub closed_at: Option<Micros>,
    /// What it did in each store.
    pub stores: Vec<StoreErasure>,
}

/// What an erasure did in one store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreErasure {
    /// The store, such as ``table `telemetry` ``.
    pub store: String,
    /// The rows that left it; `None`: they are not counted there.
    pub rows: Option<u64>,
    /// The files that held them; `None`: it has none, or they are not counted.
    pub files: Option<u64>,
    /// When the last copy in it ends, at the latest; what is asked to go at once goes as soon as nothing needs it. `None`: none is left,
    /// or none was there.
    #[serde(with = "alluvium_core::clock::rfc3339::optional")]
    pub ends: Option<Micros>,
    /// Whether there is more to do before that.
    pub is_done: bool,
}

impl Upkeep {
    pub(super) async fn report(&self, erasure: &Erasure) -> Result<ErasureReport> {
        let mut stores = Vec::new();
        for (table, progress) in &erasure.tables {
            let ends = match progress.held.values().max() {
                Some(removed) if !erasure.at_once => Some(removed + self.time_travel(table).await?),
                Some(_) => Some(self.clock.now_micros()),
                None => None,
            };
            stores.push(StoreErasure {
                store: format!("table `{table}`"),
                rows: Some(progress.rows),
                files: Some(progress.files),
                ends,
                is_done: self.is_swept(table, progress).await?,
            });
        }
        let hot = StoreErasure {
            store: HOT_INDEX.to_owned(),
            rows: erasure.hot_rows,
            is_done: erasure.hot_rows.is_some(),
            ..StoreErasure::default()
        };
        let uncommitted = StoreErasure {
            store: UNNAMED.to_owned(),
            ends: erasure.closed_at.is_none().then(|| erasure.requested_at + micros(ages::ORPHAN)),
            is_done: true,
            ..StoreErasure::default()
        };
        stores.extend([hot, uncommitted]);
        Ok(ErasureReport {
            id: Some(erasure.id.simple().to_string()),
            dataset: erasure.dataset.clone(),
            requested_at: erasure.requested_at,
            open_until: open_until(erasure),
            closed_at: erasure.closed_at,
            stores,
        })
    }

    /// How long a table keeps files that were taken out of it.
    pub(super) async fn time_travel(&self, table: &str) -> Result<Micros> {
        let Some(known) = self.known(table).await? else { return Ok(0) };
        let metadata = known.metadata().ok_or_else(|| LakeError::NoTable(table.to_owned()))?;
        Ok(micros(Ages::of(known.log(), metadata)?.tombstones))
    }
}
