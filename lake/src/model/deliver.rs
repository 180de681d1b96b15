//! What comes in: events, dead letters, and dead letters once more.

use std::sync::Arc;

use alluvium_core::{Clock as _, LedgerEntry};
use object_store::ObjectStore;

use super::{BEGINNING, Batch, World};
use crate::error::Result;
use crate::testing::{
    DAY, DEAD, Event, Maintainer, READINGS, deliver_events, deliver_letters, deliver_rows, letters_of, root,
    rows_of_events,
};
use crate::{DeadLetterKeys, LakeError, LakeReader};

impl World {
    /// A batch of new events, and of some that were sent before, with other times or the same.
    pub(super) async fn deliver(&mut self) {
        let first = self.next_record();
        let mut events = Vec::new();
        for number in first..first + 1 + self.dice.below(30) {
            let now = BEGINNING + number as i64 * 1_000_000;
            let again = if self.dice.below(4) == 0 { self.event_of(READINGS) } else { None };
            let ingest_time = now - self.dice.below(3) as i64 * 60_000_000;
            events.push(match again {
                Some(event) => {
                    Event { ingest_time, event_time: event.event_time + self.dice.below(2) as i64 * DAY, ..event }
                }
                None => Event {
                    // Devices that number alike do not hide each other.
                    id: (number % 50).to_string() + if number > 50 { "+" } else { "" },
                    ingest_time,
                    event_time: now - self.dice.below(5) as i64 * DAY,
                    ..self.sender()
                },
            });
        }
        let message = deliver_events(&self.store, first, &events).await;
        self.batches.push(Batch { message, table: READINGS, events });
    }

    /// A batch of which nothing becomes a row, with some that was delivered before.
    pub(super) async fn bury(&mut self) {
        let first = self.next_record();
        let mut letters = Vec::new();
        for number in first..first + 1 + self.dice.below(10) {
            let again = if self.dice.below(4) == 0 { self.event_of(DEAD) } else { None };
            // A dead letter's time is its first arrival.
            let arrival = BEGINNING + number as i64 * 1_000_000 - self.dice.below(5) as i64 * DAY;
            let new =
                Event { id: format!("dead {number}"), ingest_time: arrival, event_time: arrival, ..self.sender() };
            letters.push(again.unwrap_or(new));
        }
        let message = deliver_letters(&self.store, first, &letters).await;
        self.batches.push(Batch { message, table: DEAD, events: letters });
    }

    /// Sends dead letters again that are not marked, and marks them. Each comes again as the event that it would have been.
    pub(super) async fn redrive(&mut self, marks_in: &Arc<dyn ObjectStore>) -> Result<()> {
        let letters = match LakeReader::new(self.store.clone(), root()).newest(DEAD).await {
            Ok(table) if table.version.is_some() => letters_of(&self.store).await,
            _ => return Ok(()),
        };
        let mut chosen: Vec<Event> =
            letters.into_iter().filter(|(_, marked)| !marked).map(|(event, _)| event).collect();
        chosen.retain(|_| self.dice.below(2) == 0);
        if chosen.is_empty() {
            return Ok(());
        }
        let first = self.next_record();
        let rows = rows_of_events(&chosen);
        let again =
            |entry: LedgerEntry| LedgerEntry { written: entry.received, redriven: Some(entry.received), ..entry };
        let message = deliver_rows(&self.store, READINGS, first, &rows, again).await;
        let mut keys = DeadLetterKeys::default();
        for Event { owner, source, id, ingest_time, .. } in &chosen {
            keys.insert(owner, source, id, *ingest_time);
            self.redriven.insert((owner.clone(), source.clone(), id.clone()));
        }
        self.batches.push(Batch { message, table: READINGS, events: chosen });
        let Maintainer { upkeep, clock, .. } = self.keeper(marks_in);
        match upkeep.mark_redriven(&Arc::new(keys), clock.now_micros()).await {
            // The letters were taken out meanwhile.
            Ok(_) | Err(LakeError::NoTable(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The number of the record that comes next.
    fn next_record(&self) -> u64 {
        1 + self.batches.iter().map(|batch| batch.events.len() as u64).sum::<u64>()
    }

    /// Whom a new event is of.
    fn sender(&mut self) -> Event {
        Event {
            owner: format!("owner-{}", self.dice.below(5)),
            source: format!("source-{}", self.dice.below(3)),
            id: String::new(),
            ingest_time: 0,
            event_time: 0,
        }
    }

    /// One of the events that were delivered to a table before.
    fn event_of(&mut self, table: &str) -> Option<Event> {
        let delivered: Vec<&Event> =
            self.batches.iter().filter(|batch| batch.table == table).flat_map(|batch| &batch.events).collect();
        let count = delivered.len() as u64;
        (count > 0).then(|| delivered[self.dice.below(count) as usize].clone())
    }
}
