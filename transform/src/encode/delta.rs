//! Integers as packed differences.
//!
//! Source: Apache Parquet, "Encodings", DELTA_BINARY_PACKED = 5. Blocks of 128 values, each of four miniblocks, so that
//! one leap widens no more than 32 values.

use super::hybrid::{bits, varint, width};

const BLOCK: usize = 128;
const MINIBLOCK: usize = 32;

/// An integer whose differences wrap around in its own width.
pub(super) trait Integer: Copy + Default + Into<i64> {
    /// `self - before`.
    fn difference(self, before: Self) -> i64;
}

impl Integer for i32 {
    fn difference(self, before: Self) -> i64 {
        self.wrapping_sub(before).into()
    }
}

impl Integer for i64 {
    fn difference(self, before: Self) -> i64 {
        self.wrapping_sub(before)
    }
}

/// Appends the values.
pub(super) fn encode<I: Integer>(values: &[I], out: &mut Vec<u8>) {
    let first = values.first().copied().unwrap_or_default();
    for header in [BLOCK, BLOCK / MINIBLOCK, values.len()] {
        varint(header as u64, out);
    }
    zigzag(first.into(), out);
    let mut before = first;
    let mut differences = [0_i64; BLOCK];
    for block in values.get(1..).unwrap_or_default().chunks(BLOCK) {
        let mut least = i64::MAX;
        for (difference, value) in differences.iter_mut().zip(block) {
            *difference = value.difference(before);
            least = least.min(*difference);
            before = *value;
        }
        // What fills the last miniblock takes no bits of its own.
        differences[block.len()..].fill(least);
        zigzag(least, out);
        let above = differences.map(|difference| difference.wrapping_sub(least) as u64);
        let miniblocks = || above.chunks_exact(MINIBLOCK).take(block.len().div_ceil(MINIBLOCK));
        let widths = out.len();
        out.resize(widths + BLOCK / MINIBLOCK, 0);
        for (at, miniblock) in miniblocks().enumerate() {
            let bits_each = width(miniblock.iter().fold(0, |all, value| all | value));
            out[widths + at] = bits_each;
            bits(miniblock.iter().copied(), bits_each, out);
        }
    }
}

fn zigzag(value: i64, out: &mut Vec<u8>) {
    varint(((value << 1) ^ (value >> 63)) as u64, out);
}
