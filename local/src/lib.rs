//! One machine: the ports over a folder, and the pipeline that joins them.
//!
//! The stream is a segmented log ([`log`]), the lake lies on an object store that syncs ([`store`]), the hot index is a redb
//! file ([`hot`]), and SQL is answered by DataFusion ([`sql`]). [`pipeline`] opens them on one data folder ([`folder`]) and runs
//! the loops of [`delivery`] and [`committer`] between them, and
//! that of [`maintenance`] beside them. Durable means synced: see [`disk`].
//!
//! On a schedule: [`reports`] runs statements for windows of time, and keeps what comes of them as files ([`export`]).
//!
//! On demand: [`redrive`] sends dead letters again, [`erasure`] takes an owner's rows out of everything, and [`deep`] looks for every event of
//! the stream in the tables.
//!
//! Beside it, for a stack on AWS services: [`firehose`] delivers from a stream to a function as Amazon Data Firehose does.

pub mod arrivals;
pub mod committer;
pub mod deep;
pub mod delivery;
pub mod disk;
pub mod erasure;
pub mod export;
pub mod firehose;
pub mod folder;
pub mod hot;
pub mod log;
pub mod maintenance;
pub mod pipeline;
pub mod queue;
pub mod redrive;
pub mod reports;
pub mod sql;
pub mod store;
mod threads;
