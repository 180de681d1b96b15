//! The vocabulary of Alluvium: records, events, datasets, identities, the ledger, and the ports that adapters implement.
//!
//! This room holds no I/O and no async runtime. Every other room imports it; it imports none of them.
//!
//! Invariants that are cited by their ID here and in the other rooms:
//!
//! - **IN-1** an acknowledged record is never lost.
//! - **TR-1** each record of a batch has exactly one outcome, in order.
//! - **TR-2** every batch's ledger balances: `received = written + filtered + dead`.
//! - **LK-1** a set of record identities enters a table once, however often its message arrives.
//! - **LK-2** maintenance never changes the set of event keys a reader sees, apart from what erasure and retention remove.
//! - **LK-3** after compaction each event key is there once.
//! - **QR-1** a read across hot index and lake returns each event once, in order, with no gap, or says `complete: false`.
//! - **RP-1** a window of a report has one result, however often it is made and wherever that is interrupted.
//! - **UP-1** content that was put whole is loaded or its upload says why not; the same bytes make the same events.
//! - **AU-1** nobody reads or writes without the role for it, and a plain reader sees only the data of the owner in the token.

pub mod address;
pub mod announcement;
pub mod arrivals;
pub mod body;
pub mod caller;
pub mod cell;
pub mod clock;
pub mod commit;
#[cfg(feature = "contract")]
pub mod contract;
pub mod csv;
pub mod data_file;
pub mod dataset;
pub mod destination;
pub mod duration;
pub mod envelope;
#[cfg(feature = "export")]
pub mod export;
pub mod file;
pub mod footer;
pub mod hot;
pub mod hot_block;
pub mod identity;
pub mod ledger;
pub mod limits;
pub mod object_index;
pub mod openapi;
pub mod origin;
pub mod ports;
pub mod postgres;
pub mod problem;
pub mod record;
pub mod report;
pub mod service_counts;
pub mod trace;
pub mod upload;

pub use announcement::{BatchPart, CommitAnnouncement};
pub use caller::{Caller, EVERYBODY, OtherOwner, Role, Roles, Whose};
pub use clock::{Clock, ManualClock, SystemClock};
pub use commit::{CommitMessage, DataFileEntry};
pub use data_file::{DataFileError, DataFileFormat, DataFileWriter, EncodedFile};
pub use dataset::{Dataset, DatasetName, Datasets, SchemaError};
pub use destination::{Destination, DestinationLimits, EntryId, EntryVerdict, HashKeyRange, PutEntry, PutError};
pub use footer::{BatchFooter, BatchFooterError};
pub use identity::{BatchHasher, BatchIdentity, RecordIdentity, SequenceNumber, ShardId};
pub use ledger::{LedgerEntry, ReasonCode, Removal, ShardRange};
pub use object_index::IndexEntry;
pub use origin::{DeadLetterId, Origin};
pub use problem::Problem;
pub use record::{DeliveryBatch, PutBatch, PutRecord, StreamRecord};
pub use report::{Report, ReportName, Window, Windows};
pub use trace::TraceParent;
pub use upload::{Upload, UploadStore};
