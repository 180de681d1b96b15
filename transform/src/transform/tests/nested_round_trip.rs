//! Nothing nested that was sent is thrown away either: every value is found again in its struct or list, or in `extra`.

use alluvium_core::DatasetName;
use proptest::prelude::*;
use serde_json::{Map, Value};

use super::cleaning::held;
use super::*;

const SCHEMA: &str = r#"{
  "properties": {
    "place": {"type": "object", "properties": {
      "lat": {"type": "number", "maximum": 90},
      "room": {"type": "object", "properties": {"floor": {"type": "integer"}, "name": {"type": "string"}}, "required": ["floor"]}
    }},
    "tags": {"type": "array", "items": {"type": "string", "maxLength": 2}, "maxItems": 2},
    "track": {"type": "array", "items": {"type": "object", "properties": {"lat": {"type": "number"}}}},
    "level": {"type": "number"},
    "kind": {"type": "string"}
  },
  "x-alluvium": {"clean": {"level": {"clamp": [0, 10]}, "kind": {"null_like": ["na"]}}}
}"#;

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-20_i64..120).prop_map(Value::from),
        (-20_i32..120).prop_map(|halves| Value::from(f64::from(halves) / 2.0)),
        "(na|[a-c]{0,3})".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let name = prop::sample::select(vec!["lat", "room", "floor", "name", "x"]).prop_map(str::to_owned);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Whether what was sent is all in what the column holds and what `extra` keeps under the same name.
fn found(sent: &Value, held: &Value, kept: Option<&Value>) -> bool {
    if kept == Some(sent) {
        return true;
    }
    match (sent, held) {
        (Value::Null, Value::Null) => kept.is_none(),
        (Value::Object(sent), Value::Object(fields)) => sent.iter().all(|(name, value)| {
            found(value, fields.get(name).unwrap_or(&Value::Null), kept.and_then(|kept| kept.get(name)))
        }),
        (Value::Array(sent), Value::Array(items)) => {
            sent.len() == items.len() && sent.iter().zip(items).all(|(sent, item)| found(sent, item, None))
        }
        (Value::Number(sent), Value::Number(held)) => sent.as_f64() == held.as_f64(),
        (sent, held) => sent == held,
    }
}

proptest! {
    #[test]
    fn no_nested_value_is_lost(
        fields in prop::collection::btree_map(
            prop::sample::select(vec!["place", "tags", "track", "level", "kind", "other"]), value(), 1..6)
    ) {
        let sent: Map<String, Value> = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let dataset = Dataset::from_schema(DatasetName::new("mine").unwrap(), SCHEMA).unwrap();
        let datasets = Arc::new(Datasets::of([dataset], Some("mine")).unwrap());
        let transform = Transform::new(datasets, TransformSettings::default()).unwrap();
        let event = Value::Object(sent.clone()).to_string();
        let output = run(&transform, &batch([record(0, 1, sealed("anna", "mine", None, 0, &[&event]))]));
        let row = rows(&output, "mine");
        let extra = texts(&row, "extra").remove(0);
        let extra: Value = if extra == "-" { Value::Null } else { serde_json::from_str(&extra).unwrap() };
        for (name, value) in &sent {
            let column = row.column_by_name(name).map_or(Value::Null, |column| held(column, 0));
            prop_assert!(found(value, &column, extra.get(name)), "{} of {}: {} {}", name, event, column, extra);
        }
    }
}
