use serde_json::{Value, json};

use super::*;
use crate::dataset::{
    Bounds, Case, Clamp, Conversion, Identity, Nulls, Repeats, Required, TextFormat, Undeclared, ValueKind, Values,
};

fn compiled(schema: &Value) -> Dataset {
    Dataset::from_schema(DatasetName::new("mine").unwrap(), &schema.to_string()).unwrap()
}

/// A dataset with one property, `v`.
fn with_property(property: Value) -> Dataset {
    compiled(&json!({"properties": {"v": property}}))
}

fn values(property: Value) -> Values {
    with_property(property).object.properties.remove(0).values
}

/// A dataset with these settings and a property of each kind.
fn with_settings(settings: Value) -> Value {
    json!({
        "properties": {
            "room": {"type": "string"}, "status": {"type": "string", "enum": ["ok", "fail"]}, "n": {"type": "integer"},
            "x": {"type": "number", "minimum": 0}, "on": {"type": "boolean"}, "at": {"type": "string", "format": "date-time"},
            "person": {"type": "object", "properties": {"email": {"type": "string"}, "age": {"type": "integer"}}},
            "readings": {"type": "array", "items": {"type": "object", "properties": {"unit": {"type": "string"}}}},
        },
        "x-alluvium": settings,
    })
}

#[track_caller]
fn assert_refused(schema: &Value, pointer: &str, words: &str) {
    let name = DatasetName::new("mine").unwrap();
    let error = Dataset::from_schema(name, &schema.to_string()).expect_err("the schema is wrong");
    assert!(error.pointer == pointer && error.problem.contains(words), "{error}");
}

#[track_caller]
fn assert_property_refused(property: Value, pointer: &str, words: &str) {
    assert_refused(&json!({"properties": {"v": property}}), &format!("/properties/v{pointer}"), words);
}

#[track_caller]
fn assert_setting_refused(settings: Value, pointer: &str, words: &str) {
    assert_refused(&with_settings(settings), &format!("/x-alluvium{pointer}"), words);
}

#[test]
fn texts_have_every_bound_of_theirs() {
    let ValueKind::Text(rule) =
        values(json!({"type": "string", "minLength": 2, "maxLength": 4.0, "pattern": "^a"})).kind
    else {
        panic!("a text")
    };
    assert_eq!((rule.min_chars, rule.max_chars), (Some(2), Some(4)));
    assert!(rule.pattern.unwrap().matches("abc"));
    for (name, format) in TEXT_FORMATS {
        let ValueKind::Text(rule) = values(json!({"type": "string", "format": name})).kind else { panic!("a text") };
        assert_eq!(rule.format, Some(format));
    }
    assert_eq!(values(json!({"type": "string", "format": "date-time"})).kind, ValueKind::Timestamp);
    assert_eq!(values(json!({"type": "string", "format": "date"})).kind, ValueKind::Date);
    let formats = TEXT_FORMATS.map(|(_, format)| format);
    assert!(formats.contains(&TextFormat::Uri) && formats.contains(&TextFormat::Ipv6));
}

#[test]
fn numbers_have_every_bound_of_theirs() {
    let bounds = json!({"type": "number", "minimum": 1, "maximum": 9.5, "exclusiveMinimum": 0, "exclusiveMaximum": 10,
                        "multipleOf": 0.5});
    let ValueKind::Number(rule) = values(bounds).kind else { panic!("a number") };
    let wanted =
        Bounds { minimum: Some(1.0), maximum: Some(9.5), exclusive_minimum: Some(0.0), exclusive_maximum: Some(10.0) };
    assert_eq!((rule.bounds, rule.multiple_of.unwrap().as_f64()), (wanted, Some(0.5)));
}

#[test]
fn the_listed_values_are_those_that_enum_and_const_both_have() {
    let one_of = |property: Value| match values(property).kind {
        ValueKind::Text(rule) => json!(rule.one_of),
        ValueKind::Integer(rule) | ValueKind::Number(rule) => json!(rule.one_of),
        ValueKind::Boolean(allowed) => json!(allowed),
        other => panic!("{other:?}"),
    };
    assert_eq!(one_of(json!({"type": "string", "enum": ["b", "a", "b"]})), json!(["a", "b"]));
    assert_eq!(one_of(json!({"type": "string", "enum": ["b", "a"], "const": "b"})), json!(["b"]));
    assert_eq!(one_of(json!({"type": "integer", "enum": [3, 1.0], "const": 1})), json!([1]));
    assert_eq!(one_of(json!({"type": "number", "enum": [3, 1.5]})), json!([3, 1.5]));
    assert_eq!(one_of(json!({"type": "boolean", "const": true})), json!([true]));
    assert_eq!(one_of(json!({"type": "boolean"})), json!([]));
}

#[test]
fn null_fits_when_the_type_lists_it_and_the_enum_does_too() {
    let nulls = |property| values(property).nulls;
    assert_eq!(nulls(json!({"type": ["string", "null"]})), Nulls::Listed);
    assert_eq!(nulls(json!({"type": ["null", "string"], "enum": ["a", null]})), Nulls::Listed);
    assert_eq!(nulls(json!({"type": ["string", "null"], "enum": ["a"]})), Nulls::NotListed);
    assert_eq!(nulls(json!({"type": ["string"]})), Nulls::NotListed);
    assert_eq!(nulls(json!({"type": ["array", "null"], "items": {"type": "string"}})), Nulls::Listed);
}

#[test]
fn objects_and_arrays_nest() {
    let dataset =
        compiled(&json!({"properties": {"track": {"type": "array", "minItems": 1, "maxItems": 3, "uniqueItems": true,
        "items": {"type": "object", "required": ["lat"], "additionalProperties": false,
                  "properties": {"lat": {"type": "number"}, "note": {"type": "string", "default": "none"}}}}}}));
    let ValueKind::List(list) = &dataset.object.properties[0].values.kind else { panic!("a list") };
    assert_eq!((list.min_items, list.max_items, list.repeats), (Some(1), Some(3), Repeats::Refused));
    let ValueKind::Object(object) = &list.items.kind else { panic!("objects") };
    assert_eq!(object.undeclared, Undeclared::Refused);
    let required: Vec<_> = object.properties.iter().map(|property| property.required).collect();
    assert_eq!(required, [Required::Yes, Required::No]);
    assert_eq!(object.properties[1].default, Some(json!("none")));
    let column = dataset.columns().field_with_name("track").unwrap();
    assert!(column.data_type().to_string().contains("List(Struct(\"lat\": Float64"), "{}", column.data_type());
}

#[test]
fn a_reference_stands_for_what_it_names() {
    let dataset = compiled(&json!({
        "$defs": {"deg": {"type": "number", "maximum": 90, "default": 1}, "alias": {"$ref": "#/$defs/deg"},
                  "with / and %": {"type": "boolean"}, "unused": {"type": "string"}},
        "properties": {
            "lat": {"$ref": "#/$defs/alias", "title": "Latitude", "default": 2},
            "lon": {"$ref": "#/$defs/alias"},
            "same": {"$ref": "#/properties/lat"},
            "odd": {"$ref": "#/$defs/with%20~1%20and%20%25"},
        },
    }));
    let defaults: Vec<_> = dataset.object.properties.iter().map(|property| property.default.clone()).collect();
    assert_eq!(defaults, [Some(json!(2)), Some(json!(1)), Some(json!(2)), None]);
    assert_eq!(dataset.object.properties[0].values, dataset.object.properties[1].values);
    assert_eq!(dataset.object.properties[3].values.kind, ValueKind::Boolean(Vec::new()));
    let root = compiled(&json!({"$ref": "#/$defs/event", "$defs": {"event": {"type": "object", "title": "Event",
        "properties": {"v": {"type": "string"}}}}, "x-alluvium": {"types": ["t"]}}));
    assert_eq!((root.object.properties.len(), root.types.len()), (1, 1));
}

#[test]
fn what_is_not_implemented_is_refused_where_it_stands() {
    assert_property_refused(
        json!({"type": "object", "properties": {"a": {"type": "string", "patern": "x"}}}),
        "/properties/a/patern",
        "the keyword `patern` is not implemented; known here: ",
    );
    assert_property_refused(json!({"type": "array", "items": {"anyOf": []}}), "/items/anyOf", "`anyOf`");
    assert_property_refused(json!({"type": "string", "format": "hostname"}), "/format", "date-time, date, uuid");
    assert_property_refused(json!({"type": "integer", "format": "uuid"}), "/format", "does not go with");
    assert_property_refused(json!({"type": "null"}), "", "`null`");
    assert_property_refused(json!({"type": ["string", "integer"]}), "/type", "one type");
    assert_property_refused(json!({}), "", "needs a `type`");
    assert_property_refused(json!(true), "", "expected an object");
    assert_property_refused(json!({"type": "array"}), "", "needs `items`");
    assert_property_refused(json!({"type": "object", "properties": {}}), "", "kept in `extra`");
    assert_property_refused(json!({"type": "string", "pattern": "(?=a)"}), "/pattern", "look-around");
    assert_property_refused(json!({"type": "string", "examples": 1}), "/examples", "an array");
    assert_property_refused(json!({"type": "string", "$defs": {}}), "/$defs", "`$defs`");
    assert_refused(&json!({"type": "array"}), "/type", "an object");
    assert_refused(&json!({"$schema": "http://json-schema.org/draft-07/schema#"}), "/$schema", "2020-12");
    assert_refused(&json!({"patternProperties": {}}), "/patternProperties", "`patternProperties`");
    assert_refused(&json!({"$defs": {"unused": {"type": "strin"}}}), "/$defs/unused", "`strin`");
    assert_refused(&json!({"properties": {}, "required": ["v"]}), "/required/0", "`v`");
    assert_refused(&json!({"additionalProperties": {}}), "/additionalProperties", "true or false");
}

#[test]
fn references_lead_to_one_place_in_this_file() {
    assert_property_refused(json!({"$ref": "other.json#/a"}), "/$ref", "out of this file");
    assert_property_refused(json!({"$ref": "#anchor"}), "/$ref", "JSON pointer");
    assert_property_refused(json!({"$ref": "#/$defs/none"}), "/$ref", "leads nowhere");
    assert_property_refused(json!({"$ref": "#"}), "/$ref", "contains itself");
    assert_property_refused(json!({"$ref": "#/properties/v"}), "/$ref", "contains itself");
    assert_property_refused(
        json!({"type": "object", "properties": {"next": {"$ref": "#/properties/v"}}}),
        "/properties/next/$ref",
        "contains itself",
    );
    let sibling = json!({"$defs": {"a": {"type": "number"}}, "properties": {"v": {"$ref": "#/$defs/a", "minimum": 1}}});
    assert_refused(&sibling, "/properties/v/minimum", "beside a `$ref`");
    let circle = json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}},
                        "properties": {"v": {"$ref": "#/$defs/a"}}});
    assert_refused(&circle, "/$defs/b/$ref", "contains itself");
    let mutual = json!({"$defs": {
        "a": {"type": "object", "properties": {"b": {"$ref": "#/$defs/b"}}},
        "b": {"type": "array", "items": {"$ref": "#/$defs/a"}}}, "properties": {"v": {"$ref": "#/$defs/a"}}});
    assert_refused(&mutual, "/$defs/b/items/$ref", "contains itself");
}

#[test]
fn what_no_value_could_meet_is_refused() {
    let number = |mut rule: Value| {
        rule["type"] = json!("number");
        rule
    };
    assert_property_refused(number(json!({"minimum": 2, "maximum": 1})), "", "no number fits");
    assert_property_refused(number(json!({"minimum": 1, "exclusiveMaximum": 1})), "", "no number fits");
    assert_property_refused(number(json!({"exclusiveMinimum": 1, "exclusiveMaximum": 1})), "", "no number fits");
    assert_property_refused(number(json!({"exclusiveMinimum": 1, "maximum": 1})), "", "no number fits");
    assert_property_refused(json!({"type": "integer", "minimum": 1.2, "maximum": 1.8}), "", "no integer");
    assert_property_refused(json!({"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 2}), "", "no integer");
    assert_property_refused(number(json!({"multipleOf": 0})), "/multipleOf", "greater than 0");
    assert_property_refused(number(json!({"maximum": 9_007_199_254_740_993_u64})), "/maximum", "2^53");
    assert_property_refused(json!({"type": "string", "minLength": 3, "maxLength": 2}), "/minLength", "no string fits");
    assert_property_refused(json!({"type": "string", "minLength": -1}), "/minLength", "whole number");
    assert_property_refused(
        json!({"type": "array", "items": {"type": "string"}, "minItems": 3, "maxItems": 2}),
        "/minItems",
        "no array fits",
    );
    assert_property_refused(json!({"type": "string", "enum": []}), "/enum", "at least one value");
    assert_property_refused(json!({"type": "string", "enum": ["a"], "const": "b"}), "/const", "none fits");
    assert_property_refused(json!({"type": "string", "enum": ["a", 1]}), "/enum/1", "`1` is not a string");
    assert_property_refused(json!({"type": "integer", "enum": [1.5]}), "/enum/0", "not an integer");
    assert_property_refused(json!({"type": "string", "enum": ["a", null]}), "/enum/1", "list \"null\"");
    assert_property_refused(json!({"type": ["string", "null"], "enum": [null]}), "", "no value but null");
    for contradiction in [
        json!({"type": "string", "enum": ["a", "b"], "minLength": 2}),
        json!({"type": "string", "const": "a", "format": "uuid"}),
        json!({"type": "number", "enum": [1, 2], "minimum": 2.5}),
        json!({"type": "integer", "const": 3, "multipleOf": 2}),
    ] {
        assert_property_refused(contradiction, "", "none of the values listed");
    }
}

#[test]
fn a_default_must_meet_its_own_rule() {
    assert_eq!(with_property(json!({"type": "number", "default": 1})).object.properties[0].default, Some(json!(1)));
    assert_property_refused(json!({"type": "number", "default": "1"}), "/default", "expected a number");
    let nullable = with_property(json!({"type": ["string", "null"], "default": null}));
    assert_eq!(nullable.object.properties[0].default, Some(Value::Null));
    for (property, words) in [
        (json!({"type": "string", "default": null}), "expected a string"),
        (json!({"type": "string", "enum": ["a"], "default": "b"}), "none of the values"),
        (json!({"type": "string", "maxLength": 2, "default": "abc"}), "characters"),
        (json!({"type": "string", "pattern": "^a", "default": "b"}), "pattern"),
        (json!({"type": "string", "format": "ipv4", "default": "1.2.3"}), "format"),
        (json!({"type": "integer", "default": 1.5}), "an integer"),
        (json!({"type": "integer", "minimum": 2, "default": 1}), "out of bounds"),
        (json!({"type": "number", "multipleOf": 0.1, "default": 0.25}), "multiple"),
        (json!({"type": "number", "enum": [1.5, 2], "default": 1}), "none of the values"),
        (json!({"type": "boolean", "const": true, "default": false}), "none of the values"),
        (json!({"type": "string", "format": "date", "default": "2014-02-30"}), "a date"),
        (json!({"type": "string", "format": "date-time", "default": "2014-02-14"}), "a time"),
        (json!({"type": "array", "items": {"type": "boolean"}, "default": []}), "not implemented"),
        (json!({"type": "object", "properties": {"a": {"type": "string"}}, "default": {}}), "not implemented"),
    ] {
        assert_property_refused(property, "/default", words);
    }
    let in_items = json!({"type": "array", "items": {"type": "string", "default": "x"}});
    assert_property_refused(in_items, "/items/default", "no `default`");
}

#[test]
fn times_are_written_as_rfc_3339_has_it() {
    for time in [
        "2014-02-14T14:30:00Z",
        "2014-02-14t14:30:00.123456789z",
        "2016-12-31T23:59:60+00:00",
        "2014-02-14T14:30:00-08:30",
    ] {
        assert!(is_date_time(time), "{time}");
    }
    for text in [
        "",
        "2014-02-14",
        "2014-02-14 14:30:00Z",
        "2014-02-14T14:30:00",
        "2014-02-14T14:30Z",
        "2014-02-30T14:30:00Z",
        "2014-02-14T24:00:00Z",
        "2014-02-14T14:30:00.Z",
        "2014-02-14T14:30:00+0100",
        "2014-02-14T14:30:00Zx",
        "0000-01-01T00:00:00Z",
        "2014-02-14é14:30:00Z",
        "9999-12-31T23:59:60Z",
        "9999-12-31T23:00:00-08:00",
        "0001-01-01T00:00:00+01:00",
        "2014-02-14T+4:30:00Z",
    ] {
        assert!(!is_date_time(text), "{text}");
    }
    assert!(is_date_time("9999-12-31T23:59:59Z") && is_date_time("0001-01-01T00:00:00Z"));
    assert!(is_date("2016-02-29") && !is_date("2015-02-29") && !is_date("20160229"));
}

#[test]
fn limits_hold_however_a_schema_is_written() {
    let mut deep = json!({"type": "string"});
    for _ in 0..limits::SCHEMA_DEPTH {
        deep = json!({"type": "array", "items": deep});
    }
    assert_property_refused(deep, &"/items".repeat(limits::SCHEMA_DEPTH), "nest deeper");
    let wide: serde_json::Map<String, Value> =
        (0..=limits::SCHEMA_COLUMNS).map(|n| (format!("c{n}"), json!({"type": "string"}))).collect();
    assert_refused(&json!({"properties": wide}), "/properties/c1000", "more than 1000 columns");
    let many: Vec<_> = (0..=limits::SCHEMA_ENUM_VALUES).map(|n| n.to_string()).collect();
    assert_property_refused(json!({"type": "string", "enum": many}), "/enum", "10001 values");
    assert_property_refused(json!({"type": "string", "pattern": "a".repeat(5000)}), "/pattern", "5000 bytes");
    assert_property_refused(json!({"type": "string", "pattern": "((a{1000}){1000}){1000}"}), "/pattern", "no pattern");
    let name = DatasetName::new("mine").unwrap();
    let long = format!("{{}}{}", " ".repeat(limits::SCHEMA_BYTES));
    assert!(Dataset::from_schema(name.clone(), &long).unwrap_err().problem.contains("1048578 bytes"));
    let nested = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(Dataset::from_schema(name, &nested).unwrap_err().problem.contains("recursion limit"));
}

#[test]
fn a_keyword_that_stands_twice_is_refused() {
    let name = DatasetName::new("mine").unwrap();
    let twice = "{\"properties\": {},\n \"required\": [], \"properties\": {}}";
    let error = Dataset::from_schema(name, twice).unwrap_err();
    assert!(error.problem.contains("`properties` stands twice in one object at line 2"), "{error}");
}

#[test]
fn the_page_about_datasets_says_what_is_implemented() {
    let page = include_str!("../../../../docs/datasets.md");
    let example = page.split("```json").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let dataset = Dataset::from_schema(DatasetName::new("sensors").unwrap(), example).unwrap();
    assert_eq!(dataset.object.properties.len(), 5);
    let rows: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("| `")).collect();
    let documented: Vec<_> = rows
        .iter()
        .flat_map(|row| row.split(" | ").next().unwrap().split(", "))
        .map(|name| name.trim_matches('`'))
        .collect();
    let mut implemented: Vec<&str> = values::known().chain(ROOT).chain(settings::SETTINGS).collect();
    implemented.retain(|name| *name != "x-alluvium");
    for name in &implemented {
        assert!(documented.contains(name), "`{name}` is implemented and not documented");
    }
    for name in &documented {
        assert!(implemented.contains(name), "`{name}` is documented and not implemented");
    }
}

#[test]
fn references_that_multiply_are_refused_while_they_do() {
    // Each level has ten of the next: 10^12 columns, and as many descriptions.
    let mut definitions = serde_json::Map::new();
    for level in 0..12 {
        let next = json!({"$ref": format!("#/$defs/d{}", level + 1)});
        let properties: serde_json::Map<_, _> = (0..10).map(|n| (format!("p{n}"), next.clone())).collect();
        definitions.insert(format!("d{level}"), json!({"type": "object", "properties": properties}));
    }
    definitions.insert("d12".to_owned(), json!({"type": "string"}));
    let schema = json!({"$defs": definitions, "properties": {"v": {"$ref": "#/$defs/d0"}}});
    let error = Dataset::from_schema(DatasetName::new("mine").unwrap(), &schema.to_string()).unwrap_err();
    assert!(error.problem.contains("more than 1000 columns"), "{error}");

    let long = json!({"type": "string", "enum": ["x".repeat(10_000)]});
    let properties: serde_json::Map<_, _> =
        (0..900).map(|n| (format!("p{n}"), json!({"$ref": "#/$defs/long"}))).collect();
    let schema = json!({"$defs": {"long": long}, "properties": properties});
    let error = Dataset::from_schema(DatasetName::new("mine").unwrap(), &schema.to_string()).unwrap_err();
    assert!(error.problem.contains("every `$ref` written out"), "{error}");
}

#[test]
fn a_name_that_cannot_be_a_column_is_refused_with_the_alias_that_mends_it() {
    let mends = |properties: Value, pointer: &str, alias: &str| {
        assert_refused(&json!({"properties": properties}), pointer, &format!("\"aliases\": {{{alias}}}"));
    };
    let text = json!({"type": "string"});
    mends(json!({"a.b": text}), "/properties/a.b", r#""a_b": ["a.b"]"#);
    mends(json!({"a b": text, "A_B": text}), "/properties/a b", r#""a_b_2": ["a b"]"#);
    mends(json!({"": text}), "/properties/", r#""field": [""]"#);
    mends(json!({"Extra": text}), "/properties/Extra", r#""extra_value": ["Extra"]"#);
    let nested = json!({"p": {"type": "object", "properties": {"source": text, "x=y": text}}});
    mends(nested, "/properties/p/properties/x=y", r#""p.x_y": ["x=y"]"#);
}

#[test]
fn aliases_lead_to_properties_at_any_depth() {
    let dataset = compiled(&with_settings(json!({"aliases": {"room": ["Room"], "person.email": ["mail"]}})));
    assert_eq!(dataset.object.properties[0].aliases, ["Room"]);
    let ValueKind::Object(person) = &dataset.object.properties[6].values.kind else { panic!("an object") };
    assert_eq!(person.properties[0].aliases, ["mail"]);
    assert_setting_refused(json!({"aliases": {"rooms": ["Room"]}}), "/aliases/rooms", "`rooms` is not declared");
    assert_setting_refused(json!({"aliases": {"person.name": ["n"]}}), "/aliases/person.name", "not declared");
    assert_setting_refused(json!({"aliases": {"room": ["n"]}}), "/aliases", "`n` already names");
    assert_setting_refused(json!({"aliases": {"room": ["a"], "n": ["a"]}}), "/aliases", "`a` already names");
    assert_setting_refused(json!({"aliases": {"room": ["a", "a"]}}), "/aliases/room/1", "stands twice");
    assert_setting_refused(json!({"aliases": {"person.email": ["age"]}}), "/aliases", "`age` already names");
    assert_setting_refused(json!({"alias": {}}), "/alias", "the setting `alias` is not implemented");
}

#[test]
fn cleaning_rules_go_with_the_types_they_are_for() {
    let dataset = compiled(&with_settings(json!({"clean": {
        "room": {"trim": true, "case": "lower", "null_like": ["n/a", "-"]},
        "x": {"convert": {"from": "fahrenheit", "to": "celsius"}, "clamp": [0, 100]},
        "n": {"clamp": [0, 9]},
        "readings.unit": {"trim": true},
    }})));
    let clean = &dataset.object.properties[0].clean;
    assert_eq!((clean.trim, clean.case, clean.null_like.len()), (true, Some(Case::Lower), 2));
    let clean = &dataset.object.properties[3].clean;
    assert_eq!(clean.clamp, Some(Clamp { low: 0.0, high: 100.0 }));
    let Conversion { multiply, add } = clean.convert.unwrap();
    assert!((212.0 * multiply + add - 100.0).abs() < 1e-12);
    let refused = |path: &str, rules: Value, pointer: &str, words: &str| {
        assert_setting_refused(json!({"clean": {path: rules}}), &format!("/clean/{path}{pointer}"), words);
    };
    refused("n", json!({"trim": true}), "/trim", "for strings");
    refused("room", json!({"clamp": [0, 1]}), "/clamp", "for numbers");
    refused("at", json!({"trim": true}), "/trim", "for strings");
    refused("n", json!({"convert": {"multiply": 2}}), "/convert", "declare the property a `number`");
    refused("n", json!({"clamp": [0, 1.5]}), "/clamp/1", "whole number");
    refused("x", json!({"clamp": [-1, 1]}), "/clamp/0", "outside the property's own bounds");
    refused("x", json!({"clamp": [2, 1]}), "/clamp", "least value first");
    refused("x", json!({"clamp": [2]}), "/clamp", "two numbers");
    refused("x", json!({"convert": {"multiply": 0}}), "/convert", "times 0");
    refused("x", json!({"convert": {"from": "fahrenheit", "multiply": 1}}), "/convert", "two units");
    refused("x", json!({"convert": {"from": "fahrenheit", "to": "bar"}}), "/convert/to", "celsius, fahrenheit, kelvin");
    refused("x", json!({"convert": {"from": "Fahrenheit", "to": "celsius"}}), "/convert/from", "fahrenheit");
    refused("x", json!({"convert": {"times": 1}}), "/convert/times", "`times`");
    refused("room", json!({"case": "title"}), "/case", "lower");
    refused("status", json!({"case": "upper"}), "/case", "`fail`");
    refused("room", json!({"strip": true}), "/strip", "trim, case, null_like, convert, clamp");
}

#[test]
fn only_texts_with_open_values_are_pseudonymised() {
    let dataset = compiled(&with_settings(json!({"pseudonymise": ["room", "person.email"]})));
    assert_eq!(dataset.object.properties[0].identity, Identity::Pseudonymised);
    let refused =
        |path: &str, words: &str| assert_setting_refused(json!({"pseudonymise": [path]}), "/pseudonymise/0", words);
    refused("source", "the producer");
    refused("status", "`enum`");
    refused("n", "only a string");
    refused("at", "only a string");
    refused("person", "only a string");
    refused("readings.unit", "inside an array");
    refused("nobody", "not declared");
}

#[test]
fn what_is_dropped_is_named_by_field_or_by_condition() {
    let drop = json!({"drop": {"fields": ["debug"], "events": [{"status": "fail", "n": [1, null]}, {"type": "ping"}]}});
    let dataset = compiled(&with_settings(drop));
    assert_eq!(dataset.dropped_fields, ["debug"]);
    assert_eq!(dataset.dropped_events[0].conditions[1].any_of, [json!(1), Value::Null]);
    assert_eq!(dataset.dropped_events[1].conditions[0].field, "type");
    let refused = |drop: Value, pointer: &str, words: &str| {
        assert_setting_refused(json!({"drop": drop}), &format!("/drop{pointer}"), words);
    };
    refused(json!({"fields": ["room"]}), "/fields/0", "declared property `room`");
    refused(json!({"fields": ["time"]}), "/fields/0", "attribute");
    refused(json!({"events": [{}]}), "/events/0", "at least one condition");
    refused(json!({"events": [{"status": []}]}), "/events/0/status", "none is never equal");
    refused(json!({"events": [{"status": ["ok", 1]}]}), "/events/0/status/1", "a string or null");
    refused(json!({"events": [{"x": "1"}]}), "/events/0/x", "a number or null");
    refused(json!({"events": [{"at": "now"}]}), "/events/0/at", "a time cannot");
    refused(json!({"events": [{"person": "x"}]}), "/events/0/person", "cannot be asked for");
    refused(json!({"events": [{"debug": "x"}]}), "/events/0/debug", "neither a property");
    refused(json!({"rows": []}), "/rows", "fields, events");
}

#[test]
fn files_are_laid_out_by_columns_that_there_are() {
    let dataset =
        compiled(&with_settings(json!({"sort": ["room", "event_time"], "bloom_filters": ["event_id", "room"]})));
    assert_eq!(dataset.sort, ["room", "event_time"]);
    assert_eq!(dataset.bloom_filters, ["source", "event_id", "room"]);
    let plain = compiled(&with_settings(json!({})));
    assert_eq!((plain.sort.join(","), plain.bloom_filters.join(",")), ("source,event_time".into(), "source".into()));
    assert_setting_refused(json!({"sort": []}), "/sort", "at least one");
    assert_setting_refused(json!({"sort": ["extra"]}), "/sort/0", "no column");
    assert_setting_refused(json!({"sort": ["person"]}), "/sort/0", "nested");
    assert_setting_refused(json!({"sort": ["room", "room"]}), "/sort/1", "stands twice");
    assert_setting_refused(json!({"bloom_filters": ["n"]}), "/bloom_filters/0", "cannot have");
    assert_setting_refused(json!({"retention": "5 days"}), "/retention", "no duration");
    assert_setting_refused(json!({"strict": "yes"}), "/strict", "true or false");
    assert_setting_refused(json!({"types": [""]}), "/types/0", "1 to 1,024 bytes");
}
