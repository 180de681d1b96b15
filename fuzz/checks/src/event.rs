//! A record that was put straight into the stream: any bytes.

use std::sync::{Arc, LazyLock};

use alluvium_core::{Dataset, DatasetName, Datasets};
use alluvium_transform::{PseudonymKey, Transform, TransformSettings};
use arrow::array::{Array, AsArray};
use serde_json::{Map, Value};

use crate::company;
use crate::delivery::{Outcome, run_one};

/// First bytes after which a record is no plain text: envelope, gzip, zstd, KPL aggregate.
const FRAMED: [&[u8]; 4] = [b"\xA1LVM", b"\x1F\x8B", b"\x28\xB5\x2F\xFD", b"\xF3\x89\x9A\xC2"];

/// Members of an event that are no fields of its data, or that say in which form it is.
const ATTRIBUTES: [&str; 7] = ["id", "source", "type", "time", "data", "specversion", "datacontenttype"];

const SCHEMAS: [(&str, &str); 4] = [
    ("data", include_str!("../../../datasets/data.json")),
    ("every", include_str!("event/every.json")),
    ("small", r#"{"properties": {"text": {"type": "string"}, "number": {"type": "number"}}}"#),
    ("telemetry", include_str!("../../../datasets/telemetry.json")),
];

static EVERY: LazyLock<Dataset> = LazyLock::new(|| dataset("every", SCHEMAS[1].1));

/// Events without a type that names another dataset go to `every`.
pub(crate) static EVERY_KIND: LazyLock<Transform> = LazyLock::new(|| transform("every", TransformSettings::default()));

/// They go to `small`, whose files cost a fuzzer less.
pub(crate) static FEW_COLUMNS: LazyLock<Transform> = LazyLock::new(|| transform("small", TransformSettings::default()));

/// A transform with the datasets of these checks, and a key for their pseudonyms.
pub(crate) fn transform(default_dataset: &str, settings: TransformSettings) -> Transform {
    let settings = TransformSettings { pseudonym_key: PseudonymKey::from_text(&"5a".repeat(32)).ok(), ..settings };
    let datasets = SCHEMAS.map(|(name, schema)| dataset(name, schema));
    Transform::new(Arc::new(Datasets::of(datasets, Some(default_dataset)).unwrap()), settings).unwrap()
}

fn dataset(name: &str, schema: &str) -> Dataset {
    Dataset::from_schema(DatasetName::new(name).unwrap(), schema).unwrap()
}

/// Any bytes as one record: it becomes the rows and dead letters that serde_json's reading of it demands.
pub fn event(bytes: &[u8]) {
    let outcome = run_one(&EVERY_KIND, bytes.to_vec());
    if FRAMED.iter().any(|magic| bytes.starts_with(magic)) {
        return;
    }
    if let Some(expected) = elements(bytes) {
        assert_eq!(outcome.received(), expected, "TR-1");
    }
    let text = trimmed(bytes);
    if text.starts_with(b"{") && !text.contains(&b'\n') {
        one(text, &outcome);
    }
    if let Some(lines) = few_lines(bytes) {
        company::check(&lines);
    }
}

/// The lines of a record with few of them.
fn few_lines(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    const MOST: usize = 6;
    let lines: Vec<_> = bytes.split(|byte| *byte == b'\n').filter(|line| !trimmed(line).is_empty()).collect();
    (2..=MOST).contains(&lines.len()).then_some(lines)
}

/// Without the white space of JSON at its ends.
fn trimmed(bytes: &[u8]) -> &[u8] {
    let space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let start = bytes.iter().position(|byte| !space(byte)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| !space(byte)).map_or(start, |last| last + 1);
    &bytes[start..end]
}

/// How many elements a plain record holds, where a simpler reading than the transform's can tell.
fn elements(bytes: &[u8]) -> Option<u64> {
    let text = trimmed(bytes);
    match text.first() {
        None => Some(0),
        Some(b'[') => {
            serde_json::from_slice::<Vec<&serde_json::value::RawValue>>(text).ok().map(|items| items.len() as u64)
        }
        Some(b'{') if is_json(text) || !text.contains(&b'\n') => Some(1),
        Some(b'{') => None,
        Some(_) => Some(text.split(|byte| *byte == b'\n').filter(|line| !trimmed(line).is_empty()).count() as u64),
    }
}

/// Whether serde_json takes it, numbers that fit no f64 included, which RFC 8259 allows: those it is to leave unread.
fn is_json(text: &[u8]) -> bool {
    match serde_json::from_slice::<Value>(text) {
        Ok(_) => true,
        Err(error) if error.to_string().contains("number out of range") => {
            serde_json::from_slice::<&serde_json::value::RawValue>(text).is_ok()
        }
        Err(_) => false,
    }
}

/// A record that is one object, or what begins like one.
fn one(text: &[u8], outcome: &Outcome) {
    let reasons = outcome.dead("reason");
    let parsed = serde_json::from_slice::<Value>(text);
    match &parsed {
        Ok(_) => assert!(reasons != ["not_json"] && reasons != ["not_an_object"], "serde_json takes it"),
        Err(error) if error.to_string().contains("number out of range") => {}
        Err(error) if error.to_string().contains("recursion limit") => assert_eq!(reasons, ["too_deep"]),
        // It may break several rules at once; the transform names the first that it comes across.
        Err(error) => assert!(
            matches!(reasons[..], ["not_json" | "too_deep" | "duplicate_key"]),
            "serde_json refuses it: {error}; the transform: {reasons:?}"
        ),
    }
    if let (Ok(Value::Object(sent)), Some(rows)) = (&parsed, outcome.rows.get("every")) {
        let extra = rows.column_by_name("extra").unwrap().as_string::<i32>();
        nothing_is_lost(sent, extra);
        if let Some(user) = sent.get("user").and_then(Value::as_str) {
            is_hidden(user, text, [extra, rows.column_by_name("user").unwrap().as_string::<i32>()]);
        }
    }
}

/// A value that its dataset pseudonymises stands nowhere in the row, unless it was sent in another place too.
fn is_hidden(value: &str, sent: &[u8], columns: [&arrow::array::StringArray; 2]) {
    const TELLING_BYTES: usize = 6;
    let sent = std::str::from_utf8(sent).unwrap();
    if value.len() >= TELLING_BYTES && sent.matches(value).count() <= 1 {
        assert!(
            columns.iter().all(|column| column.is_null(0) || !column.value(0).contains(value)),
            "`{value}` is shown"
        );
    }
}

/// Every undeclared field of an event in the bare form stands in `extra` as it was sent.
fn nothing_is_lost(sent: &Map<String, Value>, extra: &arrow::array::StringArray) {
    if sent.contains_key("specversion") || sent.get("data").is_some_and(Value::is_object) {
        return;
    }
    let extra: Map<String, Value> = match extra.is_null(0) {
        true => Map::new(),
        false => serde_json::from_str(extra.value(0)).unwrap(),
    };
    let declared =
        |name: &str| EVERY.object.properties.iter().any(|p| p.name == name || p.aliases.iter().any(|a| a == name));
    let dropped = |name: &str| EVERY.dropped_fields.iter().any(|field| field == name);
    for (name, value) in sent.iter().filter(|(name, _)| !ATTRIBUTES.contains(&name.as_str())) {
        if !declared(name) && !dropped(name) {
            assert_eq!(extra.get(name), Some(value), "`{name}` is lost");
        }
    }
}
