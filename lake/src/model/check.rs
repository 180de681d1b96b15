//! What the tables must show.

use std::collections::{BTreeMap, BTreeSet};

use super::World;
use crate::LakeReader;
use crate::state::IdentityBits;
use crate::testing::{DEAD, Event, READINGS, datasets, events_of, first_arrivals, letters_of, open_shared, root};

type Key<'a> = (&'a str, &'a str, &'a str);

fn key(event: &Event) -> Key<'_> {
    (&event.owner, &event.source, &event.id)
}

impl World {
    /// The places of the batches that the tables' logs remember.
    async fn places_in(&self) -> BTreeSet<usize> {
        let mut places = BTreeSet::new();
        for name in [READINGS, DEAD] {
            let log = LakeReader::new(self.store.clone(), root()).log(name);
            let Ok(table) = crate::table::Table::load_since_checkpoint(log).await else { continue };
            let batches = self.batches.iter().enumerate().filter(|(_, batch)| batch.table == name);
            let is_in =
                |batch: &super::Batch| table.state.kept.contain_batch(IdentityBits::of(&batch.message.batch).unwrap());
            places.extend(batches.filter(|(_, batch)| is_in(batch)).map(|(place, _)| place));
        }
        places
    }

    pub(super) async fn check(&self, when: &str) {
        let places = self.places_in().await;
        assert!(self.acknowledged.is_subset(&places), "{when}: a message was acknowledged and its batch is not in");
        if places.is_empty() {
            return;
        }
        for table in [READINGS, DEAD] {
            let delivered: Vec<_> = self.delivered(table, |place| places.contains(&place));
            if delivered.is_empty() {
                continue;
            }
            let rows = self.rows_of(table, when).await;
            self.agree(&rows, &delivered, &format!("{when}: {table}"));
        }
        let reader = LakeReader::new(self.store.clone(), root());
        let newest = reader.newest("ledger").await.unwrap().version.unwrap();
        assert_eq!(crate::audit::problems_at(&reader, &datasets(), newest).await.unwrap(), [""; 0], "{when}");
    }

    /// The events of a table's batches.
    fn delivered(&self, table: &str, is_in: impl Fn(usize) -> bool) -> Vec<Event> {
        let batches = self.batches.iter().enumerate().filter(|(place, batch)| batch.table == table && is_in(*place));
        batches.flat_map(|(_, batch)| &batch.events).cloned().collect()
    }

    /// The rows that a table has, none of an owner who was erased, and no dead letter that says it was sent again and was not.
    async fn rows_of(&self, table: &str, when: &str) -> Vec<Event> {
        let rows: Vec<Event> = if table == READINGS {
            events_of(&self.store).await.into_values().flatten().collect()
        } else {
            let letters = letters_of(&self.store).await;
            let was_sent = |Event { owner, source, id, .. }: &Event| {
                self.redriven.contains(&(owner.clone(), source.clone(), id.clone()))
            };
            let wrong = letters.iter().find(|(letter, is_marked)| *is_marked && !was_sent(letter));
            assert_eq!(wrong, None, "{when}: a mark on what was not sent again");
            letters.into_iter().map(|(letter, _)| letter).collect()
        };
        let is_gone = |event: &Event| self.erased.get(&event.owner) == Some(&true);
        assert_eq!(rows.iter().find(|event| is_gone(event)), None, "{when}: an owner who was erased is back");
        rows
    }

    /// Of each event that nothing was to take out, the rows show the first arrival; of others one that was delivered, or nothing.
    fn agree(&self, rows: &[Event], delivered: &[Event], when: &str) {
        let (shown, expected) = (first_arrivals(rows), first_arrivals(delivered));
        let shown: BTreeMap<Key<'_>, &Event> = shown.iter().map(|event| (key(event), event)).collect();
        let of_key: BTreeSet<&Event> = delivered.iter().collect();
        for event in shown.values() {
            assert!(of_key.contains(event), "{when}: nobody delivered {event:?}");
        }
        for event in expected.iter().filter(|event| !self.erased.contains_key(&event.owner)) {
            let shown = shown.get(&key(event)).copied();
            if self.kept_from.is_none_or(|from| event.event_time >= from) {
                assert_eq!(shown, Some(event), "{when}");
            }
        }
    }

    /// Every message comes once more, and nobody dies.
    pub(super) async fn settle(&mut self) {
        let (mut lake, _) = open_shared(&self.store).await.unwrap();
        let messages: Vec<_> = self.batches.iter().map(|batch| batch.message.clone()).collect();
        let committed = lake.commit(&messages).await;
        assert!(committed.outcomes.iter().all(crate::Outcome::is_done), "{committed:?}");
        for owner in self.erased.keys() {
            self.erase_owner(&self.store, owner).await.unwrap();
        }
        for table in [READINGS, DEAD] {
            let delivered = self.delivered(table, |_| true);
            if delivered.is_empty() {
                continue;
            }
            self.keeper(&self.store).upkeep.compact(table, 1).await.unwrap();
            let rows = self.rows_of(table, "in the end").await;
            let mut keys = BTreeSet::new();
            assert_eq!(rows.iter().find(|row| !keys.insert(key(row))), None, "in the end each key once");
        }
        assert!(lake.commit(&[]).await.failure.is_none());
        let reader = LakeReader::new(self.store.clone(), root());
        assert_eq!(crate::audit::lost_redrives(&reader, &datasets()).await.unwrap(), [""; 0]);
    }
}
