//! The contract suites: one per port, run by every adapter's tests (behind the feature `contract`).
//!
//! An adapter is done when its suite passes; what a suite does not ask for, no stage may rely on.

pub mod clock;
pub mod commit_queue;
pub mod data_files;
pub mod destination;
pub mod hot_index;
pub mod object_index;
pub mod report_results;
pub mod sql_engine;
pub mod sql_planner;
pub mod stream;
pub mod upload_store;
