//! Who a record is: its shard and sequence numbers, and the hash over many of them that names a batch.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The name of a shard, in the form that Kinesis uses: `shardId-000000000000`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShardId(Arc<str>);

impl ShardId {
    /// A shard by its full name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The `n`th shard of a stream, named as Kinesis would name it.
    pub fn numbered(n: u32) -> Self {
        Self(format!("shardId-{n:012}").into())
    }

    /// The name under which records are known that came in by no stream, but were put directly. Kinesis names no shard so.
    pub const DIRECT_PUT: &'static str = "direct-put";

    /// Whether it is no shard of a stream, but stands for records that were put directly.
    pub fn is_direct_put(&self) -> bool {
        self.as_str() == Self::DIRECT_PUT
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A record's place within its shard: a decimal number of up to 57 digits.
///
/// Kinesis gives numbers of 56 digits; the local log counts from 1. Held as 192 bits, so that it is `Copy` and its order
/// is the numeric one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct SequenceNumber {
    high: u64,
    low: u128,
}

/// Text that is no sequence number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no sequence number: expected 1 to 57 decimal digits")]
pub struct SequenceNumberError(String);

impl SequenceNumber {
    /// The number as the local log counts: `None` when it is too large to have come from there.
    pub fn as_u64(self) -> Option<u64> {
        if self.high == 0 { u64::try_from(self.low).ok() } else { None }
    }

    /// A number made of a hash's first bits: as many of them as 57 digits hold, which are 189.
    fn of_hash(hash: &[u8; 32]) -> Self {
        const KEPT: u64 = u64::MAX >> 3;
        let (high, rest) = hash.split_first_chunk().expect("32 bytes are more than 8");
        let (low, _) = rest.split_first_chunk().expect("24 bytes are more than 16");
        Self { high: u64::from_be_bytes(*high) & KEPT, low: u128::from_be_bytes(*low) }
    }

    /// The number that 1 to 57 decimal digits stand for; `None`: they are none, or another number of them.
    pub fn from_digits(digits: &[u8]) -> Option<Self> {
        const POWERS: [u64; 8] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];
        if digits.is_empty() || digits.len() > 57 {
            return None;
        }
        // Two words of eight digits at a time, then what is left of them digit by digit.
        let (pairs, rest) = digits.as_chunks::<16>();
        let number = pairs.iter().try_fold(Self::default(), |number, pair| {
            let (high, low) = pair.split_first_chunk::<8>()?;
            let low = low.first_chunk::<8>()?;
            number.push_digits(10_u64.pow(16), eight_digits(*high)? * 10_u64.pow(8) + eight_digits(*low)?)
        })?;
        let (words, rest) = rest.as_chunks::<8>();
        let number =
            words.iter().try_fold(number, |number, word| number.push_digits(10_u64.pow(8), eight_digits(*word)?))?;
        if !rest.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let last = rest.iter().fold(0, |last, digit| last * 10 + u64::from(digit - b'0'));
        number.push_digits(POWERS[rest.len()], last)
    }

    fn to_be_bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&self.high.to_be_bytes());
        bytes[8..].copy_from_slice(&self.low.to_be_bytes());
        bytes
    }

    /// `self * power + digits`, or `None` past 192 bits.
    fn push_digits(self, power: u64, digits: u64) -> Option<Self> {
        const HALF: u32 = 64;
        let mask = u128::from(u64::MAX);
        let power = u128::from(power);
        let bottom = (self.low & mask) * power + u128::from(digits);
        let middle = (self.low >> HALF) * power + (bottom >> HALF);
        let top = u128::from(self.high) * power + (middle >> HALF);
        Some(Self { high: u64::try_from(top).ok()?, low: (middle << HALF) | (bottom & mask) })
    }

    /// The quotient and remainder of a division by ten.
    fn pop_digit(self) -> (Self, u8) {
        const HALF: u32 = 64;
        let mask = u128::from(u64::MAX);
        let top = u128::from(self.high);
        let middle = ((top % 10) << HALF) | (self.low >> HALF);
        let bottom = ((middle % 10) << HALF) | (self.low & mask);
        let low = ((middle / 10) << HALF) | (bottom / 10);
        (Self { high: self.high / 10, low }, (bottom % 10) as u8)
    }
}

/// The number that eight decimal digits stand for; `None`: they are none. Neighbours are added up in one word: digits, then
/// pairs of them, then fours.
fn eight_digits(digits: [u8; 8]) -> Option<u64> {
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    const HIGH_HALVES: u64 = 0xF0F0_F0F0_F0F0_F0F0;
    let word = u64::from_le_bytes(digits);
    let past_nine = word.wrapping_add(0x0606_0606_0606_0606) & HIGH_HALVES;
    if word & HIGH_HALVES != ZEROS || past_nine != ZEROS {
        return None;
    }
    let ones = word - ZEROS;
    let pairs = (ones.wrapping_mul(10 << 8 | 1) >> 8) & 0x00FF_00FF_00FF_00FF;
    let fours = (pairs.wrapping_mul(100 << 16 | 1) >> 16) & 0x0000_FFFF_0000_FFFF;
    Some(fours.wrapping_mul(10_000 << 32 | 1) >> 32)
}

impl From<u64> for SequenceNumber {
    fn from(value: u64) -> Self {
        Self { high: 0, low: u128::from(value) }
    }
}

impl FromStr for SequenceNumber {
    type Err = SequenceNumberError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || SequenceNumberError(text.chars().take(80).collect());
        Self::from_digits(text.as_bytes()).ok_or_else(refused)
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(small) = self.as_u64() {
            return write!(f, "{small}");
        }
        let mut digits = Vec::with_capacity(58);
        let mut rest = *self;
        while rest != Self::default() {
            let (quotient, digit) = rest.pop_digit();
            digits.push(b'0' + digit);
            rest = quotient;
        }
        digits.iter().rev().try_for_each(|digit| write!(f, "{}", char::from(*digit)))
    }
}

impl Serialize for SequenceNumber {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SequenceNumber {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// How many bytes of identities are collected before they are hashed.
const HASHED_AT_ONCE: usize = 8 * 1024;

/// What makes a stream record itself and no other, however often it is delivered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordIdentity {
    /// The shard that holds the record.
    pub shard: ShardId,
    /// Its place in that shard.
    pub sequence: SequenceNumber,
    /// Its place within an aggregated record; 0 when it was not aggregated.
    pub subsequence: u64,
}

impl RecordIdentity {
    /// The identity of a record that came in by no stream and is known by its sender's own id for it.
    pub fn of_direct_put(record_id: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"direct-put");
        hash.update(record_id.as_bytes());
        let sequence = SequenceNumber::of_hash(&hash.finalize().into());
        Self { shard: ShardId::new(ShardId::DIRECT_PUT), sequence, subsequence: 0 }
    }

    /// 128 bits that stand for the `index`th event of this record, the same however often it is delivered: the id of an
    /// event that was sent without one.
    pub fn derived_event_id(&self, index: u32) -> String {
        let mut hash = Sha256::new();
        hash.update(b"event");
        let mut bytes = Vec::with_capacity(128);
        self.write(&mut bytes);
        hash.update(&bytes);
        hash.update(index.to_be_bytes());
        hex_of_first_16(&hash.finalize())
    }

    /// The identity of the `index`th user record of this record, when it is an aggregate.
    pub fn user_record(&self, index: u64) -> Self {
        Self { subsequence: self.subsequence.saturating_add(index), ..self.clone() }
    }

    /// Adds the bytes that are hashed of it.
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&(self.shard.as_str().len() as u32).to_be_bytes());
        bytes.extend_from_slice(self.shard.as_str().as_bytes());
        bytes.extend_from_slice(&self.sequence.to_be_bytes());
        bytes.extend_from_slice(&self.subsequence.to_be_bytes());
    }
}

impl fmt::Display for RecordIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.shard, self.sequence, self.subsequence)
    }
}

/// Text that is no record's identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no record's identity: expected <shard>/<sequence number>/<subsequence number>")]
pub struct RecordIdentityError(String);

impl FromStr for RecordIdentity {
    type Err = RecordIdentityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (rest, subsequence) = text.rsplit_once('/')?;
            let (shard, sequence) = rest.rsplit_once('/')?;
            let (sequence, subsequence) = (sequence.parse().ok()?, subsequence.parse().ok()?);
            Some(Self { shard: ShardId::new(shard), sequence, subsequence })
        };
        read().ok_or_else(|| RecordIdentityError(text.chars().take(120).collect()))
    }
}

/// A hash over the sorted identities of a set of records: 32 lower-case hexadecimal digits.
///
/// Two deliveries of the same records have the same identity, in whatever order they come (LK-1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BatchIdentity(Arc<str>);

impl BatchIdentity {
    /// The identity of a set of records.
    pub fn of<'a>(records: impl IntoIterator<Item = &'a RecordIdentity>) -> Self {
        let mut sorted: Vec<_> = records.into_iter().collect();
        sorted.sort_unstable();
        let mut hasher = BatchHasher::default();
        sorted.into_iter().for_each(|record| hasher.push(record));
        hasher.finish()
    }

    /// Reads an identity back from the name of a data file, `<identity>-<content>.parquet`, with any folders before it.
    pub fn from_data_file_name(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next()?.strip_suffix(".parquet")?;
        let (identity, content) = name.split_once('-')?;
        let hex = |text: &str| text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        (hex(identity) && hex(content)).then(|| Self(identity.into()))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BatchIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The identity of a set of records that come one by one, and need not be held: see [`BatchIdentity::of`].
#[derive(Debug, Clone)]
pub struct BatchHasher {
    hash: Sha256,
    // A hash takes many bytes at once faster than a few.
    bytes: Vec<u8>,
}

impl Default for BatchHasher {
    fn default() -> Self {
        Self { hash: Sha256::new_with_prefix(b"batch"), bytes: Vec::new() }
    }
}

impl BatchHasher {
    /// Adds a record, which must be greater than those before it: by shard, then by number.
    pub fn push(&mut self, record: &RecordIdentity) {
        if self.bytes.is_empty() {
            self.bytes.reserve(HASHED_AT_ONCE + 256);
        }
        record.write(&mut self.bytes);
        if self.bytes.len() >= HASHED_AT_ONCE {
            self.hash.update(&self.bytes);
            self.bytes.clear();
        }
    }

    /// Gives back the memory that it collects identities in; more may be added.
    pub fn rest(&mut self) {
        self.hash.update(&self.bytes);
        self.bytes = Vec::new();
    }

    /// The identity of the records that were added.
    pub fn finish(mut self) -> BatchIdentity {
        self.hash.update(&self.bytes);
        BatchIdentity(hex_of_first_16(&self.hash.finalize()).into())
    }
}

/// The content half of a data file's name: 32 hexadecimal digits of a hash of its bytes.
pub fn content_hash(bytes: &[u8]) -> String {
    hex_of_first_16(&Sha256::digest(bytes))
}

/// The id of the `index`th event of a request that carried an idempotency key and no id of its own: the same whenever the
/// request is sent again.
pub fn idempotent_event_id(idempotency_key: &str, index: u32) -> String {
    let mut hash = Sha256::new();
    hash.update(b"request");
    hash.update((idempotency_key.len() as u32).to_be_bytes());
    hash.update(idempotency_key.as_bytes());
    hash.update(index.to_be_bytes());
    hex_of_first_16(&hash.finalize())
}

fn hex_of_first_16(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(32);
    for byte in &bytes[..16] {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

#[cfg(test)]
mod tests;
