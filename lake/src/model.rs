//! Random sequences of everything that may happen to tables, beside a model that knows only which batches are in.
//!
//! Two committers, a queue that delivers late, out of order and again, maintenance, retention, erasures, redrives, and processes that
//! die at any write. After each step the table shows of each event key the first arrival among the batches that are in, but nothing of
//! an owner who was erased; an event whose first arrival is older than the table keeps its rows may be gone. The dead letters are those
//! of the batches that are in, by the same rules, and marked only if they were sent again. Every version of the ledger that is looked at
//! balances, and a message that was acknowledged is in for good. In the end every message comes once more, erasures that died go on, and
//! one last compaction leaves exactly the first arrivals; no dead letter is marked whose event has not come again.
//!
//! A seed that fails is in the message; `ALLUVIUM_SEEDS=17..18` runs it alone. `make nightly` runs ten thousand.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail by panicking, and is told its seeds"
)]

mod check;
mod deliver;
mod maintain;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use alluvium_core::CommitMessage;
use alluvium_core::clock::Micros;
use object_store::ObjectStore;
use object_store::memory::InMemory;

use crate::SharedLake;
use crate::testing::{Crash, Crashing, Dice, Event, open_shared};

const STEPS: u64 = 28;
/// When the first event arrives.
const BEGINNING: Micros = 1_767_225_600_000_000;

/// What was delivered together, to one table.
struct Batch {
    message: CommitMessage,
    /// `readings` or `dead_letters`.
    table: &'static str,
    events: Vec<Event>,
}

/// What happened so far.
struct World {
    dice: Dice,
    store: Arc<dyn ObjectStore>,
    committers: [Option<SharedLake>; 2],
    batches: Vec<Batch>,
    /// The batches whose messages were acknowledged, by their places.
    acknowledged: BTreeSet<usize>,
    /// The owners whose erasure was asked for, with whether it came to its end.
    erased: BTreeMap<String, bool>,
    /// Rows that are older may be gone; `None`: none may.
    kept_from: Option<Micros>,
    /// The dead letters that were sent again, by owner, source and id.
    redriven: BTreeSet<(String, String, String)>,
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
            kept_from: None,
            redriven: BTreeSet::new(),
        }
    }

    async fn step(&mut self) -> &'static str {
        match self.dice.below(20) {
            0..3 => {
                self.deliver().await;
                "deliver"
            }
            3 => {
                self.bury().await;
                "bury"
            }
            4..8 => {
                self.commit().await;
                "commit"
            }
            8..10 => {
                self.compact().await;
                "compact"
            }
            10 => {
                self.compact_and_die().await;
                "compact and die"
            }
            11 => {
                self.vacuum(&self.store).await.ok();
                "vacuum"
            }
            12 => {
                let dying = self.dying();
                self.vacuum(&dying).await.ok();
                "vacuum and die"
            }
            13 => {
                self.erase().await;
                "erase"
            }
            14 => {
                self.erase_and_die().await;
                "erase and die"
            }
            15 => {
                self.go_on_erasing().await;
                "go on erasing"
            }
            16 => {
                let store = self.store.clone();
                self.retain(&store).await.unwrap();
                "retain"
            }
            17 => {
                let dying = self.dying();
                self.retain(&dying).await.ok();
                "retain and die"
            }
            18 => {
                let store = self.store.clone();
                self.redrive(&store).await.unwrap();
                "redrive"
            }
            _ => {
                let dying = self.dying();
                self.redrive(&dying).await.ok();
                "redrive and die"
            }
        }
    }

    /// The store of a process that dies at one of its next writes.
    fn dying(&mut self) -> Arc<dyn ObjectStore> {
        let crash = if self.dice.below(2) == 0 { Crash::BeforeTheWrite } else { Crash::AfterTheWrite };
        Arc::new(Crashing::new(self.store.clone(), crash, 1 + self.dice.below(8) as i64))
    }

    /// Some messages, new ones and ones that came before, to one of the committers, which may die meanwhile.
    async fn commit(&mut self) {
        if self.batches.is_empty() {
            return;
        }
        let places: Vec<_> =
            (0..1 + self.dice.below(4)).map(|_| self.dice.below(self.batches.len() as u64) as usize).collect();
        let messages: Vec<_> = places.iter().map(|place| self.batches[*place].message.clone()).collect();
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
async fn whatever_happens_the_tables_agree_with_the_model() {
    for seed in seeds() {
        run(seed).await;
    }
}
