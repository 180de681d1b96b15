//! The Delta tables: commits of many batches, the ledger that accounts for them, recovery after a crash, and the audit.
//!
//! Each dataset has a table, `dead_letters` and `ledger` are two more. One committer alone writes them with [`Lake`], in the order of
//! the stream and one cycle after the other; several write them with [`SharedLake`], in whatever order a queue delivers.
//! [`Upkeep`] compacts them, takes out what is too old, and deletes what nobody needs. [`LakeReader`] reads them, in any process;
//! [`audit`], [`audit_shared`] and [`audit_stored`] recompute what they say. The format is in `docs/formats/lake.md`.
//!
//! Invariants held here: **LK-1** a set of record identities enters a table once, however often its message arrives. **IN-1** the
//! position moves past a record only when every table has what it left; without positions, a message is dealt with only when
//! every table has what its batch left. **TR-2** only ledgers that balance are committed. **LK-2** maintenance never changes the
//! event keys that a reader sees, apart from those that retention takes out.

mod ages;
mod anew;
mod app_id;
mod audit;
mod batches;
mod columns;
mod commit;
mod compact;
mod contention;
mod contents;
mod cycle;
mod erase;
mod error;
mod filter;
mod index;
mod lease;
mod ledger;
mod ledger_file;
mod log;
mod lost;
mod message;
mod pending;
mod reader;
mod recovery;
mod redrive;
mod retain;
mod rewrite;
mod settings;
mod shared;
mod sorted;
mod state;
mod store_index;
mod table;
mod turn;
mod upkeep;
mod vacuum;
mod writer;

pub use audit::{
    AskedCounts, AskedWindow, AuditReport, AuditSettings, Check, CountedWindow, DatasetAudit, DayAudit, RecordReader,
    SelectedAudit, ShardAudit, StreamCounts, TableAudit, UncommittedMessage, audit, audit_shared, audit_stored,
};
pub use compact::{CompactSettings, Compaction};
pub use erase::{
    Beside, ErasureReport, HOT_INDEX, LookedAfter, OPEN_FOR, OpenErasure, Screened, StoreErasure, Target, screen_chunk,
    screen_rows,
};
pub use error::{LakeError, Straddle};
pub use lease::Lease;
pub use lost::{LostBatch, LostOutcome, Recover, RecoverReport, recover_messages};
pub use reader::{ActiveFile, LakeReader, TableSnapshot};
pub use recovery::{LakeRecovery, SetAside};
pub use redrive::DeadLetterKeys;
pub use retain::{Expiry, RetainSettings};
pub use settings::LakeSettings;
pub use shared::{CommittedBatch, Outcome, SharedCommit, SharedLake, SharedOpening};
pub use store_index::StoreIndex;
pub use table::TableCommit;
pub use turn::{Left, Turn};
pub use upkeep::{Upkeep, UpkeepSettings};
pub use vacuum::{Counted, VacuumMode, Vacuumed};
pub use writer::{CommitReport, Lake};

#[cfg(test)]
mod measure;
#[cfg(test)]
mod model;
#[cfg(test)]
mod testing;
