use serde_json::{Value, json};

use super::*;
use crate::dataset::{Dataset, DatasetName, ValueKind};

fn inference(events: impl IntoIterator<Item = Value>) -> Inference {
    let mut inference = Inference::new(|value| value.as_str().is_some_and(|text| text.starts_with("20")));
    for event in events {
        inference.add(&event);
    }
    inference
}

/// The schema of these events, which compiles.
#[track_caller]
fn inferred(events: impl IntoIterator<Item = Value>) -> Value {
    let schema = inference(events).schema();
    if let Err(error) = Dataset::from_schema(DatasetName::new("mine").unwrap(), &schema.to_string()) {
        panic!("{error}: {schema:#}");
    }
    schema
}

/// The schema of one property without its description.
fn property(values: impl IntoIterator<Item = Value>) -> Value {
    let schema = inferred(values.into_iter().map(|value| json!({"v": value})));
    let mut property = schema["properties"]["v"].clone();
    if let Some(members) = property.as_object_mut() {
        members.remove("description");
    }
    property
}

#[test]
fn each_type_and_format_is_told() {
    assert_eq!(property([json!(1), json!(-2)]), json!({"type": "integer"}));
    assert_eq!(property([json!(1), json!(2.5)]), json!({"type": "number"}));
    assert_eq!(property([json!(true)]), json!({"type": "boolean"}));
    assert_eq!(property([json!("a"), Value::Null]), json!({"type": ["string", "null"]}));
    for (format, text, other) in [
        ("date-time", "2014-02-14T14:30:00Z", "2014-02-14 14:30:00"),
        ("date", "2014-02-14", "14.2.2014"),
        ("uuid", "2a1f7a3e-5b0c-4d8e-9f10-1112131415ab", "2a1f7a3e"),
        ("email", "ann@example.org", "ann"),
        ("ipv4", "192.0.2.1", "192.0.2"),
        ("ipv6", "2001:db8::1", "2001"),
        ("uri", "https://example.org/a", "/a"),
    ] {
        assert_eq!(property([json!(text)]), json!({"type": "string", "format": format}));
        assert_eq!(property([json!(text), json!(other)]), json!({"type": "string"}), "{other}");
    }
}

#[test]
fn what_every_event_has_is_required() {
    let schema = inferred([json!({"a": 1, "b": null, "c": 1}), json!({"a": 2, "b": 1})]);
    assert_eq!(schema["required"], json!(["a"]));
    assert_eq!(schema["properties"]["b"]["type"], json!(["integer", "null"]));
    let nested = inferred([json!({"p": {"x": 1, "y": 1}}), json!({"p": {"x": 2}}), json!({})]);
    assert_eq!(nested["properties"]["p"]["required"], json!(["x"]));
    assert_eq!(nested["required"], Value::Null);
}

#[test]
fn few_values_that_come_often_are_listed() {
    let colours = |times: usize| ["red", "green"].repeat(times).into_iter().map(Value::from);
    assert_eq!(property(colours(10)), json!({"type": "string", "enum": ["green", "red"]}));
    assert_eq!(property(colours(9)), json!({"type": "string"}));
    let with_null = colours(10).chain([Value::Null]);
    assert_eq!(property(with_null), json!({"type": ["string", "null"], "enum": ["green", "red", null]}));
    let many = (0..300).map(|n| Value::from(format!("colour {}", n % 21)));
    assert_eq!(property(many), json!({"type": "string"}));
}

#[test]
fn descriptions_say_what_was_counted() {
    let events = (0..1234).map(|n| match n {
        0..1000 => json!({"v": f64::from(n) / 2.0, "s": if n % 2 == 0 { "even" } else { "odd" }, "l": [n]}),
        1000 => json!({"v": null}),
        _ => json!({}),
    });
    let schema = inferred(events);
    assert_eq!(schema["description"], "Inferred from 1,234 events.");
    let says = |name: &str| schema["properties"][name]["description"].as_str().unwrap().to_owned();
    assert_eq!(says("v"), "In 1,001 of 1,234 events; null in 1; 0 to 499.5.");
    assert_eq!(says("s"), "In 1,000 of 1,234 events; 2 distinct values; 3 to 4 characters.");
    assert_eq!(says("l"), "In 1,000 of 1,234 events; up to 1 item.");
}

#[test]
fn what_no_column_can_hold_is_left_out_with_a_note() {
    let schema = inferred([
        json!({"mixed": 1, "empty": {}, "none": [], "null": null, "large": u64::MAX, "items": [1, "a"], "ok": 1,
               "p": {"x": 1, "y": "a"}}),
        json!({"mixed": "a", "ok": 1, "p": {"x": 1, "y": 2}}),
    ]);
    assert_eq!(schema["properties"].as_object().unwrap().keys().collect::<Vec<_>>(), ["ok", "p"]);
    assert_eq!(schema["properties"]["p"]["properties"].as_object().unwrap().len(), 1);
    let description = schema["description"].as_str().unwrap();
    for words in [
        "`mixed` (integer in 1, string in 1)",
        "`empty` (objects without a field that can be declared)",
        "`none` (arrays without items)",
        "`null` (null alone)",
        "`large` (integer beyond 64 bits in 1)",
        "`items` (its items: integer in 1, string in 1)",
        "`p.y` (integer in 1, string in 1)",
    ] {
        assert!(description.contains(words), "{words}: {description}");
    }
}

#[test]
fn names_that_columns_cannot_have_are_mended() {
    let schema = inferred([json!({"Room Temp": 1, "room_temp": 2, "ROOM_TEMP": 3, "owner": "ann", "a.b": 1,
                                  "p": {"owner": "bob", "c d": [{"e;f": 1}]}})]);
    let names: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["room_temp_2", "room_temp", "room_temp_3", "owner_value", "a_b", "p"]);
    let wanted = json!({"room_temp_2": ["Room Temp"], "room_temp_3": ["ROOM_TEMP"], "owner_value": ["owner"], "a_b": ["a.b"],
                        "p.c_d.e_f": ["e;f"], "p.c_d": ["c d"]});
    assert_eq!(schema["x-alluvium"]["aliases"], wanted);
}

#[test]
fn attributes_are_no_properties_as_long_as_they_can_be_attributes() {
    let schema =
        inferred([json!({"id": 1, "source": "s", "type": "t", "time": "2014", "v": 1}), json!({"time": null, "v": 2})]);
    assert_eq!(schema["properties"].as_object().unwrap().keys().collect::<Vec<_>>(), ["v"]);
    let odd = inferred([json!({"id": true, "source": {"ip": "192.0.2.1"}, "type": 5, "time": "noon"})]);
    let names: Vec<_> = odd["properties"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["id", "source_value", "type_value", "time"]);
    assert_eq!(odd["x-alluvium"]["aliases"], json!({"source_value": ["source"], "type_value": ["type"]}));
    let some = inferred([json!({"type": 5}), json!({"type": "t"})]);
    assert!(some["description"].as_str().unwrap().contains("1 of 2 values of `type`"), "{some}");
}

#[test]
fn in_the_envelope_form_the_properties_are_the_members_of_data() {
    let schema = inferred([
        json!({"specversion": "1.0", "id": "1", "data": {"v": 1, "id": 7, "source": "a"}, "other": 1}),
        json!({"specversion": "1.0", "id": "2", "data": "text"}),
    ]);
    assert_eq!(schema["properties"].as_object().unwrap().keys().collect::<Vec<_>>(), ["v", "id", "source_value"]);
    assert_eq!(schema["required"], Value::Null);
    let mixed = inferred([json!({"data": {"v": 1, "id": 7, "data": 1}}), json!({"id": "a", "v": 1, "data": 5})]);
    assert_eq!(mixed["properties"].as_object().unwrap().keys().collect::<Vec<_>>(), ["v"]);
    assert_eq!(mixed["required"], json!(["v"]));
}

#[test]
fn memory_and_columns_are_bounded() {
    let wide = |from: usize| Value::Object((from..from + 700).map(|n| (format!("k{n}"), json!(n))).collect());
    let mut inference =
        inference([json!({"map": wide(0), "v": 1}), json!({"map": wide(700), "v": 1}), wide(0), wide(700)]);
    for _ in 0..3 {
        inference.add(&json!([1]));
    }
    assert_eq!((inference.events(), inference.strangers()), (4, 3));
    let schema = inference.schema();
    let dataset = Dataset::from_schema(DatasetName::new("mine").unwrap(), &schema.to_string()).unwrap();
    assert_eq!(dataset.object.properties.len(), 999, "a thousand names, one of them a map that is left undeclared");
    let description = schema["description"].as_str().unwrap();
    assert!(
        description.contains("`map` (objects with too many names") && description.contains("3 values were no objects")
    );
    assert!(description.contains("there are too many"), "{description}");

    let mut deep = json!(1);
    for _ in 0..30 {
        deep = json!({"d": deep});
    }
    let schema = inferred([json!({"deep": deep, "v": 1})]);
    assert_eq!(schema["properties"].as_object().unwrap().len(), 1, "nothing of it can be declared: {schema}");
}

#[test]
fn the_same_events_give_the_same_schema() {
    let events = || (0..50).map(|n| json!({"b": n, "a": n.to_string(), format!("k{}", n % 7): [{"z": 1, "y": null}]}));
    assert_eq!(inferred(events()).to_string(), inferred(events()).to_string());
    let dataset = Dataset::from_schema(DatasetName::new("mine").unwrap(), &inferred(events()).to_string()).unwrap();
    assert!(dataset.object.properties.iter().any(|property| matches!(property.values.kind, ValueKind::List(_))));
}
