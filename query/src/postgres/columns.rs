//! Arrow's types as Postgres has them.
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

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use pgwire::api::Type;
use pgwire::messages::data::{FieldDescription, RowDescription};

use super::nested;

/// A type of Postgres that columns of ours have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
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

impl Kind {
    /// The type of a column of this Arrow type.
    pub(super) fn of(arrow: &DataType) -> Self {
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
            nested if nested.is_nested() && nested::written(nested).is_some() => Self::Json,
            _ => Self::Text,
        }
    }

    /// The Arrow type that a column of this Arrow type is cast to before it is written.
    pub(super) fn written_as(self, arrow: &DataType) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int2 => DataType::Int16,
            Self::Int4 => DataType::Int32,
            Self::Int8 => DataType::Int64,
            Self::Float4 => DataType::Float32,
            Self::Float8 => DataType::Float64,
            Self::Numeric | Self::Text => DataType::Utf8,
            Self::Bytea => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            // The zone says how a time is shown, not which one it is.
            Self::Timestamptz => match arrow {
                DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
                other => other.clone(),
            },
            Self::Interval => DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano),
            Self::Json => nested::written(arrow).unwrap_or(DataType::Utf8),
        }
    }

    /// As clients know it.
    pub(super) fn postgres(self) -> Type {
        match self {
            Self::Bool => Type::BOOL,
            Self::Int2 => Type::INT2,
            Self::Int4 => Type::INT4,
            Self::Int8 => Type::INT8,
            Self::Float4 => Type::FLOAT4,
            Self::Float8 => Type::FLOAT8,
            Self::Numeric => Type::NUMERIC,
            Self::Text => Type::TEXT,
            Self::Bytea => Type::BYTEA,
            Self::Date => Type::DATE,
            Self::Time => Type::TIME,
            Self::Timestamp => Type::TIMESTAMP,
            Self::Timestamptz => Type::TIMESTAMPTZ,
            Self::Interval => Type::INTERVAL,
            Self::Json => Type::JSON,
        }
    }

    /// The bytes of its binary form; -1: as many as it takes. `pg_type.typlen`.
    fn bytes(self) -> i16 {
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

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
}

impl Column {
    /// A column of texts.
    pub(super) fn text(name: &str) -> Self {
        Self { name: name.to_owned(), kind: Kind::Text }
    }

    fn of(field: &Field) -> Self {
        Self { name: field.name().clone(), kind: Kind::of(field.data_type()) }
    }
}

/// The columns of rows that have this schema.
pub(super) fn columns(schema: &Schema) -> Vec<Column> {
    schema.fields().iter().map(|field| Column::of(field)).collect()
}

/// How values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Binary,
}

/// The formats that a client wants its columns in: none for text, one for all, or one for each.
#[derive(Debug, Clone, Default)]
pub(super) struct Formats(pub(super) Vec<i16>);

impl Formats {
    /// Whether there are as many as there may be.
    pub(super) fn fit(&self, columns: usize) -> bool {
        self.0.len() <= 1 || self.0.len() == columns
    }

    /// The format of one column.
    pub(super) fn of(&self, column: usize) -> Format {
        let code = if self.0.len() == 1 { self.0.first() } else { self.0.get(column) };
        if code.copied().unwrap_or_default() == pgwire::messages::data::FORMAT_CODE_BINARY {
            Format::Binary
        } else {
            Format::Text
        }
    }
}

/// What a client is told of the columns.
pub(super) fn description(columns: &[Column], formats: &Formats) -> RowDescription {
    let fields = columns.iter().enumerate().map(|(at, column)| {
        let format = i16::from(formats.of(at) == Format::Binary);
        let (kind, unmodified) = (column.kind, -1);
        FieldDescription::new(column.name.clone(), 0, 0, kind.postgres().oid(), kind.bytes(), unmodified, format)
    });
    RowDescription::new(fields.collect())
}
