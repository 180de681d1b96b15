//! Which batches are in the lake, asked from outside of its committers.

use std::collections::{BTreeMap, HashMap};

use alluvium_core::{DatasetName, LedgerEntry};
use futures::future::try_join_all;

use crate::commit::BatchNote;
use crate::error::{LakeError, Result};
use crate::ledger::Ledger;
use crate::reader::LakeReader;
use crate::shared::notes;
use crate::state::IdentityBits;
use crate::table::Table;

/// The batches that the tables have, as of when they were loaded.
#[derive(Debug)]
pub(crate) struct Batches {
    /// All but the ledger, by name.
    tables: BTreeMap<String, Table>,
    ledger: Ledger,
    /// Of the batches that the ledger has not copied: what their commits note.
    notes: HashMap<IdentityBits, BatchNote>,
}

/// Where a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BatchStanding<'a> {
    In,
    /// Some tables have their parts of it, and others do not.
    HalfDone(&'a BatchNote),
    Absent,
}

impl Batches {
    /// Loads what the tables say, and takes part in nothing.
    pub(crate) async fn load(reader: &LakeReader) -> Result<Self> {
        let ledger_name = DatasetName::ledger();
        let ledger = Ledger { table: Table::load_since_checkpoint(reader.log(ledger_name.as_str())).await? };
        let copied = &ledger.table.state.copied;
        let names = tables(reader).await?;
        let tables = names.into_iter().map(async |name| {
            let table = Table::load_with_uncopied(reader.log(&name), copied.get(&name).copied()).await?;
            Ok::<_, LakeError>((name, table))
        });
        let tables: BTreeMap<String, Table> = try_join_all(tables).await?.into_iter().collect();
        let notes = notes(&tables, &ledger).into_iter().map(|(batch, note)| (batch, note.clone())).collect();
        Ok(Self { tables, ledger, notes })
    }

    /// Whether one committer writes the lake, in the order of the stream: a batch that is not in is then delivered again.
    pub(crate) fn are_by_position(&self) -> bool {
        !self.ledger.table.state.positions.is_empty()
    }

    /// The tables, by name.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &str> {
        self.tables.keys().map(String::as_str)
    }

    /// Whether a table has, or had, a file of this batch, or remembers the batch without one.
    pub(crate) fn has(&self, table: &str, batch: IdentityBits) -> bool {
        self.tables.get(table).is_some_and(|table| table.state.kept.contain_batch(batch))
    }

    pub(crate) fn standing(&self, batch: IdentityBits) -> BatchStanding<'_> {
        match self.notes.get(&batch) {
            Some(note) if !note.tables().iter().all(|table| self.has(table, batch)) => BatchStanding::HalfDone(note),
            None if !self.tables().any(|table| self.has(table, batch)) => BatchStanding::Absent,
            // What the ledger has copied is whole.
            _ => BatchStanding::In,
        }
    }

    /// The ledger entries of commits that the ledger has not copied.
    pub(crate) fn uncopied(&self) -> impl Iterator<Item = &LedgerEntry> {
        let commits = self.tables.values().flat_map(|table| self.ledger.uncopied(table));
        commits.flat_map(|commit| &commit.rows.entries)
    }
}

/// The folders of the lake that may be tables of batches: all but the ledger.
pub(crate) async fn tables(reader: &LakeReader) -> Result<Vec<String>> {
    let mut folders = reader.folders().await?;
    folders.retain(|name| name != DatasetName::ledger().as_str());
    Ok(folders)
}
