//! One batch under way: its records become rows and dead letters, which are written as they fill.

use std::collections::BTreeMap;

use alluvium_core::envelope::{Envelope, OwnedRecord, RedrivenRecord};
use alluvium_core::trace::BATCH_TRACES;
use alluvium_core::{DeliveryBatch, LedgerEntry, ReasonCode, ShardRange, StreamRecord, TraceParent};
use bytes::Bytes;

use super::output::Output;
use super::sender::{Delivered, Sender};
use super::tally::Tally;
use super::{BatchOutput, PlanIndex, Transform};
use crate::aggregate;
use crate::dead::{DeadLetter, DeadLetters};
use crate::draft::Draft;
use crate::elements::{Envelopes, Opener, Refusal};
use crate::error::TransformError;
use crate::fault::Fault;
use crate::judge::{Judged, judge};
use crate::reading::{self, top_level_text};
use crate::rows::Rows;
use crate::skeleton::recognise;
use crate::sources::{OwnerIndex, Sources};
use crate::tape::Tape;

/// How much rows and dead letters may take before some are written: more than one event of Firehose holds in realistic records,
/// so that it becomes one row group, and little beside what a Lambda function has.
const COLLECTED_BYTES: usize = 6 * 1024 * 1024;
/// How much the names of sources may take.
const SOURCES_BYTES: usize = 8 * 1024 * 1024;
/// How much they may have gained before they are weighed again.
const WEIGHED_EVERY_BYTES: usize = 256 * 1024;
/// What a row takes beside the text of its event, and each of its values, at least.
const ROW_BYTES: usize = 80;
const VALUE_BYTES: usize = 8;

/// One batch under way.
pub(super) struct Run<'a> {
    transform: &'a Transform,
    /// By plan; `None` before the first row.
    rows: Vec<Option<Rows>>,
    /// By plan; the last counts the events that belong to no dataset.
    tallies: Vec<Tally>,
    dead: DeadLetters,
    output: Output<'a>,
    /// The bytes that rows and dead letters may have gained since they were last weighed.
    unweighed_bytes: usize,
    opener: Opener<'a>,
    sources: Sources,
    tape: Tape,
    draft: Draft,
    /// The dataset of the last event, which the next one's may be too.
    last: Option<PlanIndex>,
    /// The number of the owner of records that say of none.
    stream_owner: Option<OwnerIndex>,
}

/// An element on its way to the dead letters.
struct Element<'a> {
    /// Its place in its record.
    index: u32,
    bytes: &'a [u8],
    plan: Option<PlanIndex>,
    /// Its text, when its members could be read.
    event: Option<&'a str>,
}

impl<'a> Run<'a> {
    pub(super) fn new(transform: &'a Transform, batch: &DeliveryBatch) -> Self {
        Self {
            transform,
            rows: transform.plans.iter().map(|_| None).collect(),
            tallies: vec![Tally::default(); transform.plans.len() + 1],
            dead: DeadLetters::default(),
            output: Output::new(transform, batch),
            unweighed_bytes: 0,
            opener: Opener::new(&transform.settings),
            sources: Sources::default(),
            tape: Tape::default(),
            draft: Draft::default(),
            last: None,
            stream_owner: None,
        }
    }

    pub(super) fn record(&mut self, record: &StreamRecord) -> Result<(), TransformError> {
        if !Envelope::is_envelope(&record.data) {
            return self.delivered(self.now(record), &record.data);
        }
        match RedrivenRecord::open(&record.data) {
            None => self.unsealed(self.now(record), &record.data),
            Some(RedrivenRecord { owner, origin, record }) => {
                let owner = if owner.is_empty() { self.transform.settings.stream_owner.as_str() } else { &owner };
                self.unsealed(Delivered::first(&origin, owner), &record)
            }
        }
    }

    /// A record that may be sealed with its owner: then it is taken for the record that it was, and is the owner's, whatever it
    /// holds (AU-1).
    fn unsealed(&mut self, delivered: Delivered<'_>, data: &Bytes) -> Result<(), TransformError> {
        match OwnedRecord::open(data) {
            None => self.delivered(delivered, data),
            Some(OwnedRecord { owner, dataset, record }) => {
                let routed = self.transform.by_name.get(dataset.as_str()).copied();
                let (owner, dataset) = (owner.as_str(), dataset.as_str());
                let sealed = Delivered { owner, dataset, routed, envelopes: Envelopes::Refused, ..delivered };
                self.delivered(sealed, &record)
            }
        }
    }

    /// Makes one dead letter of a record whose bytes could not be had.
    pub(super) fn unreadable(&mut self, record: &StreamRecord, detail: &str) -> Result<(), TransformError> {
        let fault = Fault::new(ReasonCode::UnreadableRecord, detail);
        self.refuse(self.now(record), &record.data, fault.into())
    }

    /// A record that is delivered by itself.
    fn now<'r>(&self, record: &'r StreamRecord) -> Delivered<'r>
    where
        'a: 'r,
    {
        let owner = self.transform.settings.stream_owner.as_str();
        let (identity, arrival) = (&record.identity, record.arrival);
        Delivered { identity, arrival, owner, dataset: "", routed: None, envelopes: Envelopes::Opened, deaths: 0 }
    }

    fn delivered(&mut self, delivered: Delivered<'_>, data: &Bytes) -> Result<(), TransformError> {
        match aggregate::user_records(data) {
            Ok(None) => self.user_record(delivered, data),
            Ok(Some(user_records)) => {
                for (index, data) in user_records.iter().enumerate() {
                    let identity = &delivered.identity.user_record(index as u64);
                    self.user_record(Delivered { identity, ..delivered }, data)?;
                }
                Ok(())
            }
            Err(fault) => self.refuse(delivered, data, fault.into()),
        }
    }

    fn user_record(&mut self, delivered: Delivered<'_>, data: &Bytes) -> Result<(), TransformError> {
        if self.whole(delivered, data) {
            return if self.unweighed_bytes >= WEIGHED_EVERY_BYTES { self.weigh() } else { Ok(()) };
        }
        let opened = match self.opener.open(data, delivered.envelopes) {
            Ok(opened) => opened,
            Err(refusal) => return self.refuse(delivered, data, refusal),
        };
        let (header, origin) = (opened.header(), opened.origin());
        let owner = if header.owner.is_empty() { delivered.owner } else { &header.owner };
        let mut sender = Sender {
            delivered: origin.map_or(delivered, |origin| Delivered::first(origin, owner)),
            owner,
            owner_index: self.sources.owner(owner),
            idempotency_key: header.idempotency_key.as_deref(),
            first_index: header.first_index,
            routed: self.transform.by_name.get(header.dataset.as_str()).copied().or(delivered.routed),
            origin,
        };
        for (index, element) in opened.elements().enumerate() {
            self.element(&sender, index as u32, element);
            if self.unweighed_bytes >= WEIGHED_EVERY_BYTES {
                self.weigh()?;
                sender.owner_index = self.sources.owner(owner);
            }
        }
        Ok(())
    }

    /// Makes a row of a record that is one event, built like an earlier one; `false`: it has to be opened. Such an event ends
    /// where its record does, so that nothing has to be delimited.
    #[inline]
    fn whole(&mut self, delivered: Delivered<'_>, data: &[u8]) -> bool {
        if self.last.is_none() || delivered.deaths > 0 || data.first() != Some(&b'{') || data.last() != Some(&b'}') {
            return false;
        }
        let Ok(event) = reading::text(data, &self.transform.settings) else { return false };
        let owner_index = match (delivered.envelopes, self.stream_owner) {
            (Envelopes::Refused, _) => self.sources.owner(delivered.owner),
            (Envelopes::Opened, Some(known)) => known,
            (Envelopes::Opened, None) => *self.stream_owner.insert(self.sources.owner(delivered.owner)),
        };
        let sender = Sender::of_plain(delivered, owner_index);
        let Some(plan) = self.recognised(&sender, event) else { return false };
        if !self.opener.admit_whole() {
            return false;
        }
        self.receive(Some(plan), data, delivered.deaths);
        self.keep(&sender, 0, event, plan.0);
        true
    }

    /// Makes one dead letter of a record that cannot be told into events.
    #[cold]
    fn refuse(&mut self, delivered: Delivered<'_>, data: &[u8], refusal: Refusal) -> Result<(), TransformError> {
        let sender = Sender::of_plain(delivered, self.sources.owner(delivered.owner));
        self.tally(None).receive(data.len(), delivered.deaths);
        let (Refusal::OfRecord(fault) | Refusal::OfBatch(fault)) = &refusal;
        // What is sent again whole keeps its seal; what is sent again as an event is in an envelope of its owner.
        let sealed = (delivered.envelopes == Envelopes::Refused && fault.reason.is_of_record())
            .then(|| [&OwnedRecord::seal_of_route(delivered.owner, delivered.dataset), data].concat());
        let bytes = sealed.as_deref().unwrap_or(data);
        let element = Element { index: 0, bytes, plan: None, event: None };
        match refusal {
            Refusal::OfRecord(fault) => self.bury(&sender, &element, fault),
            Refusal::OfBatch(fault) => self.bury_whole(&sender, &element, fault),
        }
        if self.unweighed_bytes >= WEIGHED_EVERY_BYTES { self.weigh() } else { Ok(()) }
    }

    /// Counts an element, and takes the room that it costs.
    fn receive(&mut self, plan: Option<PlanIndex>, element: &[u8], deaths: u32) {
        if let Some(PlanIndex(at)) = plan {
            self.opener.charge(self.transform.columns[at]);
        }
        self.tally(plan).receive(element.len(), deaths);
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
            self.receive(Some(plan), element, sender.delivered.deaths);
            return self.keep(sender, index, event, plan.0);
        }
        let read = text.and_then(|event| {
            reading::scan(event, &self.transform.settings, &mut self.tape)?;
            Ok(event)
        });
        let of_event = |event: &&str| self.transform.plan_of_event(event, &self.tape);
        let plan = sender.routed.or_else(|| read.as_ref().ok().and_then(of_event));
        self.last = plan.or(self.last);
        self.receive(plan, element, sender.delivered.deaths);
        match read {
            Err(fault) => self.bury(sender, &Element { index, bytes: element, plan, event: None }, fault),
            Ok(event) => {
                let sent = Element { index, bytes: element, plan, event: Some(event) };
                let Some(PlanIndex(at)) = plan else {
                    let fault = self.no_dataset(event);
                    return self.bury(sender, &sent, fault);
                };
                match judge(&mut self.draft, &self.transform.plans[at], event, &self.tape, sender.delivered.arrival) {
                    Ok(Judged::Row) => self.keep(sender, index, event, at),
                    Ok(Judged::Filtered) => self.tally(plan).filter(),
                    Err(fault) => self.bury(sender, &sent, fault),
                }
            }
        }
    }

    /// The plan whose dataset an event belongs to that is built like an earlier one; the draft holds its row.
    fn recognised(&mut self, sender: &Sender<'_>, event: &str) -> Option<PlanIndex> {
        let guess = sender.routed.or(self.last)?;
        if !recognise(&mut self.draft, &self.transform.plans[guess.0], event, sender.delivered.arrival) {
            return None;
        }
        let leads_there = || {
            let event_type = self.draft.event_type.map(|place| self.draft.resolve(event, place));
            let by_type = event_type.and_then(|name| self.transform.by_type.get(name).copied());
            by_type.or(self.transform.default) == Some(guess)
        };
        (sender.routed.is_some() || leads_there()).then_some(guess)
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
        let arrival = sender.delivered.arrival;
        let compiled = &self.transform.plans[plan];
        self.unweighed_bytes += event.len() + ROW_BYTES + self.transform.columns[plan] * VALUE_BYTES;
        let rows = self.rows[plan].get_or_insert_with(|| Rows::new(&compiled.dataset));
        rows.push_source(source);
        match draft.id {
            Some(place) => rows.push(draft, event, draft.resolve(event, place), arrival),
            None => rows.push(draft, event, &sender.derived_event_id(index), arrival),
        }
    }

    /// Makes a dead letter of an element, with as much of its bytes as the settings allow.
    #[cold]
    fn bury(&mut self, sender: &Sender<'_>, element: &Element<'_>, fault: Fault) {
        let cap = self.transform.settings.dead_letter_original_bytes;
        self.bury_with(&element.bytes[..element.bytes.len().min(cap)], sender, element, fault);
    }

    /// Makes a dead letter of an element, with all of its bytes.
    #[cold]
    fn bury_whole(&mut self, sender: &Sender<'_>, element: &Element<'_>, fault: Fault) {
        self.bury_with(element.bytes, sender, element, fault);
    }

    fn bury_with(&mut self, original: &[u8], sender: &Sender<'_>, element: &Element<'_>, fault: Fault) {
        self.tally(element.plan).bury(fault.reason);
        let readable = |name| top_level_text(element.event?, &self.tape, name);
        let dataset = element.plan.map(|PlanIndex(at)| self.transform.plans[at].dataset.name.as_str());
        self.unweighed_bytes += self.dead.push(&DeadLetter {
            event_id: &sender.dead_letter_id(element.index).to_string(),
            source: readable("source").as_deref(),
            event_type: readable("type").as_deref(),
            arrival: sender.delivered.arrival,
            owner: sender.owner,
            dataset,
            fault: &fault,
            record: sender.delivered.identity,
            index: sender.place(element.index),
            original,
            original_bytes: element.bytes.len(),
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

    /// Writes row groups of what is collected until it takes little again; all rows, when their sources take much, which then are
    /// forgotten. The same events are always weighed at the same
    /// places, so that the same batch gives the same bytes.
    fn weigh(&mut self) -> Result<(), TransformError> {
        self.unweighed_bytes = 0;
        if self.sources.size_bytes() >= SOURCES_BYTES {
            for at in 0..self.transform.plans.len() {
                self.write(at)?;
            }
            (self.sources, self.stream_owner) = (Sources::default(), None);
        }
        loop {
            let weights = self.rows.iter().map(|rows| rows.as_ref().map_or(0, Rows::size_bytes));
            let mut weights: Vec<usize> = weights.collect();
            weights.push(self.dead.size_bytes());
            if weights.iter().sum::<usize>() < COLLECTED_BYTES {
                return Ok(());
            }
            let heaviest = (0..weights.len()).max_by_key(|at| weights[*at]).expect("dead letters are always weighed");
            self.write(heaviest)?;
        }
    }

    /// Writes what is collected of one plan's rows, or of the dead letters, which come after all plans.
    fn write(&mut self, at: usize) -> Result<(), TransformError> {
        match self.transform.plans.get(at) {
            None => self.output.write_dead(&mut self.dead),
            Some(plan) => {
                let Some(rows) = self.rows[at].as_mut().filter(|rows| rows.len() > 0) else { return Ok(()) };
                self.output.write_rows(at, plan, rows, &self.sources)
            }
        }
    }

    pub(super) fn finish(mut self, batch: &DeliveryBatch) -> Result<BatchOutput, TransformError> {
        for at in 0..self.transform.plans.len() {
            self.write(at)?;
            self.rows[at] = None;
        }
        if self.dead.len() > 0 {
            self.write(self.transform.plans.len())?;
        }
        let covers = covers(&batch.records);
        let ledger = self.ledger(&covers);
        let output = self.output.finish(covers, ledger)?;
        Ok(BatchOutput { message: output.message.with_traces(traces(&batch.records)), ..output })
    }

    fn ledger(&self, covers: &[ShardRange]) -> Vec<LedgerEntry> {
        let plans = (0..self.transform.plans.len()).map(|index| Some(PlanIndex(index))).chain([None]);
        let tallies = plans.zip(&self.tallies).filter(|(_, tally)| tally.received > 0);
        let mut ledger: Vec<LedgerEntry> = tallies
            .map(|(plan, tally)| LedgerEntry {
                batch: self.output.identity().clone(),
                dataset: self.transform.name_of(plan),
                received: tally.received,
                written: tally.received - tally.filtered - tally.dead,
                filtered: tally.filtered,
                dead: tally.dead,
                bytes: tally.bytes,
                dead_by_reason: tally.dead_by_reason.clone(),
                redriven: Some(tally.redriven),
                arrival: self.output.arrival(),
                covers: covers.to_vec(),
            })
            .collect();
        ledger.sort_by(|one, other| one.dataset.cmp(&other.dataset));
        debug_assert!(ledger.iter().all(LedgerEntry::balances), "TR-2");
        ledger
    }
}

/// The traces that records bear, each once, in their order; no more than a commit message takes.
fn traces(records: &[StreamRecord]) -> Vec<TraceParent> {
    let mut traces = Vec::new();
    for trace in records.iter().filter_map(|record| TraceParent::read(record.partition_key.as_bytes())) {
        if !traces.contains(&trace) {
            traces.push(trace);
        }
        if traces.len() == BATCH_TRACES {
            break;
        }
    }
    traces
}

/// The runs of records that a batch covers, by shard. Records that were put directly are of none.
fn covers(records: &[StreamRecord]) -> Vec<ShardRange> {
    let mut covers: BTreeMap<_, ShardRange> = BTreeMap::new();
    // Records mostly come shard by shard, or of one shard all of them.
    for of_shard in records.chunk_by(|one, next| one.identity.shard == next.identity.shard) {
        let shard = &of_shard[0].identity.shard;
        if shard.is_direct_put() {
            continue;
        }
        let sequences = of_shard.iter().map(|record| record.identity.sequence);
        let first = of_shard[0].identity.sequence;
        let (first, last) = sequences.fold((first, first), |(first, last), next| (first.min(next), last.max(next)));
        let range = covers.entry(shard).or_insert_with(|| ShardRange { shard: shard.clone(), first, last });
        range.first = range.first.min(first);
        range.last = range.last.max(last);
    }
    covers.into_values().collect()
}
