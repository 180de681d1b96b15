//! The rows of `pg_catalog`. A relation that is not named here has none.

use alluvium_core::ports::PostgresSession;
use alluvium_core::postgres::PostgresType;

use super::catalog::LakeTable;
use super::objects::{ACCESS_METHOD, DATABASE, LAKE, NAMESPACES, OWNER, Objects, TABLESPACE, USER, types};
use super::relations::{Row, Value};
use crate::sql::catalog::SCHEMA;

/// The number of UTF-8: `pg_enc` in `src/include/mb/pg_wchar.h` of PostgreSQL.
const UTF8: i64 = 6;

/// Words that no name can be without quotes, and that are not in the standard: programs know those of the standard.
const KEYWORDS: [&str; 5] = ["ilike", "limit", "offset", "qualify", "sort"];

/// The relations that have rows.
pub(super) const FILLED: [&str; 12] = [
    "pg_am",
    "pg_attribute",
    "pg_class",
    "pg_database",
    "pg_get_keywords",
    "pg_namespace",
    "pg_roles",
    "pg_settings",
    "pg_tables",
    "pg_tablespace",
    "pg_type",
    "pg_user",
];

/// A row that says this.
pub(super) fn row<const N: usize>(says: [(&'static str, Value); N]) -> Row {
    says.into_iter().collect()
}

/// The rows of one relation.
pub(super) fn of(name: &str, session: &PostgresSession, objects: &Objects, tables: &[LakeTable]) -> Vec<Row> {
    match name {
        "pg_am" => {
            vec![row([("oid", ACCESS_METHOD.0.into()), ("amname", ACCESS_METHOD.1.into()), ("amtype", "t".into())])]
        }
        "pg_attribute" => tables.iter().flat_map(attributes).collect(),
        "pg_class" => tables.iter().map(class).collect(),
        "pg_database" => vec![database(session)],
        "pg_get_keywords" => {
            let keyword =
                |word: &str| row([("word", word.into()), ("catcode", "R".into()), ("catdesc", "reserved".into())]);
            KEYWORDS.map(keyword).to_vec()
        }
        "pg_namespace" => {
            let namespace = |(oid, name): (i64, &str)| {
                row([("oid", oid.into()), ("nspname", name.into()), ("nspowner", OWNER.0.into())])
            };
            NAMESPACES.map(namespace).to_vec()
        }
        "pg_roles" => objects.roles().into_iter().map(role).collect(),
        "pg_settings" => session.settings.iter().map(|(name, value)| setting(name, value)).collect(),
        "pg_tables" => {
            let table = |table: &LakeTable| {
                row([
                    ("schemaname", SCHEMA.into()),
                    ("tablename", table.name.as_str().into()),
                    ("tableowner", OWNER.1.into()),
                ])
            };
            tables.iter().map(table).collect()
        }
        "pg_tablespace" => {
            vec![row([("oid", TABLESPACE.0.into()), ("spcname", TABLESPACE.1.into()), ("spcowner", OWNER.0.into())])]
        }
        "pg_type" => types().map(kind).collect(),
        "pg_user" => {
            let user = |(oid, name): (i64, &str)| row([("usesysid", oid.into()), ("usename", name.into())]);
            objects.roles().into_iter().map(user).collect()
        }
        _ => Vec::new(),
    }
}

fn class(table: &LakeTable) -> Row {
    row([
        ("oid", table.oid.into()),
        ("relname", table.name.as_str().into()),
        ("relnamespace", LAKE.into()),
        ("relowner", OWNER.0.into()),
        ("relam", ACCESS_METHOD.0.into()),
        // Nobody has counted them.
        ("reltuples", (-1.0).into()),
        ("relpersistence", "p".into()),
        ("relkind", "r".into()),
        ("relnatts", (table.columns.fields().len() as i64).into()),
        ("relispopulated", true.into()),
        ("relreplident", "d".into()),
    ])
}

fn attributes(table: &LakeTable) -> impl Iterator<Item = Row> {
    table.columns.fields().iter().zip(1_i64..).map(|(column, number)| {
        let kind = PostgresType::of(column.data_type());
        row([
            ("attrelid", table.oid.into()),
            ("attname", column.name().as_str().into()),
            ("atttypid", i64::from(kind.oid()).into()),
            ("attstattarget", (-1).into()),
            ("attlen", i64::from(kind.bytes()).into()),
            ("attnum", number.into()),
            ("attcacheoff", (-1).into()),
            ("atttypmod", (-1).into()),
            ("attbyval", is_by_value(kind.bytes()).into()),
            ("attalign", "i".into()),
            ("attstorage", if kind.bytes() < 0 { "x" } else { "p" }.into()),
            ("attnotnull", (!column.is_nullable()).into()),
            ("attislocal", true.into()),
        ])
    })
}

fn is_by_value(length: i16) -> bool {
    (1..=8).contains(&length)
}

fn database(session: &PostgresSession) -> Row {
    row([
        ("oid", DATABASE.into()),
        ("datname", session.database.as_str().into()),
        ("datdba", OWNER.0.into()),
        ("encoding", UTF8.into()),
        ("datlocprovider", "c".into()),
        ("datallowconn", true.into()),
        ("datconnlimit", (-1).into()),
        ("dattablespace", TABLESPACE.0.into()),
        ("datcollate", "C".into()),
        ("datctype", "C".into()),
    ])
}

fn role((oid, name): (i64, &str)) -> Row {
    row([
        ("oid", oid.into()),
        ("rolname", name.into()),
        ("rolinherit", true.into()),
        ("rolcanlogin", (oid == USER).into()),
        ("rolconnlimit", (-1).into()),
    ])
}

fn setting(name: &str, value: &str) -> Row {
    row([
        ("name", name.into()),
        ("setting", value.into()),
        ("category", "Preset Options".into()),
        ("short_desc", "".into()),
        ("context", "internal".into()),
        ("vartype", "string".into()),
        ("source", "default".into()),
        ("boot_val", value.into()),
        ("reset_val", value.into()),
    ])
}

fn kind((oid, name, _, length): (i64, &str, &str, i16)) -> Row {
    // `pg_type.typcategory`, which programs go by to tell numbers from texts.
    let category = match name {
        "bool" => "B",
        "int2" | "int4" | "int8" | "float4" | "float8" | "numeric" | "oid" => "N",
        "text" | "varchar" | "bpchar" | "name" => "S",
        "date" | "time" | "timestamp" | "timestamptz" => "D",
        "interval" => "T",
        "unknown" => "X",
        "char" => "Z",
        _ => "U",
    };
    row([
        ("oid", oid.into()),
        ("typname", name.into()),
        ("typnamespace", NAMESPACES[0].0.into()),
        ("typowner", OWNER.0.into()),
        ("typlen", i64::from(length).into()),
        ("typbyval", is_by_value(length).into()),
        ("typtype", if name == "unknown" { "p" } else { "b" }.into()),
        ("typcategory", category.into()),
        ("typisdefined", true.into()),
        ("typdelim", ",".into()),
        ("typinput", Value::Text(format!("{name}in"))),
        ("typoutput", Value::Text(format!("{name}out"))),
        ("typalign", "i".into()),
        ("typstorage", if length < 0 { "x" } else { "p" }.into()),
        ("typtypmod", (-1).into()),
    ])
}
