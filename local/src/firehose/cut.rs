//! From the records of a buffer to events that are not too large.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alluvium_core::{SequenceNumber, StreamRecord};
use alluvium_transform::firehose::user_records;

use super::event::Event;
use super::settings::FirehoseSettings;

/// What is to be done with records of one shard that stand together.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) work: Work,
    /// The newest of the stream's records that are dealt with once this is; `None`: no other than before.
    pub(super) through: Option<SequenceNumber>,
}

#[derive(Debug)]
pub(super) enum Work {
    /// To hand it over. It has no records where all that stood there was an aggregate of none.
    Invoke(Event),
    /// To set aside a record that no event can hold.
    TooLarge(StreamRecord),
}

/// Makes events of records and numbers what is in them.
#[derive(Debug, Clone)]
pub(super) struct Cutter {
    settings: Arc<FirehoseSettings>,
    /// Twenty digits of its own for each run.
    run: u64,
    batches: Arc<AtomicU64>,
}

impl Cutter {
    pub(super) fn new(settings: Arc<FirehoseSettings>, run: u64) -> Self {
        Self { settings, run, batches: Arc::default() }
    }

    /// Cuts records into as few events as hold them, in order. User records of one aggregate stay together if one event holds
    /// them.
    pub(super) fn cut(&self, records: Vec<StreamRecord>) -> Vec<Batch> {
        let mut cutting = Cutting { cutter: self, open: self.open(), through: None, done: Vec::new() };
        for record in records {
            let sequence = record.identity.sequence;
            cutting.add_all(&user_records(record));
            cutting.through = Some(sequence);
        }
        cutting.close();
        cutting.done
    }

    fn open(&self) -> (u64, Event) {
        let number = self.batches.fetch_add(1, Ordering::Relaxed);
        (number, Event::new(&self.settings.names, self.settings.event_bytes))
    }

    /// The id of a record: 62 digits that count up, as Firehose's do.
    fn record_id(&self, batch: u64, index: usize) -> String {
        format!("49{:020}{batch:034}{index:06}", self.run)
    }
}

struct Cutting<'a> {
    cutter: &'a Cutter,
    open: (u64, Event),
    through: Option<SequenceNumber>,
    done: Vec<Batch>,
}

impl Cutting<'_> {
    fn add_all(&mut self, records: &[StreamRecord]) {
        let mark = self.open.1.mark();
        if records.iter().all(|record| self.add(record)) {
            return;
        }
        self.open.1.go_back_to(mark);
        if !mark.is_start() {
            self.close();
            return self.add_all(records);
        }
        // No event holds them all.
        for record in records {
            if self.add(record) {
                continue;
            }
            self.close();
            if !self.add(record) {
                self.done.push(Batch { work: Work::TooLarge(record.clone()), through: self.through });
            }
        }
    }

    fn add(&mut self, record: &StreamRecord) -> bool {
        let (number, event) = &mut self.open;
        let id = self.cutter.record_id(*number, event.records.len());
        event.push(id, record)
    }

    fn close(&mut self) {
        if self.open.1.is_empty() && self.through.is_none() {
            return;
        }
        let (_, event) = std::mem::replace(&mut self.open, self.cutter.open());
        self.done.push(Batch { work: Work::Invoke(event), through: self.through });
    }
}
