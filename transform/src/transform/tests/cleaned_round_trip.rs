//! Nor is anything lost by what a schema asks for: under an alias, cleaned, beside defaults, in either form, in events that are
//! built alike; and an event with a name that stands twice is a dead letter that holds it whole.

use alluvium_core::DatasetName;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::cleaning::held;
use super::*;

const SCHEMA: &str = r#"{
  "properties": {
    "value": {"type": "number", "maximum": 100},
    "count": {"type": "integer"},
    "room": {"type": "string", "maxLength": 5, "default": "hall"},
    "on": {"type": "boolean", "default": true},
    "place": {"type": "object", "properties": {
      "lat": {"type": "number"}, "name": {"type": "string", "default": "here"},
      "deep": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}}},
    "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
    "track": {"type": "array", "items": {"type": "object", "properties": {"lat": {"type": "number"}}}}
  },
  "required": ["value"],
  "x-alluvium": {
    "aliases": {"value": ["val"], "room": ["Room Name"], "place": ["pos"], "place.lat": ["latitude"], "track.lat": ["la"]},
    "clean": {"value": {"convert": {"multiply": 2}}, "count": {"clamp": [0, 10]},
              "room": {"trim": true, "case": "lower", "null_like": ["na"]}, "place.name": {"trim": true}},
    "drop": {"fields": ["debug"]}
  }
}"#;

/// Where each name leads, by the path of what holds it; an undeclared one to itself.
fn canonical<'a>(path: &str, name: &'a str) -> &'a str {
    match (path, name) {
        ("", "val") => "value",
        ("", "Room Name") => "room",
        ("", "pos") => "place",
        ("/place", "latitude") | ("/track", "la") => "lat",
        _ => name,
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-20_i64..60).prop_map(Value::from),
        (-20_i32..60).prop_map(|halves| Value::from(f64::from(halves) / 2.0)),
        select(vec!["na", " NA ", "Attic", " b", "12", "-3.5", "true", "x y z x y z", ""]).prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let name = select(vec!["lat", "latitude", "la", "name", "deep", "n", "x"]).prop_map(str::to_owned);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A value that leans to what the name is to hold.
fn value_of(name: &'static str) -> BoxedStrategy<Value> {
    let number = (-20_i32..120).prop_map(|halves| Value::from(f64::from(halves) / 2.0));
    let place = prop::collection::btree_map(select(vec!["lat", "latitude", "name", "deep", "x"]), value(), 0..4);
    let item = prop::collection::btree_map(select(vec!["lat", "la", "x"]), value(), 0..3);
    let fitting = match name {
        "value" | "val" | "count" => number.boxed(),
        "place" | "pos" => place.prop_map(|members| json!(members)).boxed(),
        "tags" => prop::collection::vec(select(vec!["a", "b "]), 0..4).prop_map(|tags| json!(tags)).boxed(),
        "track" => prop::collection::vec(item, 0..3).prop_map(|items| json!(items)).boxed(),
        _ => value().boxed(),
    };
    prop_oneof![3 => fitting, 1 => value()].boxed()
}

type Member = (&'static str, Value);
type Members = Vec<Member>;

/// Events whose members have the same names in the same order; now and then a name or what it stands for comes twice.
fn alike() -> impl Strategy<Value = Vec<Members>> {
    let names =
        vec!["val", "count", "room", "Room Name", "on", "place", "pos", "tags", "track", "debug", "other", "öther"];
    let names = prop::collection::vec(select(names), 0..6);
    (names, any::<bool>()).prop_flat_map(|(mut names, aliased)| {
        names.push(if aliased { "val" } else { "value" });
        let event: Vec<_> = names.into_iter().map(|name| value_of(name).prop_map(move |value| (name, value))).collect();
        prop::collection::vec(event, 1..5)
    })
}

fn text_of(number: usize, members: &[Member], enveloped: bool) -> String {
    let members = members.iter().map(|(name, value)| format!("{}:{value}", json!(name)));
    let fields = members.collect::<Vec<_>>().join(",");
    match enveloped {
        true => format!(r#"{{"specversion":"1.0","id":"{number}","data":{{{fields}}}}}"#),
        false => format!(r#"{{"id":"{number}",{fields}}}"#),
    }
}

/// Whether an object of the schema has two members that mean the same.
fn is_ambiguous<'a>(
    path: &str,
    mut names: Vec<&'a str>,
    values: impl IntoIterator<Item = (&'a str, &'a Value)>,
) -> bool {
    let count = names.len();
    names.iter_mut().for_each(|name| *name = canonical(path, name));
    names.sort_unstable();
    names.dedup();
    names.len() < count
        || values.into_iter().any(|(name, value)| match (path, canonical(path, name), value) {
            ("", "place", Value::Object(place)) => object_is_ambiguous("/place", place),
            ("", "track", Value::Array(items)) => {
                items.iter().filter_map(Value::as_object).any(|item| object_is_ambiguous("/track", item))
            }
            _ => false,
        })
}

fn object_is_ambiguous(path: &str, object: &Map<String, Value>) -> bool {
    let members = object.iter().map(|(name, value)| (name.as_str(), value));
    is_ambiguous(path, object.keys().map(String::as_str).collect(), members)
}

/// Whether what a column holds is what cleaning makes of what was sent.
fn stands_for(path: &str, sent: &Value, held: &Value) -> bool {
    let number = || sent.as_f64().or_else(|| sent.as_str()?.trim().parse().ok());
    match (path, sent, held) {
        (_, Value::Null, Value::Null) => true,
        ("/value", ..) => number().zip(held.as_f64()).is_some_and(|(sent, held)| sent * 2.0 == held),
        ("/count" | "/place/lat" | "/place/deep/n" | "/track/lat", ..) => {
            number().zip(held.as_f64()).is_some_and(|(sent, held)| sent == held)
        }
        ("/room", Value::String(sent), Value::String(held)) => sent.trim().to_lowercase() == *held,
        ("/place/name", Value::String(sent), Value::String(held)) => sent.trim() == *held,
        ("/on", Value::String(sent), Value::Bool(held)) => sent.trim() == held.to_string(),
        ("/on", Value::Number(sent), Value::Bool(held)) => sent.as_f64() == Some(f64::from(u8::from(*held))),
        _ => sent == held,
    }
}

/// Whether what was sent is all in what the column holds and what `extra` keeps under the name that was sent.
fn found(path: &str, sent: &Value, held: &Value, kept: Option<&Value>) -> bool {
    if kept == Some(sent) {
        return true;
    }
    match (sent, held) {
        (Value::Object(sent), Value::Object(fields)) => sent.iter().all(|(name, value)| {
            let to = canonical(path, name);
            let held = fields.get(to).unwrap_or(&Value::Null);
            found(&format!("{path}/{to}"), value, held, kept.and_then(|kept| kept.get(name)))
        }),
        (Value::Array(sent), Value::Array(items)) => {
            sent.len() == items.len() && sent.iter().zip(items).all(|(sent, item)| found(path, sent, item, None))
        }
        _ => kept.is_none() && stands_for(path, sent, held),
    }
}

fn check_row(members: &[Member], rows: &RecordBatch, row: usize) -> Result<(), TestCaseError> {
    let extra = &texts(rows, "extra")[row];
    let extra: Map<String, Value> = if extra == "-" { Map::new() } else { serde_json::from_str(extra).unwrap() };
    for (name, sent) in members {
        let to = canonical("", name);
        let column = rows.column_by_name(to).map_or(Value::Null, |column| held(column, row));
        let is_found = found(&format!("/{to}"), sent, &column, extra.get(*name));
        prop_assert_eq!(
            is_found,
            *name != "debug" || sent.is_null(),
            "{}: {} is {} and {:?}",
            name,
            sent,
            column,
            extra
        );
    }
    for (name, default) in [("room", json!("hall")), ("on", json!(true)), ("place", Value::Null)] {
        if members.iter().all(|(sent, _)| canonical("", sent) != name) {
            prop_assert_eq!(held(rows.column_by_name(name).unwrap(), row), default, "{} was not sent", name);
        }
    }
    for name in extra.keys() {
        prop_assert!(members.iter().any(|(sent, _)| sent == name), "{} was not sent", name);
    }
    Ok(())
}

fn transform_of(schema: &str) -> Transform {
    let dataset = Dataset::from_schema(DatasetName::new("mine").unwrap(), schema).unwrap();
    Transform::new(Arc::new(Datasets::of([dataset], Some("mine")).unwrap()), TransformSettings::default()).unwrap()
}

fn check(events: &[Members], enveloped: bool) -> Result<(), TestCaseError> {
    let written: Vec<String> =
        events.iter().enumerate().map(|(number, members)| text_of(number, members, enveloped)).collect();
    let elements: Vec<&str> = written.iter().map(String::as_str).collect();
    let output = run(&transform_of(SCHEMA), &batch([record(0, 1, sealed("anna", "mine", None, 0, &elements))]));
    let table = |name: &str| output.files.iter().any(|file| file.path.starts_with(name)).then(|| rows(&output, name));
    let (mine, dead) = (table("mine"), table("dead_letters"));
    for (number, members) in events.iter().enumerate() {
        let names = members.iter().map(|(name, _)| *name).collect();
        let ambiguous = is_ambiguous("", names, members.iter().map(|(name, value)| (*name, value)));
        let id = number.to_string();
        let row = mine.as_ref().and_then(|rows| texts(rows, "event_id").iter().position(|held| *held == id));
        let Some((rows, row)) = mine.as_ref().zip(row) else {
            let dead = dead.as_ref().unwrap();
            let indices = dead.column_by_name("index").unwrap().as_primitive::<arrow::datatypes::Int64Type>();
            let at = indices.values().iter().position(|index| *index == number as i64).unwrap();
            let original = dead.column_by_name("original").unwrap().as_binary::<i32>().value(at);
            prop_assert_eq!(original, elements[number].as_bytes());
            prop_assert_eq!(texts(dead, "reason")[at] == "duplicate_key", ambiguous, "{}", elements[number]);
            continue;
        };
        prop_assert!(!ambiguous, "{}", elements[number]);
        check_row(members, rows, row)?;
    }
    Ok(())
}

proptest! {
    #[test]
    fn nothing_is_lost_by_what_a_schema_asks_for(events in alike(), enveloped in any::<bool>()) {
        check(&events, enveloped)?;
    }
}

#[test]
fn what_the_property_looks_for_is_seen() {
    let members: Members = vec![
        ("val", json!(3)),
        ("count", json!(12)),
        ("Room Name", json!(" NA ")),
        ("pos", json!({"latitude": 1, "name": " a", "deep": {"m": 1}, "x": 2})),
        ("track", json!([{"la": 1}])),
        ("debug", json!(1)),
        ("other", json!([1])),
    ];
    check(std::slice::from_ref(&members), false).unwrap();
    check(&[members.clone(), members.clone()], true).unwrap();
    let event = text_of(0, &members, false);
    let output = run(&transform_of(SCHEMA), &batch([record(0, 1, sealed("anna", "mine", None, 0, &[&event]))]));
    let row = rows(&output, "mine");
    let of = |name: &str| held(row.column_by_name(name).unwrap(), 0);
    assert_eq!([of("value"), of("count"), of("room"), of("on")], [json!(6.0), json!(10), Value::Null, json!(true)]);
    assert_eq!(of("place"), json!({"lat": 1.0, "name": "a", "deep": null}));
    assert_eq!(of("track"), json!([{"lat": 1.0}]));
    let extra: Value = serde_json::from_str(&texts(&row, "extra")[0]).unwrap();
    let kept = json!({
        "count": 12, "Room Name": " NA ", "pos": {"deep": {"m": 1}, "x": 2}, "other": [1],
    });
    assert_eq!(extra, kept);
    // Were the conversion, the moved count or what is left of the place missing, it would be found out.
    assert!(!found("/value", &json!(3), &json!(3.0), None));
    assert!(!found("/count", &json!(12), &json!(10), None));
    assert!(!found("/place", &json!({"x": 2}), &json!({"lat": null}), None));
    assert!(check(&[vec![("value", json!(1)), ("val", json!(1))]], false).is_ok());
}
