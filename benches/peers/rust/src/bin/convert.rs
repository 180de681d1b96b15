//! Ours: `alluvium_transform::convert`, as the command `alluvium convert` calls it.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use alluvium_core::clock::Micros;
use alluvium_core::{Dataset, DatasetName};
use alluvium_peers::{Measured, Phases, Sink, Source};
use alluvium_transform::{TransformSettings, convert};
use anyhow::{Context as _, ensure};
use serde_json::json;

/// 2026-01-02T00:00:00Z: fixed, so that every run gives the same bytes.
const ARRIVAL: Micros = 1_767_312_000_000_000;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [schema, events, output] = &arguments[..] else {
        anyhow::bail!("usage: convert SCHEMA EVENTS OUTPUT");
    };
    let measured = Measured::start()?;
    let stem = Path::new(schema).file_stem().context("the schema's file has no name")?.to_string_lossy();
    let dataset = Arc::new(Dataset::from_schema(DatasetName::new(&stem)?, &std::fs::read_to_string(schema)?)?);
    let phases = Phases::default();
    let input = Source::new(File::open(events)?, &phases);
    let sink = Sink::new(File::create(output)?, &phases);
    let report = convert(input, &dataset, &TransformSettings::default(), ARRIVAL, sink)?;
    let ended = Instant::now();
    ensure!(report.dead() == 0, "{} of {} events are dead letters", report.dead(), report.received);
    let phases = phases.report(measured.started(), ended);
    measured.report(json!({"version": env!("CARGO_PKG_VERSION"), "phases": phases}))
}
