//! The functions that a statement calls.

use std::ops::ControlFlow;

use datafusion::execution::session_state::SessionState;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Expr, ObjectName, visit_expressions};

/// A function that a statement calls by its name and that a session does not know; `None`: there is none.
pub(super) fn unknown(state: &SessionState, statement: &Statement) -> Option<String> {
    let Statement::Statement(statement) = statement else { return None };
    let found = visit_expressions(statement.as_ref(), |expression| match expression {
        Expr::Function(function) if !is_known(state, &name(&function.name)) => {
            ControlFlow::Break(function.name.to_string())
        }
        _ => ControlFlow::Continue(()),
    });
    match found {
        ControlFlow::Break(name) => Some(name),
        ControlFlow::Continue(()) => None,
    }
}

/// As functions are registered: in small letters, unless it is quoted.
fn name(name: &ObjectName) -> String {
    match name.0.as_slice() {
        [part] => match part.as_ident() {
            Some(ident) if ident.quote_style.is_some() => ident.value.clone(),
            Some(ident) => ident.value.to_ascii_lowercase(),
            None => name.to_string(),
        },
        _ => name.to_string(),
    }
}

fn is_known(state: &SessionState, name: &str) -> bool {
    state.scalar_functions().contains_key(name)
        || state.aggregate_functions().contains_key(name)
        || state.window_functions().contains_key(name)
}
