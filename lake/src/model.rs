//! Random sequences of everything that may happen to a table, beside a model that knows only which batches are in.
//!
//! Two committers, a queue that delivers late, out of order and again, maintenance, erasures, and processes that die at any write. After
//! each step the table shows of each event key the first arrival among the batches that are in, but nothing of an owner who was
//! erased; every version of the ledger that is looked at balances, and a message that was acknowledged is in for good. In the end every
//! message comes once more, erasures that died go on, and one last compaction leaves exactly the first arrivals.
//!
//! A seed that fails is in the message; `ALLUVIUM_SEEDS=17..18` runs it alone. `make nightly` runs ten thousand.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail by panicking, and is told its seeds"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::CommitMessage;
use object_store::ObjectStore;
use object_store::memory::InMemory;

use crate::error::Result;
use crate::state::IdentityBits;
use crate::testing::{
    Crash, Crashing, Dice, Event, Maintainer, READINGS, datasets, deliver_events, events_of, first_arrivals,
    maintainer, open_shared, root,
};
use crate::{CompactSettings, LakeError, LakeReader, SharedLake, Target, VacuumMode};

const STEPS: u64 = 24;
const DAY: i64 = 86_400_000_000;

/// Rows are spilled, and files cut, after few bytes.
fn keeper(store: &Arc<dyn ObjectStore>) -> Maintainer {
    let compact = CompactSettings { target_bytes: 16 * 1024, memory_bytes: 8 * 1024, ..CompactSettings::default() };
    maintainer(store, compact)
}

/// What happened so far.
struct World {
    dice: Dice,
    store: Arc<dyn ObjectStore>,
    committers: [Option<SharedLake>; 2],
    /// Every batch that was delivered, with its events.
    batches: Vec<(CommitMessage, Vec<Event>)>,
    /// The batches whose messages were acknowledged, by their places.
    acknowledged: BTreeSet<usize>,
    /// The owners whose erasure was asked for, with whether it came to its end.
    erased: BTreeMap<String, bool>,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            dice: Dice(seed),
            store: Arc::new(InMemory::new()),
            committers: [None, None],
            batches: Vec::new(),
            acknowledged: BTreeSet::new(),
            erased: BTreeMap::new(),
        }
    }

    async fn step(&mut self) -> &'static str {
        match self.dice.below(15) {
            0..3 => {
                self.deliver().await;
                "deliver"
            }
            3..7 => {
                self.commit().await;
                "commit"
            }
            7..9 => {
                match keeper(&self.store).upkeep.compact(READINGS, 1).await {
                    // Nothing was committed yet.
                    Ok(_) | Err(LakeError::NoTable(_)) => {}
                    Err(error) => panic!("{error}"),
                }
                "compact"
            }
            9 => {
                let dying = self.dying();
                keeper(&dying).upkeep.compact(READINGS, 1).await.ok();
                "compact and die"
            }
            10 => {
                self.vacuum(&self.store).await.ok();
                "vacuum"
            }
            11 => {
                let dying = self.dying();
                self.vacuum(&dying).await.ok();
                "vacuum and die"
            }
            12 => {
                let owner = self.owner_to_erase();
                self.erase(&self.store.clone(), &owner).await.unwrap();
                self.erased.insert(owner, true);
                "erase"
            }
            13 => {
                let (owner, dying) = (self.owner_to_erase(), self.dying());
                let is_done = self.erase(&dying, &owner).await.is_ok() || self.erased.get(&owner) == Some(&true);
                self.erased.insert(owner, is_done);
                "erase and die"
            }
            _ => {
                let Maintainer { upkeep, .. } = &keeper(&self.store);
                for open in upkeep.open_erasures().await.unwrap() {
                    upkeep.erase(open.id).await.unwrap();
                    self.erased.insert(open.target.owner, true);
                }
                "go on erasing"
            }
        }
    }

    /// Most events are of others.
    fn owner_to_erase(&mut self) -> String {
        format!("owner-{}", self.dice.below(2))
    }

    /// Erases an owner for good: whatever is still to come of them has arrived before, too.
    async fn erase(&self, store: &Arc<dyn ObjectStore>, owner: &str) -> Result<()> {
        let Maintainer { upkeep, .. } = &keeper(store);
        let target = Target { owner: owner.to_owned(), until: i64::MAX / 4, dataset: None };
        let id = upkeep.begin_erasure(target, true).await?;
        upkeep.erase(id).await
    }

    /// The rows of those who were never to be erased.
    fn of_others(&self, events: impl IntoIterator<Item = Event>) -> Vec<Event> {
        events.into_iter().filter(|event| !self.erased.contains_key(&event.owner)).collect()
    }

    /// Deletes at once what was taken out.
    async fn vacuum(&self, store: &Arc<dyn ObjectStore>) -> Result<()> {
        let Maintainer { upkeep, .. } = &keeper(store);
        for table in [READINGS, "ledger"] {
            upkeep.vacuum(table, VacuumMode::Delete, Some(Duration::ZERO)).await?;
        }
        Ok(())
    }

    /// The store of a process that dies at one of its next writes.
    fn dying(&mut self) -> Arc<dyn ObjectStore> {
        let crash = if self.dice.below(2) == 0 { Crash::BeforeTheWrite } else { Crash::AfterTheWrite };
        Arc::new(Crashing::new(self.store.clone(), crash, 1 + self.dice.below(8) as i64))
    }

    /// A batch of new events, and of some that were sent before, with other times or the same.
    async fn deliver(&mut self) {
        let known: u64 = self.batches.iter().map(|(_, events)| events.len() as u64).sum();
        let count = 1 + self.dice.below(30);
        let mut events = Vec::new();
        for number in known..known + count {
            let now = 1_767_225_600_000_000 + number as i64 * 1_000_000;
            let again = (self.dice.below(4) == 0 && !self.batches.is_empty()).then(|| {
                let (_, events) = &self.batches[self.dice.below(self.batches.len() as u64) as usize];
                events[self.dice.below(events.len() as u64) as usize].clone()
            });
            let ingest_time = now - self.dice.below(3) as i64 * 60_000_000;
            events.push(match again {
                Some(event) => {
                    Event { ingest_time, event_time: event.event_time + self.dice.below(2) as i64 * DAY, ..event }
                }
                None => Event {
                    owner: format!("owner-{}", self.dice.below(5)),
                    source: format!("source-{}", self.dice.below(3)),
                    // Devices that number alike do not hide each other.
                    id: (number % 50).to_string() + if number > 50 { "+" } else { "" },
                    ingest_time,
                    event_time: now - self.dice.below(5) as i64 * DAY,
                },
            });
        }
        let message = deliver_events(&self.store, known + 1, &events).await;
        self.batches.push((message, events));
    }

    /// Some messages, new ones and ones that came before, to one of the committers, which may die meanwhile.
    async fn commit(&mut self) {
        if self.batches.is_empty() {
            return;
        }
        let places: Vec<_> =
            (0..1 + self.dice.below(4)).map(|_| self.dice.below(self.batches.len() as u64) as usize).collect();
        let messages: Vec<_> = places.iter().map(|place| self.batches[*place].0.clone()).collect();
        let which = self.dice.below(2) as usize;
        if self.dice.below(4) == 0 {
            let dying = self.dying();
            if let Ok((mut lake, _)) = open_shared(&dying).await {
                let committed = lake.commit(&messages).await;
                self.acknowledge(&places, &committed);
            }
            self.committers[which] = None;
            return;
        }
        let mut lake = match self.committers[which].take() {
            Some(lake) => lake,
            None => open_shared(&self.store).await.unwrap().0,
        };
        let committed = lake.commit(&messages).await;
        assert!(committed.failure.is_none(), "{committed:?}");
        self.acknowledge(&places, &committed);
        self.committers[which] = Some(lake);
    }

    fn acknowledge(&mut self, places: &[usize], committed: &crate::SharedCommit) {
        let done = places.iter().zip(&committed.outcomes).filter(|(_, outcome)| outcome.is_done());
        self.acknowledged.extend(done.map(|(place, _)| *place));
    }

    /// The places of the batches that the table's log remembers.
    async fn places_in(&self) -> BTreeSet<usize> {
        let log = LakeReader::new(self.store.clone(), root()).log(READINGS);
        let Ok(table) = crate::table::Table::load_since_checkpoint(log).await else { return BTreeSet::new() };
        let is_in = |message: &CommitMessage| table.state.kept.contain_batch(IdentityBits::of(&message.batch).unwrap());
        let batches = self.batches.iter().enumerate();
        batches.filter(|(_, (message, _))| is_in(message)).map(|(place, _)| place).collect()
    }

    async fn check(&self, when: &str) {
        let places = self.places_in().await;
        assert!(self.acknowledged.is_subset(&places), "{when}: a message was acknowledged and its batch is not in");
        if places.is_empty() {
            return;
        }
        let rows: Vec<Event> = events_of(&self.store).await.into_values().flatten().collect();
        let is_gone = |event: &Event| self.erased.get(&event.owner) == Some(&true);
        assert_eq!(rows.iter().find(|event| is_gone(event)), None, "{when}: an owner who was erased is back");
        let delivered = self.of_others(places.iter().flat_map(|place| &self.batches[*place].1).cloned());
        assert_eq!(first_arrivals(&self.of_others(rows)), first_arrivals(&delivered), "{when}");
        let reader = LakeReader::new(self.store.clone(), root());
        let newest = reader.newest("ledger").await.unwrap().version.unwrap();
        assert_eq!(crate::audit::problems_at(&reader, &datasets(), newest).await.unwrap(), [""; 0], "{when}");
    }

    /// Every message comes once more, and nobody dies.
    async fn settle(&mut self) {
        let (mut lake, _) = open_shared(&self.store).await.unwrap();
        let messages: Vec<_> = self.batches.iter().map(|(message, _)| message.clone()).collect();
        let committed = lake.commit(&messages).await;
        assert!(committed.outcomes.iter().all(crate::Outcome::is_done), "{committed:?}");
        for owner in self.erased.keys() {
            self.erase(&self.store, owner).await.unwrap();
        }
        keeper(&self.store).upkeep.compact(READINGS, 1).await.unwrap();
        assert!(lake.commit(&[]).await.failure.is_none());
        let mut rows: Vec<Event> = events_of(&self.store).await.into_values().flatten().collect();
        rows.sort();
        let delivered = self.of_others(self.batches.iter().flat_map(|(_, events)| events).cloned());
        assert_eq!(rows, first_arrivals(&delivered), "each key once");
    }
}

async fn run(seed: u64) {
    let mut world = World::new(seed);
    for number in 0..STEPS {
        let step = world.step().await;
        world.check(&format!("seed {seed}, step {number} ({step})")).await;
    }
    if !world.batches.is_empty() {
        world.settle().await;
        world.check(&format!("seed {seed}, in the end")).await;
    }
}

/// The seeds to run: a hundred, or those of `ALLUVIUM_SEEDS`, such as `0..10000`.
fn seeds() -> Range<u64> {
    let Some(asked) = std::env::var("ALLUVIUM_SEEDS").ok() else { return 0..100 };
    let (first, end) = asked.split_once("..").unwrap();
    first.parse().unwrap()..end.parse().unwrap()
}

#[tokio::test]
async fn whatever_happens_the_table_agrees_with_the_model() {
    for seed in seeds() {
        run(seed).await;
    }
}
