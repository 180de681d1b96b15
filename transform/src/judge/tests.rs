#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use alluvium_core::{Dataset, DatasetName};

use super::*;
use crate::scan::scan_event;

/// 2023-11-14T22:13:20Z.
const ARRIVAL: Micros = 1_700_000_000_000_000;

const SCHEMA: &str = r#"{
  "properties": {
    "value": {"type": "number", "minimum": -100, "maximum": 1000},
    "count": {"type": "integer", "exclusiveMinimum": 0},
    "unit": {"type": "string", "minLength": 1, "maxLength": 4},
    "status": {"type": "string", "enum": ["warn", "ok"]},
    "on": {"type": "boolean"},
    "seen": {"type": "string", "format": "date-time"},
    "day": {"type": "string", "format": "date"},
    "place": {"type": ["string", "null"]}
  },
  "required": ["value", "place"],
  "x-alluvium": {"aliases": {"value": ["val", "v"]}, "max_past": "365d", "max_future": "1h"}
}"#;

fn plan(schema: &str) -> Plan {
    let dataset = Dataset::from_schema(DatasetName::new("readings").unwrap(), schema).unwrap();
    Plan::compile(&Arc::new(dataset), None).unwrap()
}

/// What the judge makes of an event, written out: attributes and cells that are there, then `extra`.
fn judged(plan: &Plan, event: &str) -> Result<String, Fault> {
    let (mut tape, mut draft) = (Tape::default(), Draft::default());
    scan_event(event, 64, &mut tape).unwrap();
    judge(&mut draft, plan, event, &tape, ARRIVAL)?;
    let attributes = [("id", draft.id), ("source", draft.source), ("type", draft.event_type)];
    let texts =
        attributes.iter().filter_map(|(name, place)| Some(format!("{name}={}", draft.resolve(event, (*place)?))));
    let time = draft.time.map(|time| format!("time={time}"));
    let cells = plan.dataset.object.properties.iter().zip(&draft.cells).filter_map(|(property, cell)| {
        let value = match cell {
            Cell::Missing | Cell::Null => return None,
            other @ (Cell::Unfit | Cell::Object { .. } | Cell::List { .. }) => format!("{other:?}"),
            Cell::Text(place) => draft.resolve(event, *place).to_owned(),
            Cell::Integer(value) => value.to_string(),
            Cell::Number(value) => value.to_string(),
            Cell::Boolean(value) => value.to_string(),
            Cell::Timestamp(value) => value.to_string(),
            Cell::Date(value) => value.to_string(),
        };
        Some(format!("{}={value}", property.name))
    });
    let mut extra = String::new();
    draft.write_extra(&mut extra);
    assert!(extra.is_empty() || serde_json::from_str::<serde_json::Value>(&extra).is_ok(), "{extra}");
    let words: Vec<String> = texts.chain(time).chain(cells).chain((!extra.is_empty()).then_some(extra)).collect();
    Ok(words.join(" "))
}

#[test]
fn events_of_both_forms_become_cells() {
    let plan = plan(SCHEMA);
    let cases = [
        (r#"{"value":1,"place":null}"#, "value=1"),
        (r#"{"id":"a","source":"s","type":"t","value":1.5,"place":"x"}"#, "id=a source=s type=t value=1.5 place=x"),
        (r#"{"id":7,"source":1e3,"value":1,"place":"x"}"#, "id=7 source=1e3 value=1 place=x"),
        (r#"{"id":null,"source":null,"type":null,"time":null,"value":1,"place":null}"#, "value=1"),
        (r#"{"id":"\u0041\ud83d\ude00\n","value":1,"place":null}"#, "id=A\u{1F600}\n value=1"),
        (r#"{"v\u0061l":1,"pl\u0061ce":"\t"}"#, "value=1 place=\t"),
        (r#"{"time":"2023-11-14T22:13:20+00:00","val":1,"place":null}"#, "time=1700000000000000 value=1"),
        (r#"{"time":1700000000.5,"v":1,"place":null}"#, "time=1700000000500000 value=1"),
        // Undeclared fields, as sent and in their order; in the bare form `subject` and `owner` are nothing else.
        (
            r#"{"z":12345678901234567890.10,"value":1,"place":null,"a":{"k":[1, 2],"k":2},"owner":"eve","subject":"s","n":null}"#,
            r#"value=1 {"z":12345678901234567890.10,"a":{"k":[1, 2],"k":2},"owner":"eve","subject":"s","n":null}"#,
        ),
        // The envelope form.
        (
            r#"{"specversion":"1.0","id":"a","source":"s","type":"t","datacontenttype":"application/json","data":{"value":2,"place":"x"}}"#,
            "id=a source=s type=t value=2 place=x",
        ),
        (
            r#"{"subject":"room","data":{"value":2,"place":null,"id":"mine","x":1},"owner":"eve","specversion":"0.3"}"#,
            r#"value=2 {"id":"mine","x":1,"_event":{"subject":"room","owner":"eve","specversion":"0.3"}}"#,
        ),
        (
            r#"{"dataschema":"d","data":{"value":2,"place":null,"_event":1}}"#,
            r#"value=2 {"_event":1,"__event":{"dataschema":"d"}}"#,
        ),
        (r#"{"data":{"value":2,"place":null},"value":3}"#, r#"value=2 {"_event":{"value":3}}"#),
        // `data` that is no object, in an event without `specversion`, is a field like any other.
        (r#"{"data":[1],"value":3,"place":null}"#, r#"value=3 {"data":[1]}"#),
    ];
    for (event, expected) in cases {
        assert_eq!(judged(&plan, event).as_deref(), Ok(expected), "{event}");
    }
}

#[test]
fn optional_values_are_cleaned_or_kept_in_extra() {
    let plan = plan(SCHEMA);
    let cases = [
        (r#""count":3"#, "count=3"),
        (r#""count":3.0"#, "count=3"),
        (r#""count":1e3"#, "count=1000"),
        (r#""count":"42""#, "count=42"),
        (r#""count":" 42 ""#, "count=42"),
        (r#""count":3.5"#, r#"{"count":3.5}"#),
        (r#""count":0"#, r#"{"count":0}"#),
        (r#""count":"007""#, r#"{"count":"007"}"#),
        (r#""count":9223372036854775807"#, "count=9223372036854775807"),
        (r#""count":9223372036854775808"#, r#"{"count":9223372036854775808}"#),
        (r#""count":1e300"#, r#"{"count":1e300}"#),
        (r#""count":9007199254740993.0"#, r#"{"count":9007199254740993.0}"#),
        (r#""count":true"#, r#"{"count":true}"#),
        (r#""unit":"Cel""#, "unit=Cel"),
        (r#""unit":"äöüß""#, "unit=äöüß"),
        (r#""unit":"äöüßx""#, r#"{"unit":"äöüßx"}"#),
        (r#""unit":"""#, r#"{"unit":""}"#),
        (r#""unit":5"#, r#"{"unit":5}"#),
        (r#""unit":null"#, ""),
        (r#""status":"ok""#, "status=ok"),
        (r#""status":"OK""#, r#"{"status":"OK"}"#),
        (r#""on":true"#, "on=true"),
        (r#""on":"False""#, "on=false"),
        (r#""on":"yes""#, "on=true"),
        (r#""on":1"#, r#"{"on":1}"#),
        (r#""seen":"2023-11-14""#, "seen=1699920000000000"),
        (r#""seen":1700000000"#, "seen=1700000000000000"),
        (r#""seen":"soon""#, r#"{"seen":"soon"}"#),
        (r#""day":"1970-01-03""#, "day=2"),
        (r#""day":"1969-12-31T00:00:00Z""#, "day=-1"),
        (r#""day":"1970-01-03T10:00:00Z""#, r#"{"day":"1970-01-03T10:00:00Z"}"#),
        (r#""day":[]"#, r#"{"day":[]}"#),
    ];
    for (member, expected) in cases {
        let event = format!(r#"{{"value":1,"place":null,{member}}}"#);
        let expected = format!("value=1 {expected}");
        assert_eq!(judged(&plan, &event).as_deref(), Ok(expected.trim_end()), "{event}");
    }
}

#[test]
fn faults_have_their_reason_and_their_place() {
    use ReasonCode::*;
    let plan = plan(SCHEMA);
    let long = format!(r#"{{"id":"{}"}}"#, "x".repeat(1025));
    let cases: [(&str, ReasonCode, Option<&str>); 36] = [
        (r#"{}"#, RequiredMissing, Some("/value")),
        (r#"{"data":{}}"#, RequiredMissing, Some("/data/value")),
        (r#"{"specversion":"1.0","value":1,"place":null}"#, RequiredMissing, Some("/data/value")),
        (r#"{"specversion":"1.0","data":[1]}"#, RequiredMissing, Some("/data/value")),
        (r#"{"value":1}"#, RequiredMissing, Some("/place")),
        (r#"{"value":null,"place":null}"#, RequiredMissing, Some("/value")),
        (r#"{"value":"much"}"#, SchemaViolated, Some("/value")),
        (r#"{"value":true}"#, SchemaViolated, Some("/value")),
        (r#"{"value":1e400}"#, SchemaViolated, Some("/value")),
        (r#"{"value":1001}"#, SchemaViolated, Some("/value")),
        (r#"{"v":-100.1}"#, SchemaViolated, Some("/v")),
        (r#"{"data":{"value":1001}}"#, SchemaViolated, Some("/data/value")),
        (r#"{"value":1,"place":3}"#, SchemaViolated, Some("/place")),
        (r#"{"value":1,"value":1,"place":null}"#, DuplicateKey, Some("/value")),
        (r#"{"value":null,"value":1,"place":null}"#, DuplicateKey, Some("/value")),
        (r#"{"value":1,"val":1,"place":null}"#, DuplicateKey, Some("/value")),
        (r#"{"value":1,"place":null,"x":1,"y":1,"x":1}"#, DuplicateKey, Some("/x")),
        (r#"{"value":1,"place":null,"x~/":1,"\u0078~/":1}"#, DuplicateKey, Some("/x~0~1")),
        (r#"{"id":"a","id":"a","value":1,"place":null}"#, DuplicateKey, Some("/id")),
        (r#"{"id":null,"id":null,"value":1,"place":null}"#, DuplicateKey, Some("/id")),
        (r#"{"data":{"value":1,"place":null},"data":{"value":1,"place":null}}"#, DuplicateKey, Some("/data")),
        (r#"{"data":{"value":1,"place":null,"x":1,"x":1}}"#, DuplicateKey, Some("/data/x")),
        (r#"{"subject":1,"subject":2,"data":{"value":1,"place":null}}"#, DuplicateKey, Some("/subject")),
        (r#"{"id":""}"#, BadAttribute, Some("/id")),
        (&long, BadAttribute, Some("/id")),
        (r#"{"id":true}"#, BadAttribute, Some("/id")),
        (r#"{"source":{}}"#, BadAttribute, Some("/source")),
        (r#"{"type":1}"#, BadAttribute, Some("/type")),
        (r#"{"time":"soon"}"#, TimeUnreadable, Some("/time")),
        (r#"{"time":true}"#, TimeUnreadable, Some("/time")),
        (r#"{"time":1e30}"#, TimeUnreadable, Some("/time")),
        (r#"{"time":1700003600.000001,"value":1,"place":null}"#, TimeInFuture, Some("/time")),
        (r#"{"time":"9999-12-31","value":1,"place":null}"#, TimeInFuture, Some("/time")),
        (r#"{"time":"0001-01-01","value":1,"place":null}"#, TimeInPast, Some("/time")),
        (r#"{"time":"2022-11-14","value":1,"place":null}"#, TimeInPast, Some("/time")),
        (r#"{"value":1,"place":null,"time":"-1-01-01"}"#, TimeUnreadable, Some("/time")),
    ];
    for (event, reason, pointer) in cases {
        let fault = judged(&plan, event).unwrap_err();
        assert_eq!((fault.reason, fault.pointer.as_deref()), (reason, pointer), "{event}: {}", fault.detail);
        assert!(fault.detail.len() < 250, "{}", fault.detail);
    }
    assert!(judged(&plan, r#"{"time":1700003600,"value":1,"place":null}"#).is_ok(), "the limit itself is allowed");
}

#[test]
fn strict_and_closed_datasets_refuse_what_others_keep() {
    let strict = plan(r#"{"properties": {"a": {"type": "integer"}}, "x-alluvium": {"strict": true}}"#);
    assert_eq!(judged(&strict, r#"{"a":"x"}"#).unwrap_err().reason, ReasonCode::SchemaViolated);
    assert_eq!(judged(&strict, r#"{"a":"5","b":1}"#).unwrap(), r#"a=5 {"b":1}"#);
    let closed = plan(r#"{"properties": {"a": {"type": "integer"}}, "additionalProperties": false}"#);
    let fault = judged(&closed, r#"{"data":{"a":1,"b/c":1}}"#).unwrap_err();
    assert_eq!((fault.reason, fault.pointer.as_deref()), (ReasonCode::UndeclaredField, Some("/data/b~1c")));
    assert_eq!(
        judged(&closed, r#"{"id":"i","subject":"s","data":{"a":1}}"#).unwrap(),
        r#"id=i a=1 {"_event":{"subject":"s"}}"#
    );
    assert_eq!(judged(&closed, r#"{"a":"x"}"#).unwrap(), r#"{"a":"x"}"#);
}

#[test]
fn a_property_takes_the_name_of_an_attribute_in_the_bare_form_alone() {
    let plan = plan(
        r#"{"properties": {"id": {"type": "integer"}, "kind": {"type": "string"}, "data": {"type": "string"}},
            "x-alluvium": {"aliases": {"kind": ["type"]}}}"#,
    );
    assert_eq!(judged(&plan, r#"{"id":1,"type":"k","source":"s"}"#).unwrap(), "source=s id=1 kind=k");
    assert_eq!(judged(&plan, r#"{"id":1,"data":{"id":2}}"#).unwrap(), r#"id=1 {"data":{"id":2}}"#);
    let event = r#"{"specversion":"1.0","id":"a","type":"t","data":{"id":2,"type":"k"}}"#;
    assert_eq!(judged(&plan, event).unwrap(), "id=a type=t id=2 kind=k");
}

#[test]
fn many_names_are_checked_for_repeats_in_reasonable_time() {
    let plan = plan(r#"{"properties": {}}"#);
    let fields: Vec<String> = (0..50_000).map(|n| format!(r#""f{n}":{n}"#)).collect();
    assert!(judged(&plan, &format!("{{{}}}", fields.join(","))).is_ok());
    let fault = judged(&plan, &format!("{{{},\"f7\":0}}", fields.join(","))).unwrap_err();
    assert_eq!((fault.reason, fault.pointer.as_deref()), (ReasonCode::DuplicateKey, Some("/f7")));
}
