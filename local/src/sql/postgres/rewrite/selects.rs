//! Selects in other words.

use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, GroupByExpr, Ident, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Value,
};

use super::sources::{aggregates, groups};
use super::{call, last, null, value};
use crate::sql::catalog::SCHEMA;

/// Makes a select that has no rows one that needs none: the same columns, all of them null.
pub(super) fn of_nothing(select: &mut Select) {
    let names: Option<Vec<String>> = select.projection.iter().map(name).collect();
    // What the columns behind a `*` are is not looked up.
    let Some(mut names) = names else { return };
    for at in 0..names.len() {
        if names[..at].contains(&names[at]) {
            names[at] = format!("{} ({at})", names[at]);
        }
    }
    let column = |name: String| SelectItem::ExprWithAlias { expr: null(), alias: Ident::with_quote('"', name) };
    select.projection = names.into_iter().map(column).collect();
    select.from = Vec::new();
    select.selection = Some(value(Value::Boolean(false)));
    select.group_by = GroupByExpr::Expressions(Vec::new(), Vec::new());
    (select.having, select.distinct) = (None, None);
}

/// Whether a select numbers the schemas in which names are looked up.
pub(super) fn takes_schemas_apart(select: &Select) -> bool {
    let [from] = select.from.as_slice() else { return false };
    let text = from.to_string().to_ascii_lowercase();
    from.joins.is_empty()
        && text.trim_start_matches("pg_catalog.").starts_with("generate_series(")
        && text.contains("current_schemas(")
        && !select.projection.iter().any(is_star)
}

/// Makes such a select one of the lake's schema, which is the first and only one.
pub(super) fn of_the_lake(select: &mut Select) {
    for item in &mut select.projection {
        let Some(name) = name(item) else { continue };
        let is_name = item.to_string().contains("current_schemas");
        let expr = match is_name {
            true => value(Value::SingleQuotedString(SCHEMA.to_owned())),
            false => value(Value::Number("1".to_owned(), false)),
        };
        *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', name) };
    }
    (select.from, select.selection) = (Vec::new(), None);
}

fn is_star(item: &SelectItem) -> bool {
    matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
}

/// The name that Postgres gives to a column of an answer; `None`: it is several.
fn name(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
        SelectItem::UnnamedExpr(expression) => Some(name_of(expression)),
        _ => None,
    }
}

fn name_of(expression: &Expr) -> String {
    let known = match expression {
        Expr::Identifier(ident) => Some(ident),
        Expr::CompoundIdentifier(parts) => parts.last(),
        Expr::Function(function) => last(&function.name),
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } | Expr::Collate { expr: inner, .. } => {
            return name_of(inner);
        }
        Expr::CompoundFieldAccess { access_chain, .. } => match access_chain.last() {
            Some(AccessExpr::Dot(Expr::Identifier(ident))) => Some(ident),
            _ => None,
        },
        _ => None,
    };
    known.map_or_else(|| "?column?".to_owned(), |ident| ident.value.clone())
}

/// Gives a name of its own to a column that stands beside a `*` which has it too: `c.oid, c.*`.
pub(super) fn keep_apart(select: &mut Select) {
    let stars: Vec<String> = select.projection.iter().filter_map(star).collect();
    if stars.is_empty() {
        return;
    }
    for (at, item) in select.projection.iter_mut().enumerate() {
        let SelectItem::UnnamedExpr(expression) = item else { continue };
        let own = match expression {
            Expr::CompoundIdentifier(parts) if parts.len() == 2 => {
                stars.iter().any(|star| star.is_empty() || *star == parts[0].value).then(|| parts[1].value.clone())
            }
            Expr::Identifier(name) => stars.iter().any(String::is_empty).then(|| name.value.clone()),
            _ => None,
        };
        if let Some(name) = own {
            let alias = Ident::with_quote('"', format!("{name} ({})", at + 1));
            *item = SelectItem::ExprWithAlias { expr: std::mem::replace(expression, null()), alias };
        }
    }
}

/// What stands before a `*`; empty: nothing.
fn star(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::Wildcard(_) => Some(String::new()),
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
            last(name).map(|name| name.value.clone())
        }
        _ => None,
    }
}

/// The select and the one expression of a query that has one column and does nothing with its rows.
pub(super) fn of_one_column(query: &mut Query) -> Option<&mut Select> {
    if query.with.is_some() || query.limit_clause.is_some() || query.fetch.is_some() {
        return None;
    }
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    let plain = !groups(select) && !aggregates(select) && select.distinct.is_none() && select.having.is_none();
    (plain && matches!(select.projection.as_slice(), [SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. }]))
        .then_some(select)
}

/// Puts the one column of a select into an aggregate.
pub(super) fn aggregate(select: &mut Select, function: &str) {
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expression) | SelectItem::ExprWithAlias { expr: expression, .. } = item {
            let inner = std::mem::replace(expression, null());
            *expression = call(function, [inner]);
        }
    }
}
