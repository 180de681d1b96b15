//! Agreement with the crate `jsonschema`: for schemas of the keywords that are implemented, and values that are nearly valid,
//! the places that break the schema are the same when nothing is cleaned.
//!
//! What a column cannot hold is left out of the account, since JSON Schema knows no columns: integers beyond 64 bits, integers
//! that are written as floats from 2⁵³ on, and the year 0000. So are numbers of so many digits that `jsonschema` divides them in
//! binary for `multipleOf`.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::Arc;

use alluvium_core::{Dataset, DatasetName};
use jsonschema::Draft;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::violations;
use crate::plan::Plan;
use crate::scan::scan_event;
use crate::tape::Tape;

mod formats;

const NAMES: [&str; 5] = ["a", "b", "c~d", "e/f", "ä"];

/// Patterns, with texts that match or nearly do.
const PATTERNS: [(&str, [&str; 3]); 4] = [
    ("^[a-c]+$", ["abc", "abd", ""]),
    ("[0-9]{2}", ["x12", "x1", "1a2"]),
    ("^(on|off)?$", ["on", "", "offf"]),
    ("ä.ü", ["xäöüx", "äü", "ä\nü"]),
];

fn keyword(name: &'static str, value: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Map<String, Value>> {
    let with = value.prop_map(move |value| Map::from_iter([(name.to_owned(), value)]));
    prop_oneof![2 => Just(Map::new()), 1 => with].boxed()
}

/// Two keywords, the second's value not below the first's.
fn range(low: &'static str, high: &'static str, most: u64) -> BoxedStrategy<Map<String, Value>> {
    (0..most, 0..most, any::<bool>(), any::<bool>())
        .prop_map(move |(from, width, has_low, has_high)| {
            let low = has_low.then(|| (low.to_owned(), from.into()));
            let high = has_high.then(|| (high.to_owned(), (from + width).into()));
            low.into_iter().chain(high).collect()
        })
        .boxed()
}

fn join(parts: Vec<BoxedStrategy<Map<String, Value>>>) -> BoxedStrategy<Map<String, Value>> {
    parts.prop_map(|parts| parts.into_iter().flatten().collect()).boxed()
}

/// Makes a type one that lists null as well, at times; an `enum` then lists it at times.
fn with_type(name: &'static str, keywords: BoxedStrategy<Map<String, Value>>) -> BoxedStrategy<Value> {
    (keywords, 0..4)
        .prop_map(move |(mut schema, nulls)| {
            schema.insert("type".to_owned(), if nulls < 2 { json!(name) } else { json!([name, "null"]) });
            if let Some(Value::Array(listed)) = schema.get_mut("enum").filter(|_| nulls == 3) {
                listed.push(Value::Null);
            }
            Value::Object(schema)
        })
        .boxed()
}

fn text_schema() -> BoxedStrategy<Value> {
    let listed = prop::collection::btree_set("[a-c]{0,2}", 1..4).prop_map(|texts| json!(texts));
    let pattern = select(PATTERNS.map(|(pattern, _)| pattern).to_vec()).prop_map(Value::from);
    let format = select(vec!["date-time", "date", "uuid", "email", "ipv4", "ipv6", "uri"]);
    prop_oneof![
        3 => with_type("string", join(vec![range("minLength", "maxLength", 4), keyword("pattern", pattern)])),
        1 => with_type("string", keyword("enum", listed)),
        1 => with_type("string", keyword("const", "[a-c]{0,2}".prop_map(Value::from))),
        2 => format.prop_flat_map(|format| with_type("string", Just(Map::from_iter([("format".to_owned(), json!(format))])).boxed())),
    ]
    .boxed()
}

/// A decimal of few digits, sometimes written as a float though it is whole.
fn small_number() -> impl Strategy<Value = Value> + Clone {
    prop_oneof![
        (-40_i64..40).prop_map(Value::from),
        (-40_i32..40).prop_map(|number| Value::from(f64::from(number))),
        (-400_i32..400).prop_map(|tenths| Value::from(f64::from(tenths) / 10.0)),
        (-400_i32..400).prop_map(|number| Value::from(f64::from(number) / 100.0)),
    ]
}

fn bounds() -> BoxedStrategy<Map<String, Value>> {
    let ends = select(vec![
        ("minimum", "maximum"),
        ("exclusiveMinimum", "maximum"),
        ("minimum", "exclusiveMaximum"),
        ("exclusiveMinimum", "exclusiveMaximum"),
    ]);
    // Beyond 2^53, to both sides of which integers must be told apart.
    let large = select(vec![9_007_199_254_740_992_i64, -9_007_199_254_740_994]).prop_map(Value::from);
    let low = prop_oneof![6 => (-30_i64..30).prop_map(Value::from), 1 => large];
    (ends, low, 2_i64..30, any::<bool>(), any::<bool>())
        .prop_map(|((low, high), from, width, has_low, has_high)| {
            let to = Value::from(from.as_i64().unwrap() + width * 2);
            let low = has_low.then(|| (low.to_owned(), from));
            let high = has_high.then(|| (high.to_owned(), to));
            low.into_iter().chain(high).collect()
        })
        .boxed()
}

fn number_schema() -> BoxedStrategy<Value> {
    let divisor = select(vec![json!(1), json!(3), json!(2.0), json!(0.1), json!(0.25), json!(1.5), json!(0.01)]);
    let listed = prop::collection::vec(small_number(), 1..4).prop_map(Value::from);
    let whole = prop::collection::vec(prop_oneof![(-5_i64..5).prop_map(Value::from), Just(json!(2.0))], 1..4);
    prop_oneof![
        2 => with_type("number", join(vec![bounds(), keyword("multipleOf", divisor.clone())])),
        1 => with_type("number", keyword("enum", listed)),
        2 => with_type("integer", join(vec![bounds(), keyword("multipleOf", divisor)])),
        1 => with_type("integer", keyword("enum", whole.prop_map(Value::from))),
        1 => with_type("integer", keyword("const", (-2_i64..2).prop_map(Value::from))),
    ]
    .boxed()
}

fn boolean_schema() -> BoxedStrategy<Value> {
    with_type("boolean", keyword("const", any::<bool>().prop_map(Value::from)))
}

fn object_schema(property: BoxedStrategy<Value>, fewest: usize) -> BoxedStrategy<Value> {
    let properties = prop::collection::btree_map(select(NAMES.to_vec()), (property, any::<bool>()), fewest..4);
    (properties, 0..3)
        .prop_flat_map(|(properties, closed)| {
            let required: Vec<&str> =
                properties.iter().filter(|(_, (_, required))| *required).map(|(name, _)| *name).collect();
            let declared: Map<_, _> =
                properties.iter().map(|(name, (schema, _))| ((*name).to_owned(), schema.clone())).collect();
            let mut schema = Map::from_iter([("properties".to_owned(), Value::Object(declared))]);
            if !required.is_empty() {
                schema.insert("required".to_owned(), json!(required));
            }
            if closed == 0 {
                schema.insert("additionalProperties".to_owned(), false.into());
            }
            with_type("object", Just(schema).boxed())
        })
        .boxed()
}

fn values_schema() -> BoxedStrategy<Value> {
    let scalar = prop_oneof![3 => text_schema(), 3 => number_schema(), 1 => boolean_schema()];
    let scalar = prop_oneof![9 => scalar, 1 => Just(json!({"$ref": "#/$defs/shared"}))];
    scalar
        .prop_recursive(3, 12, 3, |inner| {
            let items = inner.clone().prop_map(|items| Map::from_iter([("items".to_owned(), items)])).boxed();
            let unique = keyword("uniqueItems", any::<bool>().prop_map(Value::from));
            let list = with_type("array", join(vec![items, range("minItems", "maxItems", 3), unique]));
            prop_oneof![object_schema(inner.boxed(), 1), list]
        })
        .boxed()
}

fn schema() -> BoxedStrategy<Value> {
    let shared = prop_oneof![text_schema(), object_schema(number_schema(), 1)];
    (object_schema(values_schema(), 0), shared)
        .prop_map(|(mut schema, shared)| {
            schema["type"] = "object".into();
            schema["$defs"] = json!({"shared": shared});
            schema
        })
        .boxed()
}

/// Any value that is small; nothing that a column could not hold.
fn any_value() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        small_number(),
        "[a-cäü0-9\n ]{0,5}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        let name = prop_oneof![select(NAMES.to_vec()).prop_map(str::to_owned), "[x-z]"];
        let object = prop::collection::btree_map(name, inner.clone(), 0..3);
        prop_oneof![
            prop::collection::vec(inner, 0..3).prop_map(Value::from),
            object.prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
    .boxed()
}

/// Values near to what a schema allows.
fn near(schema: &Value, root: &Value) -> BoxedStrategy<Value> {
    if schema.get("$ref").is_some() {
        return near(&root["$defs"]["shared"], root);
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str()).unwrap();
    let fitting = match kind {
        "object" => near_object(schema, root),
        "array" => {
            let items = prop::collection::vec(near(&schema["items"], root), 0..4);
            (items, any::<bool>())
                .prop_map(|(mut items, repeats)| {
                    if let Some(first) = items.first().cloned().filter(|_| repeats) {
                        items.push(first);
                    }
                    Value::from(items)
                })
                .boxed()
        }
        "string" => near_text(schema),
        "boolean" => any::<bool>().prop_map(Value::from).boxed(),
        _ => near_number(schema),
    };
    let listed: Vec<Value> =
        schema["enum"].as_array().into_iter().flatten().chain(schema.get("const")).cloned().collect();
    let fitting = match listed.is_empty() {
        true => fitting,
        false => prop_oneof![3 => select(listed), 1 => fitting].boxed(),
    };
    prop_oneof![9 => fitting, 1 => any_value()].boxed()
}

fn near_object(schema: &Value, root: &Value) -> BoxedStrategy<Value> {
    let members: Vec<BoxedStrategy<Option<(String, Value)>>> = schema["properties"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, values)| {
            let name = name.clone();
            let member = near(values, root).prop_map(move |value| (name.clone(), value));
            prop::option::weighted(0.9, member).boxed()
        })
        .collect();
    let stranger = prop::option::weighted(0.2, ("[x-z]", any_value()));
    (members, stranger)
        .prop_map(|(members, stranger)| Value::Object(members.into_iter().flatten().chain(stranger).collect()))
        .boxed()
}

fn near_text(schema: &Value) -> BoxedStrategy<Value> {
    if let Some(format) = schema["format"].as_str() {
        return formats::near(format).prop_map(Value::from).boxed();
    }
    let sample =
        PATTERNS.iter().find(|(pattern, _)| schema["pattern"] == *pattern).map_or(["", "a", "äöü"], |p| p.1);
    prop_oneof!["[a-cäü😀]{0,8}".prop_map(Value::from), select(sample.to_vec()).prop_map(Value::from)].boxed()
}

fn near_number(schema: &Value) -> BoxedStrategy<Value> {
    let ends = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"];
    let ends: Vec<i64> = ends.iter().filter_map(|end| schema[end].as_i64()).chain([0]).collect();
    let beside = (select(ends), -2_i64..3).prop_map(|(end, offset)| Value::from(end + offset));
    let close = (-30_i32..60, select(vec![0.25, 0.1, 1e-9])).prop_map(|(end, by)| Value::from(f64::from(end) + by));
    match schema.get("multipleOf") {
        Some(_) => prop_oneof![small_number(), beside].boxed(),
        None => prop_oneof![2 => small_number(), 2 => beside, 1 => close].boxed(),
    }
}

fn schema_and_value() -> impl Strategy<Value = (Value, Value)> {
    let both = schema().prop_flat_map(|schema| {
        let value = near_object(&schema, &schema);
        (Just(schema), value)
    });
    both.prop_filter("`jsonschema` divides it in binary", |(schema, value)| {
        let fraction = |value: &Value| value.get("multipleOf").is_some_and(|divisor| divisor.is_f64());
        let long = |value: &Value| value.as_i64().is_some_and(|number| number.unsigned_abs() > 1 << 53);
        !(somewhere(schema, &fraction) && somewhere(value, &long))
    })
}

/// Whether a value, or one in it, is so.
fn somewhere(value: &Value, is_so: &impl Fn(&Value) -> bool) -> bool {
    let within = match value {
        Value::Object(members) => members.values().any(|value| somewhere(value, is_so)),
        Value::Array(items) => items.iter().any(|value| somewhere(value, is_so)),
        _ => false,
    };
    within || is_so(value)
}

fn check(schema: &Value, value: &Value) -> Result<(), TestCaseError> {
    let dataset = Dataset::from_schema(DatasetName::new("mine").unwrap(), &schema.to_string())
        .map_err(|error| TestCaseError::fail(format!("{error}: {schema}")))?;
    let plan = Plan::compile(&Arc::new(dataset), None).unwrap();
    let event = value.to_string();
    let mut tape = Tape::default();
    scan_event(&event, 64, &mut tape).unwrap();
    let ours: BTreeSet<String> = violations(&plan, &event, &tape).into_iter().collect();
    let validator = jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(true).build(schema);
    let validator = validator.map_err(|error| TestCaseError::fail(format!("{error}: {schema}")))?;
    let theirs: BTreeSet<String> =
        validator.iter_errors(value).map(|error| error.instance_path().as_str().to_owned()).collect();
    prop_assert_eq!(ours, theirs, "{} {}", schema, value);
    Ok(())
}

proptest! {
    #[test]
    fn the_places_that_break_a_schema_are_those_that_jsonschema_lists((schema, value) in schema_and_value()) {
        check(&schema, &value)?;
    }
}

#[test]
fn what_was_found_stays_mended() {
    let cases = [
        // The kinds of differences that generated cases come across rarely.
        (
            json!({"properties": {"a": {"type": "number", "maximum": 9_007_199_254_740_992_i64}}}),
            json!({"a": 9_007_199_254_740_993_i64}),
        ),
        (json!({"properties": {"a": {"type": "integer", "multipleOf": 0.1}}}), json!({"a": 3})),
        (json!({"properties": {"a": {"type": "number", "multipleOf": 0.01}}}), json!({"a": 4.35})),
        (
            json!({"properties": {"a": {"type": "array", "items": {"type": "number"}, "uniqueItems": true}}}),
            json!({"a": [1, 1.0]}),
        ),
        (json!({"properties": {"a": {"type": ["string", "null"], "enum": ["x"]}}}), json!({"a": null})),
        (json!({"properties": {"a": {"type": "string", "format": "date-time"}}}), json!({"a": "2016-12-31T23:59:60Z"})),
        (json!({"properties": {"a": {"type": "string", "format": "date-time"}}}), json!({"a": "2016-12-31T22:59:60Z"})),
        (json!({"properties": {"a": {"type": "string", "format": "date"}}}), json!({"a": "2014-02-29"})),
    ];
    for (schema, value) in cases {
        check(&schema, &value).unwrap();
    }
}
