//! How large a statement may be: it is walked by recursion, as deep as its operators are many, and planned in a time that grows with their square.

use std::ops::ControlFlow;

use alluvium_core::ports::{PortError, StatementFault};
use datafusion::sql::parser::{ExplainStatement, Statement};
use datafusion::sql::sqlparser::ast::{Expr, visit_expressions};

/// The longest statement, in bytes. Our own.
const BYTES: usize = 32 * 1024;
/// The most operators (`+`, `and`, `=`, `||`, …) of a statement, all together. Our own: planned within a second or two.
const OPERATORS: usize = 1_000;
/// The most selects that are put together by `union`, `intersect` and `except`. Our own.
const SET_OPERATIONS: usize = 100;

/// Refuses a text that is too long, before it is parsed.
pub(super) fn check_text(sql: &str) -> Result<(), PortError> {
    if sql.len() > BYTES {
        return Err(too_large(format!("{} bytes; the longest has {BYTES}", sql.len())));
    }
    let words = sql.split(|c: char| !c.is_ascii_alphabetic());
    let is_set = |word: &&str| ["union", "intersect", "except"].iter().any(|name| word.eq_ignore_ascii_case(name));
    match words.filter(is_set).count() {
        sets if sets > SET_OPERATIONS => {
            Err(too_large(format!("{sets} set operations; at most {SET_OPERATIONS} are planned")))
        }
        _ => Ok(()),
    }
}

/// Refuses a statement with too many operators.
pub(super) fn check_operators(statement: &Statement) -> Result<(), PortError> {
    let statement = match statement {
        Statement::Explain(ExplainStatement { statement, .. }) => return check_operators(statement),
        Statement::Statement(statement) => statement,
        _ => return Ok(()),
    };
    let mut operators = 0;
    let _all = visit_expressions(statement.as_ref(), |expression| {
        operators +=
            usize::from(matches!(expression, Expr::BinaryOp { .. } | Expr::UnaryOp { .. } | Expr::Cast { .. }));
        ControlFlow::<()>::Continue(())
    });
    if operators > OPERATORS {
        let problem = format!(
            "{operators} operators; at most {OPERATORS} are planned; `in (…)` compares with many values at once"
        );
        return Err(too_large(problem));
    }
    Ok(())
}

fn too_large(problem: String) -> PortError {
    PortError::faulty(StatementFault::TooLarge, format!("the statement has {problem}"))
}
