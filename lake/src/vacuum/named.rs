//! What a table's log says of the files in its folder.

use std::collections::BTreeMap;

use alluvium_core::DatasetName;
use alluvium_core::clock::Micros;
use deltalake_core::kernel::Metadata;

use crate::error::{LakeError, Result};
use crate::log::TableLog;
use crate::reader::LakeReader;
use crate::recovery::oldest_reachable;
use crate::state::{TableState, Tombstones};

/// Up to which version of a table the ledger has copied, and with it the audit has seen, what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Copied {
    /// Files that were taken out up to here may be deleted.
    pub(super) removals: UpTo,
    /// So may log entries up to here, once a checkpoint stands for them: farther back than from here nothing is read on, even when
    /// the ledger is taken back. `None`: none may.
    pub(super) entries: Option<u64>,
}

/// A version of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UpTo {
    Nothing,
    Version(u64),
    Newest,
}

impl Copied {
    pub(super) async fn of(reader: &LakeReader, table: &str) -> Result<Self> {
        let name = DatasetName::ledger();
        let ledger = match reader.newest(name.as_str()).await {
            Ok(ledger) => ledger,
            Err(LakeError::NoTable(_)) => return Ok(Self { removals: UpTo::Nothing, entries: None }),
            Err(error) => return Err(error),
        };
        let reachable = oldest_reachable(&ledger);
        if table == name.as_str() {
            return Ok(Self { removals: UpTo::Newest, entries: reachable });
        }
        let removals = ledger.copied.get(table).map_or(UpTo::Nothing, |version| UpTo::Version(*version));
        let entries = match reachable {
            Some(version) if ledger.version == Some(version) => ledger.copied.get(table).copied(),
            Some(version) => reader.at(name.as_str(), version).await?.copied.get(table).copied(),
            None => None,
        };
        Ok(Self { removals, entries })
    }
}

/// What is said of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Active,
    /// It was taken out; `is_copied`: by a commit that the ledger has copied.
    Removed {
        at: Micros,
        is_copied: bool,
    },
    Unnamed,
}

/// The files that a table's log names.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) metadata: Metadata,
    newest: TableState<Tombstones>,
    /// What had been taken out by the version that the ledger has copied.
    copied: BTreeMap<String, Micros>,
}

impl Named {
    /// Reads the log from the newest checkpoint that is not after the copied version: later ones may have forgotten what was taken
    /// out since.
    pub(super) async fn load(log: &TableLog, removals: UpTo) -> Result<Self> {
        let mut files = log.list().await?;
        let up_to = match removals {
            UpTo::Nothing => {
                files.checkpoints.clear();
                None
            }
            UpTo::Version(version) => Some(version),
            UpTo::Newest => None,
        };
        let mut newest: TableState<Tombstones> = TableState::load(log, &files, up_to).await?;
        let copied = if removals == UpTo::Nothing { BTreeMap::new() } else { newest.kept.removed.clone() };
        newest.follow(log).await?;
        let metadata = newest.metadata.clone().ok_or_else(|| LakeError::NoTable(log.name().to_owned()))?;
        Ok(Self { metadata, newest, copied })
    }

    pub(super) fn standing(&self, path: &str) -> Standing {
        let Tombstones { active, removed } = &self.newest.kept;
        if active.contains(path) {
            return Standing::Active;
        }
        match removed.get(path) {
            Some(at) => Standing::Removed { at: *at, is_copied: self.copied.contains_key(path) },
            None => Standing::Unnamed,
        }
    }

    /// Whether the log names a file that it did not name before.
    pub(super) async fn names_by_now(&mut self, log: &TableLog, path: &str) -> Result<bool> {
        self.newest.follow(log).await?;
        Ok(self.standing(path) != Standing::Unnamed)
    }
}
