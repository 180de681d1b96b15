//! What is wrong with a statement.

use super::{Advice, PortError};

/// What is wrong with a statement that was refused or failed, for clients that go by a code. An engine says it where it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatementFault {
    /// It is no SQL, or not of this engine.
    Syntax,
    /// It names a table that is not there.
    NoTable,
    /// It names a column that is not there.
    NoColumn,
    /// It names a column of which there are several.
    AmbiguousColumn,
    /// It calls a function that is not there.
    NoFunction,
    /// It would do something else than read.
    NotRead,
    /// Its reader may not do it.
    NotPermitted,
    /// It is SQL that this engine does not do.
    NotSupported,
    /// It has more or fewer parameters than places for them.
    Parameters,
    /// It divides by zero.
    DivisionByZero,
    /// A value is not of the type that it is to have.
    InvalidValue,
    /// A value does not fit its type.
    OutOfRange,
    /// A function was given what it does not take.
    InvalidArgument,
    /// It is larger than statements or their results may be.
    TooLarge,
    /// It needs more memory than it may use.
    OutOfMemory,
    /// It took longer than it may.
    TooSlow,
    /// The engine broke one of its own rules.
    Internal,
}

/// The message of a statement's failure, and what is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Faulty {
    fault: StatementFault,
    message: String,
}

impl PortError {
    /// A statement's failure that trying again does not help.
    pub fn faulty(fault: StatementFault, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { source: Some(Box::new(Faulty { fault, message: message.clone() })), ..Self::new(Advice::Stop, message) }
    }

    /// What is wrong with the statement; `None`: it is not the statement, or the engine does not say.
    pub fn fault(&self) -> Option<StatementFault> {
        self.source.as_ref()?.downcast_ref::<Faulty>().map(|faulty| faulty.fault)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_failure_says_what_is_wrong_and_says_it_once() {
        let failure = PortError::faulty(StatementFault::NoTable, "there is no table `t`");
        assert_eq!(failure.fault(), Some(StatementFault::NoTable));
        assert_eq!((failure.advice, failure.to_string()), (Advice::Stop, "there is no table `t`".to_owned()));
        assert_eq!(failure.source.unwrap().to_string(), "there is no table `t`");
        assert_eq!(PortError::new(Advice::Stop, "there is no table").fault(), None);
    }
}
