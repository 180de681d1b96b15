//! One column as it is built, row by row.

use std::sync::Arc;

use alluvium_core::dataset::{ValueKind, Values};
use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Array, Float64Array, Int64Array, ListArray, NullBufferBuilder, StructArray,
    TimestampMicrosecondArray, UInt32Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::take;
use arrow::datatypes::{Field, Fields};
use arrow::error::ArrowError;

use super::texts::{FinishedTexts, Texts};
use super::values::Numbers;
use crate::draft::{Cell, Draft};

/// A column of one kind of value.
#[derive(Debug)]
pub(super) enum Column {
    Text(Texts),
    Integer(Numbers<i64>),
    Number(Numbers<f64>),
    Boolean(BooleanBuilder),
    Timestamp(Numbers<i64>),
    Date(Numbers<i32>),
    Object(ObjectColumn),
    List(ListColumn),
}

/// A struct column: one column per field, and which rows have an object.
#[derive(Debug)]
pub(super) struct ObjectColumn {
    names: Vec<String>,
    fields: Vec<Column>,
    present: NullBufferBuilder,
}

/// A list column: the items of all rows, where each row's end, and which rows have an array.
#[derive(Debug)]
pub(super) struct ListColumn {
    items: Box<Column>,
    ends: Vec<i32>,
    present: NullBufferBuilder,
}

impl Column {
    pub(super) fn new(values: &Values) -> Self {
        match &values.kind {
            ValueKind::Text(_) => Self::Text(Texts::new()),
            ValueKind::Integer(_) => Self::Integer(Numbers::new()),
            ValueKind::Number(_) => Self::Number(Numbers::new()),
            ValueKind::Boolean(_) => Self::Boolean(BooleanBuilder::new()),
            ValueKind::Timestamp => Self::Timestamp(Numbers::new()),
            ValueKind::Date => Self::Date(Numbers::new()),
            ValueKind::Object(object) => Self::Object(ObjectColumn {
                names: object.properties.iter().map(|property| property.name.clone()).collect(),
                fields: object.properties.iter().map(|property| Self::new(&property.values)).collect(),
                present: NullBufferBuilder::new(0),
            }),
            ValueKind::List(list) => Self::List(ListColumn {
                items: Box::new(Self::new(&list.items)),
                ends: vec![0],
                present: NullBufferBuilder::new(0),
            }),
        }
    }

    /// The bytes that its values take, roughly.
    pub(super) fn size_bytes(&self) -> usize {
        match self {
            Self::Text(texts) => texts.size_bytes(),
            Self::Integer(values) | Self::Timestamp(values) => values.size_bytes(),
            Self::Number(values) => values.size_bytes(),
            Self::Boolean(values) => values.values_slice().len(),
            Self::Date(values) => values.size_bytes(),
            Self::Object(object) => object.fields.iter().map(Self::size_bytes).sum(),
            Self::List(list) => list.items.size_bytes() + size_of_val(list.ends.as_slice()),
        }
    }

    /// Adds a row's value.
    #[inline]
    pub(super) fn push(&mut self, cell: Cell, draft: &Draft, event: &str) {
        match (self, cell) {
            (Self::Text(texts), Cell::Text(place)) => texts.push(draft.resolve(event, place)),
            (Self::Integer(values), Cell::Integer(value)) => values.push(value),
            (Self::Number(values), Cell::Number(value)) => values.push(value),
            (Self::Boolean(values), Cell::Boolean(value)) => values.append_value(value),
            (Self::Timestamp(values), Cell::Timestamp(value)) => values.push(value),
            (Self::Date(values), Cell::Date(value)) => values.push(value),
            (Self::Object(object), Cell::Object { first }) => object.push(first as usize, draft, event),
            (Self::List(list), Cell::List { first, items }) => list.push(first as usize, items as usize, draft, event),
            (column, cell) => {
                debug_assert!(matches!(cell, Cell::Missing | Cell::Null), "a value is read by its column's kind");
                column.push_null();
            }
        }
    }

    fn push_null(&mut self) {
        match self {
            Self::Text(texts) => texts.push_null(),
            Self::Integer(values) | Self::Timestamp(values) => values.push_null(),
            Self::Number(values) => values.push_null(),
            Self::Boolean(values) => values.append_null(),
            Self::Date(values) => values.push_null(),
            Self::Object(object) => {
                object.fields.iter_mut().for_each(Self::push_null);
                object.present.append_null();
            }
            Self::List(list) => {
                list.ends.extend(list.ends.last().copied());
                list.present.append_null();
            }
        }
    }

    /// The whole column; leaves none.
    ///
    /// # Errors
    ///
    /// When Arrow refuses it, which would be a defect.
    pub(super) fn finish(&mut self) -> Result<Finished, ArrowError> {
        Ok(Finished::Array(match self {
            Self::Text(texts) => return Ok(Finished::Texts(texts.finish()?)),
            Self::Integer(values) => Arc::new(Int64Array::from(values.finish())),
            Self::Number(values) => Arc::new(Float64Array::from(values.finish())),
            Self::Boolean(values) => Arc::new(values.finish()),
            Self::Timestamp(values) => Arc::new(TimestampMicrosecondArray::from(values.finish()).with_timezone("UTC")),
            Self::Date(values) => Arc::new(Date32Array::from(values.finish())),
            Self::Object(object) => object.finish()?,
            Self::List(list) => list.finish()?,
        }))
    }

    fn finish_array(&mut self) -> Result<ArrayRef, ArrowError> {
        match self.finish()? {
            Finished::Texts(texts) => texts.all(),
            Finished::Array(array) => Ok(array),
        }
    }
}

/// A finished column whose rows can be taken in any order.
#[derive(Debug)]
pub(super) enum Finished {
    Texts(FinishedTexts),
    Array(ArrayRef),
}

impl Finished {
    /// The rows of these numbers, in their order.
    pub(super) fn take(&self, rows: &UInt32Array) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Texts(texts) => texts.take(rows),
            Self::Array(array) => take(array, rows, None),
        }
    }
}

impl ObjectColumn {
    fn push(&mut self, first: usize, draft: &Draft, event: &str) {
        for (field, cell) in self.fields.iter_mut().zip(&draft.cells[first..]) {
            field.push(*cell, draft, event);
        }
        self.present.append_non_null();
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let arrays = self.fields.iter_mut().map(Column::finish_array).collect::<Result<Vec<_>, _>>()?;
        let fields = self.names.iter().zip(&arrays);
        let fields: Fields = fields.map(|(name, array)| Field::new(name, array.data_type().clone(), true)).collect();
        Ok(Arc::new(StructArray::try_new(fields, arrays, self.present.finish())?))
    }
}

impl ListColumn {
    fn push(&mut self, first: usize, items: usize, draft: &Draft, event: &str) {
        for cell in &draft.cells[first..first + items] {
            self.items.push(*cell, draft, event);
        }
        let end = self.ends.last().copied().unwrap_or(0) + items as i32;
        self.ends.push(end);
        self.present.append_non_null();
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let items = self.items.finish_array()?;
        let element = Arc::new(Field::new("element", items.data_type().clone(), true));
        let ends = OffsetBuffer::new(std::mem::replace(&mut self.ends, vec![0]).into());
        Ok(Arc::new(ListArray::try_new(element, ends, items, self.present.finish())?))
    }
}
