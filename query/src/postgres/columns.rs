//! The columns of an answer, as clients are told of them.

use alluvium_core::cell;
use alluvium_core::postgres::PostgresType;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use pgwire::api::Type;
use pgwire::messages::data::{FieldDescription, RowDescription};

/// A type of Postgres that columns of ours have.
pub(super) type Kind = PostgresType;

/// The Arrow type that a column of this Arrow type is cast to before it is written as `kind`.
pub(super) fn written_as(kind: Kind, arrow: &DataType) -> DataType {
    match kind {
        Kind::Bool => DataType::Boolean,
        Kind::Int2 => DataType::Int16,
        Kind::Int4 => DataType::Int32,
        Kind::Int8 => DataType::Int64,
        Kind::Float4 => DataType::Float32,
        Kind::Float8 => DataType::Float64,
        Kind::Numeric | Kind::Text => DataType::Utf8,
        Kind::Bytea => DataType::Binary,
        Kind::Date => DataType::Date32,
        Kind::Time => DataType::Time64(TimeUnit::Microsecond),
        Kind::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
        // The zone says how a time is shown, not which one it is.
        Kind::Timestamptz => match arrow {
            DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
            other => other.clone(),
        },
        Kind::Interval => DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano),
        Kind::Json => cell::written(arrow).unwrap_or(DataType::Utf8),
    }
}

/// The type as the library knows it.
pub(super) fn wire_type(kind: Kind) -> Type {
    Type::from_oid(kind.oid()).expect("the library knows each of them")
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
        FieldDescription::new(column.name.clone(), 0, 0, kind.oid(), kind.bytes(), unmodified, format)
    });
    RowDescription::new(fields.collect())
}
