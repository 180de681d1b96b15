use super::*;

fn compile(schema: &str) -> Result<Dataset, SchemaError> {
    Dataset::from_schema(DatasetName::new("mine").unwrap(), schema)
}

fn refusal(schema: &str) -> String {
    compile(schema).unwrap_err().to_string()
}

#[test]
fn the_built_in_datasets_load_and_route_by_type() {
    let datasets = Datasets::load(None, Some("telemetry")).unwrap();
    assert_eq!(datasets.names(), ["data", "telemetry"]);
    assert_eq!(datasets.for_type("reading").unwrap().name.as_str(), "telemetry");
    assert!(datasets.for_type("unheard-of").is_none());
    let telemetry = datasets.default_dataset().unwrap();
    let columns: Vec<_> = telemetry.columns().fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(&columns[..7], COMMON_COLUMNS);
    assert_eq!(&columns[7..], ["value", "unit", "battery", "status", "lat", "lon", "firmware", "extra"]);
    assert_eq!(telemetry.object.properties[0].required, Required::Yes);
    assert_eq!(telemetry.object.properties[1].required, Required::No);
}

#[test]
fn an_unknown_keyword_is_refused_by_name_and_position() {
    let message = refusal(r#"{"properties": {"a/b": {"type": "string", "patternn": "x"}}}"#);
    assert!(message.contains("`/properties/a~1b/patternn`"), "{message}");
    assert!(message.contains("the keyword `patternn` is not implemented"), "{message}");
    assert!(refusal(r#"{"x-alluvium": {"colour": 1}}"#).contains("`/x-alluvium/colour`"));
    assert!(refusal(r#"{"oneOf": []}"#).contains("`/oneOf`"));
}

#[test]
fn a_keyword_that_does_not_go_with_the_type_is_refused() {
    assert!(refusal(r#"{"properties": {"a": {"type": "number", "maxLength": 3}}}"#).contains("does not go with"));
    assert!(refusal(r#"{"properties": {"a": {"type": "boolean", "minimum": 0}}}"#).contains("does not go with"));
    let message = refusal(r#"{"properties": {"a": {"type": "string", "format": "date", "enum": ["2014-02-14"]}}}"#);
    assert!(message.contains("`/properties/a/enum`") && message.contains("does not go with"), "{message}");
}

#[test]
fn a_column_that_delta_or_athena_cannot_hold_is_refused_with_the_line_that_mends_it() {
    let message = refusal(r#"{"properties": {"Room Temp": {"type": "number"}}}"#);
    assert!(message.contains(r#""aliases": {"room_temp": ["Room Temp"]}"#), "{message}");
    let message = refusal(r#"{"properties": {"Owner": {"type": "string"}}}"#);
    assert!(message.contains(r#""aliases": {"owner_value": ["Owner"]}"#), "{message}");
    assert!(refusal(r#"{"properties": {"a": {"type": "number"}, "A": {"type": "number"}}}"#).contains("by case alone"));
}

#[test]
fn the_line_that_mends_a_name_does() {
    let schema = r#"{"properties": {"room_temp": {"type": "number"}},
                     "x-alluvium": {"aliases": {"room_temp": ["Room Temp"]}}}"#;
    assert_eq!(compile(schema).unwrap().object.properties[0].aliases, ["Room Temp"]);
}

#[test]
fn a_required_property_may_list_null() {
    let schema = r#"{"properties": {"a": {"type": ["null", "integer"]}}, "required": ["a"]}"#;
    let property = &compile(schema).unwrap().object.properties[0];
    assert_eq!((property.required, property.values.nulls), (Required::Yes, Nulls::Listed));
    assert!(refusal(r#"{"properties": {}, "required": ["a"]}"#).contains("not declared"));
    assert!(refusal(r#"{"properties": {"a": {"type": ["string", "integer"]}}}"#).contains("one type"));
}

#[test]
fn names_are_held_to_what_every_engine_takes() {
    for name in ["Telemetry", "1st", "a-b", "", "ledger", "dead_letters", "x_raw", &"a".repeat(65)] {
        assert!(DatasetName::new(name).is_err(), "{name}");
    }
    assert!(DatasetName::new("device_readings_2").is_ok());
}

#[test]
fn two_datasets_cannot_claim_one_type() {
    let make = |name: &str| {
        let schema = r#"{"properties": {}, "x-alluvium": {"types": ["t"]}}"#;
        Dataset::from_schema(DatasetName::new(name).unwrap(), schema).unwrap()
    };
    let error = Datasets::of([make("a"), make("b")], None).unwrap_err();
    assert!(error.to_string().contains("`t` routes to both `a` and `b`"), "{error}");
}

#[test]
fn the_fingerprint_follows_the_columns() {
    let one = compile(r#"{"properties": {"a": {"type": "number"}}}"#).unwrap();
    let described = compile(r#"{"properties": {"a": {"type": "number", "description": "more words"}}}"#).unwrap();
    let other = compile(r#"{"properties": {"a": {"type": "integer"}}}"#).unwrap();
    assert_eq!(fingerprint(one.columns()), fingerprint(described.columns()));
    assert_ne!(fingerprint(one.columns()), fingerprint(other.columns()));
}
