//! Arrow's types as Postgres has them: what clients of that protocol are told of columns, and what its catalogue says of them.
//!
//! | Arrow | Postgres |
//! |---|---|
//! | `Int8`, `Int16`, `UInt8` | `int2` |
//! | `Int32`, `UInt16` | `int4` |
//! | `Int64`, `UInt32` | `int8` |
//! | `UInt64`, decimals | `numeric` |
//! | `Float16`, `Float32`; `Float64` | `float4`; `float8` |
//! | texts, `Null`, and what has no counterpart | `text` |
//! | bytes | `bytea` |
//! | `Timestamp` without and with a time zone | `timestamp`, `timestamptz` in UTC |
//! | dates, times, durations and intervals | `date`, `time`, `interval` |
//! | structs and lists | `json` |

use arrow::datatypes::DataType;

use crate::cell;

/// A type of Postgres that columns of ours have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is called what Postgres calls it")]
pub enum PostgresType {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric,
    Text,
    Bytea,
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Interval,
    Json,
}

impl PostgresType {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Bool,
        Self::Int2,
        Self::Int4,
        Self::Int8,
        Self::Float4,
        Self::Float8,
        Self::Numeric,
        Self::Text,
        Self::Bytea,
        Self::Date,
        Self::Time,
        Self::Timestamp,
        Self::Timestamptz,
        Self::Interval,
        Self::Json,
    ];

    /// The type of a column of this Arrow type.
    pub fn of(arrow: &DataType) -> Self {
        match arrow {
            DataType::Boolean => Self::Bool,
            DataType::Int8 | DataType::Int16 | DataType::UInt8 => Self::Int2,
            DataType::Int32 | DataType::UInt16 => Self::Int4,
            DataType::Int64 | DataType::UInt32 => Self::Int8,
            DataType::Float16 | DataType::Float32 => Self::Float4,
            DataType::Float64 => Self::Float8,
            DataType::UInt64
            | DataType::Decimal32(..)
            | DataType::Decimal64(..)
            | DataType::Decimal128(..)
            | DataType::Decimal256(..) => Self::Numeric,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                Self::Bytea
            }
            DataType::Date32 | DataType::Date64 => Self::Date,
            DataType::Time32(_) | DataType::Time64(_) => Self::Time,
            DataType::Timestamp(_, None) => Self::Timestamp,
            DataType::Timestamp(_, Some(_)) => Self::Timestamptz,
            DataType::Duration(_) | DataType::Interval(_) => Self::Interval,
            DataType::Dictionary(_, values) => Self::of(values),
            nested if nested.is_nested() && cell::written(nested).is_some() => Self::Json,
            _ => Self::Text,
        }
    }

    /// `pg_type.oid`, `typname`, and what `format_type` and `information_schema` call it. `src/include/catalog/pg_type.dat` of PostgreSQL.
    fn names(self) -> (u32, &'static str, &'static str) {
        match self {
            Self::Bool => (16, "bool", "boolean"),
            Self::Int2 => (21, "int2", "smallint"),
            Self::Int4 => (23, "int4", "integer"),
            Self::Int8 => (20, "int8", "bigint"),
            Self::Float4 => (700, "float4", "real"),
            Self::Float8 => (701, "float8", "double precision"),
            Self::Numeric => (1700, "numeric", "numeric"),
            Self::Text => (25, "text", "text"),
            Self::Bytea => (17, "bytea", "bytea"),
            Self::Date => (1082, "date", "date"),
            Self::Time => (1083, "time", "time without time zone"),
            Self::Timestamp => (1114, "timestamp", "timestamp without time zone"),
            Self::Timestamptz => (1184, "timestamptz", "timestamp with time zone"),
            Self::Interval => (1186, "interval", "interval"),
            Self::Json => (114, "json", "json"),
        }
    }

    /// The number by which Postgres knows it.
    pub fn oid(self) -> u32 {
        self.names().0
    }

    /// The name that it has in `pg_type`.
    pub fn name(self) -> &'static str {
        self.names().1
    }

    /// The name that it has in SQL.
    pub fn sql_name(self) -> &'static str {
        self.names().2
    }

    /// The bytes of its binary form; -1: as many as it takes. `pg_type.typlen`.
    pub fn bytes(self) -> i16 {
        match self {
            Self::Bool => 1,
            Self::Int2 => 2,
            Self::Int4 | Self::Float4 | Self::Date => 4,
            Self::Int8 | Self::Float8 | Self::Time | Self::Timestamp | Self::Timestamptz => 8,
            Self::Interval => 16,
            Self::Numeric | Self::Text | Self::Bytea | Self::Json => -1,
        }
    }
}
