#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{
    BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, ListArray,
    NullArray, StringViewArray, StructArray, TimestampMicrosecondArray, UInt64Array,
};
use arrow::datatypes::{Int64Type, Schema};
use serde_json::{Value, json};

use super::*;

fn written(columns: Vec<(&str, ArrayRef)>, next: Option<&str>) -> Value {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)));
    let page = ResultPage { batches: vec![batch.unwrap()], next: next.map(str::to_owned) };
    serde_json::from_slice(&body(&page, Format::Json).unwrap()).unwrap()
}

#[test]
fn rows_stand_in_the_order_of_their_columns() {
    let answered = written(
        vec![
            ("n", Arc::new(Int64Array::from(vec![Some(1), None]))),
            ("small", Arc::new(Int32Array::from(vec![2, 3]))),
            ("large", Arc::new(UInt64Array::from(vec![u64::MAX, 0]))),
            ("half", Arc::new(Float64Array::from(vec![0.5, f64::NAN]))),
            ("yes", Arc::new(BooleanArray::from(vec![true, false]))),
            ("word", Arc::new(StringViewArray::from(vec![Some("a"), None]))),
            ("day", Arc::new(Date32Array::from(vec![0, 1]))),
            ("at", Arc::new(TimestampMicrosecondArray::from(vec![250_000, 0]).with_timezone("UTC"))),
            ("here", Arc::new(TimestampMicrosecondArray::from(vec![250_000, 0]))),
            ("bytes", Arc::new(BinaryArray::from(vec![b"a".as_slice(), b"\xff"]))),
            ("price", Arc::new(Decimal128Array::from(vec![150, -1]).with_precision_and_scale(5, 2).unwrap())),
            ("nothing", Arc::new(NullArray::new(2))),
        ],
        Some("2"),
    );
    assert_eq!(
        answered["rows"],
        json!([
            [
                1,
                2,
                "18446744073709551615",
                0.5,
                true,
                "a",
                "1970-01-01",
                "1970-01-01T00:00:00.25Z",
                "1970-01-01T00:00:00.250",
                "a",
                "1.50",
                null
            ],
            [
                null,
                3,
                "0",
                null,
                false,
                null,
                "1970-01-02",
                "1970-01-01T00:00:00Z",
                "1970-01-01T00:00:00",
                "/w==",
                "-0.01",
                null
            ]
        ])
    );
    let types: Vec<&Value> = answered["columns"].as_array().unwrap().iter().map(|column| &column["type"]).collect();
    assert_eq!(
        types,
        [
            "bigint",
            "integer",
            "UInt64",
            "double",
            "boolean",
            "varchar",
            "date",
            "timestamp with time zone",
            "timestamp",
            "varbinary",
            "decimal(5,2)",
            "Null"
        ]
    );
    assert_eq!(answered["columns"][0]["name"], "n");
    assert_eq!(answered["next"], "2");
}

#[test]
fn objects_and_arrays_are_written_as_such_where_they_hold_what_can_be() {
    let field = |kind| Arc::new(Field::new("n", kind, true));
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let object: ArrayRef = Arc::new(StructArray::from(vec![(field(DataType::Int64), numbers)]));
    let small: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    let shown: ArrayRef = Arc::new(StructArray::from(vec![(field(DataType::Int32), small)]));
    let list: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1), None])]));
    let answered = written(vec![("object", object), ("shown", shown), ("list", list)], None);
    assert_eq!(answered["rows"], json!([[{"n": 1}, "{n: 1}", [1, null]]]));
}

#[test]
fn a_page_without_rows_has_its_columns() {
    let schema = Schema::new(vec![Field::new("n", DataType::Int64, true)]);
    let page = ResultPage { batches: vec![RecordBatch::new_empty(Arc::new(schema))], next: None };
    let answered: Value = serde_json::from_slice(&body(&page, Format::Json).unwrap()).unwrap();
    assert_eq!(answered, json!({"columns": [{"name": "n", "type": "bigint"}], "rows": [], "next": null}));
}

#[test]
fn a_name_that_one_object_would_have_twice_is_found() {
    let column = |name: &str, kind: DataType| Field::new(name, kind, true);
    let found = |fields: Vec<Field>, format: Format| {
        let page = ResultPage { batches: vec![RecordBatch::new_empty(Arc::new(Schema::new(fields)))], next: None };
        same_name(&page, format).map(str::to_owned)
    };
    let word = |name: &str| column(name, DataType::Utf8);
    let twice = || vec![word("n"), word("source"), word("source")];
    assert_eq!(found(twice(), Format::Ndjson).as_deref(), Some("source"));
    // These have a place for each column.
    for format in [Format::Json, Format::Csv, Format::Arrow] {
        assert_eq!(found(twice(), format), None, "{format:?}");
    }
    let within = || vec![column("o", DataType::new_list(DataType::Struct(vec![word("a"), word("a")].into()), true))];
    for (format, expected) in [(Format::Ndjson, Some("a")), (Format::Json, Some("a")), (Format::Arrow, None)] {
        assert_eq!(found(within(), format).as_deref(), expected, "{format:?}");
    }
    let once = vec![word("a"), column("o", DataType::Struct(vec![word("a"), word("A")].into()))];
    assert_eq!(found(once, Format::Ndjson), None);
}

#[test]
fn other_formats_have_the_same_values() {
    let price = Decimal128Array::from(vec![150]).with_precision_and_scale(5, 2).unwrap();
    let list: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1), None])]));
    let columns = [
        ("price", Arc::new(price) as ArrayRef),
        ("word", Arc::new(StringViewArray::from(vec!["a,b"]))),
        ("nothing", Arc::new(NullArray::new(1))),
        ("list", list),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)));
    let page = ResultPage { batches: vec![batch.unwrap()], next: None };
    let text = |format| String::from_utf8(body(&page, format).unwrap()).unwrap();
    assert_eq!(text(Format::Csv), "price,word,nothing,list\r\n1.50,\"a,b\",,\"[1,null]\"\r\n");
    assert_eq!(text(Format::Ndjson), "{\"price\":\"1.50\",\"word\":\"a,b\",\"nothing\":null,\"list\":[1,null]}\n");
}
