#![allow(clippy::unwrap_used)]

use arrow::array::Int64Array;
use arrow::datatypes::{Field, Fields, Schema};
use arrow::json::ReaderBuilder;
use serde_json::{Value, json};

use super::*;

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

fn number(name: &str) -> Field {
    Field::new(name, DataType::Int64, true)
}

fn object(name: &str, fields: Vec<Field>) -> Field {
    Field::new(name, DataType::Struct(fields.into()), true)
}

fn list(name: &str, items: DataType) -> Field {
    Field::new(name, DataType::List(Arc::new(Field::new("element", items, true))), true)
}

fn columns(fields: Vec<Field>) -> SchemaRef {
    Arc::new(Schema::new(fields))
}

/// The rows that these JSON objects are.
fn rows(columns: &SchemaRef, rows: &Value) -> RecordBatch {
    let mut decoder = ReaderBuilder::new(columns.clone()).build_decoder().unwrap();
    decoder.serialize(rows.as_array().unwrap()).unwrap();
    decoder.flush().unwrap().unwrap()
}

fn parts(fields: Vec<Field>) -> Field {
    list("parts", DataType::Struct(Fields::from(fields)))
}

#[test]
fn columns_and_fields_that_a_row_has_not_are_null_and_unknown_ones_left_out() {
    let old = columns(vec![
        text("gone"),
        object("place", vec![number("floor"), text("room")]),
        parts(vec![number("n"), text("gone")]),
    ]);
    let new = columns(vec![
        object("place", vec![text("room"), object("geo", vec![number("lat")]), number("floor")]),
        list("tags", DataType::Utf8),
        parts(vec![text("colour"), number("n")]),
    ]);
    let written = rows(
        &old,
        &json!([
            {"gone": "x", "place": {"floor": 1, "room": "a"}, "parts": [{"n": 1, "gone": "y"}, null, {"n": 2}]},
            {"gone": "x", "place": null, "parts": []},
            {"gone": "x", "place": {"floor": null, "room": "b"}, "parts": null},
        ]),
    );
    let expected = rows(
        &new,
        &json!([
            {"place": {"room": "a", "geo": null, "floor": 1}, "parts": [{"n": 1}, null, {"n": 2}]},
            {"place": null, "parts": []},
            {"place": {"room": "b"}, "parts": null},
        ]),
    );
    assert_eq!(conform(&written, &new).unwrap(), expected);
    // And a part of the rows, whose lists do not begin at 0.
    assert_eq!(conform(&written.slice(1, 2), &new).unwrap(), expected.slice(1, 2));
    // Back under the old schema: what the new one added is left out.
    let back = conform(&conform(&written, &new).unwrap(), &old).unwrap();
    assert_eq!(back["gone"].null_count(), 3);
    assert_eq!(&back["place"], &written["place"]);
}

#[test]
fn rows_of_these_columns_stay_as_they_are() {
    let columns = columns(vec![object("place", vec![number("floor")])]);
    let written = rows(&columns, &json!([{"place": {"floor": 3}}]));
    assert_eq!(conform(&written, &columns).unwrap(), written);
}

#[test]
fn a_type_that_cannot_become_the_wanted_one_is_an_error() {
    let was = columns(vec![number("n")]);
    let batch = RecordBatch::try_new(was, vec![Arc::new(Int64Array::from(vec![1]))]).unwrap();
    let wanted = columns(vec![object("n", vec![text("a")])]);
    conform(&batch, &wanted).unwrap_err();
}

#[test]
fn text_is_never_taken_for_an_object_or_a_list() {
    let answered = columns(vec![text("tags"), text("place")]);
    let answered = rows(&answered, &json!([{"tags": "[a, b]", "place": "{room=kitchen}"}]));
    for wanted in [list("tags", DataType::Utf8), object("place", vec![text("room")])] {
        let error = conform(&answered, &columns(vec![wanted])).unwrap_err();
        assert!(error.to_string().contains("the engine answers Utf8"), "{error}");
    }
}
