//! The pipeline against a stream with faults, on a simulated clock, seed by seed.
//!
//! Each seed draws the destination, the settings, the faults and the records. While it runs, calls are checked against the limits, and
//! the pipeline must never ask for time that has come already. In the end every record has an outcome, and each outcome is compared with
//! what the stream holds, read by a decoder of its own.
//!
//! A seed that fails is in the message; `ALLUVIUM_SEEDS=17..18` runs it alone.

#![expect(clippy::disallowed_methods, reason = "the seeds to run are named in the environment")]

mod server;

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::time::Duration;

use alluvium_core::destination::{CountedBytes, DestinationLimits, ShardRates};
use alluvium_core::record::hash_key;
use alluvium_core::{EntryVerdict, PutEntry, ShardId};

use super::aggregate::Shape;
use super::decode::{self, Decoded};
use super::lot::Delivery;
use super::moment::Moment;
use super::outcome::Outcome;
use super::pipeline::{Pipeline, Step};
use super::record::UserRecord;
use super::settings::{Aggregation, Misplaced, Ordering, ProducerSettings};
use crate::seeded::Seeded;
use server::{Fate, Faults, Heard, Kind, Server};

#[derive(Debug)]
enum Event {
    Send,
    Arrive(u64),
    Answer(u64),
    ListShards,
    ShardMap,
    Reshard,
    Flush,
    Come,
}

struct OnItsWay {
    entries: Vec<PutEntry>,
    verdicts: Option<Vec<EntryVerdict>>,
    heard: Option<Heard>,
}

struct Sent {
    key: String,
    explicit: Option<u128>,
    data: Vec<u8>,
    delivery: Delivery,
}

/// What a seed draws from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weather {
    /// All kinds of faults.
    Any,
    /// None, and shards with limits that the records go past.
    Calm,
}

struct World {
    random: Seeded,
    settings: ProducerSettings,
    shape: Shape,
    pipeline: Pipeline,
    server: Server,
    now: u64,
    /// How far the producer's clock is ahead.
    skew: u64,
    events: BTreeMap<(u64, u64), Event>,
    next_event: u64,
    calls: HashMap<u64, OnItsWay>,
    maps: Vec<Result<Option<Vec<alluvium_core::HashKeyRange>>, alluvium_core::ports::PortError>>,
    to_send: u32,
    keys: u32,
    sent: Vec<Sent>,
    held_bytes: usize,
    reshards: bool,
    polls: u64,
    calls_made: u64,
}

fn pick<T: Clone>(random: &mut Seeded, from: &[T]) -> T {
    from[random.below(from.len() as u32) as usize].clone()
}

impl World {
    fn new(seed: u64, weather: Weather) -> Self {
        let mut random = Seeded::new(seed);
        let r = &mut random;
        let quiet = r.below(10) == 0 || weather == Weather::Calm;
        let mut often = |most: u32| if quiet || r.below(2) == 0 { 0 } else { r.below(most + 1) };
        let faults = Faults {
            failed_entries: often(20),
            failed_calls: often(20),
            resets: often(10),
            lost_answers: often(10),
            slow: often(10),
            short_answers: often(3),
            no_shard_map: often(60),
        };
        let kind =
            pick(r, &[Kind::Sharded, Kind::Sharded, Kind::Sharded, Kind::Sharded, Kind::Unlisted, Kind::Shardless]);
        let rates = ShardRates {
            bytes_per_second: pick(r, if weather == Weather::Calm { &[200_000] } else { &[20_000, 200_000, 1 << 20] }),
            records_per_second: pick(r, &[50, 1_000]),
        };
        let calm = weather == Weather::Calm;
        let kind = if calm { Kind::Sharded } else { kind };
        let limits = DestinationLimits {
            entries_per_call: pick(r, &[1, 10, 500]),
            bytes_per_call: pick(r, &[70_000, 5 << 20]),
            bytes_per_entry: pick(r, &[60_000, 1 << 20]),
            shard_rates: (kind == Kind::Sharded && (r.below(4) > 0 || calm)).then_some(rates),
            counted: pick(r, &[CountedBytes::DataAndKey, CountedBytes::Data]),
        };
        let settings = ProducerSettings {
            aggregation: pick(
                r,
                &[Aggregation::Kpl, Aggregation::Kpl, Aggregation::Ndjson, Aggregation::NdjsonZstd, Aggregation::None],
            ),
            aggregation_max_bytes: pick(r, &[500, 5_000, 51_200]),
            aggregation_max_records: pick(r, &[2, 10_000]),
            ordering: pick(r, &[Ordering::Throughput, Ordering::PerKey]),
            misplaced: pick(r, &[Misplaced::SendAgain, Misplaced::SendAgain, Misplaced::Keep]),
            linger: pick(r, &[Duration::ZERO, Duration::from_millis(10), Duration::from_millis(100)]),
            record_time_to_live: pick(r, &[Duration::from_secs(2), Duration::from_secs(30), Duration::from_secs(300)]),
            max_calls: pick(r, &[1, 3, 24]),
            buffered_bytes: pick(r, &[150_000, 2_000_000]),
            shard_map_age: pick(r, &[Duration::from_secs(3), Duration::from_secs(300)]),
            ..ProducerSettings::default()
        };
        settings.check().unwrap();
        let shards = 1 + r.below(6);
        let mut server = Server::new(kind, shards, limits, faults, Seeded::new(seed ^ 0xABCD));
        if !quiet && r.below(3) == 0 {
            let from = u64::from(r.below(5_000_000));
            server.outage = Some((from, from + u64::from(r.below(10_000_000))));
        }
        let mut world = Self {
            pipeline: Pipeline::new(&settings, limits, u128::from(seed) << 64),
            shape: Shape::new(&settings, limits),
            settings,
            server,
            now: 0,
            skew: 0,
            events: BTreeMap::new(),
            next_event: 0,
            calls: HashMap::new(),
            maps: Vec::new(),
            to_send: 50 + r.below(600),
            keys: pick(r, &[1, 5, 200]),
            sent: Vec::new(),
            held_bytes: 0,
            reshards: !quiet && kind != Kind::Shardless && r.below(2) == 0,
            polls: 0,
            calls_made: 0,
            random,
        };
        world.at(0, Event::Send);
        if world.reshards {
            for _ in 0..=world.random.below(4) {
                let at = u64::from(world.random.below(8_000_000));
                world.at(at, Event::Reshard);
            }
        }
        for _ in 0..world.random.below(3) {
            let at = u64::from(world.random.below(8_000_000));
            world.at(at, Event::Flush);
        }
        world
    }

    fn at(&mut self, at: u64, event: Event) {
        self.events.insert((at, self.next_event), event);
        self.next_event += 1;
    }

    fn moment(&self) -> Moment {
        Moment::after_start(Duration::from_micros(self.now + self.skew))
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.random.below(100) < percent
    }

    /// One more record, or none if the budget does not allow it.
    fn send(&mut self) {
        let number = self.sent.len();
        let key = format!("key-{}", self.random.below(self.keys).min(self.random.below(self.keys)));
        let explicit =
            self.chance(5).then(|| u128::from(self.random.next_u64()) << 64 | u128::from(self.random.next_u64()));
        let pad = match self.random.below(100) {
            0 => 50_000 + self.random.below(9_000),
            1..5 => self.random.below(9_000),
            _ => self.random.below(300),
        } as usize;
        // Not text unless it has to be, and hard to compress.
        let lines = matches!(self.settings.aggregation, Aggregation::Ndjson | Aggregation::NdjsonZstd);
        let inside = lines && self.chance(3);
        let mut data = format!("{}{number}:", if inside { "[\n" } else { "" }).into_bytes();
        data.extend(
            (0..pad).map(|_| if lines { b'a' + self.random.below(26) as u8 } else { self.random.below(256) as u8 }),
        );
        let record = UserRecord { partition_key: &key, explicit_hash_key: explicit, data: &data };
        let tracking_bytes = self.pipeline.tracking_bytes();
        let charge = Pipeline::check(&self.shape, &self.server.limits, &record, tracking_bytes).unwrap();
        if self.held_bytes + charge > self.settings.buffered_bytes {
            return;
        }
        self.held_bytes += charge;
        let (delivery, _) = self.pipeline.add(record, record.hash_key(), tracking_bytes, self.moment()).unwrap();
        self.to_send -= 1;
        self.sent.push(Sent { key, explicit, data, delivery });
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Come => {}
            Event::Reshard => self.server.reshard(self.now),
            Event::Flush => {
                self.pipeline.flush();
            }
            Event::Send => {
                for _ in 0..1 + self.random.below(20) {
                    if self.to_send > 0 {
                        self.send();
                    }
                }
                if self.to_send > 0 {
                    let pause = u64::from(self.random.below(200_000));
                    self.at(self.now + pause, Event::Send);
                }
            }
            Event::Arrive(call) => {
                let on_its_way = self.calls.get_mut(&call).unwrap();
                on_its_way.verdicts = Some(self.server.put(&on_its_way.entries, self.now));
            }
            Event::Answer(call) => {
                let on_its_way = self.calls.get_mut(&call).unwrap();
                let answer = match on_its_way.heard.take().unwrap() {
                    Heard::Verdicts => Ok(on_its_way.verdicts.clone().unwrap()),
                    Heard::Error(error) => Err(error),
                };
                let now = self.moment();
                self.pipeline.answer(call, answer, now);
            }
            Event::ListShards => {
                let map = self.server.list_shards(self.now);
                self.maps.push(map);
                let way = u64::from(self.random.below(100_000));
                self.at(self.now + way, Event::ShardMap);
            }
            Event::ShardMap => {
                let map = self.maps.pop().unwrap();
                let now = self.moment();
                self.pipeline.shard_map(map, now);
            }
        }
    }

    fn poll(&mut self) -> Moment {
        loop {
            self.polls += 1;
            let now = self.moment();
            match self.pipeline.poll(now) {
                Step::Call(call) => {
                    self.calls_made += 1;
                    let Fate { arrives, answers, answer } = self.server.fate(self.now, self.settings.request_timeout);
                    if let Some(arrives) = arrives {
                        self.at(arrives, Event::Arrive(call.id));
                    }
                    self.at(answers, Event::Answer(call.id));
                    let on_its_way = OnItsWay { entries: call.entries, verdicts: None, heard: Some(answer) };
                    self.calls.insert(call.id, on_its_way);
                    let on_their_way = self.calls.values().filter(|call| call.heard.is_some()).count();
                    assert!(on_their_way <= self.settings.max_calls);
                }
                Step::RefreshShardMap => {
                    let way = u64::from(self.random.below(100_000));
                    self.at(self.now + way, Event::ListShards);
                }
                Step::Wait(until) => {
                    assert!(until > now, "asked to come back at once");
                    return until;
                }
            }
        }
    }

    fn run(&mut self) {
        loop {
            let until = self.poll();
            let freed = self.pipeline.take_freed();
            self.held_bytes -= freed;
            let next_event = self.events.first_key_value().map(|((at, _), _)| *at);
            let wake = (until != Moment::NEVER).then(|| (until.elapsed().as_micros() as u64).saturating_sub(self.skew));
            let Some(next) = next_event.into_iter().chain(wake).min() else { break };
            self.now = self.now.max(next);
            if self.chance(1) {
                // The producer's clock jumps ahead, or falls behind what it said before.
                self.skew =
                    if self.chance(50) { self.skew + u64::from(self.random.below(300_000)) } else { self.skew / 2 };
            }
            if next_event.is_none_or(|at| at > self.now) {
                self.handle(Event::Come);
                continue;
            }
            let (_, event) = self.events.pop_first().unwrap();
            self.handle(event);
        }
    }

    fn decode(&self, record: &alluvium_core::PutRecord) -> Vec<Decoded> {
        match self.settings.aggregation {
            Aggregation::Ndjson | Aggregation::NdjsonZstd => decode::lines(record),
            Aggregation::Kpl => decode::kpl(record),
            Aggregation::None => {
                let (key, data) = (Some(record.partition_key.clone()), record.data.to_vec());
                vec![Decoded { key, hash_key: None, data }]
            }
        }
    }

    fn check(&self) {
        let progress = self.pipeline.progress();
        assert_eq!((progress.pending_records, self.held_bytes, progress.calls_in_flight), (0, 0, 0));
        assert_eq!(progress.received_records, self.sent.len() as u64);
        assert_eq!(progress.delivered_records + progress.undelivered_records, self.sent.len() as u64);
        // By the record's number: its places in the log, oldest first, and whether its hash key belongs to that shard.
        let mut places: Vec<Vec<(u64, bool)>> = vec![Vec::new(); self.sent.len()];
        for stored in &self.server.log {
            for decoded in self.decode(&stored.record) {
                let text = decoded.data.strip_prefix(b"[\n").unwrap_or(&decoded.data);
                let number: usize =
                    std::str::from_utf8(text.split(|byte| *byte == b':').next().unwrap()).unwrap().parse().unwrap();
                let sent = &self.sent[number];
                assert_eq!(decoded.data, sent.data, "record {number}");
                assert!(decoded.key.is_none_or(|key| key == sent.key), "record {number}");
                let own = sent.explicit.unwrap_or_else(|| hash_key(&sent.key));
                assert!(decoded.hash_key.is_none_or(|hash_key| hash_key == own), "record {number}");
                let range = &self.server.shards[stored.shard].range;
                places[number].push((stored.sequence, (range.first..=range.last).contains(&own)));
            }
        }
        for (number, sent) in self.sent.iter().enumerate() {
            let outcome = sent.delivery.now().unwrap_or_else(|| panic!("record {number} has no outcome"));
            match outcome {
                Outcome::Delivered(delivered) => {
                    let sequence = delivered.sequence.as_u64().unwrap();
                    let stored = &self.server.log[sequence as usize - 1];
                    assert_eq!(ShardId::numbered(stored.shard as u32), delivered.shard, "record {number}");
                    let decoded = self.decode(&stored.record);
                    assert_eq!(decoded[delivered.subsequence as usize].data, sent.data, "record {number}");
                    let strict = self.settings.ordering == Ordering::PerKey
                        || (self.settings.aggregation == Aggregation::Kpl
                            && self.settings.misplaced == Misplaced::SendAgain);
                    if strict && self.server.kind == Kind::Sharded {
                        let belongs = places[number].iter().find(|(place, _)| *place == sequence).unwrap().1;
                        assert!(belongs, "record {number} was left where it does not belong");
                    }
                    assert!(delivered.attempts > 0 && delivered.buffered <= delivered.total, "record {number}");
                }
                Outcome::Undelivered(undelivered) => {
                    assert!(
                        undelivered.may_be_stored || places[number].is_empty(),
                        "record {number} is stored: {undelivered:?}"
                    );
                }
            }
        }
        self.check_order(&places);
        let faults = self.server.faults;
        let certain = faults.resets + faults.lost_answers + faults.short_answers == 0;
        let calm = certain && faults.failed_entries + faults.failed_calls == 0 && self.server.outage.is_none();
        if calm && !self.reshards && faults.no_shard_map == 0 && self.server.kind == Kind::Sharded {
            // As with Kinesis, no record is larger than what a shard takes in a second.
            let fits = self.server.limits.shard_rates.is_none_or(|rates| rates.bytes_per_second > 60_000);
            assert!(!fits || self.server.throttled == 0, "it sent more than a shard takes");
            let refused =
                self.settings.record_time_to_live > Duration::from_secs(100) && progress.undelivered_records > 0;
            assert!(!refused, "it gave up what could have been delivered");
        }
        if certain && !self.reshards {
            assert!(places.iter().all(|places| places.len() <= 1), "a duplicate without a reason");
        }
        let calls = self.calls_made;
        assert!(
            self.polls <= 20 * (calls + self.next_event + self.sent.len() as u64) + 1_000,
            "{} polls, {calls} calls",
            self.polls
        );
    }

    /// Where order is kept, the delivered records of a key lie in the order in which they were sent, each where it belongs.
    fn check_order(&self, places: &[Vec<(u64, bool)>]) {
        if self.settings.ordering != Ordering::PerKey || self.server.kind == Kind::Shardless {
            return;
        }
        let mut last: HashMap<(&str, Option<u128>), (u64, usize)> = HashMap::new();
        for (number, sent) in self.sent.iter().enumerate() {
            if sent.delivery.now().unwrap().delivered().is_none() {
                continue;
            }
            let first = places[number].iter().find(|(_, belongs)| *belongs).unwrap().0;
            let before = last.insert((&sent.key, sent.explicit), (first, number));
            if let Some((before, other)) = before {
                // In one record they lie in the order of their places, which the outcomes were compared with.
                assert!(before <= first, "record {number} of {} overtook {other}", sent.key);
            }
        }
    }
}

/// The seeds to run: two hundred, or those of `ALLUVIUM_SEEDS`, such as `0..10000`.
fn seeds() -> Range<u64> {
    let Some(asked) = std::env::var("ALLUVIUM_SEEDS").ok() else { return 0..200 };
    let (first, end) = asked.split_once("..").unwrap();
    first.parse().unwrap()..end.parse().unwrap()
}

#[test]
fn whatever_happens_no_record_is_lost_and_no_outcome_is_false() {
    let (mut delivered, mut undelivered, mut throttled, mut retries) = (0, 0, 0, 0);
    for seed in seeds() {
        let run = std::panic::catch_unwind(|| {
            let mut world = World::new(seed, Weather::Any);
            world.run();
            world.check();
            (world.pipeline.progress(), world.server.throttled)
        });
        let (progress, throttled_here) = run.unwrap_or_else(|_| panic!("seed {seed}"));
        delivered += progress.delivered_records;
        undelivered += progress.undelivered_records;
        retries += progress.retries;
        throttled += throttled_here;
    }
    println!("{delivered} delivered, {undelivered} given up, {retries} retries, {throttled} throttled");
    // Without faults it would show nothing.
    assert!(delivered > 3 * undelivered && undelivered > 0 && retries > 0, "{delivered} {undelivered} {retries}");
}

#[test]
fn a_calm_stream_never_has_to_throttle_and_gets_everything() {
    for seed in seeds() {
        let run = std::panic::catch_unwind(|| {
            let mut world = World::new(seed, Weather::Calm);
            world.run();
            world.check();
            (world.server.throttled, world.pipeline.progress().undelivered_records, world.settings)
        });
        let (throttled, undelivered, settings) = run.unwrap_or_else(|_| panic!("seed {seed}"));
        assert_eq!(throttled, 0, "seed {seed}");
        assert!(undelivered == 0 || settings.record_time_to_live < Duration::from_secs(100), "seed {seed}");
    }
}
