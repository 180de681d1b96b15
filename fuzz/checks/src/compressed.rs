//! Compressed records: any bytes behind the magic bytes, streams with damage, and streams as their writers make them.

use std::io::Write;
use std::sync::LazyLock;

use alluvium_transform::{Transform, TransformSettings};

use crate::delivery::{Outcome, run_one};
use crate::event::transform;
use crate::pick::Pick;

/// Low enough that a fuzzer's inputs come past it.
const EXPANDED_BYTES: usize = 16 * 1024;

static TRANSFORM: LazyLock<Transform> = LazyLock::new(|| {
    transform("small", TransformSettings { record_expanded_bytes: EXPANDED_BYTES, ..TransformSettings::default() })
});

/// Any bytes as gzip. The first byte says how they are used.
pub fn gzip(bytes: &[u8]) {
    compressed(bytes, &[0x1F, 0x8B, 8], |content, level| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(u32::from(level % 10)));
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    });
}

/// Any bytes as zstd. The first byte says how they are used.
pub fn zstd(bytes: &[u8]) {
    compressed(bytes, &[0x28, 0xB5, 0x2F, 0xFD], |content, level| {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), i32::from(level % 10)).unwrap();
        encoder.include_checksum(true).unwrap();
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    });
}

fn compressed(bytes: &[u8], magic: &[u8], compress: fn(&[u8], u8) -> Vec<u8>) {
    let mut pick = Pick(bytes);
    let way = pick.byte();
    match way % 4 {
        0 => drop(within_limits([magic, pick.rest()].concat())),
        1 => {
            let content = pick.rest();
            same_as_plain(&within_limits(compress(content, way / 4)), content);
        }
        2 => {
            let half = pick.number();
            let content = pick.rest();
            let (one, other) = content.split_at(half.min(content.len()));
            let two_streams = [compress(one, way / 4), compress(other, way / 8)].concat();
            same_as_plain(&within_limits(two_streams), content);
        }
        _ => damaged(pick, way / 4, compress),
    }
}

/// One byte of a stream is changed, or its end is cut off: what comes out is the content or nothing.
fn damaged(mut pick: Pick<'_>, level: u8, compress: fn(&[u8], u8) -> Vec<u8>) {
    let (at, by) = (pick.number(), pick.byte());
    let content = pick.rest();
    let mut stream = compress(content, level);
    let at = at % stream.len();
    match by {
        0 => stream.truncate(at),
        by => stream[at] ^= by,
    }
    // What no longer begins like a stream is a plain record.
    if at >= 4 {
        let outcome = within_limits(stream);
        if outcome.dead("reason") != ["unreadable_record"] {
            same_as_plain(&outcome, content);
        }
    }
}

/// Runs a compressed record; the events of it are no larger than it may expand to.
fn within_limits(record: Vec<u8>) -> Outcome {
    let limit = EXPANDED_BYTES.max(record.len()) as u64;
    let outcome = run_one(&TRANSFORM, record);
    assert!(outcome.bytes() <= limit, "{} bytes of events", outcome.bytes());
    outcome
}

/// A compressed record becomes what its content becomes when it is sent plainly.
fn same_as_plain(outcome: &Outcome, content: &[u8]) {
    if content.len() > EXPANDED_BYTES {
        assert_eq!(outcome.dead("reason"), ["expands_too_far"]);
        return;
    }
    // Content that begins like another form is opened only once.
    if content.first().is_some_and(|byte| !byte.is_ascii() || *byte == 0x1F || *byte == 0x28) {
        return;
    }
    let plain = run_one(&TRANSFORM, content.to_vec());
    // A record whose events cannot be told apart is set aside whole: as it was sent, compressed.
    if plain.received() == 1 && plain.dead("reason").len() == 1 {
        assert_eq!((outcome.received(), outcome.dead("reason")), (1, plain.dead("reason")));
    } else {
        assert!(outcome.rows == plain.rows, "compression changes nothing");
    }
}
