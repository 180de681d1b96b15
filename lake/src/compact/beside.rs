//! The keys of a round's rows beside those of the compacted files that it does not take.

use std::collections::BTreeSet;

use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::blocking;
use super::keys::{ARRIVAL_COLUMNS, Keys, Part, RowSet};
use crate::error::{LakeError, Result};
use crate::filter::{self, KeyFilter};
use crate::log::TableLog;
use crate::reader::ActiveFile;

/// The rows of the round that are not the first arrival of their key, and the other files that have later arrivals than it.
pub(super) async fn compare(
    log: &TableLog,
    mut keys: Keys,
    others: &[&ActiveFile],
) -> Result<(RowSet, BTreeSet<String>)> {
    let (mut later, mut takes) = (keys.none(), BTreeSet::new());
    loop {
        let (next, rest) = blocking(log.name(), move || (keys.next_part(), keys)).await?;
        keys = rest;
        let Some(mut part) = next.map_err(LakeError::upkeep("compare the keys of rows", log.name()))? else {
            return Ok((later, takes));
        };
        part.add_later(&mut later);
        for other in others {
            let filter = log.find(&filter::path_of(&other.path)).await?;
            if let Some(filter) = filter.as_deref().and_then(KeyFilter::decode) {
                let (is_met, same) = blocking(log.name(), move || (part.meets(&filter), part)).await?;
                part = same;
                if !is_met {
                    continue;
                }
            }
            if compare_with(log, other, &mut keys, &part, &mut later).await? {
                takes.insert(other.path.clone());
            }
        }
    }
}

/// Compares a part with the rows of a file; says whether the file has a later arrival of one of its keys.
async fn compare_with(
    log: &TableLog,
    other: &ActiveFile,
    keys: &mut Keys,
    part: &Part,
    later: &mut RowSet,
) -> Result<bool> {
    let damaged = |error: &dyn std::fmt::Display| log.damaged(&other.path, &format!("{error}; restore it"));
    let bytes = log.get_present(&other.path).await?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|error| damaged(&error))?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), ARRIVAL_COLUMNS);
    let mut is_later = false;
    for rows in builder.with_projection(mask).build().map_err(|error| damaged(&error))? {
        let rows = rows.map_err(|error| damaged(&error))?;
        for arrival in keys.of_another(&rows) {
            is_later |= part.compare(arrival, later);
        }
    }
    Ok(is_later)
}
