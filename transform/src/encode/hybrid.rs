//! The run-length and bit-packed hybrid, in which Parquet holds levels and dictionary codes.
//!
//! Source: Apache Parquet, "Encodings", RLE = 3. Runs of eight and more equal values become one run; what lies between
//! is packed in groups of eight.

/// Appends `values`, each less than 2 to the power of `width`, without their width or length.
pub(super) fn encode(values: &[u32], width: u8, out: &mut Vec<u8>) {
    let (mut packed_from, mut at) = (0, 0);
    while at < values.len() {
        let value = values[at];
        let run = values[at..].iter().take_while(|next| **next == value).count();
        // A packed part ends with a whole group of eight, so it takes some of the run.
        let taken = (packed_from..at).len().next_multiple_of(8) - (packed_from..at).len();
        if run >= taken + 8 {
            pack(&values[packed_from..at + taken], width, out);
            repeat(value, run - taken, width, out);
            packed_from = at + run;
        }
        at += run;
    }
    pack(&values[packed_from..], width, out);
}

/// Appends dictionary codes as a data page holds them: their width, and no length.
pub(super) fn encode_codes(codes: &[u32], out: &mut Vec<u8>) {
    let greatest = codes.iter().copied().max().unwrap_or_default();
    // Not every reader knows codes of no bits at all.
    let width = width(greatest.into()).max(1);
    out.push(width);
    encode(codes, width, out);
}

/// Appends a run of equal values.
pub(super) fn repeat(value: u32, count: usize, width: u8, out: &mut Vec<u8>) {
    varint((count as u64) << 1, out);
    out.extend_from_slice(&value.to_le_bytes()[..usize::from(width.div_ceil(8))]);
}

fn pack(values: &[u32], width: u8, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    varint((values.len().div_ceil(8) as u64) << 1 | 1, out);
    bits(values.iter().map(|value| u64::from(*value)), width, out);
    let last_group = values.len() % 8;
    if last_group > 0 {
        // The group is filled with zeros; some of their bits already stand in the last byte.
        let (written, whole) = ((last_group * usize::from(width)).div_ceil(8), usize::from(width));
        out.resize(out.len() + whole - written, 0);
    }
}

/// Appends the lowest `width` bits of each value, least significant first, and fills the last byte with zeros.
pub(super) fn bits(values: impl Iterator<Item = u64>, width: u8, out: &mut Vec<u8>) {
    let width = u32::from(width);
    let (mut held, mut held_bits) = (0_u64, 0_u32);
    for value in values {
        held |= value << held_bits;
        let before = held_bits;
        held_bits += width;
        if held_bits >= 64 {
            out.extend_from_slice(&held.to_le_bytes());
            held_bits -= 64;
            held = value.checked_shr(64 - before).unwrap_or(0);
        }
    }
    out.extend_from_slice(&held.to_le_bytes()[..held_bits.div_ceil(8) as usize]);
}

/// The bits that the greatest of some values takes.
pub(super) fn width(greatest: u64) -> u8 {
    (u64::BITS - greatest.leading_zeros()) as u8
}

/// Appends a number in the variable-length form ("ULEB128").
pub(super) fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
