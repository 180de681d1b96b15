//! Nothing that was sent is thrown away: every field of every accepted event is found again in its row or in `extra`.

use alluvium_core::DatasetName;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

const SCHEMA: &str = r#"{"properties": {
    "value": {"type": "number"}, "count": {"type": "integer", "minimum": 0}, "unit": {"type": "string", "maxLength": 3},
    "on": {"type": "boolean"}, "seen": {"type": "string", "format": "date-time"}}}"#;

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-5_i64..5).prop_map(Value::from),
        // Numbers that the reference reads back exactly: without its slow mode it may be off by one unit in the last place.
        any::<i32>().prop_map(|eighths| Value::from(f64::from(eighths) / 8.0)),
        any::<String>().prop_map(Value::from),
        "[0-9.eE+-]{1,6}".prop_map(Value::from),
        prop::sample::select(vec!["true", "off", "2014-02-14", "2014-02-14T14:30:00+01:00", "12", "1.5"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec!["value", "count", "unit", "on", "seen", "note", "data", "owner", "_event"])
            .prop_map(str::to_owned),
        any::<String>().prop_filter("an attribute", |name| !["id", "source", "type", "time", "specversion"]
            .contains(&name.as_str())),
    ]
}

/// The value that a row's column holds for a property, as JSON; null when it holds none.
fn held(row: &RecordBatch, property: &str) -> Value {
    let column = row.column_by_name(property).unwrap();
    if column.is_null(0) {
        return Value::Null;
    }
    match property {
        "value" => column.as_primitive::<arrow::datatypes::Float64Type>().value(0).into(),
        "count" => column.as_primitive::<arrow::datatypes::Int64Type>().value(0).into(),
        "unit" => column.as_string::<i32>().value(0).into(),
        "on" => column.as_boolean().value(0).into(),
        _ => column.as_primitive::<TimestampMicrosecondType>().value(0).into(),
    }
}

/// Whether a column's value stands for what was sent.
fn stands_for(held: &Value, sent: &Value, property: &str) -> bool {
    let number = || sent.as_f64().or_else(|| sent.as_str()?.trim().parse().ok());
    match property {
        "unit" => held == sent,
        "value" | "count" => number().zip(held.as_f64()).is_some_and(|(sent, held)| sent == held),
        "on" => {
            let words = if held == true { ["true", "yes", "on"] } else { ["false", "no", "off"] };
            held == sent || sent.as_str().is_some_and(|sent| words.contains(&sent.trim().to_lowercase().as_str()))
        }
        _ => match sent {
            Value::String(text) => crate::time::from_text(text) == held.as_i64(),
            other => crate::time::from_number(&other.to_string()) == held.as_i64(),
        },
    }
}

fn row_of(event: &str) -> RecordBatch {
    let dataset = Dataset::from_schema(DatasetName::new("mine").unwrap(), SCHEMA).unwrap();
    let transform =
        Transform::new(Arc::new(Datasets::of([dataset], Some("mine")).unwrap()), TransformSettings::default()).unwrap();
    let output = run(&transform, &batch([record(0, 1, sealed("anna", "mine", None, 0, &[event]))]));
    rows(&output, "mine")
}

fn check(fields: &Map<String, Value>, row: &RecordBatch) -> Result<(), TestCaseError> {
    let extra = texts(row, "extra").remove(0);
    let extra: Map<String, Value> = if extra == "-" { Map::new() } else { serde_json::from_str(&extra).unwrap() };
    for (name, sent) in fields {
        let found = if ["value", "count", "unit", "on", "seen"].contains(&name.as_str()) {
            let held = held(row, name);
            match extra.get(name) {
                Some(kept) => kept == sent && held.is_null(),
                None => {
                    if held.is_null() {
                        sent.is_null()
                    } else {
                        stands_for(&held, sent, name)
                    }
                }
            }
        } else {
            extra.get(name) == Some(sent)
        };
        prop_assert!(found, "{name}: {sent} is lost; extra: {extra:?}");
    }
    Ok(())
}

#[test]
fn what_came_beside_data_has_a_name_of_its_own_in_extra() {
    let cases = [
        (r#"{"a":1}"#, "_event"),
        (r#"{"_event":1}"#, "__event"),
        (r#"{"\u005fevent":1}"#, "__event"),
        (r#"{"_event":1,"___event":2}"#, "__event"),
        (r#"{"__event":1,"_\u005f_event":2,"event":3,"x_event":4,"_event":"_event"}"#, "____event"),
    ];
    for (fields, name) in cases {
        let row = row_of(&format!(r#"{{"subject":"s","data":{fields}}}"#));
        let extra: Map<String, Value> = serde_json::from_str(&texts(&row, "extra")[0]).unwrap();
        let sent: Map<String, Value> = serde_json::from_str(fields).unwrap();
        assert_eq!(extra.len(), sent.len() + 1, "{extra:?}");
        assert_eq!(extra[name], json!({"subject": "s"}));
        assert!(sent.iter().all(|(name, value)| extra[name] == *value), "{extra:?}");
    }
}

proptest! {
    #[test]
    fn no_field_of_an_event_is_lost(fields in prop::collection::hash_map(name(), value(), 0..8)) {
        let mut fields: Map<String, Value> = fields.into_iter().collect();
        // In the bare form: `data` is a field like any other as long as it is no object.
        if fields.get("data").is_some_and(Value::is_object) {
            fields.remove("data");
        }
        let bare = Value::Object(fields.clone()).to_string();
        check(&fields, &row_of(&bare))?;
        let enveloped = json!({"subject": "s", "specversion": "1.0", "data": fields, "ext": [1]}).to_string();
        let row = row_of(&enveloped);
        check(&fields, &row)?;
        let extra: Value = serde_json::from_str(&texts(&row, "extra")[0]).unwrap();
        let framing = json!({"subject": "s", "ext": [1]});
        prop_assert!(extra.as_object().unwrap().iter().any(|(name, kept)| name.ends_with("_event") && *kept == framing));
    }

    #[test]
    fn no_bytes_make_the_transform_panic_or_lose_an_event(
        records in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..64),
                r#"[\[\]{}:,"\\a-c0-9\n .]{0,40}"#.prop_map(String::into_bytes),
                prop::collection::vec(prop::collection::vec(any::<u8>(), 0..8), 0..6)
                    .prop_map(|user_records| aggregate(&user_records).to_vec()),
                prop::collection::vec(r#"[{}",a:1\n]{0,6}"#, 0..6)
                    .prop_map(|user_records| aggregate(&[aggregate(&user_records), "{}".into()]).to_vec()),
                prop::collection::vec(any::<u8>(), 0..40).prop_map(|tail| [b"\xA1LVM\x01\x00".to_vec(), tail].concat()),
                prop::collection::vec(any::<u8>(), 0..40).prop_map(|tail| [vec![0x1F, 0x8B, 8, 0], tail].concat()),
                prop::collection::vec(any::<u8>(), 0..40).prop_map(|tail| [vec![0x28, 0xB5, 0x2F, 0xFD], tail].concat()),
            ],
            0..6,
        )
    ) {
        let records = records.into_iter().zip(1..).map(|(data, sequence)| record(0, sequence, data));
        run(&transform(Some("telemetry")), &batch(records));
    }
}
