//! A schema, and behind a zero byte a record for its dataset: any bytes.

use std::sync::Arc;

use alluvium_core::{Dataset, DatasetName, Datasets};
use alluvium_transform::{PseudonymKey, Transform, TransformSettings};
use serde_json::Value;

use crate::delivery::run_one;

/// More columns than this no table has: the properties that are allowed, and those that every table has.
const MOST_COLUMNS: usize = 1100;

/// Any bytes as a schema: it is refused where it is wrong, or its dataset takes records.
pub fn schema(bytes: &[u8]) {
    let at = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let (schema, record) = (&bytes[..at], bytes.get(at + 1..).unwrap_or(b"{}"));
    let Ok(schema) = std::str::from_utf8(schema) else { return };
    let compile = || Dataset::from_schema(DatasetName::new("mine").unwrap(), schema);
    let compiled = compile();
    assert_eq!(compiled, compile(), "the same schema compiles to the same dataset");
    let dataset = match compiled {
        Ok(dataset) => dataset,
        Err(error) => {
            assert!(!error.problem.is_empty());
            if let Ok(parsed) = serde_json::from_str::<Value>(schema) {
                assert!(parsed.pointer(&error.pointer).is_some(), "it points to a place in the schema: {error}");
            }
            return;
        }
    };
    assert!(dataset.columns().fields().len() <= MOST_COLUMNS);
    let datasets = Datasets::of([dataset], Some("mine")).unwrap();
    let key = PseudonymKey::from_text(&"5a".repeat(32)).ok();
    let settings = TransformSettings { pseudonym_key: key, ..TransformSettings::default() };
    let transform = Transform::new(Arc::new(datasets), settings).unwrap();
    run_one(&transform, record.to_vec());
    run_one(&transform, &b"{}\n{\"a\":1,\"b\":\"x\",\"c\":{},\"d\":[1],\"e\":null}"[..]);
}
