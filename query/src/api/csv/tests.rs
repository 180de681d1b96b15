#![allow(clippy::unwrap_used)]

use arrow::array::{Float64Array, Int64Array, ListArray, TimestampMicrosecondArray};
use arrow::datatypes::Int64Type;
use csv::Terminator;
use proptest::prelude::*;

use super::*;

fn text(columns: Vec<(&str, ArrayRef)>) -> String {
    let (names, columns): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    String::from_utf8(body(names.into_iter(), &[columns]).unwrap()).unwrap()
}

#[test]
fn values_are_written_as_json_has_them_and_null_is_empty() {
    let list: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1), None]), None]));
    let written = text(vec![
        ("n", Arc::new(Int64Array::from(vec![Some(1), None]))),
        ("x", Arc::new(Float64Array::from(vec![1.5, f64::NAN]))),
        ("word", Arc::new(StringArray::from(vec!["a, \"b\"", "=1+1"]))),
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![250_000, 0]).with_timezone("UTC"))),
        ("list", list),
    ]);
    let lines = [
        "n,x,word,at,list",
        "1,1.5,\"a, \"\"b\"\"\",1970-01-01T00:00:00.25Z,\"[1,null]\"",
        ",,=1+1,1970-01-01T00:00:00Z,",
        "",
    ];
    assert_eq!(written, lines.join("\r\n"));
}

#[test]
fn bytes_stand_in_one_column_as_text_and_in_another_as_base64() {
    let original: ArrayRef = Arc::new(BinaryArray::from(vec![b"a".as_slice(), b"\xff"]));
    let rows = RecordBatch::try_from_iter([
        ("event_id", Arc::new(StringArray::from(vec!["1", "2"])) as ArrayRef),
        ("original", original),
    ]);
    let written = String::from_utf8(records(&rows.unwrap()).unwrap()).unwrap();
    assert_eq!(written, "id,original,original_base64\r\n1,a,\r\n2,,/w==\r\n");
}

#[test]
fn without_rows_there_are_names() {
    assert_eq!(text(vec![("a b", Arc::new(Int64Array::from(Vec::<i64>::new())))]), "a b\r\n");
}

proptest! {
    /// Any text is read back as it was, by a reader that is told the line's end.
    #[test]
    fn any_text_is_read_back(rows in prop::collection::vec((".*", "[ ,\"\r\na=]*"), 0..8)) {
        let (one, two): (Vec<String>, Vec<String>) = rows.clone().into_iter().unzip();
        let written = text(vec![("one", Arc::new(StringArray::from(one))), ("two", Arc::new(StringArray::from(two)))]);
        let mut reader = csv::ReaderBuilder::new().terminator(Terminator::CRLF).from_reader(written.as_bytes());
        let read: Vec<(String, String)> = reader.deserialize().map(Result::unwrap).collect();
        prop_assert_eq!(read, rows);
    }
}
