//! One entry of a table's log: its actions, and what we say about them in `commitInfo`.

use std::collections::{BTreeSet, HashMap};

use alluvium_core::clock::Micros;
use alluvium_core::{BatchIdentity, DatasetName, LedgerEntry, Removal, SequenceNumber, ShardId};
use bytes::Bytes;
use deltalake_core::kernel::{Action, Add, CommitInfo, Remove, Transaction};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::app_id::{AppId, sequence_of};

/// Our key in `commitInfo`.
const NOTE: &str = "alluvium";
const NOTE_VERSION: u32 = 1;

/// What we write into `commitInfo` under our own key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    version: u32,
    /// How many actions the commit has, `commitInfo` included: a commit cut off at the end of a line has fewer.
    actions: usize,
    /// The ledger entries of what this commit adds to this table.
    pub(crate) ledger: Vec<LedgerEntry>,
    /// The batches of which this commit is a part, where several committers share the lake.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) batches: Vec<BatchNote>,
    /// What this commit took out of this table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) removals: Vec<Removal>,
}

/// What a part of a batch says of the whole: the ledger may copy the part only together with all others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BatchNote {
    pub(crate) batch: BatchIdentity,
    /// The paths of all its data files, under the lake's root, sorted. None: its one part is in `dead_letters`.
    pub(crate) files: Vec<String>,
}

impl BatchNote {
    /// The tables that the batch feeds.
    pub(crate) fn tables(&self) -> BTreeSet<String> {
        let tables = self.files.iter().filter_map(|path| Some(path.split_once('/')?.0.to_owned()));
        let tables: BTreeSet<_> = tables.collect();
        if tables.is_empty() { BTreeSet::from([String::from(DatasetName::dead_letters())]) } else { tables }
    }
}

/// What a commit does, as Delta names it in `commitInfo.operation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Create,
    ChangeColumns,
    Append,
    /// Files are replaced by others with the same rows, but for those that maintenance removes.
    Optimize,
    /// Files are replaced by others with the same rows, in which some values are new.
    Update,
    /// Files go.
    Delete,
    /// Only a transaction is set.
    SetTransaction,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Create => "CREATE TABLE",
            Self::ChangeColumns => "CHANGE COLUMN",
            Self::Append => "WRITE",
            Self::Optimize => "OPTIMIZE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::SetTransaction => "SET TRANSACTION",
        }
    }

    fn parameters(self) -> HashMap<String, Value> {
        match self {
            Self::Append => [("mode", "Append"), ("partitionBy", "[]")].map(|(k, v)| (k.to_owned(), json!(v))).into(),
            _ => HashMap::new(),
        }
    }
}

/// One commit, written or to be written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Commit {
    /// Its actions but for `commitInfo`.
    pub(crate) actions: Vec<Action>,
    /// The ledger entries that it carries.
    pub(crate) ledger: Vec<LedgerEntry>,
    /// The batches of which it is a part, where several committers share the lake.
    pub(crate) batches: Vec<BatchNote>,
    /// What it takes out of the table.
    pub(crate) removals: Vec<Removal>,
}

/// Bytes that are no whole commit.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TornCommit {
    #[error("it is empty")]
    Empty,
    #[error("it ends in the middle of an action, or holds something else: {0}")]
    Json(#[from] serde_json::Error),
    #[error("it says that it has {said} actions and has {found}")]
    Short { said: usize, found: usize },
}

impl Commit {
    /// The bytes of the log entry: one action a line, `commitInfo` first.
    pub(crate) fn encode(&self, operation: Operation, now: Micros) -> Bytes {
        let note = Note {
            version: NOTE_VERSION,
            actions: self.actions.len() + 1,
            ledger: self.ledger.clone(),
            batches: self.batches.clone(),
            removals: self.removals.clone(),
        };
        let note = serde_json::to_value(note).expect("a note holds only text, numbers and lists of them");
        let info = Action::CommitInfo(CommitInfo {
            timestamp: Some(now / 1_000),
            operation: Some(operation.name().to_owned()),
            operation_parameters: Some(operation.parameters()),
            is_blind_append: Some(operation == Operation::Append),
            engine_info: Some(concat!("alluvium/", env!("CARGO_PKG_VERSION")).to_owned()),
            info: HashMap::from([(NOTE.to_owned(), note)]),
            ..CommitInfo::default()
        });
        let mut bytes = Vec::new();
        for action in std::iter::once(&info).chain(&self.actions) {
            if !bytes.is_empty() {
                bytes.push(b'\n');
            }
            serde_json::to_writer(&mut bytes, action).expect("an action is JSON, and memory takes every byte");
        }
        bytes.into()
    }

    /// Reads a log entry, ours or another writer's, and checks that it is whole.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, TornCommit> {
        let mut actions = Vec::new();
        let mut note = None;
        let mut found = 0;
        for action in serde_json::Deserializer::from_slice(bytes).into_iter::<Action>() {
            found += 1;
            match action? {
                Action::CommitInfo(mut info) => {
                    if let Some(ours) = info.info.remove(NOTE) {
                        note = Some(serde_json::from_value::<Note>(ours)?);
                    }
                }
                other => actions.push(other),
            }
        }
        if found == 0 {
            return Err(TornCommit::Empty);
        }
        match note {
            Some(note) if note.actions != found => Err(TornCommit::Short { said: note.actions, found }),
            note => {
                let Note { ledger, batches, removals, .. } = note.unwrap_or_default();
                Ok(Self { actions, ledger, batches, removals })
            }
        }
    }

    /// The files that it adds.
    pub(crate) fn adds(&self) -> impl Iterator<Item = &Add> {
        self.actions.iter().filter_map(|action| match action {
            Action::Add(add) => Some(add),
            _ => None,
        })
    }

    /// The files that it removes.
    pub(crate) fn removes(&self) -> impl Iterator<Item = &Remove> {
        self.actions.iter().filter_map(|action| match action {
            Action::Remove(remove) => Some(remove),
            _ => None,
        })
    }

    /// The application transactions of ours that it carries.
    pub(crate) fn transactions(&self) -> impl Iterator<Item = (AppId, i64)> {
        self.actions.iter().filter_map(|action| match action {
            Action::Txn(Transaction { app_id, version, .. }) => Some((app_id.parse().ok()?, *version)),
            _ => None,
        })
    }

    /// The skip marks that it sets.
    pub(crate) fn marks(&self) -> impl Iterator<Item = (ShardId, SequenceNumber)> {
        self.transactions().filter_map(|(id, version)| match id {
            AppId::Mark(shard) => Some((shard, sequence_of(version))),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests;
