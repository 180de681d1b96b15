//! One delivery batch in, one [`BatchOutput`] out.

mod output;
mod run;
mod sender;
mod tally;

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium_core::commit::CommitMessage;
use alluvium_core::envelope::{OwnedRecord, RedrivenRecord};
use alluvium_core::hot::HotChunk;
use alluvium_core::{DatasetName, Datasets, DeliveryBatch};
use bytes::Bytes;
use rustc_hash::FxHashMap;

use crate::aggregate;
use crate::elements::{Envelopes, Opener};
use crate::error::TransformError;
use crate::firehose::{Invocation, Unreadable};
use crate::plan::Plan;
use crate::reading::{read_event, top_level_text};
use crate::settings::TransformSettings;
use crate::tape::Tape;

use run::Run;

/// The transform of one program: its datasets, compiled, and its settings.
#[derive(Debug)]
pub struct Transform {
    settings: TransformSettings,
    plans: Vec<Plan>,
    /// How many columns each plan's table has, nested ones counted one by one.
    columns: Vec<usize>,
    by_name: FxHashMap<Box<str>, PlanIndex>,
    by_type: FxHashMap<Box<str>, PlanIndex>,
    default: Option<PlanIndex>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PlanIndex(usize);

/// Everything that a delivery batch becomes. It is stored in this order: files, chunks, message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchOutput {
    /// One data file per dataset that has rows, and one for the dead letters if there are any, by dataset.
    pub files: Vec<DataFile>,
    /// The chunks for the hot index, by dataset, bucket, time bucket and part.
    pub chunks: Vec<HotChunk>,
    /// What the committer needs, the ledger included.
    pub message: CommitMessage,
}

/// One Parquet data file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// Its path under the lake's root: `<dataset>/<identity>-<content>.parquet`.
    pub path: String,
    /// Its bytes.
    pub bytes: Bytes,
}

impl Transform {
    /// A transform for these datasets.
    ///
    /// # Errors
    ///
    /// When a dataset pseudonymises properties and the settings have no key for it.
    pub fn new(datasets: Arc<Datasets>, settings: TransformSettings) -> Result<Self, TransformError> {
        let plans = Plan::compile_all(datasets.iter(), settings.pseudonym_key.as_ref())?;
        let indexed = || plans.iter().enumerate().map(|(index, plan)| (PlanIndex(index), &plan.dataset));
        let by_name: FxHashMap<Box<str>, PlanIndex> =
            indexed().map(|(index, dataset)| (dataset.name.as_str().into(), index)).collect();
        let types = |(index, dataset): (PlanIndex, &Arc<alluvium_core::Dataset>)| {
            dataset.types.iter().map(|name| (name.as_str().into(), index)).collect::<Vec<_>>()
        };
        let by_type = indexed().flat_map(types).collect();
        let default = datasets.default_dataset().map(|dataset| by_name[dataset.name.as_str()]);
        let columns = plans.iter().map(|plan| plan.dataset.columns().flattened_fields().len()).collect();
        Ok(Self { settings, columns, by_name, by_type, default, plans })
    }

    /// Transforms a batch: every event of it becomes a row or a dead letter (TR-1), and the ledger balances (TR-2).
    ///
    /// The same batch gives the same bytes, whenever and wherever it runs.
    ///
    /// # Errors
    ///
    /// When Arrow, Parquet or zstd refuse what the transform built. No event can cause that; it is a defect.
    pub fn run(&self, batch: &DeliveryBatch) -> Result<BatchOutput, TransformError> {
        self.run_knowing(batch, &[])
    }

    /// Transforms the records of a Firehose invocation as [`run`](Self::run) does. One whose bytes could not be had is one dead
    /// letter that holds what was sent instead.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_invocation(&self, invocation: &Invocation) -> Result<BatchOutput, TransformError> {
        self.run_knowing(invocation.batch(), invocation.unreadable())
    }

    fn run_knowing(&self, batch: &DeliveryBatch, unreadable: &[Unreadable]) -> Result<BatchOutput, TransformError> {
        let mut run = Run::new(self, batch);
        let mut unreadable = unreadable.iter().peekable();
        for (at, record) in batch.records.iter().enumerate() {
            match unreadable.next_if(|unreadable| unreadable.at == at) {
                Some(unreadable) => run.unreadable(record, &unreadable.detail)?,
                None => run.record(record)?,
            }
        }
        run.finish(batch)
    }

    /// How many events of a batch belong to each dataset, those that belong to none under `dead_letters`: what the batch's
    /// ledger says was received, told without making rows of them.
    pub fn received(&self, batch: &DeliveryBatch) -> BTreeMap<String, u64> {
        let mut counts = vec![0; self.plans.len() + 1];
        let mut opener = Opener::new(&self.settings);
        let mut tape = Tape::default();
        for record in &batch.records {
            let redriven = RedrivenRecord::open(&record.data);
            let data = redriven.as_ref().map_or(&record.data, |redriven| &redriven.record);
            let owned = OwnedRecord::open(data);
            let (data, envelopes) =
                owned.as_ref().map_or((data, Envelopes::Opened), |owned| (&owned.record, Envelopes::Refused));
            let routed = owned.as_ref().and_then(|owned| self.by_name.get(owned.dataset.as_str()).copied());
            let mut count = |data| self.count(data, routed, envelopes, &mut opener, &mut tape, &mut counts);
            match aggregate::user_records(data) {
                Ok(None) => count(data),
                Ok(Some(user_records)) => user_records.iter().for_each(count),
                Err(_) => counts[self.plans.len()] += 1,
            }
        }
        let plans = (0..self.plans.len()).map(|index| Some(PlanIndex(index))).chain([None]);
        plans.zip(counts).filter(|(_, count)| *count > 0).map(|(plan, count)| (self.name_of(plan), count)).collect()
    }

    /// Counts the events of one record by their plan, that of its seal first; those without one come last.
    fn count(
        &self,
        data: &Bytes,
        routed: Option<PlanIndex>,
        envelopes: Envelopes,
        opener: &mut Opener<'_>,
        tape: &mut Tape,
        counts: &mut [u64],
    ) {
        let Ok(opened) = opener.open(data, envelopes) else {
            counts[self.plans.len()] += 1;
            return;
        };
        let routed = self.by_name.get(opened.header().dataset.as_str()).copied().or(routed);
        for element in opened.elements() {
            let plan = routed.or_else(|| {
                let event = read_event(element, &self.settings, tape).ok()?;
                self.plan_of_event(event, tape)
            });
            if let Some(plan) = plan {
                opener.charge(self.columns[plan.0]);
            }
            counts[plan.map_or(self.plans.len(), |plan| plan.0)] += 1;
        }
    }

    /// The dataset of an event that no route names: that of its `type`, else the default.
    fn plan_of_event(&self, event: &str, tape: &Tape) -> Option<PlanIndex> {
        let by_type = top_level_text(event, tape, "type").and_then(|name| self.by_type.get(name.as_ref()).copied());
        by_type.or(self.default)
    }

    /// The name under which the ledger counts events of this plan, or of none.
    fn name_of(&self, plan: Option<PlanIndex>) -> String {
        match plan {
            Some(PlanIndex(index)) => self.plans[index].dataset.name.as_str().to_owned(),
            None => DatasetName::dead_letters().as_str().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
