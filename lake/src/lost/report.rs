//! What became of the batches whose commit message is lost.

use alluvium_core::BatchIdentity;
use serde::{Deserialize, Serialize};

/// What [`recover_messages`](crate::recover_messages) found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoverReport {
    /// Batches with a data file in the folder of a table that does not have it, by identity.
    pub batches: Vec<LostBatch>,
    /// Such batches that were left alone, because the transform may still be at them.
    pub young: usize,
    /// One committer writes the lake, in the order of the stream, so that records that are not in come again out of the log.
    pub by_position: bool,
}

impl RecoverReport {
    /// Whether nothing is left that somebody must look at.
    pub fn is_settled(&self) -> bool {
        self.batches.iter().all(|batch| batch.outcome.is_settled())
    }
}

/// One such batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostBatch {
    /// The batch.
    pub batch: BatchIdentity,
    /// Its data files that were found, under the lake's root, by path.
    pub files: Vec<String>,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: LostOutcome,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum LostOutcome {
    /// Its message was made again, stored, and its path enqueued.
    Enqueued {
        /// The message's path.
        message: String,
    },
    /// Its message was made again and stored. Nobody was told.
    Stored {
        /// The message's path.
        message: String,
    },
    /// Its message is stored, and the queue did not take its path.
    NotEnqueued {
        /// The message's path.
        message: String,
        /// Why.
        problem: String,
    },
    /// Its message can be made again.
    CanBeRebuilt {
        /// The path that it would have.
        message: String,
    },
    /// Its message is there, and young: it waits for its commit.
    MessageStored {
        /// The message's path.
        message: String,
    },
    /// Its message was there, and not young: perhaps no queue had its path. That was enqueued.
    EnqueuedAgain {
        /// The message's path.
        message: String,
    },
    /// Its message is there, and not young: perhaps no queue has its path. Nobody was told.
    MessageOverdue {
        /// The message's path.
        message: String,
    },
    /// Those of its records that are not in come again out of the log, which holds them.
    InLog,
    /// It is whole, where one committer writes, and the log does not hold all of its records that are not in, or was not asked.
    NotInLog,
    /// It is in: the file is left over from a retry.
    AlreadyIn,
    /// All of its records came again in other batches, which are in or wait for their commit.
    Covered {
        /// Those batches.
        by: Vec<BatchIdentity>,
    },
    /// Records of it came again in other batches, and others may be in none: made again, it would bring the former in twice.
    CoveredInPart {
        /// Those batches.
        by: Vec<BatchIdentity>,
    },
    /// It ends or begins at the same record as other batches, and it cannot be told whether they have that record whole or the user
    /// records of it that this one has not.
    SharesARecord {
        /// Those batches.
        with: Vec<BatchIdentity>,
    },
    /// A message that a newer release wrote waits for its commit, and may have records of it: this release cannot tell.
    NewerMessage {
        /// The path of that message.
        message: String,
    },
    /// Not all of its data files are there.
    FileMissing {
        /// The tables whose file is missing.
        tables: Vec<String>,
    },
    /// A release wrote its files that put no ledger into them.
    OlderRelease,
    /// A file of it cannot be read, or its files contradict each other.
    Damaged {
        /// What is wrong.
        problem: String,
    },
}

impl LostOutcome {
    fn is_settled(&self) -> bool {
        match self {
            Self::Enqueued { .. }
            | Self::EnqueuedAgain { .. }
            | Self::MessageStored { .. }
            | Self::InLog
            | Self::AlreadyIn
            | Self::Covered { .. } => true,
            Self::Stored { .. }
            | Self::NotEnqueued { .. }
            | Self::CanBeRebuilt { .. }
            | Self::MessageOverdue { .. }
            | Self::NotInLog
            | Self::CoveredInPart { .. }
            | Self::SharesARecord { .. }
            | Self::NewerMessage { .. }
            | Self::FileMissing { .. }
            | Self::OlderRelease
            | Self::Damaged { .. } => false,
        }
    }
}

impl std::fmt::Display for LostOutcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Enqueued { message } => write!(f, "rebuilt and enqueued: {message}"),
            Self::Stored { message } => write!(f, "rebuilt, not enqueued: {message}"),
            Self::NotEnqueued { message, problem } => write!(f, "stored, not enqueued: {message}: {problem}"),
            Self::CanBeRebuilt { message } => write!(f, "can be rebuilt: {message}"),
            Self::MessageStored { message } => write!(f, "its message is stored and waits for its commit: {message}"),
            Self::EnqueuedAgain { message } => write!(f, "its message was stored, and is enqueued again: {message}"),
            Self::MessageOverdue { message } => {
                write!(f, "its message is stored, and perhaps in no queue: {message}")
            }
            Self::InLog => write!(f, "its records come again out of the log"),
            Self::NotInLog => write!(
                f,
                "whole, and not all of its records are known to be in the log, so nothing brings them again: their rows are in the \
                 files below, which are plain Parquet"
            ),
            Self::AlreadyIn => write!(f, "already in; the file is left over from a retry"),
            Self::Covered { by } => write!(f, "its records came again in {}", named(by)),
            Self::CoveredInPart { by } => write!(
                f,
                "a part of its records came again in {}, and the rest may be in no table: an audit names the records that are lost \
                 while the stream holds them; have those delivered again, or take their rows out of the files below, which are plain \
                 Parquet",
                named(by)
            ),
            Self::SharesARecord { with } => write!(
                f,
                "it meets {} in one record, which may be an aggregate that was taken apart there, or have come again: not rebuilt, \
                 so that nothing comes in twice. Compare the rows of the files below, which are plain Parquet, with the tables",
                named(with)
            ),
            Self::NewerMessage { message } => write!(
                f,
                "not rebuilt: a newer release wrote {message}, which waits for its commit and may have records of it; run recover of \
                 that release, or when it is committed"
            ),
            Self::FileMissing { tables } => write!(f, "not whole: its file is missing in {}", tables.join(", ")),
            Self::OlderRelease => write!(f, "its files were written by a release that put no ledger into them"),
            Self::Damaged { problem } => write!(f, "damaged: {problem}"),
        }
    }
}

fn named(batches: &[BatchIdentity]) -> String {
    let names: Vec<&str> = batches.iter().map(BatchIdentity::as_str).collect();
    let kind = if names.len() == 1 { "batch" } else { "batches" };
    format!("{kind} {}", names.join(", "))
}
