//! Batches as Kinesis and direct puts make them, the queue that carries their messages, and what must be true of a lake that
//! several committers have made of them.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;
use std::sync::Arc;

use alluvium_core::{
    Clock as _, CommitMessage, Datasets, LedgerEntry, ManualClock, RecordIdentity, SequenceNumber, ShardId, ShardRange,
    SystemClock,
};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use super::{
    DEAD, Dice, LEDGER, NOTES, PlainFormat, READINGS, Retained, assert_rows, datasets, deliver_records, root, table_of,
};
use crate::error::Result;
use crate::message::entries;
use crate::{LakeReader, LakeSettings, SharedLake, SharedOpening};

pub(crate) async fn open_shared(store: &Arc<dyn ObjectStore>) -> Result<(SharedLake, SharedOpening)> {
    open_shared_with(store, 100).await
}

pub(crate) async fn open_shared_with(
    store: &Arc<dyn ObjectStore>,
    checkpoint_every: u64,
) -> Result<(SharedLake, SharedOpening)> {
    open_shared_at(store, &datasets(), Arc::new(ManualClock::at(SystemClock.now_micros())), checkpoint_every).await
}

pub(crate) async fn open_shared_at(
    store: &Arc<dyn ObjectStore>,
    datasets: &Datasets,
    clock: Arc<ManualClock>,
    checkpoint_every: u64,
) -> Result<(SharedLake, SharedOpening)> {
    let settings = LakeSettings { checkpoint_every: NonZeroU64::new(checkpoint_every).unwrap() };
    SharedLake::open(store.clone(), root(), datasets, Arc::new(PlainFormat), clock, settings).await
}

/// The sequence number of the `number`th record of a shard: 56 digits, with gaps between them, as Kinesis has it.
fn kinesis(number: u64) -> SequenceNumber {
    format!("4959033827149025660855969253836157109592157{:013}", 900_000_000 + number * 7).parse().unwrap()
}

fn shard(n: u32) -> ShardId {
    ShardId::numbered(n)
}

/// What was delivered, and the messages about it.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// The records of each batch, each with the number that tells its fate.
    pub(crate) batches: Vec<Vec<(RecordIdentity, u64)>>,
    pub(crate) messages: Vec<CommitMessage>,
}

impl Queue {
    /// Delivers the batch of these records of shards, and stores its message where the queue's paths lead.
    pub(crate) async fn deliver(&mut self, store: &Arc<dyn ObjectStore>, runs: &[(u32, u64, u64)]) -> CommitMessage {
        let records = runs.iter().flat_map(|(of, first, last)| {
            let identity = |number| RecordIdentity { shard: shard(*of), sequence: kinesis(number), subsequence: 0 };
            (*first..=*last).map(move |number| (identity(number), number))
        });
        let covers = runs.iter().map(|(of, first, last)| ShardRange {
            shard: shard(*of),
            first: kinesis(*first),
            last: kinesis(*last),
        });
        self.push(store, covers.collect(), records.collect()).await
    }

    /// Delivers the batch of these records, put directly.
    pub(crate) async fn deliver_direct(&mut self, store: &Arc<dyn ObjectStore>, numbers: &[u64]) -> CommitMessage {
        let identity = |number: &u64| RecordIdentity::of_direct_put(&format!("record {number}"));
        self.push(store, Vec::new(), numbers.iter().map(|number| (identity(number), *number)).collect()).await
    }

    /// Delivers the batch of these user records of aggregates: each with its record's place in the first shard, its own place in the
    /// record, and the number that tells its fate.
    pub(crate) async fn deliver_user_records(
        &mut self,
        store: &Arc<dyn ObjectStore>,
        records: &[(u64, u64, u64)],
    ) -> CommitMessage {
        let identity = |place, subsequence| RecordIdentity { shard: shard(0), sequence: kinesis(place), subsequence };
        let (first, last) = (records[0].0, records[records.len() - 1].0);
        let covers = vec![ShardRange { shard: shard(0), first: kinesis(first), last: kinesis(last) }];
        let records = records.iter().map(|(place, subsequence, number)| (identity(*place, *subsequence), *number));
        self.push(store, covers, records.collect()).await
    }

    async fn push(
        &mut self,
        store: &Arc<dyn ObjectStore>,
        covers: Vec<ShardRange>,
        records: Vec<(RecordIdentity, u64)>,
    ) -> CommitMessage {
        let message = deliver_records(store, covers, &records, "").await;
        store.put(&Path::from(message.path()), message.encode().into()).await.unwrap();
        self.batches.push(records);
        self.messages.push(message.clone());
        message
    }

    fn rows(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut rows: BTreeMap<_, _> = [READINGS, NOTES, DEAD].map(|t| (t.to_owned(), BTreeSet::new())).into();
        for (RecordIdentity { shard, .. }, number) in self.batches.iter().flatten() {
            if let Some(table) = table_of(*number) {
                assert!(rows.get_mut(table).unwrap().insert(format!("{shard}/{number}")), "each record once");
            }
        }
        rows
    }
}

/// Batches of all kinds: of one shard, of two, put directly; with files for many tables, few, or none.
pub(crate) async fn queue(store: &Arc<dyn ObjectStore>, dice: &mut Dice, batches: u64) -> Queue {
    let mut queue = Queue::default();
    let mut at = [1, 1, 1];
    let mut run = |dice: &mut Dice, of: usize| {
        let first = at[of];
        // Short ones are all filtered, all dead, or without any event now and then.
        let last = first + if dice.below(2) == 0 { 0 } else { dice.below(9) };
        at[of] = last + 1;
        (of as u32, first, last)
    };
    for _ in 0..batches {
        match dice.below(5) {
            0 => {
                let (_, first, last) = run(dice, 2);
                queue.deliver_direct(store, &(first..=last).collect::<Vec<_>>()).await;
            }
            1 => {
                let runs = [run(dice, 0), run(dice, 1)];
                queue.deliver(store, &runs).await;
            }
            n => {
                let run = run(dice, n as usize % 2);
                queue.deliver(store, &[run]).await;
            }
        }
    }
    queue
}

/// Asserts that every version of the ledger balances with the tables at their copied versions.
pub(crate) async fn assert_the_ledger_balances(store: &Arc<dyn ObjectStore>, when: &str) {
    let reader = LakeReader::new(store.clone(), root());
    let Ok(newest) = reader.snapshot(LEDGER).await else { return };
    for version in 0..=newest.version {
        let problems = crate::audit::problems_at(&reader, &datasets(), version).await.unwrap();
        assert!(problems.is_empty(), "{when}, ledger version {version}: {problems:?}");
    }
}

/// Asserts that every table has exactly the rows of what was delivered, each once, and every version of the ledger exactly what is
/// in then.
pub(crate) async fn assert_shared_complete(store: &Arc<dyn ObjectStore>, queue: &Queue) {
    assert_rows_and_entries(store, queue).await;
    assert_the_ledger_balances(store, "in the end").await;
    let retained = Retained::of(queue);
    let reader = LakeReader::new(store.clone(), root());
    let report =
        crate::audit_shared(&reader, &datasets(), &retained, &retained, &crate::AuditSettings::at(0)).await.unwrap();
    assert!(report.balances(), "{:?}", report.problems().collect::<Vec<_>>());
    assert!(report.shards.iter().all(|shard| shard.proven_from == Some(shard.first)), "{:?}", report.shards);
}

/// Asserts that every table has exactly the rows of what was delivered, each once, and the ledger exactly its entries.
pub(crate) async fn assert_rows_and_entries(store: &Arc<dyn ObjectStore>, queue: &Queue) {
    assert_rows(store, queue.rows()).await;
    let mut expected: Vec<LedgerEntry> = queue.messages.iter().flat_map(entries).collect();
    let mut found = crate::audit::ledger_entries(&LakeReader::new(store.clone(), root())).await.unwrap();
    for entries in [&mut expected, &mut found] {
        entries.sort_by(|one, other| (&one.batch, &one.dataset).cmp(&(&other.batch, &other.dataset)));
    }
    assert_eq!(found, expected);
}
