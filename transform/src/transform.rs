//! One delivery batch in, one [`BatchOutput`] out.

mod tally;

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium_core::clock::Micros;
use alluvium_core::commit::CommitMessage;
use alluvium_core::dataset::fingerprint;
use alluvium_core::hot::HotChunk;
use alluvium_core::hot_block::HotBlockWriter;
use alluvium_core::identity::{content_hash, idempotent_event_id};
use alluvium_core::{
    BatchIdentity, DataFileEntry, DatasetName, Datasets, DeliveryBatch, LedgerEntry, ReasonCode, RecordIdentity,
    ShardRange, StreamRecord,
};
use arrow::array::RecordBatch;
use bytes::Bytes;
use rustc_hash::FxHashMap;

use crate::aggregate;
use crate::dead::{self, DeadLetter};
use crate::draft::Draft;
use crate::elements::{Opener, Refusal};
use crate::encode::{FileWriter, Layout};
use crate::error::TransformError;
use crate::fault::Fault;
use crate::hot::{self, HotSettings};
use crate::judge::{Judged, judge};
use crate::plan::Plan;
use crate::reading::{self, read_event, top_level_text};
use crate::rows::Rows;
use crate::settings::TransformSettings;
use crate::skeleton::recognise;
use crate::sources::{OwnerIndex, Sources};
use crate::tape::Tape;

use tally::Tally;

/// The transform of one program: its datasets, compiled, and its settings.
#[derive(Debug)]
pub struct Transform {
    settings: TransformSettings,
    plans: Vec<Plan>,
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
    pub fn new(datasets: Arc<Datasets>, settings: TransformSettings) -> Self {
        let plans = Plan::compile_all(datasets.iter());
        let indexed = || plans.iter().enumerate().map(|(index, plan)| (PlanIndex(index), &plan.dataset));
        let by_name: FxHashMap<Box<str>, PlanIndex> =
            indexed().map(|(index, dataset)| (dataset.name.as_str().into(), index)).collect();
        let types = |(index, dataset): (PlanIndex, &Arc<alluvium_core::Dataset>)| {
            dataset.types.iter().map(|name| (name.as_str().into(), index)).collect::<Vec<_>>()
        };
        let by_type = indexed().flat_map(types).collect();
        let default = datasets.default_dataset().map(|dataset| by_name[dataset.name.as_str()]);
        Self { settings, by_name, by_type, default, plans }
    }

    /// Transforms a batch: every event of it becomes a row or a dead letter (TR-1), and the ledger balances (TR-2).
    ///
    /// The same batch gives the same bytes, whenever and wherever it runs.
    ///
    /// # Errors
    ///
    /// When Arrow, Parquet or zstd refuse what the transform built. No event can cause that; it is a defect.
    pub fn run(&self, batch: &DeliveryBatch) -> Result<BatchOutput, TransformError> {
        let mut run = Run::new(self);
        for record in &batch.records {
            run.record(record);
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
            match aggregate::user_records(&record.data) {
                Ok(None) => self.count(&record.data, &mut opener, &mut tape, &mut counts),
                Ok(Some(user_records)) => {
                    user_records.iter().for_each(|data| self.count(data, &mut opener, &mut tape, &mut counts));
                }
                Err(_) => counts[self.plans.len()] += 1,
            }
        }
        let plans = (0..self.plans.len()).map(|index| Some(PlanIndex(index))).chain([None]);
        plans.zip(counts).filter(|(_, count)| *count > 0).map(|(plan, count)| (self.name_of(plan), count)).collect()
    }

    /// Counts the events of one record by their plan; those without one come last.
    fn count(&self, data: &Bytes, opener: &mut Opener<'_>, tape: &mut Tape, counts: &mut [u64]) {
        let Ok(opened) = opener.open(data) else {
            counts[self.plans.len()] += 1;
            return;
        };
        let routed = self.by_name.get(opened.header().dataset.as_str()).copied();
        for element in opened.elements() {
            let plan = routed.or_else(|| {
                let event = read_event(element, &self.settings, tape).ok()?;
                self.plan_of_event(event, tape)
            });
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

/// One batch under way.
struct Run<'a> {
    transform: &'a Transform,
    rows: Vec<Rows>,
    /// By plan; the last counts the events that belong to no dataset.
    tallies: Vec<Tally>,
    dead: Vec<DeadLetter>,
    opener: Opener<'a>,
    sources: Sources,
    tape: Tape,
    draft: Draft,
    /// The dataset of the last event, which the next one's may be too.
    last: Option<PlanIndex>,
}

/// What all elements of a record share.
struct Sender<'a> {
    identity: &'a RecordIdentity,
    arrival: Micros,
    owner: &'a str,
    owner_index: OwnerIndex,
    idempotency_key: Option<&'a str>,
    first_index: u32,
    routed: Option<PlanIndex>,
}

impl<'a> Run<'a> {
    fn new(transform: &'a Transform) -> Self {
        Self {
            transform,
            rows: transform.plans.iter().map(|plan| Rows::new(&plan.dataset)).collect(),
            tallies: vec![Tally::default(); transform.plans.len() + 1],
            dead: Vec::new(),
            opener: Opener::new(&transform.settings),
            sources: Sources::default(),
            tape: Tape::default(),
            draft: Draft::default(),
            last: None,
        }
    }

    fn record(&mut self, record: &StreamRecord) {
        match aggregate::user_records(&record.data) {
            Ok(None) => self.user_record(&record.identity, record.arrival, &record.data),
            Ok(Some(user_records)) => {
                for (index, data) in user_records.iter().enumerate() {
                    self.user_record(&record.identity.user_record(index as u64), record.arrival, data);
                }
            }
            Err(fault) => self.refuse(&record.identity, record.arrival, &record.data, fault.into()),
        }
    }

    fn user_record(&mut self, identity: &RecordIdentity, arrival: Micros, data: &Bytes) {
        let opened = match self.opener.open(data) {
            Ok(opened) => opened,
            Err(refusal) => return self.refuse(identity, arrival, data, refusal),
        };
        let header = opened.header();
        let owner = if header.owner.is_empty() { self.transform.settings.stream_owner.as_str() } else { &header.owner };
        let sender = Sender {
            identity,
            arrival,
            owner,
            owner_index: self.sources.owner(owner),
            idempotency_key: header.idempotency_key.as_deref(),
            first_index: header.first_index,
            routed: self.transform.by_name.get(header.dataset.as_str()).copied(),
        };
        for (index, element) in opened.elements().enumerate() {
            self.element(&sender, index as u32, element);
        }
    }

    /// Makes one dead letter of a record that cannot be told into events.
    #[cold]
    fn refuse(&mut self, identity: &RecordIdentity, arrival: Micros, data: &[u8], refusal: Refusal) {
        let owner = self.transform.settings.stream_owner.as_str();
        let owner_index = self.sources.owner(owner);
        let sender =
            Sender { identity, arrival, owner, owner_index, idempotency_key: None, first_index: 0, routed: None };
        self.tally(None).receive(data.len());
        let cap = self.transform.settings.dead_letter_original_bytes;
        let (fault, kept_bytes) = match refusal {
            Refusal::OfRecord(fault) => (fault, cap),
            Refusal::OfBatch(fault) => (fault, usize::MAX),
        };
        self.bury_up_to(kept_bytes, &sender, 0, data, None, None, fault);
    }

    fn tally(&mut self, plan: Option<PlanIndex>) -> &mut Tally {
        let last = self.tallies.len() - 1;
        &mut self.tallies[plan.map_or(last, |plan| plan.0)]
    }

    fn element(&mut self, sender: &Sender<'_>, index: u32, element: &[u8]) {
        let text = reading::text(element, &self.transform.settings);
        if let Ok(event) = &text
            && let Some(plan) = self.recognised(sender, event)
        {
            self.tally(Some(plan)).receive(element.len());
            return self.keep(sender, index, event, plan.0);
        }
        let read = text.and_then(|event| {
            reading::scan(event, &self.transform.settings, &mut self.tape)?;
            Ok(event)
        });
        let of_event = |event: &&str| self.transform.plan_of_event(event, &self.tape);
        let plan = sender.routed.or_else(|| read.as_ref().ok().and_then(of_event));
        self.last = plan.or(self.last);
        self.tally(plan).receive(element.len());
        match read {
            Err(fault) => self.bury(sender, index, element, plan, None, fault),
            Ok(event) => {
                let Some(PlanIndex(at)) = plan else {
                    let fault = self.no_dataset(event);
                    return self.bury(sender, index, element, plan, Some(event), fault);
                };
                match judge(&mut self.draft, &self.transform.plans[at], event, &self.tape, sender.arrival) {
                    Ok(Judged::Row) => self.keep(sender, index, event, at),
                    Ok(Judged::Filtered) => self.tally(plan).filter(),
                    Err(fault) => self.bury(sender, index, element, plan, Some(event), fault),
                }
            }
        }
    }

    /// The plan whose dataset an event belongs to that is built like an earlier one; the draft holds its row.
    fn recognised(&mut self, sender: &Sender<'_>, event: &str) -> Option<PlanIndex> {
        let guess = sender.routed.or(self.last)?;
        if !recognise(&mut self.draft, &self.transform.plans[guess.0], event, sender.arrival) {
            return None;
        }
        let leads_there = || {
            let event_type = self.draft.resolve(event, self.draft.event_type?);
            Some(self.transform.by_type.get(event_type) == Some(&guess))
        };
        (sender.routed.is_some() || leads_there() == Some(true)).then_some(guess)
    }

    /// Makes a row of the event that the draft holds.
    fn keep(&mut self, sender: &Sender<'_>, index: u32, event: &str, plan: usize) {
        let draft = &self.draft;
        let source = match draft.source {
            Some(place) => draft.resolve(event, place),
            None if sender.owner.is_empty() => "anonymous",
            None => sender.owner,
        };
        let source = self.sources.source(sender.owner_index, source);
        let arrival = sender.arrival;
        match (draft.id, sender.idempotency_key) {
            (Some(place), _) => {
                self.rows[plan].push(draft, event, draft.resolve(event, place), source, arrival);
            }
            (None, Some(key)) => {
                let id = idempotent_event_id(key, sender.first_index.wrapping_add(index));
                self.rows[plan].push(draft, event, &id, source, arrival);
            }
            (None, None) => {
                let id = sender.identity.derived_event_id(index);
                self.rows[plan].push(draft, event, &id, source, arrival);
            }
        }
    }

    /// Makes a dead letter of an element. `event` is its text, when its members could be read.
    #[cold]
    fn bury(
        &mut self,
        sender: &Sender<'_>,
        index: u32,
        element: &[u8],
        plan: Option<PlanIndex>,
        event: Option<&str>,
        fault: Fault,
    ) {
        let cap = self.transform.settings.dead_letter_original_bytes;
        self.bury_up_to(cap, sender, index, element, plan, event, fault);
    }

    #[allow(clippy::too_many_arguments)]
    fn bury_up_to(
        &mut self,
        kept_bytes: usize,
        sender: &Sender<'_>,
        index: u32,
        element: &[u8],
        plan: Option<PlanIndex>,
        event: Option<&str>,
        fault: Fault,
    ) {
        self.tally(plan).bury(fault.reason);
        let readable = |name| top_level_text(event?, &self.tape, name).map(std::borrow::Cow::into_owned);
        let kept = element.len().min(kept_bytes);
        self.dead.push(DeadLetter {
            event_id: sender.identity.derived_event_id(index),
            source: readable("source"),
            event_type: readable("type"),
            arrival: sender.arrival,
            owner: sender.owner.to_owned(),
            dataset: plan.map(|_| self.transform.name_of(plan)),
            fault,
            record: sender.identity.clone(),
            index,
            original: element[..kept].to_vec(),
            original_bytes: element.len(),
        });
    }

    #[cold]
    fn no_dataset(&self, event: &str) -> Fault {
        let sent = match top_level_text(event, &self.tape, "type") {
            Some(name) => format!("the type `{}` belongs to none", crate::fault::shown(&name)),
            None => "the event has no type".to_owned(),
        };
        let detail = format!(
            "no route names a dataset, {sent}, and there is no default; send it to a dataset's route or set its type"
        );
        Fault::new(ReasonCode::NoDataset, detail)
    }

    fn finish(mut self, batch: &DeliveryBatch) -> Result<BatchOutput, TransformError> {
        let mut output =
            Output { identity: batch.identity(), files: Vec::new(), entries: Vec::new(), chunks: Vec::new() };
        let covers = covers(&batch.records);
        let arrival = batch.records.iter().map(|record| record.arrival).max().unwrap_or_default();
        let mut blocks = None;
        let rows = std::mem::take(&mut self.rows);
        for (plan, mut rows) in self.transform.plans.iter().zip(rows).filter(|(_, rows)| rows.len() > 0) {
            let dataset = plan.dataset.name.as_str();
            let arrow = |source| TransformError::Arrow { dataset: dataset.to_owned(), source };
            let hot_block = |source| TransformError::HotBlock { dataset: dataset.to_owned(), source };
            let sorted = rows.sort(&self.sources).map_err(arrow)?;
            drop(rows);
            output.add(dataset, &Layout::of(&plan.dataset), &sorted.batch)?;
            let settings = HotSettings::new(plan, &output.identity, arrival, self.transform.settings.hot_margin);
            if blocks.is_none() {
                blocks = Some(HotBlockWriter::new().map_err(hot_block)?);
            }
            let blocks = blocks.as_mut().expect("set just before");
            output.chunks.extend(hot::chunks(&sorted, &self.sources, &settings, blocks).map_err(hot_block)?);
        }
        if !self.dead.is_empty() {
            let dataset = DatasetName::dead_letters();
            let rows = dead::rows(std::mem::take(&mut self.dead))
                .map_err(|source| TransformError::Arrow { dataset: dataset.to_string(), source })?;
            output.add(dataset.as_str(), &Layout::dead_letters(), &rows)?;
        }
        let ledger = self.ledger(&output.identity, &covers, arrival);
        Ok(output.finish(covers, ledger))
    }

    fn ledger(&self, batch: &BatchIdentity, covers: &[ShardRange], arrival: Micros) -> Vec<LedgerEntry> {
        let plans = (0..self.transform.plans.len()).map(|index| Some(PlanIndex(index))).chain([None]);
        let tallies = plans.zip(&self.tallies).filter(|(_, tally)| tally.received > 0);
        let mut ledger: Vec<LedgerEntry> = tallies
            .map(|(plan, tally)| LedgerEntry {
                batch: batch.clone(),
                dataset: self.transform.name_of(plan),
                received: tally.received,
                written: tally.received - tally.filtered - tally.dead,
                filtered: tally.filtered,
                dead: tally.dead,
                bytes: tally.bytes,
                dead_by_reason: tally.dead_by_reason.clone(),
                arrival,
                covers: covers.to_vec(),
            })
            .collect();
        ledger.sort_by(|one, other| one.dataset.cmp(&other.dataset));
        debug_assert!(ledger.iter().all(LedgerEntry::balances), "TR-2");
        ledger
    }
}

/// A batch's output as it comes together.
struct Output {
    identity: BatchIdentity,
    files: Vec<DataFile>,
    entries: Vec<DataFileEntry>,
    chunks: Vec<HotChunk>,
}

impl Output {
    fn add(&mut self, dataset: &str, layout: &Layout, rows: &RecordBatch) -> Result<(), TransformError> {
        let parquet = |source| TransformError::Parquet { dataset: dataset.to_owned(), source };
        let mut bytes = Vec::with_capacity(64 * 1024 + rows.num_rows() * 32);
        let mut file = FileWriter::new(&mut bytes, layout, Some(&self.identity)).map_err(parquet)?;
        file.write_row_group(rows).map_err(parquet)?;
        let encoded = file.finish().map_err(parquet)?;
        let path = format!("{dataset}/{}-{}.parquet", self.identity, content_hash(&bytes));
        self.entries.push(DataFileEntry {
            dataset: dataset.to_owned(),
            path: path.clone(),
            size_bytes: encoded.bytes,
            rows: encoded.rows,
            stats: encoded.statistics,
            schema: fingerprint(rows.schema_ref()),
        });
        self.files.push(DataFile { path, bytes: bytes.into() });
        Ok(())
    }

    fn finish(mut self, covers: Vec<ShardRange>, ledger: Vec<LedgerEntry>) -> BatchOutput {
        self.entries.sort_by(|one, other| one.dataset.cmp(&other.dataset));
        self.files.sort_by(|one, other| one.path.cmp(&other.path));
        let message = CommitMessage::new(self.identity, covers, self.entries, ledger);
        BatchOutput { files: self.files, chunks: self.chunks, message }
    }
}

/// The runs of records that a batch covers, by shard.
fn covers(records: &[StreamRecord]) -> Vec<ShardRange> {
    let mut covers: BTreeMap<_, ShardRange> = BTreeMap::new();
    for record in records {
        let (shard, sequence) = (&record.identity.shard, record.identity.sequence);
        let new = || ShardRange { shard: shard.clone(), first: sequence, last: sequence };
        let range = covers.entry(shard).or_insert_with(new);
        range.first = range.first.min(sequence);
        range.last = range.last.max(sequence);
    }
    covers.into_values().collect()
}

#[cfg(test)]
mod tests;
