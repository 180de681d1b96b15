//! The relations of the catalogue, and how rows of them are made.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array, StringArray,
    TimestampMicrosecondArray, new_null_array,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;

pub(super) const PG_CATALOG: &str = "pg_catalog";
pub(super) const INFORMATION_SCHEMA: &str = "information_schema";

/// By schema and name.
static RELATIONS: LazyLock<BTreeMap<&str, BTreeMap<&str, Relation>>> = LazyLock::new(|| {
    let mut relations = BTreeMap::<_, BTreeMap<_, _>>::new();
    for line in include_str!("relations.txt").lines().filter(|line| !line.starts_with('#')) {
        let (schema, name, relation) = Relation::of(line).expect("each line of the file is a relation");
        relations.entry(schema).or_default().insert(name, relation);
    }
    relations
});

/// A relation of the catalogue.
#[derive(Debug)]
pub(super) struct Relation {
    columns: Vec<(&'static str, Kind)>,
}

/// What a column has, and what stands in it where a row says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A number of an object; 0.
    Oid,
    /// 0.
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    /// `false`.
    Bool,
    /// A name or a letter; none.
    Name,
    /// The name of a function; `-`.
    Function,
    /// Null.
    Number,
    Text,
    Time,
    Int2List,
    OidList,
    TextList,
}

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Int(i64),
    Float(f32),
    Bool(bool),
    Text(String),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<f32> for Value {
    fn from(value: f32) -> Self {
        Self::Float(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

/// What a row says, by column.
pub(super) type Row = BTreeMap<&'static str, Value>;

impl Relation {
    fn of(line: &'static str) -> Option<(&'static str, &'static str, Self)> {
        let mut words = line.split(' ');
        let (schema, name) = (words.next()?, words.next()?);
        let columns = words.map(|word| word.split_once(':').and_then(|(name, kind)| Some((name, Kind::of(kind)?))));
        Some((schema, name, Self { columns: columns.collect::<Option<_>>()? }))
    }

    /// The relation of this name; `None`: the catalogue has none.
    pub(super) fn named(schema: &str, name: &str) -> Option<&'static Self> {
        RELATIONS.get(schema)?.get(name)
    }

    /// Whether there is a column of lists of this name.
    pub(super) fn has_list(name: &str) -> bool {
        let lists = |kind| matches!(kind, Kind::Int2List | Kind::OidList | Kind::TextList);
        let mut columns = RELATIONS.values().flat_map(BTreeMap::values).flat_map(|relation| &relation.columns);
        columns.any(|(column, kind)| *column == name && lists(*kind))
    }

    /// The names of all relations of a schema.
    #[cfg(test)]
    pub(super) fn names(schema: &str) -> Vec<&'static str> {
        RELATIONS[schema].keys().copied().collect()
    }

    /// The columns, all of them nullable.
    pub(super) fn schema(&self) -> SchemaRef {
        let fields = self.columns.iter().map(|(name, kind)| Field::new(*name, kind.arrow(), true));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// Rows that say what these say.
    pub(super) fn rows(&self, rows: &[Row]) -> RecordBatch {
        let known = |row: &Row| row.keys().all(|name| self.columns.iter().any(|(column, _)| column == name));
        debug_assert!(rows.iter().all(known), "a row says something of a column that is not there");
        let columns = self.columns.iter().map(|(name, kind)| kind.array(rows.iter().map(|row| row.get(name))));
        let options = arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(rows.len()));
        RecordBatch::try_new_with_options(self.schema(), columns.collect(), &options)
            .expect("each column has a value for each row, of its type")
    }
}

impl Kind {
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "oid" => Self::Oid,
            "int2" => Self::Int2,
            "int4" => Self::Int4,
            "int8" => Self::Int8,
            "float4" => Self::Float4,
            "float8" => Self::Float8,
            "bool" => Self::Bool,
            "name" => Self::Name,
            "proc" => Self::Function,
            "number" => Self::Number,
            "text" => Self::Text,
            "time" => Self::Time,
            "int2[]" => Self::Int2List,
            "oid[]" => Self::OidList,
            "text[]" => Self::TextList,
            _ => return None,
        })
    }

    fn arrow(self) -> DataType {
        let list = |item| DataType::List(Arc::new(Field::new_list_field(item, true)));
        match self {
            Self::Oid | Self::Int8 => DataType::Int64,
            Self::Int4 | Self::Number => DataType::Int32,
            Self::Int2 => DataType::Int16,
            Self::Float4 => DataType::Float32,
            Self::Float8 => DataType::Float64,
            Self::Bool => DataType::Boolean,
            Self::Name | Self::Function | Self::Text => DataType::Utf8,
            Self::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Int2List => list(DataType::Int16),
            Self::OidList => list(DataType::Int64),
            Self::TextList => list(DataType::Utf8),
        }
    }

    /// A column of this kind, whose values are these where a row says something.
    fn array<'a>(self, values: impl ExactSizeIterator<Item = Option<&'a Value>>) -> ArrayRef {
        let int = |value: Option<&Value>| match value {
            Some(Value::Int(value)) => *value,
            _ => 0,
        };
        let text = |value: Option<&'a Value>| match value {
            Some(Value::Text(text)) => Some(text.as_str()),
            _ => None,
        };
        let small = |value: Option<&Value>| i32::try_from(int(value)).unwrap_or_default();
        let float = |value: Option<&Value>| match value {
            Some(Value::Float(value)) => *value,
            _ => 0.0,
        };
        match self {
            Self::Oid | Self::Int8 => Arc::new(Int64Array::from_iter_values(values.map(int))),
            Self::Int4 => Arc::new(Int32Array::from_iter_values(values.map(small))),
            Self::Number => Arc::new(Int32Array::from_iter(values.map(|value| value.map(|value| small(Some(value)))))),
            Self::Int2 => Arc::new(Int16Array::from_iter_values(
                values.map(|value| i16::try_from(int(value)).unwrap_or_default()),
            )),
            Self::Float4 => Arc::new(Float32Array::from_iter_values(values.map(float))),
            Self::Float8 => Arc::new(Float64Array::from_iter_values(values.map(|value| f64::from(float(value))))),
            Self::Bool => {
                Arc::new(BooleanArray::from_iter(values.map(|value| Some(value == Some(&Value::Bool(true))))))
            }
            Self::Name => Arc::new(StringArray::from_iter_values(values.map(|value| text(value).unwrap_or_default()))),
            Self::Function => Arc::new(StringArray::from_iter_values(values.map(|value| text(value).unwrap_or("-")))),
            Self::Text => Arc::new(StringArray::from_iter(values.map(text))),
            Self::Time => {
                let nothing = TimestampMicrosecondArray::new_null(values.len());
                Arc::new(nothing.with_timezone("UTC"))
            }
            Self::Int2List | Self::OidList | Self::TextList => new_null_array(&self.arrow(), values.len()),
        }
    }
}
