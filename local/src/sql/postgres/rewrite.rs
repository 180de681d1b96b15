//! What Postgres can say and DataFusion cannot, said in words that both have.
//!
//! | Postgres | instead |
//! |---|---|
//! | `pg_catalog.f(x)` | `f(x)` |
//! | `x::regclass`, `::regtype`, … | `regclass(x)`: see [`functions`](super::functions) |
//! | `x::oid`, `::name`, `::"char"` | the type that such a column has here |
//! | `x OPERATOR(pg_catalog.~) y` | `x ~ y` |
//! | `x COLLATE "default"` | `x`: texts are compared by their bytes in any case |
//! | `x = ANY ('{a,b}'::text[])` | `x = ANY (ARRAY['a', 'b'])` |
//! | a subquery over a relation that has no rows ([`empty`]) | null, or `false` where it is asked whether there are rows |
//!
//! Each is the same for whatever rows there are. What is not understood is left as it is, and DataFusion says so.

mod empty;
mod kinds;

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, Array, BinaryOperator, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName, ObjectNamePart, TableFactor, Value, VisitMut as _, VisitorMut,
};

use super::relations::{INFORMATION_SCHEMA, PG_CATALOG, Relation};
use kinds::Cast;

/// Says a statement in DataFusion's words. `database` is what its client calls the database.
pub(super) fn rewrite(statement: &mut Statement, database: &str) {
    match statement {
        Statement::Statement(statement) => {
            let _all = statement.visit(&mut Rewriting { database });
        }
        Statement::Explain(explain) => rewrite(&mut explain.statement, database),
        _ => {}
    }
}

struct Rewriting<'a> {
    database: &'a str,
}

impl VisitorMut for Rewriting<'_> {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<()> {
        // `database.schema.table`: there is one database, whatever its client calls it.
        if relation.0.len() == 3 && ident(&relation.0[0]).is_some_and(|first| first.value == self.database) {
            relation.0.remove(0);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, args: args @ Some(_), .. } = factor {
            unqualify(name);
            // `pg_get_keywords()`: a function whose rows are those of a relation.
            if Relation::named(PG_CATALOG, &name.to_string()).is_some() {
                *args = None;
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if let Some(instead) = instead(expression) {
            *expression = instead;
        }
        if let Expr::Function(function) = expression {
            unqualify(&mut function.name);
        }
        ControlFlow::Continue(())
    }
}

/// What stands for an expression; `None`: it can stay.
fn instead(expression: &mut Expr) -> Option<Expr> {
    match expression {
        Expr::Subquery(query) if empty::is_empty(query) => Some(null()),
        Expr::Exists { subquery, negated } if empty::is_empty(subquery) => Some(value(Value::Boolean(*negated))),
        Expr::Function(Function { name, args: FunctionArguments::Subquery(query), .. })
            if is(name, "array") && empty::is_empty(query) =>
        {
            Some(null())
        }
        Expr::CompoundFieldAccess { root, access_chain } if is_row_of_postgres(root, access_chain) => Some(null()),
        Expr::Collate { expr, collation } if is_of_bytes(collation) => {
            let mut inner = std::mem::replace(expr.as_mut(), null());
            Some(instead(&mut inner).unwrap_or(inner))
        }
        Expr::BinaryOp { op, .. } => {
            if let BinaryOperator::PGCustomBinaryOperator(name) = op
                && let Some(plain) = name.last().and_then(|name| operator(name))
            {
                *op = plain;
            }
            None
        }
        Expr::Cast { expr, data_type, .. } => match kinds::cast(data_type) {
            Cast::Stays => list_of_literals(expr, data_type),
            Cast::To(kind) => {
                *data_type = kind;
                list_of_literals(expr, data_type)
            }
            Cast::Dropped => {
                let mut inner = std::mem::replace(expr.as_mut(), null());
                Some(instead(&mut inner).unwrap_or(inner))
            }
            Cast::Function(name) => {
                let inner = std::mem::replace(expr.as_mut(), null());
                Some(call(name, inner))
            }
        },
        _ => None,
    }
}

/// `(information_schema._pg_expandarray(indkey)).n`: a part of a row that a function of Postgres makes of what no table here has.
fn is_row_of_postgres(root: &Expr, access: &[AccessExpr]) -> bool {
    let mut root = root;
    while let Expr::Nested(inner) = root {
        root = inner;
    }
    let made = matches!(root, Expr::Function(function) if last(&function.name).is_some_and(|name| {
        name.value.starts_with("_pg_") || name.value.starts_with("pg_")
    }));
    made && access.iter().any(|access| matches!(access, AccessExpr::Dot(_)))
}

/// Collations that compare as is done here.
fn is_of_bytes(collation: &ObjectName) -> bool {
    let name = last(collation).map(|name| name.value.as_str());
    matches!(name, Some("default" | "C" | "POSIX" | "ucs_basic"))
}

/// The operators of Postgres that DataFusion has, by the name that they have in `OPERATOR(…)`.
fn operator(name: &str) -> Option<BinaryOperator> {
    Some(match name {
        "~" => BinaryOperator::PGRegexMatch,
        "~*" => BinaryOperator::PGRegexIMatch,
        "!~" => BinaryOperator::PGRegexNotMatch,
        "!~*" => BinaryOperator::PGRegexNotIMatch,
        "~~" => BinaryOperator::PGLikeMatch,
        "!~~" => BinaryOperator::PGNotLikeMatch,
        "=" => BinaryOperator::Eq,
        "<>" => BinaryOperator::NotEq,
        "<" => BinaryOperator::Lt,
        "<=" => BinaryOperator::LtEq,
        ">" => BinaryOperator::Gt,
        ">=" => BinaryOperator::GtEq,
        "+" => BinaryOperator::Plus,
        "-" => BinaryOperator::Minus,
        "||" => BinaryOperator::StringConcat,
        _ => return None,
    })
}

/// `'{a,b}'::text[]`, of plain words, as a list.
fn list_of_literals(expr: &Expr, kind: &DataType) -> Option<Expr> {
    let (Expr::Value(text), DataType::Array(_)) = (expr, kind) else { return None };
    let Value::SingleQuotedString(text) = &text.value else { return None };
    let items = text.strip_prefix('{')?.strip_suffix('}')?;
    if items.contains(['"', '\\', '{']) {
        return None;
    }
    let items = items.split(',').filter(|item| !item.is_empty());
    let elem = items.map(|item| value(Value::SingleQuotedString(item.trim().to_owned()))).collect();
    Some(Expr::Array(Array { elem, named: true }))
}

/// Takes the catalogue's schema from before a function's name.
fn unqualify(name: &mut ObjectName) {
    if let [schema, _] = name.0.as_slice()
        && ident(schema).is_some_and(|schema| [PG_CATALOG, INFORMATION_SCHEMA].contains(&schema.value.as_str()))
    {
        name.0.remove(0);
    }
}

fn ident(part: &ObjectNamePart) -> Option<&Ident> {
    part.as_ident()
}

fn last(name: &ObjectName) -> Option<&Ident> {
    name.0.last().and_then(ident)
}

fn is(name: &ObjectName, expected: &str) -> bool {
    last(name).is_some_and(|name| name.value.eq_ignore_ascii_case(expected))
}

fn call(name: &str, argument: Expr) -> Expr {
    let argument = FunctionArg::Unnamed(FunctionArgExpr::Expr(argument));
    let arguments = FunctionArgumentList { duplicate_treatment: None, args: vec![argument], clauses: Vec::new() };
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(arguments),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

fn value(value: Value) -> Expr {
    Expr::Value(value.into())
}

fn null() -> Expr {
    value(Value::Null)
}
