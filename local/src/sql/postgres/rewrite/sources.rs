//! What a select reads: relations of the catalogue, and those of them that have no rows.
//!
//! Programs ask of each column for its default, its comment, its sequence and so on, in subqueries and with functions that DataFusion has
//! only in part. Where it is plain that there are no rows, none of that need be planned.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, GroupByExpr, Join, JoinOperator, ObjectName, Query, Select,
    SelectItem, SetExpr, TableFactor, TableWithJoins, Visit as _, Visitor,
};

use super::super::relations::{INFORMATION_SCHEMA, PG_CATALOG, Relation};
use super::super::{informed, rows};
use super::{ident, is};

/// Aggregates: a select of one has a row even where there is none to aggregate.
const AGGREGATES: [&str; 10] =
    ["array_agg", "avg", "bool_and", "bool_or", "count", "json_agg", "max", "min", "string_agg", "sum"];

/// The names that a statement gives to queries of its own, which hide relations of that name.
#[derive(Debug, Default)]
pub(super) struct Sources(pub(super) BTreeSet<String>);

impl Sources {
    /// Whether a query has no rows, whatever the rows around it are.
    pub(super) fn is_empty(&self, query: &Query) -> bool {
        match (&query.with, query.body.as_ref()) {
            (None, SetExpr::Select(select)) => self.selects_nothing(select),
            (None, SetExpr::Query(query)) => self.is_empty(query),
            _ => false,
        }
    }

    /// Whether a select has no rows.
    pub(super) fn selects_nothing(&self, select: &Select) -> bool {
        select.from.iter().any(|from| self.joins_nothing(from)) && !aggregates(select)
    }

    fn joins_nothing(&self, from: &TableWithJoins) -> bool {
        let inner = |join: &Join| match &join.join_operator {
            JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_) => {
                self.is_nothing(&join.relation)
            }
            _ => false,
        };
        // Rows that an outer join adds to nothing are rows all the same.
        let adds = |join: &Join| {
            matches!(
                join.join_operator,
                JoinOperator::Right(_) | JoinOperator::RightOuter(_) | JoinOperator::FullOuter(_)
            )
        };
        !from.joins.iter().any(adds) && (self.is_nothing(&from.relation) || from.joins.iter().any(inner))
    }

    fn is_nothing(&self, factor: &TableFactor) -> bool {
        match factor {
            TableFactor::Table { name, args: None, .. } => self.relation(name) == Some(Rows::Never),
            TableFactor::Table { name, args: Some(arguments), .. } => is_list_of_catalogue(name, &arguments.args),
            TableFactor::Derived { subquery, .. } => self.is_empty(subquery),
            TableFactor::NestedJoin { table_with_joins, .. } => self.joins_nothing(table_with_joins),
            _ => false,
        }
    }

    /// Whether a select reads relations of the catalogue and nothing else.
    pub(super) fn reads_catalogue(&self, select: &Select) -> bool {
        let is_catalogue = |factor: &TableFactor| matches!(factor, TableFactor::Table { name, args: None, .. } if self.relation(name).is_some());
        let from = |from: &TableWithJoins| {
            is_catalogue(&from.relation) && from.joins.iter().all(|join| is_catalogue(&join.relation))
        };
        !select.from.is_empty() && select.from.iter().all(from)
    }

    /// Whether a relation of the catalogue has rows; `None`: it is none.
    fn relation(&self, name: &ObjectName) -> Option<Rows> {
        let parts: Option<Vec<&str>> = name.0.iter().map(|part| ident(part).map(|part| part.value.as_str())).collect();
        let (schema, name) = match parts.as_deref() {
            Some([name]) if name.starts_with("pg_") && !self.0.contains(*name) => (PG_CATALOG, *name),
            Some([schema, name]) => (*schema, *name),
            _ => return None,
        };
        Relation::named(schema, name)?;
        let filled = match schema {
            PG_CATALOG => rows::FILLED.contains(&name),
            INFORMATION_SCHEMA => informed::FILLED.contains(&name),
            _ => return None,
        };
        Some(if filled { Rows::Some } else { Rows::Never })
    }
}

/// `pg_catalog.unnest(c.reloptions)`: the items of a list of the catalogue, and its lists are null.
fn is_list_of_catalogue(name: &ObjectName, arguments: &[FunctionArg]) -> bool {
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::CompoundIdentifier(column)))] = arguments else {
        return false;
    };
    let is_list = column.last().is_some_and(|column| Relation::has_list(&column.value));
    name.to_string().eq_ignore_ascii_case("pg_catalog.unnest") && is_list
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rows {
    Some,
    Never,
}

/// Whether a select groups rows.
pub(super) fn groups(select: &Select) -> bool {
    !matches!(&select.group_by, GroupByExpr::Expressions(expressions, _) if expressions.is_empty())
}

/// Whether a select without groups aggregates.
pub(super) fn aggregates(select: &Select) -> bool {
    let aggregates = |item: &SelectItem| item.visit(&mut Aggregates::default()).is_break();
    !groups(select) && select.projection.iter().any(aggregates)
}

/// Looks for an aggregate, and not into subqueries.
#[derive(Default)]
struct Aggregates {
    /// In how many subqueries this is.
    queries: usize,
}

impl Visitor for Aggregates {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        let Expr::Function(Function { name, over: None, .. }) = expression else { return ControlFlow::Continue(()) };
        match AGGREGATES.iter().any(|known| is(name, known)) && self.queries == 0 {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}
