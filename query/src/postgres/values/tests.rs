#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{
    Decimal128Array, DictionaryArray, DurationMillisecondArray, Int8Array, LargeStringArray, ListArray, NullArray,
    StringViewArray, StructArray, Time32SecondArray, TimestampNanosecondArray, TimestampSecondArray, UInt8Array,
    UInt16Array, UInt32Array, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Int32Type, IntervalMonthDayNano, TimeUnit};
use bytes::Buf as _;

use super::*;

fn written(column: ArrayRef, row: usize, format: Format) -> Option<Vec<u8>> {
    let values = Values::new(Kind::of(column.data_type()), &column).unwrap();
    let mut to = BytesMut::new();
    values.write(row, format, &mut to);
    let length = to.get_i32();
    if length < 0 {
        assert!(to.is_empty());
        return None;
    }
    assert_eq!(to.len(), length as usize);
    Some(to.to_vec())
}

fn text(column: ArrayRef) -> String {
    String::from_utf8(written(column, 0, Format::Text).unwrap()).unwrap()
}

fn binary(column: ArrayRef) -> Vec<u8> {
    written(column, 0, Format::Binary).unwrap()
}

#[test]
fn every_type_has_its_counterpart_and_its_text() {
    let micros = 1_769_860_800_250_000; // 2026-01-31T12:00:00.25Z
    let utc: Arc<str> = "UTC".into();
    let half: ArrayRef = Arc::new(Float64Array::from(vec![0.5]));
    let half = cast(&half, &DataType::Float16).unwrap();
    let cases: Vec<(ArrayRef, Kind, &str)> = vec![
        (Arc::new(BooleanArray::from(vec![true])), Kind::Bool, "t"),
        (Arc::new(Int8Array::from(vec![-8])), Kind::Int2, "-8"),
        (Arc::new(UInt8Array::from(vec![255])), Kind::Int2, "255"),
        (Arc::new(UInt16Array::from(vec![65_535])), Kind::Int4, "65535"),
        (Arc::new(UInt32Array::from(vec![u32::MAX])), Kind::Int8, "4294967295"),
        (Arc::new(Int64Array::from(vec![i64::MIN])), Kind::Int8, "-9223372036854775808"),
        (Arc::new(UInt64Array::from(vec![u64::MAX])), Kind::Numeric, "18446744073709551615"),
        (half, Kind::Float4, "0.5"),
        (Arc::new(Float32Array::from(vec![0.1_f32])), Kind::Float4, "0.1"),
        (Arc::new(Float64Array::from(vec![21.5])), Kind::Float8, "21.5"),
        (
            Arc::new(Decimal128Array::from(vec![-1250]).with_precision_and_scale(10, 2).unwrap()),
            Kind::Numeric,
            "-12.50",
        ),
        (Arc::new(StringArray::from(vec!["a'b"])), Kind::Text, "a'b"),
        (Arc::new(LargeStringArray::from(vec!["é"])), Kind::Text, "é"),
        (Arc::new(StringViewArray::from(vec!["view"])), Kind::Text, "view"),
        (Arc::new(DictionaryArray::<Int32Type>::from_iter(["word"])), Kind::Text, "word"),
        (Arc::new(BinaryArray::from_vec(vec![b"\x00\xff"])), Kind::Bytea, "\\x00ff"),
        (Arc::new(Date32Array::from(vec![20_484])), Kind::Date, "2026-01-31"),
        (Arc::new(Time32SecondArray::from(vec![3_661])), Kind::Time, "01:01:01"),
        (Arc::new(TimestampMicrosecondArray::from(vec![micros])), Kind::Timestamp, "2026-01-31 12:00:00.25"),
        (
            Arc::new(TimestampNanosecondArray::from(vec![micros * 1_000]).with_timezone(utc)),
            Kind::Timestamptz,
            "2026-01-31 12:00:00.25+00",
        ),
        (Arc::new(TimestampSecondArray::from(vec![-1])), Kind::Timestamp, "1969-12-31 23:59:59"),
        (Arc::new(DurationMillisecondArray::from(vec![90_061_500])), Kind::Interval, "25:01:01.5"),
        (
            Arc::new(IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(14, 3, -1_000_000_000)])),
            Kind::Interval,
            "1 year 2 mons 3 days -00:00:01",
        ),
        (
            Arc::new(IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(0, 0, 0)])),
            Kind::Interval,
            "00:00:00",
        ),
        (Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1), None])])), Kind::Json, "[1,null]"),
        (nested(), Kind::Json, r#"{"at":"2026-01-31T12:00:00.25Z","words":"x"}"#),
    ];
    for (column, kind, expected) in cases {
        assert_eq!(Kind::of(column.data_type()), kind, "{}", column.data_type());
        assert_eq!(text(column.clone()), expected, "{}", column.data_type());
    }
}

fn nested() -> ArrayRef {
    let at = TimestampMicrosecondArray::from(vec![1_769_860_800_250_000]).with_timezone("UTC");
    let at_type = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(StructArray::from(vec![
        (Arc::new(Field::new("at", at_type, true)), Arc::new(at) as ArrayRef),
        (
            Arc::new(Field::new("words", DataType::Utf8View, true)),
            Arc::new(StringViewArray::from(vec!["x"])) as ArrayRef,
        ),
    ]))
}

#[test]
fn binary_forms_are_those_of_postgres() {
    let day = 86_400_000_000_i64;
    assert_eq!(binary(Arc::new(BooleanArray::from(vec![false]))), [0]);
    assert_eq!(binary(Arc::new(Int8Array::from(vec![-2]))), (-2_i16).to_be_bytes());
    assert_eq!(binary(Arc::new(Int64Array::from(vec![7]))), 7_i64.to_be_bytes());
    assert_eq!(binary(Arc::new(Float64Array::from(vec![0.1]))), 0.1_f64.to_be_bytes());
    assert_eq!(binary(Arc::new(Date32Array::from(vec![10_958]))), 1_i32.to_be_bytes());
    assert_eq!(binary(Arc::new(TimestampMicrosecondArray::from(vec![10_957 * day + 5]))), 5_i64.to_be_bytes());
    assert_eq!(binary(Arc::new(BinaryArray::from_vec(vec![b"\x00\xff"]))), [0, 255]);
    assert_eq!(binary(Arc::new(UInt64Array::from(vec![12]))), [0, 1, 0, 0, 0, 0, 0, 0, 0, 12]);
    let interval = IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(14, 3, 5_000)]);
    let expected = [&5_i64.to_be_bytes()[..], &3_i32.to_be_bytes(), &14_i32.to_be_bytes()].concat();
    assert_eq!(binary(Arc::new(interval)), expected);
    assert_eq!(binary(Arc::new(StringArray::from(vec!["é"]))), "é".as_bytes());
}

#[test]
fn null_has_no_bytes_and_empty_has_none_either() {
    let column: ArrayRef = Arc::new(StringArray::from(vec![Some(""), None]));
    for format in [Format::Text, Format::Binary] {
        assert_eq!(written(column.clone(), 0, format), Some(Vec::new()));
        assert_eq!(written(column.clone(), 1, format), None);
        assert_eq!(written(Arc::new(NullArray::new(1)), 0, format), None);
    }
}

#[test]
fn floats_read_back_as_they_are() {
    for (value, expected) in [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (0.1, "0.1"),
        (1e15, "1e+15"),
        (123_456_789_012_345.0, "123456789012345"),
        (1.5e-7, "1.5e-07"),
        (f64::MAX, "1.7976931348623157e+308"),
        (f64::NAN, "NaN"),
        (f64::INFINITY, "Infinity"),
        (f64::NEG_INFINITY, "-Infinity"),
    ] {
        let text = text(Arc::new(Float64Array::from(vec![value])));
        assert_eq!(text, expected);
        let back: f64 = text.parse().unwrap();
        assert!(back == value || value.is_nan());
    }
}
