//! Whether the records of a batch came again in others.
//!
//! A delivery that failed may come again cut otherwise. Then files of the first time lie there whole, under an identity that no table
//! has, and their rows are in by other files, all of them or some.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use alluvium_core::{BatchHasher, BatchIdentity, LedgerEntry, RecordIdentity, SequenceNumber, ShardId, ShardRange};

/// Up to which of its user records an aggregated record is tried, to tell which of them are in a batch.
const MOST_USER_RECORDS: u64 = 256;

/// The records of batches that are in, or on their way.
#[derive(Debug, Default)]
pub(super) struct Covered {
    batches: BTreeMap<BatchIdentity, Other>,
}

#[derive(Debug)]
struct Other {
    covers: Vec<ShardRange>,
    /// The events received, by dataset.
    events: BTreeMap<String, u64>,
}

/// What other batches have of a batch's records, by identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Share {
    Nothing,
    All(Vec<BatchIdentity>),
    /// Some records, and whether they have the others too cannot be told.
    Part(Vec<BatchIdentity>),
    /// One record at which both end, or begin: all of it, or each the user records of an aggregate that the other has not.
    Unclear(Vec<BatchIdentity>),
}

impl Covered {
    pub(super) fn add(&mut self, entry: &LedgerEntry) {
        let new = || Other { covers: entry.covers.clone(), events: BTreeMap::new() };
        let other = self.batches.entry(entry.batch.clone()).or_insert_with(new);
        other.events.insert(entry.dataset.clone(), entry.received);
    }

    /// What other batches have of this one, which received so many events.
    ///
    /// Numbers may have gaps, so two runs of which one does not begin within the other may have records between them. They have no
    /// events between them if the runs have as many as the batch.
    pub(super) fn share(&self, batch: &BatchIdentity, covers: &[ShardRange], events: u64) -> Share {
        let (mut sharing, mut touching) = (BTreeSet::new(), BTreeSet::new());
        let mut extent = Extent::Joined;
        for run in covers {
            let mut runs = Vec::new();
            for (other, theirs) in self.runs(batch, &run.shard) {
                match meet((batch, covers, run), (other, &self.batches[other].covers, theirs)) {
                    Meeting::Apart => {}
                    Meeting::Unclear => _ = touching.insert(other),
                    Meeting::Together => {
                        sharing.insert(other);
                        runs.push((theirs.first, theirs.last));
                    }
                }
            }
            extent = extent.max(Extent::of(runs, run));
        }
        let named = |batches: BTreeSet<&BatchIdentity>| batches.into_iter().cloned().collect();
        let is_whole = match extent {
            Extent::Joined => !covers.is_empty(),
            Extent::InPieces => self.have_as_many(&sharing, covers, events),
            Extent::Less => false,
        };
        match (sharing.is_empty(), touching.is_empty()) {
            (false, _) if is_whole => Share::All(named(sharing)),
            (false, _) => Share::Part(named(&sharing | &touching)),
            (true, false) => Share::Unclear(named(touching)),
            (true, true) => Share::Nothing,
        }
    }

    /// Whether these batches lie within the runs, and received so many events.
    fn have_as_many(&self, batches: &BTreeSet<&BatchIdentity>, covers: &[ShardRange], events: u64) -> bool {
        let lies_within = |theirs: &ShardRange| {
            let is_within =
                |run: &ShardRange| run.shard == theirs.shard && run.first <= theirs.first && theirs.last <= run.last;
            covers.iter().any(is_within)
        };
        let others = || batches.iter().map(|batch| &self.batches[*batch]);
        others().flat_map(|other| &other.covers).all(lies_within)
            && others().flat_map(|other| other.events.values()).sum::<u64>() == events
    }

    /// Of each run, the records from the first to the last one that no other batch has, and the batches that have others. Where numbers
    /// count up, and no record is an aggregate.
    pub(super) fn rest(&self, batch: &BatchIdentity, covers: &[ShardRange]) -> (Vec<ShardRange>, Vec<BatchIdentity>) {
        let mut sharing = BTreeSet::new();
        let mut rest = Vec::new();
        for run in covers {
            let runs = self.runs(batch, &run.shard);
            let mut runs: Vec<_> =
                runs.filter(|(_, theirs)| theirs.first <= run.last && run.first <= theirs.last).collect();
            sharing.extend(runs.iter().map(|(other, _)| (*other).clone()));
            let has = |theirs: &ShardRange, at| theirs.first <= at && at <= theirs.last;
            runs.sort_unstable_by_key(|(_, theirs)| theirs.first);
            let mut first = run.first;
            for (_, theirs) in &runs {
                if has(theirs, first) {
                    first = after(theirs.last);
                }
            }
            runs.sort_unstable_by_key(|(_, theirs)| std::cmp::Reverse(theirs.last));
            let mut last = run.last;
            for (_, theirs) in &runs {
                if has(theirs, last) {
                    last = before(theirs.first);
                }
            }
            if first <= last {
                rest.push(ShardRange { shard: run.shard.clone(), first, last });
            }
        }
        (rest, sharing.into_iter().collect())
    }

    /// The runs of all batches but this one.
    fn runs(&self, batch: &BatchIdentity, shard: &ShardId) -> impl Iterator<Item = (&BatchIdentity, &ShardRange)> {
        let others = self.batches.iter().filter(move |(other, _)| *other != batch);
        let runs = others.flat_map(|(other, Other { covers, .. })| covers.iter().map(move |run| (other, run)));
        runs.filter(move |(_, run)| run.shard == *shard)
    }
}

fn after(at: SequenceNumber) -> SequenceNumber {
    at.as_u64().and_then(|at| at.checked_add(1)).map_or(at, Into::into)
}

fn before(at: SequenceNumber) -> SequenceNumber {
    at.as_u64().and_then(|at| at.checked_sub(1)).map_or(at, Into::into)
}

/// How much of a run others have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Extent {
    /// All: each of their runs begins within those before it.
    Joined,
    /// Its ends, without any record twice. There may be records between their runs.
    InPieces,
    Less,
}

impl Extent {
    fn of(mut runs: Vec<(SequenceNumber, SequenceNumber)>, run: &ShardRange) -> Self {
        runs.sort_unstable();
        let Some(((first, mut reached), rest)) = runs.split_first().map(|(run, rest)| (*run, rest)) else {
            return Self::Less;
        };
        let (mut has_gap, mut has_overlap) = (false, false);
        for (first, last) in rest {
            has_gap |= *first > reached;
            has_overlap |= *first < reached;
            reached = reached.max(*last);
        }
        match (has_gap, has_overlap) {
            _ if first > run.first || reached < run.last => Self::Less,
            (false, _) => Self::Joined,
            (true, false) => Self::InPieces,
            (true, true) => Self::Less,
        }
    }
}

/// How two runs of one shard lie to each other.
enum Meeting {
    Apart,
    Together,
    Unclear,
}

type RunOf<'a> = (&'a BatchIdentity, &'a [ShardRange], &'a ShardRange);

/// Where deliveries take aggregated records apart, one batch may end and the next begin within the same record. A record that was not
/// aggregated is in one batch, or came again. The numbers are the same.
fn meet((batch, covers, run): RunOf<'_>, (other, their_covers, theirs): RunOf<'_>) -> Meeting {
    let (first, last) = (run.first.max(theirs.first), run.last.min(theirs.last));
    if first > last {
        return Meeting::Apart;
    }
    let is_inside = |run: &ShardRange| run.first < first && first < run.last;
    if first < last || is_inside(run) || is_inside(theirs) {
        return Meeting::Together;
    }
    if !is_of_one_record(covers) || !is_of_one_record(their_covers) {
        return Meeting::Unclear;
    }
    match (user_records(batch, run), user_records(other, theirs)) {
        (Some(ours), Some(theirs)) if ours.end() < theirs.start() || theirs.end() < ours.start() => Meeting::Apart,
        (Some(ours), Some(theirs)) if theirs.start() <= ours.start() && ours.end() <= theirs.end() => Meeting::Together,
        _ => Meeting::Unclear,
    }
}

fn is_of_one_record(covers: &[ShardRange]) -> bool {
    matches!(covers, [run] if run.first == run.last)
}

/// The user records of a batch that is of one record, by its identity; `None`: it has records that were put directly too, or too many.
fn user_records(batch: &BatchIdentity, run: &ShardRange) -> Option<RangeInclusive<u64>> {
    let last_from = |start: u64| {
        let mut hasher = BatchHasher::default();
        (start..MOST_USER_RECORDS).find(|subsequence| {
            hasher.push(&RecordIdentity { shard: run.shard.clone(), sequence: run.first, subsequence: *subsequence });
            hasher.clone().finish() == *batch
        })
    };
    (0..MOST_USER_RECORDS).find_map(|start| Some(start..=last_from(start)?))
}

#[cfg(test)]
mod tests;
