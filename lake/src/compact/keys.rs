//! Which rows are not the first arrival of their event key.
//!
//! Of each row 40 bytes are kept: 128 bits that stand for its key, when it arrived, and its number. When they are many, they are
//! parted by their keys into files, so that those of one part fit into memory.

use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;

use arrow::array::{AsArray as _, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;

use crate::columns::KEY_COLUMNS;
use crate::filter::{KeyFilter, KeyNumber};

/// Which arrival of a key is the first: the one with the earlier `ingest_time`, then with the earlier `event_time`.
const TIMES: [&str; 2] = ["ingest_time", "event_time"];
/// What an arrival is made of.
pub(super) const ARRIVAL_COLUMNS: [&str; 5] = [KEY_COLUMNS[0], KEY_COLUMNS[1], KEY_COLUMNS[2], TIMES[0], TIMES[1]];
/// The most arrivals that are held in memory at a time: 64 MiB of them.
const HELD: u64 = (64 << 20) / Arrival::BYTES as u64;
const BUFFER_BYTES: usize = 64 * 1024;

/// One row as far as its key goes. The order among the rows of one key is that of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Arrival {
    /// Its number in filters, and a hash with a random seed: nobody can make two keys that share both.
    key: [u64; 2],
    ingest_time: i64,
    event_time: i64,
    row: u64,
}

impl Arrival {
    const BYTES: usize = 40;

    fn to_bytes(self) -> [u8; Self::BYTES] {
        let numbers = [self.key[0], self.key[1], self.ingest_time as u64, self.event_time as u64, self.row];
        let mut bytes = [0; Self::BYTES];
        for (place, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let number = |at: usize| u64::from_le_bytes(bytes[at * 8..][..8].try_into().expect("eight bytes"));
        let [ingest_time, event_time] = [number(2) as i64, number(3) as i64];
        Self { key: [number(0), number(1)], ingest_time, event_time, row: number(4) }
    }
}

/// Collects the keys of rows.
#[derive(Debug)]
pub(super) struct Keys {
    hasher: Hasher,
    parts: Parts,
    rows: u64,
}

/// Makes of keys what stands for them.
#[derive(Debug, Default)]
pub(super) struct Hasher {
    number: KeyNumber,
    seed: RandomState,
}

impl Hasher {
    /// The rows, which are numbered from `first` on.
    fn arrivals(&mut self, rows: &RecordBatch, first: u64) -> impl Iterator<Item = Arrival> {
        let [owners, sources, ids] = KEY_COLUMNS.map(|name| rows[name].as_string::<i32>());
        let [ingest_times, event_times] =
            TIMES.map(|name| rows[name].as_primitive::<TimestampMicrosecondType>().values());
        (0..rows.num_rows()).map(move |row| {
            let (owner, source, id) = (owners.value(row), sources.value(row), ids.value(row));
            Arrival {
                key: [self.number.of(owner, source, id), self.seed.hash_one((owner, source, id))],
                ingest_time: ingest_times[row],
                event_time: event_times[row],
                row: first + row as u64,
            }
        })
    }
}

/// The numbers in filters of the keys of rows.
pub(crate) fn numbers(rows: &RecordBatch, number: &mut KeyNumber) -> impl Iterator<Item = u64> {
    let [owners, sources, ids] = KEY_COLUMNS.map(|name| rows[name].as_string::<i32>());
    (0..rows.num_rows()).map(move |row| number.of(owners.value(row), sources.value(row), ids.value(row)))
}

#[derive(Debug)]
enum Parts {
    Memory(Vec<Arrival>),
    Files(Vec<BufWriter<File>>),
}

impl Keys {
    /// For so many rows at the most; what does not fit into memory goes to `folder`.
    pub(super) fn new(rows: u64, folder: &Path) -> io::Result<Self> {
        let parts = match rows.div_ceil(HELD) {
            0 | 1 => Parts::Memory(Vec::with_capacity(rows as usize)),
            parts => {
                let file = |part| {
                    let path = folder.join(format!("keys-{part}"));
                    let file = File::options().create_new(true).read(true).write(true).open(path)?;
                    Ok(BufWriter::with_capacity(BUFFER_BYTES, file))
                };
                Parts::Files((0..parts).map(file).collect::<io::Result<_>>()?)
            }
        };
        Ok(Self { hasher: Hasher::default(), parts, rows: 0 })
    }

    /// Takes in rows, which are numbered in the order in which they come, from 0.
    pub(super) fn add(&mut self, rows: &RecordBatch) -> io::Result<()> {
        for arrival in self.hasher.arrivals(rows, self.rows) {
            match &mut self.parts {
                Parts::Memory(arrivals) => arrivals.push(arrival),
                Parts::Files(files) => {
                    let part = arrival.key[0] % files.len() as u64;
                    files[part as usize].write_all(&arrival.to_bytes())?;
                }
            }
        }
        self.rows += rows.num_rows() as u64;
        Ok(())
    }

    /// An empty set of the rows.
    pub(super) fn none(&self) -> RowSet {
        RowSet { bits: vec![0; self.rows.div_ceil(64) as usize], len: 0 }
    }

    /// The next part of the keys: all rows of any key that it has; `None`: there is no more.
    pub(super) fn next_part(&mut self) -> io::Result<Option<Part>> {
        let mut arrivals = match &mut self.parts {
            Parts::Memory(arrivals) if arrivals.is_empty() => return Ok(None),
            Parts::Memory(arrivals) => std::mem::take(arrivals),
            Parts::Files(files) => match files.pop() {
                Some(file) => read(file)?,
                None => return Ok(None),
            },
        };
        arrivals.sort_unstable();
        Ok(Some(Part(arrivals)))
    }

    /// The keys of rows of another file, to be compared with those of a part.
    pub(super) fn of_another(&mut self, rows: &RecordBatch) -> impl Iterator<Item = Arrival> {
        // Of arrivals at the same time the one counts that is in its place already.
        self.hasher.arrivals(rows, 0).map(|arrival| Arrival { row: 0, ..arrival })
    }
}

/// The rows of some keys, by key and in the order of arrival.
#[derive(Debug)]
pub(super) struct Part(Vec<Arrival>);

impl Part {
    /// Adds the rows that are not the first arrival of their key.
    pub(super) fn add_later(&self, later: &mut RowSet) {
        for of_key in self.0.chunk_by(|one, next| one.key == next.key) {
            of_key[1..].iter().for_each(|arrival| later.insert(arrival.row));
        }
    }

    /// Whether a filter may contain any of its keys.
    pub(super) fn meets(&self, filter: &KeyFilter) -> bool {
        self.0.iter().any(|arrival| filter.may_contain(arrival.key[0]))
    }

    /// Compares a row of another file with those of its key. Adds those that came later than it; says whether it came later than one.
    pub(super) fn compare(&self, other: Arrival, later: &mut RowSet) -> bool {
        let first = self.0.partition_point(|arrival| arrival.key < other.key);
        let of_key = self.0[first..].iter().take_while(|arrival| arrival.key == other.key);
        let mut is_later = false;
        for arrival in of_key {
            if *arrival < other {
                is_later = true;
            } else {
                later.insert(arrival.row);
            }
        }
        is_later
    }
}

fn read(file: BufWriter<File>) -> io::Result<Vec<Arrival>> {
    let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    let bytes = file.stream_position()?;
    file.rewind()?;
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, file);
    let mut arrivals = Vec::with_capacity(bytes as usize / Arrival::BYTES);
    let mut next = [0; Arrival::BYTES];
    for _ in 0..arrivals.capacity() {
        reader.read_exact(&mut next)?;
        arrivals.push(Arrival::from_bytes(next));
    }
    Ok(arrivals)
}

/// A set of rows by their numbers.
#[derive(Debug)]
pub(super) struct RowSet {
    bits: Vec<u64>,
    pub(super) len: u64,
}

impl RowSet {
    pub(super) fn contains(&self, row: u64) -> bool {
        self.bits[(row / 64) as usize] >> (row % 64) & 1 == 1
    }

    fn insert(&mut self, row: u64) {
        if !self.contains(row) {
            self.bits[(row / 64) as usize] |= 1 << (row % 64);
            self.len += 1;
        }
    }
}
