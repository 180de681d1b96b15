//! DataFusion's errors, for the person who wrote the statement.

use std::time::Duration;

use alluvium_core::ports::{Advice, PortError, StatementFault};
use arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;

/// The error of a statement that was refused or failed.
pub(super) fn refused(error: &DataFusionError) -> PortError {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(why) => PortError::faulty(
            StatementFault::OutOfMemory,
            format!("the statement needs more memory than it may use; narrow it by source or time ({why})"),
        ),
        DataFusionError::ObjectStore(why) => {
            PortError::new(Advice::Retry, format!("a data file cannot be read: {why}"))
        }
        root => match fault(root) {
            Some(fault) => PortError::faulty(fault, root.strip_backtrace()),
            None => PortError::new(Advice::Stop, root.strip_backtrace()),
        },
    }
}

/// What is wrong with a statement that DataFusion refused with this error; `None`: its type does not say.
fn fault(error: &DataFusionError) -> Option<StatementFault> {
    Some(match error {
        DataFusionError::SQL(..) => StatementFault::Syntax,
        DataFusionError::SchemaError(error, _) => match error.as_ref() {
            SchemaError::FieldNotFound { .. } => StatementFault::NoColumn,
            SchemaError::AmbiguousReference { .. } => StatementFault::AmbiguousColumn,
            SchemaError::DuplicateQualifiedField { .. } | SchemaError::DuplicateUnqualifiedField { .. } => {
                StatementFault::AmbiguousColumn
            }
        },
        DataFusionError::NotImplemented(_) => StatementFault::NotSupported,
        DataFusionError::Internal(_) => StatementFault::Internal,
        DataFusionError::ArrowError(error, _) => match error.as_ref() {
            ArrowError::DivideByZero => StatementFault::DivisionByZero,
            ArrowError::CastError(_) | ArrowError::ParseError(_) => StatementFault::InvalidValue,
            ArrowError::ArithmeticOverflow(_) | ArrowError::OffsetOverflowError(_) => StatementFault::OutOfRange,
            ArrowError::InvalidArgumentError(_) => StatementFault::InvalidArgument,
            ArrowError::NotYetImplemented(_) => StatementFault::NotSupported,
            ArrowError::ExternalError(error) => return fault(error.downcast_ref()?),
            _ => return None,
        },
        _ => return None,
    })
}

/// The error of a statement that would change something.
pub(super) fn not_read_only(error: &DataFusionError) -> PortError {
    let what = error.strip_backtrace();
    PortError::faulty(
        StatementFault::NotRead,
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
    PortError::faulty(StatementFault::TooSlow, message)
}

/// The error of a statement whose results nobody read.
pub(super) fn abandoned(limit: Duration) -> PortError {
    let message = format!("nobody read on for {}, so the results were dropped", alluvium_core::duration::format(limit));
    PortError::new(Advice::Stop, message)
}
