//! A schema that was inferred from events takes every one of them.

use std::sync::Arc;

use alluvium_core::dataset::Inference;
use alluvium_core::{Dataset, DatasetName};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::{TransformSettings, convert, is_event_time};

/// Names that lead to columns, and names that lead astray.
const NAMES: [&str; 16] = [
    "a",
    "A",
    "b",
    "a.b",
    "a b",
    "",
    "owner",
    "extra",
    "id",
    "source",
    "type",
    "time",
    "data",
    "specversion",
    "é",
    "b_2",
];

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(Value::from(u64::MAX)),
        (-1e300..1e300).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::sample::select(vec![
            "2014-02-14T14:30:00Z",
            "2014-02-14",
            "9999-12-31T23:59:60-23:59",
            "0001-01-01",
            "a@b.cc",
            "::1",
            "192.0.2.1",
            "urn:x",
            "2a1f7a3e-5b0c-4d8e-9f10-1112131415ab",
            "12",
        ])
        .prop_map(Value::from),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(NAMES.to_vec()), inner), 0..4).prop_map(object),
        ]
    })
}

fn object(members: Vec<(&str, Value)>) -> Value {
    Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

/// Events most of whose values are those of the first one, so that columns come about.
fn events() -> impl Strategy<Value = Vec<Value>> {
    let member = || (prop::sample::select(NAMES.to_vec()), value());
    (prop::collection::vec(member(), 1..6), prop::collection::vec(prop::collection::vec(member(), 0..2), 1..30))
        .prop_map(|(common, own)| own.into_iter().map(|own| object([common.clone(), own].concat())).collect())
}

/// Whether an attribute of the event's own cannot be one, which the schema can only help where all events have it so.
fn has_odd_attribute(event: &Value) -> bool {
    let odd =
        |name: &str, fits: fn(&Value) -> bool| event.get(name).is_some_and(|value| !value.is_null() && !fits(value));
    let text = |value: &Value| value.as_str().is_some_and(|text| (1..=1024).contains(&text.len()));
    odd("time", is_event_time)
        || odd("type", text)
        || odd("id", |value| value.is_number() || value.as_str().is_some_and(|text| (1..=1024).contains(&text.len())))
        || odd("source", |value| {
            value.is_number() || value.as_str().is_some_and(|text| (1..=1024).contains(&text.len()))
        })
}

proptest! {
    #[test]
    fn an_inferred_schema_takes_its_events(events in events()) {
        let mut inference = Inference::new(is_event_time);
        events.iter().for_each(|event| inference.add(event));
        let mut schema = inference.schema();
        // How far a time may lie from the arrival is not for inference to say.
        schema["x-alluvium"]["max_past"] = json!("4000000d");
        schema["x-alluvium"]["max_future"] = json!("4000000d");
        let compiled = Dataset::from_schema(DatasetName::new("mine").unwrap(), &schema.to_string());
        let dataset = compiled.map_err(|error| TestCaseError::fail(format!("{error}: {schema:#}")))?;
        let lines: Vec<String> = events.iter().map(Value::to_string).collect();
        let settings = TransformSettings::default();
        let report = convert(lines.join("\n").as_bytes(), &Arc::new(dataset), &settings, 0, Vec::new()).unwrap();
        let odd = events.iter().filter(|event| has_odd_attribute(event)).count() as u64;
        prop_assert!(report.dead() <= odd, "{:?}\n{schema:#}", report.first_dead);
        for dead in &report.first_dead {
            prop_assert!(has_odd_attribute(&events[dead.line as usize - 1]), "{dead:?}\n{schema:#}");
        }
    }
}
