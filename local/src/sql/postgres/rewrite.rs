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
//! | a select from a relation that has no rows ([`sources`]) | nulls, `where false`; `false` where it is asked whether there are rows |
//! | a scalar subquery over the catalogue, of the row around it | the same with `max(…)`: there is one row at most |
//! | `ARRAY(SELECT x …)` over the catalogue | `(SELECT array_agg(x) …)` |
//! | `c.oid, c.*` | `c.oid AS "oid (1)", c.*`: DataFusion tells columns apart by their names |
//! | the schemas of a `search_path` that a query takes apart with `generate_series` | the lake's |
//! | `x LIKE y ESCAPE '/'` | `x LIKE` the same pattern with backslashes |
//!
//! Each is the same for whatever rows there are. What is not understood is left as it is, and DataFusion says so.

mod kinds;
mod selects;
mod sources;

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, Array, ArrayElemTypeDef, BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, ObjectName, ObjectNamePart, Query, Select,
    TableFactor, Value, Visit, VisitMut, Visitor, VisitorMut,
};

use super::relations::{INFORMATION_SCHEMA, PG_CATALOG, Relation};
use crate::sql::catalog::SCHEMA;
use kinds::Cast;
use sources::Sources;

/// Says a statement in DataFusion's words. `database` is what its client calls the database.
pub(super) fn rewrite(statement: &mut Statement, database: &str) {
    match statement {
        Statement::Statement(statement) => {
            let mut own = OwnQueries::default();
            let _all = Visit::visit(statement.as_ref(), &mut own);
            let _all = VisitMut::visit(statement.as_mut(), &mut Rewriting { database, sources: own.0, compared: 0 });
        }
        Statement::Explain(explain) => rewrite(&mut explain.statement, database),
        _ => {}
    }
}

/// Gathers the names that a statement gives to queries of its own.
#[derive(Default)]
struct OwnQueries(Sources);

impl Visitor for OwnQueries {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let with = query.with.iter().flat_map(|with| &with.cte_tables);
        self.0.0.extend(with.map(|query| query.alias.name.value.clone()));
        ControlFlow::Continue(())
    }
}

struct Rewriting<'a> {
    database: &'a str,
    sources: Sources,
    /// In how many comparisons with `ANY` or `ALL` of a subquery's rows this is.
    compared: usize,
}

impl VisitorMut for Rewriting<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if self.sources.is_empty(query) {
            query.order_by = None;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        if self.sources.selects_nothing(select) {
            selects::of_nothing(select);
        }
        if selects::takes_schemas_apart(select) {
            selects::of_the_lake(select);
        }
        selects::keep_apart(select);
        ControlFlow::Continue(())
    }

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

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        self.compared -= usize::from(compares_rows(expression));
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        self.compared += usize::from(compares_rows(expression));
        if let Some(instead) = self.of_query(expression).or_else(|| instead(expression)) {
            *expression = instead;
        }
        if let Expr::Function(function) = expression {
            unqualify(&mut function.name);
        }
        ControlFlow::Continue(())
    }
}

impl Rewriting<'_> {
    /// What stands for an expression that is a query; `None`: it can stay.
    fn of_query(&self, expression: &mut Expr) -> Option<Expr> {
        match expression {
            Expr::Subquery(query) if self.compared == 0 && self.sources.is_empty(query) => Some(null()),
            Expr::Exists { subquery, negated } if self.sources.is_empty(subquery) => {
                Some(value(Value::Boolean(*negated)))
            }
            Expr::Subquery(query) if self.compared == 0 => {
                let select = selects::of_one_column(query)?;
                if self.sources.reads_catalogue(select) {
                    selects::aggregate(select, "max");
                    query.order_by = None;
                }
                None
            }
            Expr::Function(Function { name, args: FunctionArguments::Subquery(query), .. }) if is(name, "array") => {
                if self.sources.is_empty(query) {
                    return Some(no_list());
                }
                let select = selects::of_one_column(query)?;
                if !self.sources.reads_catalogue(select) {
                    return None;
                }
                selects::aggregate(select, "array_agg");
                query.order_by = None;
                Some(Expr::Subquery(query.clone()))
            }
            Expr::InSubquery { expr, subquery, negated } if takes_search_path_apart(subquery) => {
                let list = vec![value(Value::SingleQuotedString(SCHEMA.to_owned()))];
                let expr = Box::new(std::mem::replace(expr.as_mut(), null()));
                Some(Expr::InList { expr, list, negated: *negated })
            }
            _ => None,
        }
    }
}

/// A list of texts that is not there.
fn no_list() -> Expr {
    let texts = ArrayElemTypeDef::SquareBracket(Box::new(DataType::Varchar(None)), None);
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(null()),
        data_type: DataType::Array(texts),
        array: false,
        format: None,
    }
}

/// `x = ANY (SELECT …)`: there the subquery may have several rows.
fn compares_rows(expression: &Expr) -> bool {
    matches!(expression, Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } if matches!(right.as_ref(), Expr::Subquery(_)))
}

fn takes_search_path_apart(query: &Query) -> bool {
    let text = query.to_string().to_ascii_lowercase();
    text.contains("current_setting('search_path')") && text.contains("generate_series")
}

/// What stands for an expression; `None`: it can stay.
fn instead(expression: &mut Expr) -> Option<Expr> {
    match expression {
        Expr::CompoundFieldAccess { root, access_chain } if is_row_of_postgres(root, access_chain) => Some(null()),
        Expr::Collate { expr, collation } if is_of_bytes(collation) => {
            let mut inner = std::mem::replace(expr.as_mut(), null());
            Some(instead(&mut inner).unwrap_or(inner))
        }
        Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
            let escape = escape_char.as_ref().and_then(|escape| escape.value.clone().into_string());
            if let Some(escape) = escape.filter(|escape| !escape.is_empty() && escape != "\\") {
                *escape_char = None;
                let inner = std::mem::replace(pattern.as_mut(), null());
                **pattern = with_backslashes(inner, &escape);
            }
            None
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
                Some(call(name, [inner]))
            }
        },
        _ => None,
    }
}

/// A pattern whose escape character is this one, with backslashes for it.
fn with_backslashes(pattern: Expr, escape: &str) -> Expr {
    const MEANWHILE: &str = "\u{1}";
    let twice = format!("{escape}{escape}");
    let steps = [("\\", "\\\\"), (twice.as_str(), MEANWHILE), (escape, "\\"), (MEANWHILE, escape)];
    steps.into_iter().fold(pattern, |pattern, (from, to)| {
        let text = |text: &str| value(Value::SingleQuotedString(text.to_owned()));
        call("replace", [pattern, text(from), text(to)])
    })
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

fn call<const N: usize>(name: &str, arguments: [Expr; N]) -> Expr {
    let args = arguments.map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))).into();
    let arguments = FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() };
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
