//! A condition that somebody wrote, for a statement of ours.

use std::fmt;
use std::str::FromStr;

use alluvium_core::ports::{Advice, PortError};
use datafusion::sql::parser::DFParserBuilder;
use datafusion::sql::sqlparser::ast::Expr;

use super::error::refused;

/// What may stand behind `where`: one expression, which cannot reach past its place in a statement.
///
/// Whether the columns that it names are there shows when the statement is started.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition(Expr);

impl FromStr for Condition {
    type Err = PortError;

    fn from_str(text: &str) -> Result<Self, PortError> {
        let parsed = DFParserBuilder::new(text).build().and_then(|mut parser| parser.parse_into_expr());
        let why = match parsed {
            Ok(parsed) if parsed.alias.is_none() => return Ok(Self(parsed.expr)),
            Ok(_) => "a name stands behind it".to_owned(),
            Err(error) => refused(&error).message,
        };
        let message = format!("`{text}` is no condition, which would be like reason = 'schema_violated': {why}");
        Err(PortError::new(Advice::Stop, message))
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_one_expression() {
        for text in ["reason = 'not_json'", "true or false", "source in (select source from telemetry) -- those"] {
            let condition: Condition = text.parse().unwrap();
            assert_eq!(condition.to_string().parse::<Condition>().unwrap().to_string(), format!("({condition})"));
        }
        for text in ["", "1 = 1) or (1 = 1", "true; drop table t", "true limit 1", "reason = 'x' r", "'", "--"] {
            let refused = text.parse::<Condition>().unwrap_err();
            assert!(refused.message.contains("is no condition"), "{text}: {}", refused.message);
        }
    }
}
