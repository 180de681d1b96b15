#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{
    BooleanArray, Date32Array, Float64Array, Int64Array, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Schema};

use super::*;

fn stats(columns: Vec<(&str, ArrayRef)>) -> Value {
    let fields: Vec<Field> =
        columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true)).collect();
    let arrays = columns.into_iter().map(|(_, column)| column).collect();
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
    serde_json::from_str(&delta(&rows)).unwrap()
}

fn delta(rows: &RecordBatch) -> String {
    let mut statistics = FileStatistics::new(&Layout::with_columns(rows.schema()));
    statistics.add(rows);
    statistics.json()
}

#[test]
fn columns_have_their_ends_in_the_form_of_the_log() {
    // 2014-02-14T14:30:00.123456Z and one microsecond before 1970.
    let times = TimestampMicrosecondArray::from(vec![Some(1_392_388_200_123_456), Some(-1)]).with_timezone("UTC");
    let found = stats(vec![
        ("source", Arc::new(StringArray::from(vec!["b", "a"]))),
        ("event_time", Arc::new(times)),
        ("event_date", Arc::new(Date32Array::from(vec![Some(16_115), Some(-1)]))),
        ("value", Arc::new(Float64Array::from(vec![Some(-0.5), None]))),
        ("count", Arc::new(Int64Array::from(vec![Some(i64::MAX), Some(i64::MIN)]))),
        ("on", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("none", Arc::new(Int64Array::from(vec![None, None]))),
    ]);
    let expected = json!({
        "numRecords": 2,
        "minValues": {
            "source": "a", "event_time": "1969-12-31T23:59:59.999Z", "event_date": "1969-12-31", "value": -0.5, "count": i64::MIN
        },
        "maxValues": {
            "source": "b", "event_time": "2014-02-14T14:30:00.123Z", "event_date": "2014-02-14", "value": -0.5, "count": i64::MAX
        },
        "nullCount": {
            "source": 0, "event_time": 0, "event_date": 0, "value": 1, "count": 0, "on": 1, "none": 2
        },
    });
    assert_eq!(found, expected);
}

#[test]
fn texts_that_may_tell_of_persons_are_left_out() {
    let text = || -> ArrayRef { Arc::new(StringArray::from(vec!["anna"])) };
    let names = ["event_id", "owner", "extra", "firmware", "detail", "dataset"];
    let found = delta(
        &RecordBatch::try_from_iter(names.iter().map(|name| (*name, text())).chain([("source", text())])).unwrap(),
    );
    let expected = json!({
        "numRecords": 1, "minValues": {"source": "anna"}, "maxValues": {"source": "anna"}, "nullCount": {"source": 0}
    });
    assert_eq!(serde_json::from_str::<Value>(&found).unwrap(), expected);
}

#[test]
fn long_texts_are_cut_so_that_they_still_bound_the_rows() {
    let last = char::MAX.to_string();
    let cases = [
        ("a".repeat(32), Some("a".repeat(32))),
        ("a".repeat(33), Some(format!("{}b", "a".repeat(31)))),
        (format!("{}{last}x", "a".repeat(31)), Some(format!("{}b", "a".repeat(30)))),
        (format!("{}\u{D7FF}x", "a".repeat(31)), Some(format!("{}\u{E000}", "a".repeat(31)))),
        (last.repeat(33), None),
    ];
    for (text, expected) in cases {
        let most = rounded_up(&text);
        assert_eq!(most, expected);
        assert!(most.is_none_or(|most| most >= text));
        assert!(cut(&text) <= text.as_str());
    }
}

#[test]
fn row_groups_make_one_whole() {
    let texts = |texts: [Option<&str>; 2]| -> ArrayRef { Arc::new(StringArray::from(texts.to_vec())) };
    let numbers = |numbers: [Option<f64>; 2]| -> ArrayRef { Arc::new(Float64Array::from(numbers.to_vec())) };
    let group =
        |source, value| RecordBatch::try_from_iter([("source", texts(source)), ("value", numbers(value))]).unwrap();
    let groups = [
        group([Some("m"), Some("n")], [None, None]),
        group([Some("b"), Some("z")], [Some(-0.0), Some(7.0)]),
        group([Some("a"), Some("c")], [Some(0.0), None]),
    ];
    let mut statistics = FileStatistics::new(&Layout::with_columns(groups[0].schema()));
    for group in &groups {
        statistics.add(group);
    }
    let whole = arrow::compute::concat_batches(&groups[0].schema(), &groups).unwrap();
    assert_eq!(statistics.json(), delta(&whole));
    assert_eq!(statistics.rows(), 6);
    assert!(statistics.json().contains(r#""nullCount":{"source":0,"value":3}"#), "{}", statistics.json());
}

#[test]
fn nested_columns_are_left_out_and_do_no_harm() {
    let inner: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let nested = StructArray::from(vec![(Arc::new(Field::new("x", inner.data_type().clone(), true)), inner)]);
    let found = stats(vec![("at", Arc::new(nested)), ("n", Arc::new(Int64Array::from(vec![3, 4])))]);
    let expected = json!({"numRecords": 2, "minValues": {"n": 3}, "maxValues": {"n": 4}, "nullCount": {"n": 0}});
    assert_eq!(found, expected);
}
