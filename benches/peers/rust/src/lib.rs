//! The Rust side of the comparison with other tools: how a run is measured and reported.
//!
//! The programs in `bin` are started by `benches/peers/run.py` and `benches/producer/run.py`, each in a process of its own on one core.

mod measured;
mod phases;
mod producing;

pub use measured::Measured;
pub use phases::{Phases, Sink, Source};
pub use producing::{Latencies, Paced, records};
