//! The `?`s of a statement, numbered for DataFusion, which binds values to `$1`, `$2` and so on.

use std::ops::ControlFlow;

use alluvium_core::ports::{PortError, StatementFault};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Expr, Value, visit_expressions, visit_expressions_mut};
use datafusion::sql::sqlparser::tokenizer::Location;

/// Numbers every `?` in the order of the text; says how many there are.
pub(super) fn number(statement: &mut Statement) -> usize {
    let Statement::Statement(statement) = statement else { return 0 };
    let mut places = Vec::new();
    let _all = visit_expressions(statement.as_ref(), |expression| {
        places.extend(place(expression));
        ControlFlow::<()>::Continue(())
    });
    // Where a part stands in the tree says little of where it stands in the text.
    places.sort_unstable();
    let _all = visit_expressions_mut(statement.as_mut(), |expression| {
        let number = place(expression).and_then(|place| places.binary_search(&place).ok());
        if let (Some(number), Expr::Value(value)) = (number, expression) {
            value.value = Value::Placeholder(format!("${}", number + 1));
        }
        ControlFlow::<()>::Continue(())
    });
    places.len()
}

/// Refuses more or fewer parameters than there are places for them.
pub(super) fn check(places: usize, parameters: usize) -> Result<(), PortError> {
    if places == parameters {
        return Ok(());
    }
    let message = format!("the statement has {places} `?` for {parameters} parameters; give one for each");
    Err(PortError::faulty(StatementFault::Parameters, message))
}

/// Where a `?` stands; `None`: it is none.
fn place(expression: &Expr) -> Option<Location> {
    match expression {
        Expr::Value(value) => {
            matches!(&value.value, Value::Placeholder(name) if name == "?").then_some(value.span.start)
        }
        _ => None,
    }
}
