//! Subqueries of which it is plain that they have no rows, because they read a relation that has none.
//!
//! Programs ask of each column for its default, its comment, its sequence and so on in a subquery that names the outer row, which
//! DataFusion can answer only in part.

use datafusion::sql::sqlparser::ast::{
    GroupByExpr, Join, JoinOperator, ObjectName, Query, Select, SelectItem, SetExpr, TableFactor, TableWithJoins,
};

use super::super::relations::{INFORMATION_SCHEMA, PG_CATALOG, Relation};
use super::super::{informed, rows};
use super::ident;

/// Aggregates: a query of one has a row even where there is none to aggregate.
const AGGREGATES: [&str; 10] =
    ["array_agg", "avg", "bool_and", "bool_or", "count", "json_agg", "max", "min", "string_agg", "sum"];

/// Whether a query has no rows, whatever the rows around it are.
pub(super) fn is_empty(query: &Query) -> bool {
    match (&query.with, query.body.as_ref()) {
        (None, SetExpr::Select(select)) => select.from.iter().any(from_nothing) && !aggregates(select),
        (None, SetExpr::Query(query)) => is_empty(query),
        _ => false,
    }
}

/// Whether a select without groups aggregates.
fn aggregates(select: &Select) -> bool {
    let is_grouped = !matches!(&select.group_by, GroupByExpr::Expressions(expressions, _) if expressions.is_empty());
    let aggregates = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expression) | SelectItem::ExprWithAlias { expr: expression, .. } => {
            let text = expression.to_string().to_ascii_lowercase();
            AGGREGATES.iter().any(|name| text.contains(&format!("{name}(")))
        }
        _ => false,
    };
    !is_grouped && select.projection.iter().any(aggregates)
}

fn from_nothing(from: &TableWithJoins) -> bool {
    let inner = |join: &Join| match &join.join_operator {
        JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_) => is_nothing(&join.relation),
        _ => false,
    };
    // Rows that an outer join adds to nothing are rows all the same.
    let only_inner = from.joins.iter().all(|join| {
        !matches!(join.join_operator, JoinOperator::Right(_) | JoinOperator::RightOuter(_) | JoinOperator::FullOuter(_))
    });
    only_inner && (is_nothing(&from.relation) || from.joins.iter().any(inner))
}

fn is_nothing(factor: &TableFactor) -> bool {
    match factor {
        TableFactor::Table { name, args: None, .. } => has_no_rows(name),
        TableFactor::Derived { subquery, .. } => is_empty(subquery),
        TableFactor::NestedJoin { table_with_joins, .. } => from_nothing(table_with_joins),
        _ => false,
    }
}

/// Whether this is a relation of the catalogue that never has rows.
fn has_no_rows(name: &ObjectName) -> bool {
    let parts: Option<Vec<&str>> = name.0.iter().map(|part| ident(part).map(|part| part.value.as_str())).collect();
    let (schema, name) = match parts.as_deref() {
        Some([name]) if name.starts_with("pg_") => (PG_CATALOG, *name),
        Some([schema, name]) => (*schema, *name),
        _ => return false,
    };
    let filled = match schema {
        PG_CATALOG => rows::FILLED.contains(&name),
        INFORMATION_SCHEMA => informed::FILLED.contains(&name),
        _ => return false,
    };
    !filled && Relation::named(schema, name).is_some()
}
