//! DataFusion's errors, for the person who wrote the statement.

use std::time::Duration;

use alluvium_core::ports::{Advice, PortError};
use datafusion::error::DataFusionError;

/// The error of a statement that was refused or failed.
pub(super) fn refused(error: &DataFusionError) -> PortError {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(why) => PortError::new(
            Advice::Stop,
            format!("the statement needs more memory than it may use; narrow it by source or time ({why})"),
        ),
        DataFusionError::ObjectStore(why) => {
            PortError::new(Advice::Retry, format!("a data file cannot be read: {why}"))
        }
        root => PortError::new(Advice::Stop, root.strip_backtrace()),
    }
}

/// The error of a statement that would change something.
pub(super) fn not_read_only(error: &DataFusionError) -> PortError {
    let what = error.strip_backtrace();
    PortError::new(
        Advice::Stop,
        format!(
            "only statements that read are answered: SELECT, WITH, VALUES, EXPLAIN, SHOW TABLES, DESCRIBE ({what})"
        ),
    )
}

/// The error of a statement that ran out of time.
pub(super) fn too_slow(limit: Duration) -> PortError {
    let message = format!(
        "the statement took longer than {}; narrow it by source or time",
        alluvium_core::duration::format(limit)
    );
    PortError::new(Advice::Stop, message)
}

/// The error of a statement whose results nobody read.
pub(super) fn abandoned(limit: Duration) -> PortError {
    let message = format!("nobody read on for {}, so the results were dropped", alluvium_core::duration::format(limit));
    PortError::new(Advice::Stop, message)
}
