//! `docs/cleaning.md`: every row of its table is sent through the transform, and the file is read back.

use alluvium_core::DatasetName;
use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type};
use serde_json::{Map, Value, json};

use super::*;
use crate::PseudonymKey;

const PAGE: &str = include_str!("../../../../docs/cleaning.md");

/// How many rows the table has at least, so that none is lost to a change of its form.
const ROWS: usize = 160;

/// One row of the table.
struct Row {
    line: String,
    input: String,
    property: Value,
    required: bool,
    settings: Value,
    column: Value,
    extra: Option<String>,
    reason: Option<String>,
}

/// The literals in backticks of a cell.
fn literals(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

fn json_of(cell: &str, line: &str) -> Value {
    match literals(cell)[..] {
        [] => Value::Null,
        [literal] => serde_json::from_str(literal).unwrap_or_else(|error| panic!("{error}: {line}")),
        _ => panic!("one literal: {line}"),
    }
}

/// The schema that a name on the page stands for.
fn named(name: &str) -> Value {
    let head = PAGE.split_once("| input |").unwrap().0.replace('\n', " ").replace("  ", " ");
    let (_, after) = head.split_once(&format!(" {name} `")).unwrap_or_else(|| panic!("`{name}` is explained nowhere"));
    serde_json::from_str(after.split_once('`').unwrap().0).unwrap()
}

fn row(line: &str) -> Option<Row> {
    let cells: Vec<&str> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
    let [input, property, _, column, extra, reason] = cells[..] else { panic!("six cells: {line}") };
    if input == "input" || input.starts_with("**") || input.starts_with("---") {
        return None;
    }
    let mut parts = literals(property);
    let property = match parts.first().is_some_and(|first| first.starts_with('{')) {
        true => serde_json::from_str(parts.remove(0)).unwrap(),
        false => named(property.split('`').next().unwrap().trim()),
    };
    let settings = parts.iter().find(|part| part.starts_with('{'));
    Some(Row {
        line: line.to_owned(),
        input: literals(input).first().copied().unwrap_or_default().replace('␉', "\t"),
        property,
        required: parts.contains(&"required"),
        settings: settings.map_or_else(|| json!({}), |settings| serde_json::from_str(settings).unwrap()),
        column: json_of(column, line),
        extra: literals(extra).first().map(|extra| (*extra).to_owned()),
        reason: literals(reason).first().map(|reason| (*reason).to_owned()),
    })
}

impl Row {
    fn transform(&self) -> Transform {
        let mut schema = json!({"properties": {"v": self.property}, "x-alluvium": self.settings});
        if self.required {
            schema["required"] = json!(["v"]);
        }
        let dataset = Dataset::from_schema(DatasetName::new("mine").unwrap(), &schema.to_string());
        let dataset = dataset.unwrap_or_else(|error| panic!("{error}: {}", self.line));
        let key = PseudonymKey::from_text(&"5a".repeat(32)).unwrap();
        let settings = TransformSettings { pseudonym_key: Some(key), ..TransformSettings::default() };
        Transform::new(Arc::new(Datasets::of([dataset], Some("mine")).unwrap()), settings).unwrap()
    }

    fn event(&self) -> String {
        if self.input.is_empty() { "{}".to_owned() } else { format!("{{\"v\":{}}}", self.input) }
    }
}

/// What a column holds in its first row, as JSON; times and dates as text.
pub(super) fn held(column: &ArrayRef, at: usize) -> Value {
    if column.is_null(at) {
        return Value::Null;
    }
    let micros = |micros: i64| jiff::Timestamp::from_microsecond(micros).unwrap();
    match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(at).into(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(at).into(),
        DataType::Float64 => column.as_primitive::<Float64Type>().value(at).into(),
        DataType::Boolean => column.as_boolean().value(at).into(),
        DataType::Timestamp(..) => {
            let time = micros(column.as_primitive::<TimestampMicrosecondType>().value(at));
            time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string().into()
        }
        DataType::Date32 => {
            let day = i64::from(column.as_primitive::<Date32Type>().value(at));
            micros(day * 86_400_000_000).strftime("%Y-%m-%d").to_string().into()
        }
        DataType::Struct(fields) => {
            let columns = column.as_struct().columns();
            let members = fields.iter().zip(columns).map(|(field, column)| (field.name().clone(), held(column, at)));
            Value::Object(members.collect::<Map<_, _>>())
        }
        DataType::List(_) => {
            let items = column.as_list::<i32>().value(at);
            (0..items.len()).map(|item| held(&items, item)).collect()
        }
        other => panic!("no column is {other}"),
    }
}

#[test]
fn every_row_of_the_page_is_true() {
    let found: Vec<Row> = PAGE.lines().filter(|line| line.starts_with('|')).filter_map(row).collect();
    assert!(found.len() >= ROWS, "only {} rows were read", found.len());
    let mut wrong = Vec::new();
    for row in found {
        let record = record(0, 1, sealed("anna", "mine", None, 0, &[&row.event()]));
        let output = run(&row.transform(), &batch([record]));
        let entry = &output.message.ledger[0];
        let reason = match (entry.filtered, entry.dead) {
            (1, 0) => Some("filtered".to_owned()),
            (0, 1) => Some(texts(&rows(&output, "dead_letters"), "reason").remove(0)),
            _ => None,
        };
        let (column, extra) = match reason {
            Some(_) => (Value::Null, None),
            None => {
                let rows = rows(&output, "mine");
                let extra = rows.column_by_name("extra").unwrap().as_string::<i32>();
                // As text: what is kept is kept byte for byte.
                let extra = extra.is_valid(0).then(|| extra.value(0).to_owned());
                (held(rows.column_by_name("v").unwrap(), 0), extra)
            }
        };
        if (&column, &extra, &reason) != (&row.column, &row.extra, &row.reason) {
            wrong.push(format!("{}\n  found: {column} {extra:?} {reason:?}", row.line));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
