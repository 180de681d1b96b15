//! Whether the values of a column repeat, and their codes if they do.
//!
//! Codes are given in the order in which values first appear, so they depend on the rows alone. Equal neighbours, which
//! sorted rows have many of, cost one comparison; a text of up to eight bytes is compared as one integer.

use std::cmp::Ordering;

/// How many values are looked at before all are.
const SAMPLE: usize = 1024;
/// A dictionary takes no more bytes than this: readers hold it whole.
const MAX_BYTES: usize = 1024 * 1024;
const FIRST_SLOTS: usize = 1024;

/// Whether values may repeat, as far as it is known without looking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeats {
    /// They may.
    Perhaps,
    /// They do not.
    Never,
}

/// A value as the dictionary knows it: an integer that tells most values apart, the length of a text, and the text.
pub(super) trait Entry: Copy {
    /// Equal for equal values.
    fn key(self) -> u64;
    /// The bytes of a text; 0 for a number, whose key is the whole value.
    fn length(self) -> u32;
    /// Whether values of equal keys and lengths are equal.
    fn same(self, other: Self) -> bool;
    /// A total order, so that the dictionary comes out the same each time.
    fn order(self, other: Self) -> Ordering;
    /// The bytes that it takes in the dictionary page.
    fn plain_bytes(self) -> usize;
}

impl Entry for &[u8] {
    #[inline]
    fn key(self) -> u64 {
        match self.len() {
            0 => 0,
            length @ 1..=3 => u64::from(self[0]) | u64::from(self[length / 2]) << 8 | u64::from(self[length - 1]) << 16,
            length @ 4..=8 => u64::from(word32(self)) | u64::from(word32(&self[length - 4..])) << 32,
            length => {
                let start = self.chunks_exact(8).fold(0, |hash, chunk| mixed(hash ^ word(chunk)));
                mixed(start ^ word(&self[length - 8..]))
            }
        }
    }

    fn length(self) -> u32 {
        self.len() as u32
    }

    fn same(self, other: Self) -> bool {
        self.len() <= 8 || self == other
    }

    fn order(self, other: Self) -> Ordering {
        self.cmp(other)
    }

    fn plain_bytes(self) -> usize {
        4 + self.len()
    }
}

fn word32(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(bytes[..4].try_into().expect("four bytes"))
}

fn word(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"))
}

/// Spreads the bits of a key.
#[inline]
fn mixed(key: u64) -> u64 {
    let product = u128::from(key ^ 0x2545_F491_4F6C_DD1D) * u128::from(0x9E37_79B9_7F4A_7C15_u64);
    (product >> 64) as u64 ^ product as u64
}

/// The distinct values of a column, in the order of their codes, and the code of each value.
#[derive(Debug)]
pub(super) struct Dictionary<E> {
    pub(super) values: Vec<E>,
    pub(super) codes: Vec<u32>,
}

impl<E: Entry> Dictionary<E> {
    /// The dictionary of these values; `None` if it does not pay.
    pub(super) fn of(values: &[E], repeats: Repeats) -> Option<Self> {
        if repeats == Repeats::Never || !sample_repeats(values.len(), |at| values[at]) {
            return None;
        }
        let mut codes = Codes::new();
        let found: Option<Vec<u32>> = values.chunk_by(|one, next| equal(*one, *next)).try_fold(
            Vec::with_capacity(values.len()),
            |mut found, run| {
                let code = codes.of(run[0])?;
                found.resize(found.len() + run.len(), code);
                Some(found)
            },
        );
        Some(Self { codes: found?, values: codes.values }).filter(Self::pays)
    }

    /// The same of values that have codes below `count` already, each value one: these are only given anew.
    pub(super) fn of_codes(known: &[u32], count: usize, value: impl Fn(u32) -> E, repeats: Repeats) -> Option<Self> {
        if repeats == Repeats::Never || !sample_repeats(known.len(), |at| value(known[at])) {
            return None;
        }
        let (mut renamed, mut values, mut bytes) = (vec![u32::MAX; count], Vec::new(), 0);
        let mut codes = Vec::with_capacity(known.len());
        for code in known {
            let new = &mut renamed[*code as usize];
            if *new == u32::MAX {
                *new = values.len() as u32;
                values.push(value(*code));
                bytes += values[*new as usize].plain_bytes();
                if bytes > MAX_BYTES {
                    return None;
                }
            }
            codes.push(*new);
        }
        Some(Self { values, codes }).filter(Self::pays)
    }

    fn pays(&self) -> bool {
        self.values.len() * 2 <= self.codes.len().max(2)
    }
}

impl<E: Entry> Dictionary<E> {
    /// The same values in ascending order, their codes changed with them.
    pub(super) fn ascending(mut self) -> Self {
        let mut order: Vec<u32> = (0..self.values.len() as u32).collect();
        let value = |code: &u32| self.values[*code as usize];
        order.sort_unstable_by(|one, other| value(one).order(value(other)));
        let mut renamed = vec![0; order.len()];
        for (code, before) in order.iter().enumerate() {
            renamed[*before as usize] = code as u32;
        }
        self.values = order.iter().map(value).collect();
        self.codes.iter_mut().for_each(|code| *code = renamed[*code as usize]);
        self
    }
}

fn equal<E: Entry>(one: E, other: E) -> bool {
    one.key() == other.key() && one.length() == other.length() && one.same(other)
}

/// Whether values spread over all rows repeat so often that all of them have distinct values of at most a third.
///
/// Of `n` values drawn from `d` that are equally frequent, about `n² / 2d` were drawn before.
fn sample_repeats<E: Entry>(rows: usize, value: impl Fn(usize) -> E) -> bool {
    // Places drawn at random, though the same each time: sorted rows would show a regular step too few repeats.
    let looked_at = rows.min(SAMPLE) as u64;
    let mut codes = Codes::new();
    for drawn in 0..looked_at {
        let at = if rows <= SAMPLE { drawn } else { mixed(drawn) % rows as u64 };
        if codes.of(value(at as usize)).is_none() {
            return false;
        }
    }
    let repeated = looked_at - codes.values.len() as u64;
    repeated * 2 >= looked_at || repeated * 2 * rows as u64 >= 3 * looked_at * looked_at
}

/// The codes given so far: an open hash table.
struct Codes<E> {
    slots: Vec<Slot>,
    values: Vec<E>,
    bytes: usize,
    /// How many slots may still be passed by. Values that were chosen to meet in the same slots make the dictionary
    /// end.
    patience: u64,
}

/// A value's key and length, and its code plus 1; 0 if the slot is free.
#[derive(Clone, Copy, Default)]
struct Slot {
    key: u64,
    length: u32,
    code: u32,
}

impl<E: Entry> Codes<E> {
    fn new() -> Self {
        Self { slots: vec![Slot::default(); FIRST_SLOTS], values: Vec::new(), bytes: 0, patience: 1 << 20 }
    }

    /// The code of a value; `None` when the dictionary has become too large or too slow.
    #[inline]
    fn of(&mut self, value: E) -> Option<u32> {
        let (key, length) = (value.key(), value.length());
        let mut at = self.home(key, length);
        loop {
            let slot = self.slots[at];
            if slot.code == 0 {
                return self.add(at, value, Slot { key, length, code: 0 });
            }
            if slot.key == key && slot.length == length && self.values[slot.code as usize - 1].same(value) {
                return Some(slot.code - 1);
            }
            at = (at + 1) & (self.slots.len() - 1);
            self.patience = self.patience.checked_sub(1)?;
        }
    }

    #[inline]
    fn home(&self, key: u64, length: u32) -> usize {
        mixed(key.wrapping_add(u64::from(length))) as usize & (self.slots.len() - 1)
    }

    fn add(&mut self, at: usize, value: E, slot: Slot) -> Option<u32> {
        let code = self.values.len() as u32;
        self.values.push(value);
        self.slots[at] = Slot { code: code + 1, ..slot };
        self.bytes += value.plain_bytes();
        if self.values.len() * 2 > self.slots.len() {
            self.grow()?;
        }
        (self.bytes <= MAX_BYTES).then_some(code)
    }

    fn grow(&mut self) -> Option<()> {
        let known = std::mem::take(&mut self.slots);
        self.slots = vec![Slot::default(); known.len() * 4];
        for slot in known.into_iter().filter(|slot| slot.code > 0) {
            let mut at = self.home(slot.key, slot.length);
            while self.slots[at].code > 0 {
                at = (at + 1) & (self.slots.len() - 1);
                self.patience = self.patience.checked_sub(1)?;
            }
            self.slots[at] = slot;
        }
        Some(())
    }
}
