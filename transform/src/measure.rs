//! Measurements of the hot path, step by step. They assert nothing and are run by hand, optimised:
//!
//! ```text
//! EVENTS=events.ndjson cargo test --release -p alluvium-transform --lib measure -- --ignored --nocapture
//! ```

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)]

use alluvium_core::clock::Micros;
use alluvium_core::{Dataset, Datasets};

use std::sync::Arc;

use crate::draft::Draft;
use crate::encode::ROW_GROUP_ROWS;
use crate::judge::judge;
use crate::plan::Plan;
use crate::reading::{self, read_event};
use crate::rows::Rows;
use crate::settings::TransformSettings;
use crate::skeleton::recognise;
use crate::sources::{Sources, Waiting};
use crate::tape::Tape;

/// 2026-01-01T00:00:00Z.
const ARRIVAL: Micros = 1_767_225_600_000_000;

/// The time that this thread has spent on a processor: what others do meanwhile does not count.
struct Watch(u64);

impl Watch {
    fn start() -> Self {
        Self(Self::now())
    }

    fn now() -> u64 {
        let times = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        times.split(' ').next().unwrap().parse().unwrap()
    }

    fn elapsed(&self) -> u64 {
        Self::now() - self.0
    }
}

fn telemetry() -> Arc<Dataset> {
    Datasets::load(None, None).unwrap().get("telemetry").unwrap().clone()
}

#[test]
#[ignore = "a measurement: reads the file that EVENTS names"]
fn steps() {
    let text = std::fs::read_to_string(std::env::var("EVENTS").unwrap()).unwrap();
    let dataset = telemetry();
    let plan = Plan::compile(&dataset, None).unwrap();
    let settings = TransformSettings::default();
    let (mut tape, mut draft) = (Tape::default(), Draft::default());
    let events = || text.lines();
    let count = events().count() as u64;
    for _ in 0..3 {
        let start = Watch::start();
        let bytes: usize = events().map(str::len).sum();
        let lines = start.elapsed();
        let start = Watch::start();
        for event in events() {
            read_event(event.as_bytes(), &settings, &mut tape).unwrap();
        }
        let scanned = start.elapsed();
        let start = Watch::start();
        for event in events() {
            let event = read_event(event.as_bytes(), &settings, &mut tape).unwrap();
            judge(&mut draft, &plan, event, &tape, ARRIVAL).unwrap();
        }
        let judged = start.elapsed();
        let (start, mut followed) = (Watch::start(), 0);
        for event in events() {
            let event = reading::text(event.as_bytes(), &settings).unwrap();
            followed += usize::from(recognise(&mut draft, &plan, event, ARRIVAL));
        }
        let recognised = start.elapsed();
        let (mut rows, mut sources) = (Rows::new(&dataset), Sources::default());
        let mut waiting = Waiting::default();
        let owner = sources.owner("anonymous");
        let start = Watch::start();
        for event in events() {
            let event = reading::text(event.as_bytes(), &settings).unwrap();
            if !recognise(&mut draft, &plan, event, ARRIVAL) {
                reading::scan(event, &settings, &mut tape).unwrap();
                judge(&mut draft, &plan, event, &tape, ARRIVAL).unwrap();
            }
            rows.push(&draft, event, draft.resolve(event, draft.id.unwrap()), ARRIVAL);
            if waiting.push(draft.resolve(event, draft.source.unwrap())) {
                waiting.look_up(&mut sources, owner, |source| rows.push_source(source));
            }
        }
        waiting.look_up(&mut sources, owner, |source| rows.push_source(source));
        let pushed = start.elapsed();
        let start = Watch::start();
        let sorted = rows.sorted(&sources).unwrap();
        let ordered = start.elapsed();
        let mut taken = 0;
        for first in (0..sorted.len()).step_by(ROW_GROUP_ROWS) {
            let end = sorted.len().min(first + ROW_GROUP_ROWS);
            taken += sorted.slice(first..end, &sources).unwrap().batch.num_rows();
        }
        let sort = start.elapsed();
        println!(
            "{bytes} bytes; ns per event: lines {}, scan {}, and judge {}; recognise {} ({followed} of them), and push {}; order {}, and take {} ({} rows)",
            lines / count,
            scanned / count,
            judged / count,
            recognised / count,
            pushed / count,
            ordered / count,
            sort / count,
            taken
        );
    }
}
