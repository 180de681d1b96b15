//! How records are written: learned from one, so that those after it, which Firehose writes alike, need no parsing.
//!
//! A record's JSON is its wanted values and what stands between them. A record that has the same bytes between its values
//! means the same, as long as each value is a token of the same kind; any other is parsed.

use std::ops::Range;

use super::Place;
use super::json::{Cursor, Scalar, bytes, is_word};

/// The most bytes between the values of a record that is worth learning.
const LEARNED_BYTES: usize = 1024;

/// A value that is wanted of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Member {
    Id,
    Data,
    Arrival,
    Shard,
    PartitionKey,
    KinesisArrival,
    Sequence,
    Subsequence,
}

impl Member {
    /// Those that stand in `kinesisRecordMetadata`.
    pub(super) const OF_KINESIS: [Self; 5] =
        [Self::Shard, Self::PartitionKey, Self::KinesisArrival, Self::Sequence, Self::Subsequence];
    const ALL: [Self; 8] = [
        Self::Id,
        Self::Data,
        Self::Arrival,
        Self::Shard,
        Self::PartitionKey,
        Self::KinesisArrival,
        Self::Sequence,
        Self::Subsequence,
    ];
}

/// What one record says of itself: where its wanted values stand.
#[derive(Debug, Default)]
pub(super) struct Said([Option<Scalar>; Member::ALL.len()]);

impl Said {
    /// Notes a value; of a member that stands twice the last one counts.
    pub(super) fn note(&mut self, member: Member, value: Scalar) {
        self.0[member as usize] = Some(value).filter(|value| *value != Scalar::Nothing);
    }

    pub(super) fn forget(&mut self, member: Member) {
        self.0[member as usize] = None;
    }

    pub(super) fn value(&self, member: Member) -> Option<&Scalar> {
        self.0[member as usize].as_ref()
    }

    /// A value that is a text.
    pub(super) fn text(&self, member: Member) -> Option<&Place> {
        match self.value(member) {
            Some(Scalar::Text(place)) => Some(place),
            _ => None,
        }
    }
}

/// How the records of one event are written.
#[derive(Debug, Default)]
pub(super) struct Pattern {
    known: Option<Known>,
    /// How many records were written otherwise.
    missed: u64,
}

#[derive(Debug)]
struct Known {
    values: Vec<Value>,
    /// What stands after the last value.
    end: Box<[u8]>,
}

#[derive(Debug)]
struct Value {
    /// What stands before it, its quote included.
    before: Box<[u8]>,
    member: Member,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Text,
    Bare,
}

impl Pattern {
    /// Reads the record that begins here if it is written like those before; else reads nothing.
    #[inline]
    pub(super) fn follow(&self, cursor: &mut Cursor<'_>) -> Option<Said> {
        self.known.as_ref()?.follow(cursor)
    }

    /// Learns from a record that had to be parsed; ever more rarely, so that records of ever new kinds cost little more.
    pub(super) fn learn(&mut self, event: &[u8], record: Range<usize>, said: &Said) {
        self.missed += 1;
        if self.missed.is_power_of_two() {
            self.known = Known::of(event, record, said);
        }
    }
}

impl Known {
    fn of(event: &[u8], record: Range<usize>, said: &Said) -> Option<Self> {
        let mut found: Vec<(Member, Kind, &Place)> = Vec::new();
        for member in Member::ALL {
            match said.value(member) {
                Some(Scalar::Text(place)) => found.push((member, Kind::Text, place)),
                Some(Scalar::Bare(place)) => found.push((member, Kind::Bare, place)),
                Some(Scalar::Nothing) | None => {}
            }
        }
        found.sort_unstable_by_key(|(_, _, place)| place.start);
        let of_values: usize = found.iter().map(|(_, _, place)| place.len()).sum();
        if record.len() - of_values > LEARNED_BYTES {
            return None;
        }
        let mut at = record.start;
        let values = found.into_iter().map(|(member, kind, place)| {
            let before = event[at..place.start as usize].into();
            at = place.end as usize;
            Value { before, member, kind }
        });
        Some(Self { values: values.collect(), end: event[at..record.end].into() })
    }

    fn follow(&self, cursor: &mut Cursor<'_>) -> Option<Said> {
        let mut rest = cursor.clone();
        let mut said = Said::default();
        for value in &self.values {
            rest.pass(&value.before)?;
            let value_of = match value.kind {
                Kind::Text => {
                    let left = rest.left();
                    let length = memchr::memchr2(b'"', b'\\', left).filter(|end| left[*end] == b'"')?;
                    Scalar::Text(rest.advance(length))
                }
                Kind::Bare => {
                    let length = rest.left().iter().position(|byte| !is_word(*byte)).filter(|length| *length > 0)?;
                    Scalar::Bare(rest.advance(length))
                }
            };
            said.0[value.member as usize] = Some(value_of);
        }
        rest.pass(&self.end)?;
        *cursor = rest;
        Some(said)
    }
}

/// Digits, as a number or as the text of one.
pub(super) fn digits<'a>(event: &'a [u8], value: Option<&Scalar>) -> Option<&'a str> {
    match value? {
        Scalar::Text(place) | Scalar::Bare(place) => std::str::from_utf8(bytes(event, place)).ok(),
        Scalar::Nothing => None,
    }
}
