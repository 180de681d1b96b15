//! Errors as Postgres says them: a severity, a code of five characters, a sentence, and where in the statement.
//!
//! Codes: "PostgreSQL Documentation", appendix "PostgreSQL Error Codes".

use std::io;

use alluvium_core::Problem;
use alluvium_core::ports::{Advice, PortError, StatementFault};
use pgwire::error::ErrorInfo;

use super::parameters;

/// Why a message was not answered as its sender hoped.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The statement is wrong or failed; the connection goes on.
    Statement(Box<ErrorInfo>),
    /// The connection ends.
    Connection(Box<ErrorInfo>),
    /// Nobody is there to be told.
    Gone(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Gone(error)
    }
}

impl Refusal {
    /// A statement that is refused.
    pub(super) fn statement(code: &str, message: impl Into<String>) -> Self {
        Self::Statement(info("ERROR", code, message))
    }

    /// A connection that ends.
    pub(super) fn connection(code: &str, message: impl Into<String>) -> Self {
        Self::Connection(info("FATAL", code, message))
    }

    /// A token that is no good, or is not any more.
    pub(super) fn token(problem: &Problem) -> Self {
        match problem.status {
            401 => Self::connection("28P01", &problem.detail),
            403 => Self::connection("28000", &problem.detail),
            429 => Self::connection("53300", &problem.detail),
            _ => Self::connection("57P03", &problem.detail),
        }
    }

    /// A statement that would change something, and begins with this word.
    pub(super) fn change(word: &str) -> Self {
        Self::statement(
            "25006",
            format!(
                "{word} is not taken: this is for reading alone, with SELECT, WITH, VALUES, SHOW, DESCRIBE or EXPLAIN"
            ),
        )
    }

    /// A statement that comes too soon after others.
    pub(super) fn pace(problem: &Problem) -> Self {
        Self::statement("53400", &problem.detail)
    }

    /// A statement that the engine refused, or that failed. `sql` is what the client sent.
    pub(super) fn engine(error: &PortError, sql: &str) -> Self {
        let mut info = info("ERROR", code(error), &error.message);
        // With parameters the engine was given another text, in which places are others.
        if parameters::numbers(sql).next().is_none() {
            info.position = position(&error.message, sql).map(|position| position.to_string());
        }
        Self::Statement(info)
    }
}

fn info(severity: &str, code: &str, message: impl Into<String>) -> Box<ErrorInfo> {
    let mut info = ErrorInfo::new(severity.to_owned(), code.to_owned(), message.into());
    info.severity_nonlocalized = Some(severity.to_owned());
    Box::new(info)
}

/// The code of an error that an engine gives.
fn code(error: &PortError) -> &'static str {
    match (error.advice, error.fault()) {
        (Advice::BackOff, _) => "53400",
        (Advice::Retry, _) => "58030",
        (Advice::Stop, Some(fault)) => code_of(fault),
        (Advice::Stop, None) => "42000",
    }
}

fn code_of(fault: StatementFault) -> &'static str {
    match fault {
        StatementFault::Syntax => "42601",
        StatementFault::NoTable => "42P01",
        StatementFault::NoColumn => "42703",
        StatementFault::AmbiguousColumn => "42702",
        StatementFault::NoFunction => "42883",
        StatementFault::NotRead => "25006",
        StatementFault::NotPermitted => "42501",
        StatementFault::NotSupported => "0A000",
        StatementFault::Parameters => "42P02",
        StatementFault::DivisionByZero => "22012",
        StatementFault::InvalidValue => "22P02",
        StatementFault::OutOfRange => "22003",
        StatementFault::InvalidArgument => "22023",
        StatementFault::TooLarge => "54000",
        StatementFault::OutOfMemory => "53200",
        StatementFault::TooSlow => "57014",
        StatementFault::Internal => "XX000",
    }
}

/// The character of the statement, from 1, that a message means by `Line: L, Column: C`.
fn position(message: &str, sql: &str) -> Option<usize> {
    let number = |text: &str| -> Option<usize> {
        text.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok())
    };
    let (_, after) = message.split_once("Line: ")?;
    let (line, (_, after)) = (number(after)?, after.split_once("Column: ")?);
    let column = number(after)?;
    let before = sql.split_inclusive('\n').take(line.checked_sub(1)?).map(|line| line.chars().count());
    let position = before.sum::<usize>() + column;
    (1..=sql.chars().count()).contains(&position).then_some(position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_goes_by_what_is_wrong_and_not_by_what_is_said_of_it() {
        let words = "there is no table, took longer than, Divide by zero";
        for (error, expected) in [
            (PortError::faulty(StatementFault::NoColumn, words), "42703"),
            (PortError::faulty(StatementFault::NotRead, words), "25006"),
            (PortError::new(Advice::Stop, words), "42000"),
            (PortError::new(Advice::BackOff, words), "53400"),
            (PortError::new(Advice::Retry, words), "58030"),
        ] {
            assert_eq!(code(&error), expected, "{error:?}");
        }
    }

    #[test]
    fn a_place_in_the_text_is_a_character_of_it() {
        for (message, sql, expected) in [
            ("found: form at Line: 1, Column: 10", "select 1 form t", Some(10)),
            ("Line: 2, Column: 3", "sé\nab c", Some(6)),
            ("Line: 7, Column: 90", "select", None),
            ("Line: 0, Column: 1", "select", None),
            ("Line: x, Column: 1", "select", None),
            ("no place", "select", None),
        ] {
            assert_eq!(position(message, sql), expected, "{message}");
        }
    }
}
