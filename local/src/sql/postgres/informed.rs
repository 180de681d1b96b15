//! The rows of `information_schema`. A relation that is not named here has none.

use alluvium_core::ports::PostgresSession;
use alluvium_core::postgres::PostgresType;
use arrow::datatypes::Field;

use super::catalog::LakeTable;
use super::objects::{NAMESPACES, OWNER, Objects};
use super::relations::{PG_CATALOG, Row};
use super::rows::row;
use crate::sql::catalog::SCHEMA;

/// The relations that have rows.
pub(super) const FILLED: [&str; 7] = [
    "columns",
    "enabled_roles",
    "information_schema_catalog_name",
    "role_table_grants",
    "schemata",
    "table_privileges",
    "tables",
];

/// The rows of one relation.
pub(super) fn of(name: &str, session: &PostgresSession, objects: &Objects, tables: &[LakeTable]) -> Vec<Row> {
    let database = session.database.as_str();
    match name {
        "columns" => {
            let columns = |table: &LakeTable| -> Vec<Row> {
                let columns = table.columns.fields().iter().zip(1..);
                columns.map(|(field, number)| column(database, &table.name, field, number)).collect()
            };
            tables.iter().flat_map(columns).collect()
        }
        "enabled_roles" => objects.roles().into_iter().map(|(_, name)| row([("role_name", name.into())])).collect(),
        "information_schema_catalog_name" => vec![row([("catalog_name", database.into())])],
        "role_table_grants" | "table_privileges" => {
            tables.iter().map(|table| privilege(session, &table.name)).collect()
        }
        "schemata" => {
            let schema = |(_, name): (i64, &str)| {
                row([("catalog_name", database.into()), ("schema_name", name.into()), ("schema_owner", OWNER.1.into())])
            };
            NAMESPACES.map(schema).to_vec()
        }
        "tables" => {
            let table = |table: &LakeTable| {
                row([
                    ("table_catalog", database.into()),
                    ("table_schema", SCHEMA.into()),
                    ("table_name", table.name.as_str().into()),
                    ("table_type", "BASE TABLE".into()),
                    ("is_insertable_into", "NO".into()),
                    ("is_typed", "NO".into()),
                ])
            };
            tables.iter().map(table).collect()
        }
        _ => Vec::new(),
    }
}

fn privilege(session: &PostgresSession, table: &str) -> Row {
    row([
        ("grantor", OWNER.1.into()),
        ("grantee", session.user.as_str().into()),
        ("table_catalog", session.database.as_str().into()),
        ("table_schema", SCHEMA.into()),
        ("table_name", table.into()),
        ("privilege_type", "SELECT".into()),
        ("is_grantable", "NO".into()),
        ("with_hierarchy", "YES".into()),
    ])
}

fn column(database: &str, table: &str, field: &Field, number: i64) -> Row {
    let kind = PostgresType::of(field.data_type());
    let mut row = row([
        ("table_catalog", database.into()),
        ("table_schema", SCHEMA.into()),
        ("table_name", table.into()),
        ("column_name", field.name().as_str().into()),
        ("ordinal_position", number.into()),
        ("is_nullable", if field.is_nullable() { "YES" } else { "NO" }.into()),
        ("data_type", kind.sql_name().into()),
        ("udt_catalog", database.into()),
        ("udt_schema", PG_CATALOG.into()),
        ("udt_name", kind.name().into()),
        ("dtd_identifier", number.to_string().as_str().into()),
        ("is_self_referencing", "NO".into()),
        ("is_identity", "NO".into()),
        ("identity_cycle", "NO".into()),
        ("is_generated", "NEVER".into()),
        ("is_updatable", "NO".into()),
    ]);
    // In binary digits.
    let precision = match kind {
        PostgresType::Int2 => Some(16),
        PostgresType::Int4 => Some(32),
        PostgresType::Int8 => Some(64),
        PostgresType::Float4 => Some(24),
        PostgresType::Float8 => Some(53),
        _ => None,
    };
    if let Some(precision) = precision {
        row.extend([("numeric_precision", precision.into()), ("numeric_precision_radix", 2.into())]);
    }
    match kind {
        PostgresType::Date => row.extend([("datetime_precision", 0.into())]),
        PostgresType::Time | PostgresType::Timestamp | PostgresType::Timestamptz | PostgresType::Interval => {
            row.extend([("datetime_precision", 6.into())]);
        }
        _ => {}
    }
    row
}
