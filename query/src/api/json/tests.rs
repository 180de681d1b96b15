#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::datatypes::{Field, Fields, Schema, TimeUnit};
use arrow::json::ReaderBuilder;
use serde_json::{Value, json};

use super::*;

fn field(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}

fn object(fields: Vec<Field>) -> DataType {
    DataType::Struct(Fields::from(fields))
}

fn list(items: DataType) -> DataType {
    DataType::List(Arc::new(field("element", items)))
}

fn time() -> DataType {
    // Not `UTC`, as tables have it: the reader that makes the rows knows names only where another crate turned on Arrow's zones.
    DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()))
}

/// The records of a page, answered, whose rows have these columns beside the common ones; as JSON text.
fn answered(columns: Vec<Field>, data: &[Value]) -> String {
    let common = [
        field("event_id", DataType::Utf8),
        field("source", DataType::Utf8),
        field("type", DataType::Utf8),
        field("event_time", time()),
        field("ingest_time", time()),
        field("owner", DataType::Utf8),
    ];
    let schema = Arc::new(Schema::new(common.into_iter().chain(columns).collect::<Vec<_>>()));
    let mut decoder = ReaderBuilder::new(schema).build_decoder().unwrap();
    decoder.serialize(data).unwrap();
    let rows = decoder.flush().unwrap().unwrap();
    let body = page(&rows, None, true);
    String::from_utf8(body).unwrap()
}

#[test]
fn objects_leave_null_out_and_arrays_keep_it() {
    let columns = vec![
        field(
            "place",
            object(vec![
                field("room", DataType::Utf8),
                field("geo", object(vec![field("lat", DataType::Float64), field("since", DataType::Date32)])),
            ]),
        ),
        field("tags", list(DataType::Utf8)),
        field("parts", list(object(vec![field("n", DataType::Int64), field("at", list(time()))]))),
    ];
    let rows = [
        json!({"place": {"room": "a", "geo": {"lat": 1.5, "since": "2026-01-31"}}, "tags": ["x", null],
               "parts": [{"n": 1, "at": ["2026-01-31T12:00:00.25Z"]}, null, {"n": null}]}),
        json!({"place": {"room": null, "geo": {"lat": null}}, "tags": []}),
        json!({"tags": null}),
    ];
    let answered: Value = serde_json::from_str(&answered(columns, &rows)).unwrap();
    let data: Vec<&Value> = answered["records"].as_array().unwrap().iter().map(|record| &record["data"]).collect();
    assert_eq!(
        *data[0],
        json!({"place": {"room": "a", "geo": {"lat": 1.5, "since": "2026-01-31"}}, "tags": ["x", null],
               "parts": [{"n": 1, "at": ["2026-01-31T12:00:00.25Z"]}, null, {}]})
    );
    assert_eq!(*data[1], json!({"place": {"geo": {}}, "tags": []}));
    assert_eq!(*data[2], json!({}));
}

#[test]
fn members_stand_in_the_order_of_the_schema() {
    let place = object(vec![field("z", DataType::Int64), field("a", DataType::Int64)]);
    let text = answered(vec![field("place", place)], &[json!({"place": {"a": 1, "z": 2}})]);
    assert!(text.contains(r#""data":{"place":{"z":2,"a":1}}"#), "{text}");
}
