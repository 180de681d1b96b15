use serde_json::{Value, json};

use super::*;
use crate::dataset::{Dataset, DatasetName};

fn between(old: Value, new: Value) -> Evolution {
    let dataset = |properties: Value| {
        let schema = json!({ "properties": properties }).to_string();
        Dataset::from_schema(DatasetName::new("mine").unwrap(), &schema).unwrap()
    };
    Evolution::between(dataset(old).columns(), dataset(new).columns())
}

fn columns(changes: &[ColumnChange]) -> Vec<(&str, &str)> {
    changes.iter().map(|change| (change.column.as_str(), change.detail.as_str())).collect()
}

#[test]
fn columns_may_come_at_any_depth_and_in_any_order() {
    let old = json!({"a": {"type": "string"}, "p": {"type": "object", "properties": {"x": {"type": "number"}}},
                     "l": {"type": "array", "items": {"type": "object", "properties": {"x": {"type": "number"}}}}});
    let new = json!({
        "l": {"type": "array", "items": {"type": "object", "properties": {"z": {"type": "boolean"}, "x": {"type": "number"}}}},
        "p": {"type": "object", "properties": {"y": {"type": "array", "items": {"type": "integer"}}, "x": {"type": "number"}}},
        "b": {"type": "string", "format": "date"}, "a": {"type": "string", "enum": ["x"]}});
    let evolution = between(old.clone(), new);
    assert!(evolution.conflicts.is_empty(), "{evolution:?}");
    assert_eq!(columns(&evolution.added), [("p.y", "array of integer"), ("l.z", "boolean"), ("b", "date")]);
    assert_eq!(between(old.clone(), old), Evolution::default());
}

#[test]
fn a_column_that_goes_or_changes_its_type_is_refused_with_the_way_out() {
    let old = json!({"a": {"type": "string"}, "b": {"type": "integer"},
                     "p": {"type": "object", "properties": {"x": {"type": "number"}, "y": {"type": "number"}}},
                     "l": {"type": "array", "items": {"type": "string"}}});
    let new = json!({"b": {"type": "number"}, "p": {"type": "object", "properties": {"x": {"type": "number"}}},
                     "l": {"type": "array", "items": {"type": "boolean"}}});
    let conflicts = between(old, new).conflicts;
    let names: Vec<_> = columns(&conflicts).iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["a", "b", "p.y", "l"]);
    assert!(conflicts[0].detail.contains("(string)") && conflicts[0].detail.contains("`aliases`"), "{conflicts:?}");
    assert!(conflicts[1].detail.contains("the table has integer, the schema says number"), "{conflicts:?}");
    assert!(conflicts[1].detail.contains("another name"), "{conflicts:?}");
}

#[test]
fn whether_a_column_may_be_null_stays() {
    let schema = |nullable| Schema::new(vec![Field::new("a", DataType::Utf8, nullable)]);
    assert!(Evolution::between(&schema(true), &schema(false)).conflicts[0].detail.contains("may be null"));
    let empty = Schema::new(Vec::<Field>::new());
    assert!(Evolution::between(&empty, &schema(false)).conflicts[0].detail.contains("have no value"));
}
