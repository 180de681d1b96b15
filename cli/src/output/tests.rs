#![allow(clippy::unwrap_used)]

use arrow::array::{Int64Array, ListArray, StructArray};
use arrow::datatypes::{Fields, Int64Type};

use super::*;

#[test]
fn objects_and_arrays_are_shown_as_json() {
    let fields = Fields::from(vec![
        Field::new("room", DataType::Utf8, true),
        Field::new("tags", DataType::new_list(DataType::Int64, true), true),
    ]);
    let tags = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), None]);
    let rooms = StringArray::from(vec![Some("a \"b\""), None]);
    let place = StructArray::new(fields, vec![Arc::new(rooms), Arc::new(tags.clone())], None);
    let columns: [(&str, ArrayRef); 3] =
        [("place", Arc::new(place)), ("tags", Arc::new(tags)), ("n", Arc::new(Int64Array::from(vec![7, 8])))];
    let shown = with_nested_as_json(&RecordBatch::try_from_iter(columns).unwrap()).unwrap();
    let cells: Vec<Vec<String>> = formatters(&shown)
        .unwrap()
        .iter()
        .map(|column| (0..2).map(|row| column.value(row).to_string()).collect())
        .collect();
    assert_eq!(cells[0], [r#"{"room":"a \"b\"","tags":[1,null]}"#, "{}"]);
    assert_eq!(cells[1], ["[1,null]", "null"]);
    assert_eq!(cells[2], ["7", "8"]);
}
