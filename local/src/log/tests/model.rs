//! The log against a model: whatever happens, what was acknowledged and not yet passed is there once and in order (IN-1), and
//! nothing is there that was not sent.

use std::collections::{BTreeMap, HashSet};

use alluvium_core::StreamRecord;
use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    /// Appends records of these sizes in one call each, all calls at once.
    Append(Vec<u16>),
    /// Says that the reader has passed this share, in percent, of what it could read.
    Trim(u8),
    /// Lets time pass, in seconds.
    Wait(u32),
    Reopen,
    LosePower(u64),
    /// Lets so many changes through while appending, then loses power.
    LosePowerDuring(u8, Vec<u16>, u64),
    /// Appends while the disk has room for so many bytes only.
    FillDisk(u16, Vec<u16>),
    /// Fails a sync while appending, then opens anew.
    FailSync(Vec<u16>),
}

fn sizes() -> impl Strategy<Value = Vec<u16>> {
    prop::collection::vec(0..900_u16, 1..12)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => sizes().prop_map(Step::Append),
        2 => (0..=100_u8).prop_map(Step::Trim),
        1 => (0..100_000_u32).prop_map(Step::Wait),
        1 => Just(Step::Reopen),
        2 => any::<u64>().prop_map(Step::LosePower),
        2 => (0..30_u8, sizes(), any::<u64>()).prop_map(|(steps, sizes, seed)| Step::LosePowerDuring(steps, sizes, seed)),
        1 => (0..3000_u16, sizes()).prop_map(|(room, sizes)| Step::FillDisk(room, sizes)),
        1 => sizes().prop_map(Step::FailSync),
    ]
}

#[derive(Default)]
struct Model {
    /// What was sent, acknowledged or not.
    sent: HashSet<Vec<u8>>,
    /// What was acknowledged, by shard and sequence number.
    stored: BTreeMap<(ShardId, SequenceNumber), Vec<u8>>,
    passed: BTreeMap<ShardId, SequenceNumber>,
}

impl Model {
    async fn append(&mut self, log: &Log, sizes: &[u16]) {
        let mut calls = Vec::new();
        for size in sizes {
            let number = self.sent.len();
            let data = format!("{number} {}", "x".repeat(usize::from(*size))).into_bytes();
            self.sent.insert(data.clone());
            calls.push((log.append(PutBatch { records: vec![record(&format!("key {number}"), data.clone())] }), data));
        }
        let (calls, data): (Vec<_>, Vec<_>) = calls.into_iter().unzip();
        for (verdicts, data) in futures::future::join_all(calls).await.into_iter().zip(data) {
            if let Ok([PutVerdict::Stored { shard, sequence }]) = verdicts.as_deref() {
                let taken = self.stored.insert((shard.clone(), *sequence), data);
                assert!(taken.is_none(), "{sequence} of {shard} was given out twice");
            }
        }
    }

    async fn check(&self, log: &Log) {
        let mut seen = HashSet::new();
        for state in log.shards().await.unwrap() {
            let held = read_all(log, &state.shard, None, 2000).await;
            for record in &held {
                assert!(self.sent.contains(record.data.as_ref()), "nobody sent {record:?}");
                assert!(seen.insert(record.data.clone()), "{} is there twice", record.identity);
            }
            let of_shard = |(shard, _): &&(ShardId, SequenceNumber)| *shard == state.shard;
            let passed = self.passed.get(&state.shard).copied().unwrap_or_default();
            for key in self.stored.keys().filter(of_shard).filter(|(_, sequence)| *sequence > passed) {
                let found = held.binary_search_by_key(&key.1, |record| record.identity.sequence);
                let found = found.unwrap_or_else(|_| panic!("record {} of {} is lost", key.1, key.0));
                assert_eq!(held[found].data, self.stored[key], "record {} of {}", key.1, key.0);
            }
            check_order(&held);
            let every = held.iter().map(|record| record.identity.sequence);
            for (place, sequence) in every.enumerate().step_by(7) {
                let page = log.read(&state.shard, Some(sequence), 100, Duration::ZERO).await.unwrap();
                let next = held.get(place + 1);
                assert_eq!(page.records.first(), next, "after {sequence}");
            }
        }
    }
}

fn check_order(held: &[StreamRecord]) {
    for pair in held.windows(2) {
        let (one, two) = (pair[0].identity.sequence.as_u64().unwrap(), pair[1].identity.sequence.as_u64().unwrap());
        assert_eq!(one + 1, two, "there is a gap");
        assert!(pair[0].arrival <= pair[1].arrival, "arrival goes backwards at {two}");
    }
}

fn loss(seed: u64) -> Loss {
    if seed.is_multiple_of(4) { Loss::Everything } else { Loss::Some { seed } }
}

async fn run(steps: Vec<Step>) {
    let settings = LogSettings { shards: 2, max_bytes: 30_000, queue_bytes: 3000, ..small() };
    let mut bench = Bench::new(settings);
    let mut model = Model::default();
    let mut log = Some(bench.open());
    for step in steps {
        let open = log.take().unwrap();
        log = match step {
            Step::Append(sizes) => {
                model.append(&open, &sizes).await;
                Some(open)
            }
            Step::Trim(percent) => {
                for state in open.shards().await.unwrap() {
                    let newest = state.newest.and_then(SequenceNumber::as_u64).unwrap_or(0);
                    let up_to = (newest * u64::from(percent) / 100).into();
                    open.trim(&state.shard, up_to).await.unwrap();
                    let passed = model.passed.entry(state.shard).or_default();
                    *passed = up_to.max(*passed);
                }
                Some(open)
            }
            Step::Wait(seconds) => {
                bench.clock.advance(i64::from(seconds) * 1_000_000);
                Some(open)
            }
            Step::Reopen => {
                open.close().await;
                None
            }
            Step::LosePower(seed) => {
                bench.lose_power(loss(seed));
                None
            }
            Step::LosePowerDuring(changes, sizes, seed) => {
                bench.disk.cut_power_after(changes.into());
                model.append(&open, &sizes).await;
                bench.lose_power(loss(seed));
                None
            }
            Step::FillDisk(room, sizes) => {
                bench.disk.set_room_bytes(Some(room.into()));
                model.append(&open, &sizes).await;
                bench.disk.set_room_bytes(None);
                Some(open)
            }
            Step::FailSync(sizes) => {
                bench.disk.fail_syncs(1);
                model.append(&open, &sizes).await;
                bench.disk.fail_syncs(0);
                open.close().await;
                None
            }
        };
        let open = log.take().unwrap_or_else(|| bench.open());
        model.check(&open).await;
        log = Some(open);
    }
}

proptest! {
    // A case is long: a quarter as many as usual.
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 4))]

    #[test]
    fn what_was_acknowledged_is_there_and_nothing_else(steps in prop::collection::vec(step(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(run(steps));
    }
}
