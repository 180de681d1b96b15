//! Which file may have an event key, an owner or a source: filters, so that a file need not be read to know that it has none.
//!
//! - A *key filter* lies beside each compacted file, at `_keys/<file>.keys` in the table's folder, so that new rows are compared with the
//!   old ones without reading those. A file without one, or with a damaged one, may have any key.
//! - A *filter of names*, of owners or sources, stands in a file's entry of the object index.
//!
//! A filter is wrong about one key in four thousand million. It takes some 4.5 bytes a key: `ALK1`, the CRC-32C of what follows, four numbers that describe it (8, 4, 4 and 4 bytes), and its fingerprints of
//! 4 bytes each; all with the little end first.
//!
//! Source: Graf and Lemire, "Binary Fuse Filters: Fast and Smaller Than Xor Filters" (2022); the numbers are those of the crate
//! `xorf`.

use bytes::Bytes;
use twox_hash::XxHash64;
use xorf::{BinaryFuse32, Descriptor, DmaSerializable as _, Filter as _};

const MAGIC: &[u8; 4] = b"ALK1";
const HEAD_BYTES: usize = 8;
const NUMBERS_BYTES: usize = Descriptor::DMA_LEN;
/// Part of the format: filters that are stored were made with it.
const SEED: u64 = 0x616c_6c75_7669_756d;

/// The number that stands for an event key in a filter.
#[derive(Debug, Default)]
pub(crate) struct KeyNumber(Vec<u8>);

impl KeyNumber {
    pub(crate) fn of(&mut self, owner: &str, source: &str, id: &str) -> u64 {
        self.0.clear();
        for text in [owner, source] {
            self.0.extend_from_slice(&(text.len() as u32).to_le_bytes());
            self.0.extend_from_slice(text.as_bytes());
        }
        self.0.extend_from_slice(id.as_bytes());
        XxHash64::oneshot(SEED, &self.0)
    }
}

/// Where the filter of a compacted file lies, relative to the table.
pub(crate) fn path_of(file: &str) -> String {
    format!("_keys/{}.keys", file.trim_end_matches(".parquet"))
}

/// The number that stands for an owner or a source in a filter.
pub(crate) fn number_of_name(name: &str) -> u64 {
    XxHash64::oneshot(SEED, name.as_bytes())
}

/// A set of numbers.
pub(crate) struct KeyFilter(BinaryFuse32);

impl KeyFilter {
    /// The bytes of a filter of these keys; `None`: one cannot be made of them.
    pub(crate) fn encode(mut keys: Vec<u64>) -> Option<Bytes> {
        keys.sort_unstable();
        keys.dedup();
        let filter = BinaryFuse32::try_from(&keys).ok()?;
        let fingerprints = filter.dma_fingerprints();
        let mut bytes = vec![0; HEAD_BYTES + NUMBERS_BYTES];
        bytes.reserve_exact(fingerprints.len());
        filter.dma_copy_descriptor_to(&mut bytes[HEAD_BYTES..]);
        bytes.extend(filter.fingerprints.iter().flat_map(|fingerprint| fingerprint.to_le_bytes()));
        let checksum = crc32c::crc32c(&bytes[HEAD_BYTES..]);
        bytes[..4].copy_from_slice(MAGIC);
        bytes[4..HEAD_BYTES].copy_from_slice(&checksum.to_le_bytes());
        Some(bytes.into())
    }

    /// Reads one back; `None`: it is damaged, or of a release newer than this.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (checksum, content) = rest.split_first_chunk()?;
        if crc32c::crc32c(content) != u32::from_le_bytes(*checksum) {
            return None;
        }
        let (seed, rest) = content.split_first_chunk()?;
        let (numbers, []) = rest.as_chunks::<4>() else { return None };
        let mut numbers = numbers.iter().map(|bytes| u32::from_le_bytes(*bytes));
        let descriptor = Descriptor {
            seed: u64::from_le_bytes(*seed),
            segment_length: numbers.next()?,
            segment_length_mask: numbers.next()?,
            segment_count_length: numbers.next()?,
        };
        let fingerprints: Box<[u32]> = numbers.collect();
        is_consistent(&descriptor, fingerprints.len()).then_some(Self(BinaryFuse32 { descriptor, fingerprints }))
    }

    pub(crate) fn may_contain(&self, key: u64) -> bool {
        self.0.contains(&key)
    }
}

/// Whether a key's three places lie among so many fingerprints.
fn is_consistent(descriptor: &Descriptor, fingerprints: usize) -> bool {
    let Descriptor { segment_length, segment_length_mask, segment_count_length, .. } = *descriptor;
    segment_length.is_power_of_two()
        && segment_length_mask == segment_length - 1
        && segment_count_length > 0
        && segment_count_length.is_multiple_of(segment_length)
        && u64::from(segment_count_length) + 2 * u64::from(segment_length) == fingerprints as u64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn it_has_its_keys_and_hardly_any_other() {
        let mut number = KeyNumber::default();
        let keys: Vec<u64> = (0..100_000).map(|n| number.of("owner", "source", &n.to_string())).collect();
        let bytes = KeyFilter::encode([keys.clone(), keys[..10].to_vec()].concat()).unwrap();
        assert!(bytes.len() < 5 * keys.len(), "{} bytes", bytes.len());
        let filter = KeyFilter::decode(&bytes).unwrap();
        assert!(keys.iter().all(|key| filter.may_contain(*key)));
        let others = (100_000..1_000_000).map(|n| number.of("owner", "source", &n.to_string()));
        assert_eq!(others.filter(|key| filter.may_contain(*key)).count(), 0);
    }

    #[test]
    fn the_parts_of_a_key_do_not_run_into_each_other() {
        let mut number = KeyNumber::default();
        assert_ne!(number.of("a", "bc", "d"), number.of("ab", "c", "d"));
        assert_ne!(number.of("a", "bc", "d"), number.of("a", "b", "cd"));
        // Stored filters depend on this number.
        assert_eq!(number.of("owner", "source", "id"), NUMBER_OF_A_KEY);
    }

    const NUMBER_OF_A_KEY: u64 = 17_250_891_654_482_133_681;

    #[test]
    fn damaged_bytes_are_none() {
        let bytes = KeyFilter::encode((0..100).collect()).unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 1;
            assert!(KeyFilter::decode(&damaged).is_none(), "at {at}");
            assert!(KeyFilter::decode(&bytes[..at]).is_none(), "up to {at}");
        }
    }

    #[test]
    fn few_keys_make_one_too() {
        for keys in 0..5 {
            let filter = KeyFilter::decode(&KeyFilter::encode((0..keys).collect()).unwrap()).unwrap();
            assert!((0..keys).all(|key| filter.may_contain(key)));
        }
    }
}
