#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use alluvium_core::{Dataset, DatasetName};
use proptest::prelude::*;

use super::*;
use crate::judge::judge;
use crate::scan::scan_event;
use crate::tape::Tape;

/// 2023-11-14T22:13:20Z.
const ARRIVAL: Micros = 1_700_000_000_000_000;

const SCHEMA: &str = r#"{
  "properties": {
    "value": {"type": "number", "minimum": -100, "maximum": 1000},
    "count": {"type": "integer"},
    "unit": {"type": "string", "maxLength": 4, "default": "C"},
    "place": {"type": "object", "properties": {
      "lat": {"type": "number"}, "name": {"type": "string"}}, "required": ["lat"]},
    "seen": {"type": "string", "format": "date-time"}
  },
  "required": ["value"], "x-alluvium": {"max_future": "1h"}
}"#;

fn plan() -> Plan {
    let dataset = Dataset::from_schema(DatasetName::new("readings").unwrap(), SCHEMA).unwrap();
    Plan::compile(&Arc::new(dataset), None).unwrap()
}

/// All that a draft holds, written out.
fn shown(draft: &Draft, event: &str) -> String {
    let mut extra = String::new();
    draft.write_extra(&mut extra);
    let text = |place: &Place| draft.resolve(event, *place).to_owned();
    let cells: Vec<String> = draft
        .cells
        .iter()
        .map(|cell| match cell {
            Cell::Text(place) => format!("{:?}", text(place)),
            Cell::Number(number) => format!("{:x}", number.to_bits()),
            other => format!("{other:?}"),
        })
        .collect();
    let attributes = [draft.id, draft.source, draft.event_type].map(|place| place.as_ref().map(text));
    format!("{attributes:?} {:?} {cells:?} {extra}", draft.time)
}

/// What the judge makes of an event: its row, or nothing.
fn judged(draft: &mut Draft, plan: &Plan, event: &str) -> Option<String> {
    let mut tape = Tape::default();
    scan_event(event, 64, &mut tape).ok()?;
    judge(draft, plan, event, &tape, ARRIVAL).ok().map(|_| shown(draft, event))
}

#[test]
fn an_event_built_like_the_one_before_is_recognised() {
    let (plan, mut draft) = (plan(), Draft::default());
    let event = |id: &str, value: f64, name: &str| {
        format!(
            r#"{{"specversion":"1.0", "id":"{id}","subject":"s{id}","data":{{"value":{value},"place":{{"lat":1,"name":{name}}},"x":"{id}"}}}} "#
        )
    };
    let first = event("1", 2.5, "\"a\"");
    assert!(!recognise(&mut draft, &plan, &first, ARRIVAL));
    judged(&mut draft, &plan, &first).unwrap();
    for event in [event("22", 1e-3, "null"), event("333", -100.0, r#""\u00e4""#)] {
        assert!(recognise(&mut draft, &plan, &event, ARRIVAL), "{event}");
        let seen = shown(&draft, &event);
        assert_eq!(Some(seen), judged(&mut Draft::default(), &plan, &event), "{event}");
    }
    // Whatever breaks a rule or is built otherwise goes the long way.
    let version = first.replace("1.0", "1.1");
    let spaced = first.replace(", \"id\"", ",\"id\"");
    for event in [event("1", 1001.0, "\"a\""), event("1", 1.0, "5"), event("", 1.0, "\"a\""), version, spaced] {
        assert!(!recognise(&mut draft, &plan, &event, ARRIVAL), "{event}");
    }
    assert!(!recognise(&mut draft, &plan, first.trim_end(), ARRIVAL));
    assert!(!recognise(&mut draft, &plan, &first[..first.len() - 3], ARRIVAL));
}

#[test]
fn a_time_too_far_off_is_not_let_through() {
    let (plan, mut draft) = (plan(), Draft::default());
    judged(&mut draft, &plan, r#"{"time":1700000000,"value":1}"#).unwrap();
    assert!(recognise(&mut draft, &plan, r#"{"time":1700003600,"value":1}"#, ARRIVAL));
    assert!(!recognise(&mut draft, &plan, r#"{"time":1700003601,"value":1}"#, ARRIVAL));
}

#[test]
fn datasets_do_not_share_skeletons() {
    let other =
        Dataset::from_schema(DatasetName::new("other").unwrap(), r#"{"properties": {"a": {"type": "string"}}}"#);
    let first =
        Dataset::from_schema(DatasetName::new("first").unwrap(), r#"{"properties": {"a": {"type": "number"}}}"#);
    let plans = Plan::compile_all(&[Arc::new(first.unwrap()), Arc::new(other.unwrap())], None).unwrap();
    let mut draft = Draft::default();
    judged(&mut draft, &plans[0], r#"{"a":1}"#).unwrap();
    assert!(recognise(&mut draft, &plans[0], r#"{"a":2}"#, ARRIVAL));
    assert!(!recognise(&mut draft, &plans[1], r#"{"a":2}"#, ARRIVAL));
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i32>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| serde_json::json!(number).to_string()),
        "[a-z\\\\\"é\n]{0,6}".prop_map(|text| serde_json::json!(text).to_string()),
        prop::sample::select(vec![
            "null",
            "true",
            "1.50",
            "1e2",
            "-0",
            "0.1",
            "\"12\"",
            "\"2023-11-14T22:00:00+01:00\"",
            "{}",
            "[1]",
            "{\"lat\":1}",
            "{\"lat\":null}",
            "{\"lat\":2,\"name\":\"x\"}",
            "{\"lat\":3,\"y\":1}",
            "1700000000",
            "01",
            "1.",
            "\"\\ud800\"",
        ])
        .prop_map(str::to_owned),
    ]
}

fn member() -> impl Strategy<Value = (String, String)> {
    let name = prop::sample::select(vec![
        "id",
        "source",
        "type",
        "time",
        "value",
        "count",
        "unit",
        "place",
        "seen",
        "x",
        "y\\u0041",
        "data",
        "specversion",
    ]);
    (name.prop_map(str::to_owned), value())
}

/// Events with members of the same names in the same order, their values anew each time; some in the envelope form.
fn alike() -> impl Strategy<Value = Vec<String>> {
    let members = prop::collection::vec(member(), 0..8);
    (members, any::<bool>()).prop_flat_map(|(members, enveloped)| {
        let names: Vec<String> = members.into_iter().map(|(name, _)| name).collect();
        let values = prop::collection::vec(value(), names.len());
        prop::collection::vec(values, 1..6).prop_map(move |events| {
            let written = events.iter().map(|values| {
                let members = names.iter().zip(values).map(|(name, value)| format!("\"{name}\":{value}"));
                let fields = members.collect::<Vec<_>>().join(",");
                if enveloped {
                    format!(r#"{{"id":"a","data":{{"value":1,{fields}}}}}"#)
                } else {
                    format!(r#"{{"value":1,{fields}}}"#)
                }
            });
            written.map(|event| event.replace(",}", "}")).collect()
        })
    })
}

proptest! {
    #[test]
    fn what_is_recognised_is_what_would_have_been_judged(events in alike()) {
        let (plan, mut draft) = (plan(), Draft::default());
        for event in &events {
            let expected = judged(&mut Draft::default(), &plan, event);
            if recognise(&mut draft, &plan, event, ARRIVAL) {
                prop_assert_eq!(Some(shown(&draft, event)), expected, "{}", event);
            } else {
                prop_assert_eq!(judged(&mut draft, &plan, event), expected, "{}", event);
            }
        }
    }
}

#[test]
fn cleaned_and_pseudonymised_values_are_the_same_either_way() {
    let schema = r#"{"properties": {
        "room": {"type": "string"}, "level": {"type": "number"}, "user": {"type": "string", "maxLength": 5}
      }, "x-alluvium": {
        "clean": {"room": {"trim": true, "case": "lower", "null_like": ["n/a"]},
                  "level": {"convert": {"multiply": 0.5}, "clamp": [0, 10]}},
        "pseudonymise": ["user"]}}"#;
    let dataset = Arc::new(Dataset::from_schema(DatasetName::new("rooms").unwrap(), schema).unwrap());
    let key = crate::PseudonymKey::from_text(&"5a".repeat(32)).unwrap();
    let plan = Plan::compile(&dataset, Some(&key)).unwrap();
    let event =
        |room: &str, level: &str, user: &str| format!(r#"{{"room":{room},"level":{level},"user":{user},"x":1}}"#);
    let mut draft = Draft::default();
    judged(&mut draft, &plan, &event(r#"" Attic""#, "3", r#""ann""#)).unwrap();
    let cases = [
        (event(r#""CELLAR  ""#, r#""7""#, r#""bert""#), true),
        (event("null", "-0.0", "null"), true),
        // What is kept beside its column, or hidden in `extra`, goes the long way.
        (event(r#""n/a""#, "3", r#""ann""#), false),
        (event(r#""a""#, "30", r#""ann""#), false),
        (event(r#""a""#, "3", r#""christine""#), false),
        (event(r#""a""#, "3", "5"), false),
    ];
    for (event, follows) in cases {
        assert_eq!(recognise(&mut draft, &plan, &event, ARRIVAL), follows, "{event}");
        let read = follows.then(|| shown(&draft, &event));
        let expected = judged(&mut Draft::default(), &plan, &event).unwrap();
        assert!(read.is_none_or(|read| read == expected), "{event}");
        assert!(["ann", "bert", "christine"].iter().all(|name| !expected.contains(name)), "{expected}");
    }
}
