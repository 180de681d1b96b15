//! What a table's log says, replayed: from the newest checkpoint and the entries after it, then entry by entry.
//!
//! The library's snapshot would hold the same, but it has no call for all application transactions, knows nothing of removed
//! files, and grows dearer with every commit. The tests compare the two.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;

use alluvium_core::clock::Micros;
use alluvium_core::{BatchIdentity, SequenceNumber, ShardId};
use arrow::json::LineDelimitedWriter;
use bytes::Bytes;
use deltalake_core::kernel::{Action, Add, Metadata, Protocol, Remove};
use futures::TryStreamExt as _;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use uuid::Uuid;

use crate::app_id::{AppId, sequence_of};
use crate::commit::Commit;
use crate::error::{LakeError, Result};
use crate::log::{LogFiles, TableLog};
use crate::reader::ActiveFile;

/// The newest Delta protocol that we handle.
const READER_VERSION: i64 = 1;
const WRITER_VERSION: i64 = 2;

/// What a [`TableState`] keeps of the files.
pub(crate) trait Keep: Default {
    /// Whether it has a use for the files that a checkpoint says were taken out.
    const KEEPS_REMOVED: bool = true;

    fn add(&mut self, add: &Add);
    fn remove(&mut self, remove: &Remove);
    /// A batch without a data file.
    fn batch(&mut self, _batch: IdentityBits) {}
}

/// A batch's identity as a number, which takes less memory than its digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct IdentityBits(u128);

impl IdentityBits {
    /// `None`: it has other than 32 lower-case hexadecimal digits, so it is nobody's identity.
    pub(crate) fn of(batch: &BatchIdentity) -> Option<Self> {
        Self::of_digits(batch.as_str())
    }

    pub(crate) fn of_digits(digits: &str) -> Option<Self> {
        let hex = digits.len() == 32 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        hex.then(|| u128::from_str_radix(digits, 16).ok().map(Self)).flatten()
    }

    pub(crate) fn of_data_file(path: &str) -> Option<Self> {
        Self::of(&BatchIdentity::from_data_file_name(path)?)
    }
}

impl fmt::Display for IdentityBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The identities of every data file that is or was in the table, and of the batches without one that it stands for, as far as
/// its log remembers (LK-1).
#[derive(Debug, Default)]
pub(crate) struct Identities(HashSet<IdentityBits>);

impl Identities {
    /// Whether a data file of this name's batch is or was in.
    pub(crate) fn contain(&self, path: &str) -> bool {
        IdentityBits::of_data_file(path).is_some_and(|batch| self.contain_batch(batch))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn contain_batch(&self, batch: IdentityBits) -> bool {
        self.0.contains(&batch)
    }
}

impl Keep for Identities {
    fn add(&mut self, add: &Add) {
        self.0.extend(IdentityBits::of_data_file(&add.path));
    }

    // A file that compaction took away was in, so its records are in.
    fn remove(&mut self, remove: &Remove) {
        self.0.extend(IdentityBits::of_data_file(&remove.path));
    }

    fn batch(&mut self, batch: IdentityBits) {
        self.0.insert(batch);
    }
}

/// The active files, by path.
#[derive(Debug, Default, Clone)]
pub(crate) struct Files {
    pub(crate) active: BTreeMap<String, ActiveFile>,
    /// A file that the log gives no size or no number of rows: a snapshot with it cannot be had.
    pub(crate) unreadable: Option<String>,
}

impl Keep for Files {
    const KEEPS_REMOVED: bool = false;

    fn add(&mut self, add: &Add) {
        match ActiveFile::of(add) {
            Some(file) => drop(self.active.insert(add.path.clone(), file)),
            None => self.unreadable = Some(add.path.clone()),
        }
    }

    fn remove(&mut self, remove: &Remove) {
        self.active.remove(&remove.path);
    }
}

/// The paths that the log names, those of files that were taken out included, as far as it remembers them.
#[derive(Debug, Default, Clone)]
pub(crate) struct Tombstones {
    pub(crate) active: BTreeSet<String>,
    /// When each file was taken out.
    pub(crate) removed: BTreeMap<String, Micros>,
}

impl Keep for Tombstones {
    fn add(&mut self, add: &Add) {
        self.removed.remove(&add.path);
        self.active.insert(add.path.clone());
    }

    fn remove(&mut self, remove: &Remove) {
        self.active.remove(&remove.path);
        // A writer that does not say when counts as long ago: Delta Transaction Log Protocol, "Add File and Remove File".
        let at = remove.deletion_timestamp.unwrap_or_default().saturating_mul(1_000);
        self.removed.insert(remove.path.clone(), at);
    }
}

/// A table as of one version.
#[derive(Debug, Default, Clone)]
pub(crate) struct TableState<K> {
    /// `None`: there is no table.
    pub(crate) version: Option<u64>,
    /// The version of the checkpoint that it was read from, or that was written since.
    pub(crate) checkpoint: Option<u64>,
    pub(crate) metadata: Option<Metadata>,
    /// In a dataset's table: its skip marks.
    pub(crate) marks: BTreeMap<ShardId, SequenceNumber>,
    /// In the ledger: the positions to resume from.
    pub(crate) positions: BTreeMap<ShardId, SequenceNumber>,
    /// In the ledger: the version up to which each table's entries are copied.
    pub(crate) copied: BTreeMap<String, u64>,
    /// The erasures that are open.
    pub(crate) erasures: BTreeSet<Uuid>,
    pub(crate) kept: K,
}

impl<K: Keep> TableState<K> {
    /// Replays the log up to its end, or up to a version.
    pub(crate) async fn load(log: &TableLog, files: &LogFiles, up_to: Option<u64>) -> Result<Self> {
        let mut state = Self::default();
        let Some(newest) = up_to.or(files.newest()) else { return Ok(state) };
        let base = files.checkpoints.range(..=newest).next_back().map(|(version, _)| *version);
        if let Some(base) = base {
            let bytes = log.read_checkpoint(base).await?;
            state.apply_checkpoint(log, base, bytes)?;
        }
        let after = base.map_or(0, |base| base + 1);
        let mut commits = std::pin::pin!(log.read_all(after..newest + 1));
        while let Some((version, commit)) = commits.try_next().await? {
            state.apply(log, version, &commit)?;
        }
        Ok(state)
    }

    /// Applies the entry of the next version.
    pub(crate) fn apply(&mut self, log: &TableLog, version: u64, commit: &Commit) -> Result<()> {
        commit.actions.iter().try_for_each(|action| self.apply_action(log, action))?;
        self.version = Some(version);
        Ok(())
    }

    /// Applies the entries that follow, up to the end of the log.
    pub(crate) async fn follow(&mut self, log: &TableLog) -> Result<()> {
        while let Some(commit) = log.read(self.next_version()).await? {
            self.apply(log, self.next_version(), &commit)?;
        }
        Ok(())
    }

    /// The version after this one.
    pub(crate) fn next_version(&self) -> u64 {
        self.version.map_or(0, |version| version + 1)
    }

    /// How many commits there are since the checkpoint.
    pub(crate) fn since_checkpoint(&self) -> u64 {
        self.next_version() - self.checkpoint.map_or(0, |version| version + 1)
    }

    fn apply_checkpoint(&mut self, log: &TableLog, version: u64, bytes: Bytes) -> Result<()> {
        let damaged = |error: &dyn fmt::Display| log.damaged_checkpoint(version, &error.to_string());
        let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|error| damaged(&error))?;
        let schema = builder.parquet_schema();
        let wanted = (0..schema.num_columns()).filter(|leaf| {
            let path = schema.column(*leaf).path().parts().to_vec();
            let action = path.first().map(String::as_str);
            let field = path.get(1).map(String::as_str).unwrap_or_default();
            let is_wanted = matches!(action, Some("txn" | "add" | "metaData" | "protocol"))
                || K::KEEPS_REMOVED && action == Some("remove");
            is_wanted && !field.ends_with("_parsed")
        });
        let mask = ProjectionMask::leaves(schema, wanted);
        let reader = builder.with_projection(mask).build().map_err(|error| damaged(&error))?;
        for batch in reader {
            let batch = batch.map_err(|error| damaged(&error))?;
            // A row of a checkpoint has one column that is not null, which makes its JSON that of an action.
            let mut lines = Vec::new();
            let mut writer = LineDelimitedWriter::new(&mut lines);
            writer.write(&batch).and_then(|()| writer.finish()).map_err(|error| damaged(&error))?;
            for line in lines.split(|byte| *byte == b'\n').filter(|line| line.len() > 2) {
                let action = serde_json::from_slice(line).map_err(|error| damaged(&error))?;
                self.apply_action(log, &action)?;
            }
        }
        self.version = Some(version);
        self.checkpoint = Some(version);
        Ok(())
    }

    fn apply_action(&mut self, log: &TableLog, action: &Action) -> Result<()> {
        match action {
            Action::Add(add) => self.kept.add(add),
            Action::Remove(remove) => self.kept.remove(remove),
            Action::Metadata(metadata) => self.metadata = Some(metadata.clone()),
            Action::Protocol(protocol) => check_protocol(log, protocol)?,
            Action::Txn(transaction) => match transaction.app_id.parse() {
                Ok(AppId::Mark(shard)) => {
                    self.marks.insert(shard, sequence_of(transaction.version));
                }
                Ok(AppId::Position(shard)) => {
                    self.positions.insert(shard, sequence_of(transaction.version));
                }
                Ok(AppId::Copied(table)) => {
                    self.copied.insert(table, u64::try_from(transaction.version).unwrap_or_default());
                }
                Ok(AppId::Batch(batch)) => self.kept.batch(batch),
                Ok(AppId::Erasure(id)) if transaction.version == 0 => drop(self.erasures.insert(id)),
                Ok(AppId::Erasure(id)) => drop(self.erasures.remove(&id)),
                Err(_) => {}
            },
            Action::Cdc(_) | Action::CommitInfo(_) | Action::DomainMetadata(_) => {}
        }
        Ok(())
    }
}

fn check_protocol(log: &TableLog, protocol: &Protocol) -> Result<()> {
    let reader = i64::from(protocol.min_reader_version());
    let writer = i64::from(protocol.min_writer_version());
    if reader > READER_VERSION || writer > WRITER_VERSION {
        return Err(LakeError::Protocol { table: log.name().to_owned(), reader, writer });
    }
    Ok(())
}
