#![allow(clippy::unwrap_used)]

use std::fmt::Write;

use proptest::prelude::*;

use super::*;

const SALT: u32 = 0x0123_4567;

fn example() -> Vec<u8> {
    let header = SegmentHeader { shard: 0, first: 1, arrival_floor: 1_700_000_000_000_000, salt: SALT };
    let mut bytes = header.encode().to_vec();
    let frame = Frame { sequence: 1, arrival: 1_700_000_000_000_000, place: 0, key: "k1", data: b"{}" };
    frame.encode(SALT, &mut bytes);
    Frame { sequence: 2, place: 1, key: "k2", data: b"hello", ..frame }.encode(SALT, &mut bytes);
    bytes
}

fn hexdump(bytes: &[u8]) -> String {
    let mut dump = String::new();
    for (index, row) in bytes.chunks(16).enumerate() {
        write!(dump, "{:08x} ", index * 16).unwrap();
        row.iter().for_each(|byte| write!(dump, " {byte:02x}").unwrap());
        dump.push('\n');
    }
    dump
}

#[test]
fn the_example_in_the_documentation_is_what_is_written() {
    let documentation = include_str!("../../../../docs/formats/log.md");
    for dump in [hexdump(&example()), hexdump(&Mark { segment: 1, bytes: 111, newest: 2 }.encode())] {
        assert!(documentation.contains(&dump), "docs/formats/log.md should show\n{dump}");
    }
    assert_eq!(example().len(), 111);
}

#[test]
fn a_header_survives_the_round_trip_and_no_other_byte_passes_for_it() {
    let header = SegmentHeader { shard: 3, first: u64::MAX, arrival_floor: -1, salt: SALT };
    let bytes = header.encode();
    assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
    for index in 0..bytes.len() {
        let mut flipped = bytes;
        flipped[index] ^= 0x10;
        assert!(SegmentHeader::decode(&flipped).is_err(), "byte {index}");
    }
}

#[test]
fn a_newer_version_is_named() {
    let mut bytes = SegmentHeader { shard: 0, first: 1, arrival_floor: 0, salt: 0 }.encode();
    bytes[8] = 7;
    assert_eq!(SegmentHeader::decode(&bytes), Err(BadHeader::Version(7)));
}

#[test]
fn a_mark_is_whole_or_none() {
    let mark = Mark { segment: 5, bytes: 77, newest: 9 };
    let bytes = mark.encode();
    assert_eq!(Mark::decode(&bytes), Some(mark));
    for index in 0..bytes.len() {
        let mut flipped = bytes;
        flipped[index] ^= 1;
        assert_eq!(Mark::decode(&flipped), None, "byte {index}");
        assert_eq!(Mark::decode(&bytes[..index]), None, "cut at {index}");
    }
}

#[test]
fn a_frame_of_another_segment_is_none_of_this_one() {
    let mut bytes = Vec::new();
    Frame { sequence: 1, arrival: 0, place: 0, key: "k", data: b"data" }.encode(1, &mut bytes);
    assert!(matches!(Frame::decode(1, &bytes), Decoded::Whole(_)));
    assert!(matches!(Frame::decode(2, &bytes), Decoded::Bad(_)));
}

#[test]
fn an_impossible_length_is_found_before_anything_is_read() {
    let mut bytes = vec![0; FRAME_HEADER_BYTES];
    bytes[..4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(Frame::decode(0, &bytes), Decoded::Bad("the length of a frame is impossible"));
}

proptest! {
    #[test]
    fn a_frame_survives_the_round_trip(
        (sequence, arrival, place, salt) in any::<(u64, i64, u32, u32)>(),
        key in ".{0,256}",
        data in prop::collection::vec(any::<u8>(), 0..2000),
    ) {
        let frame = Frame { sequence, arrival, place, key: &key, data: &data };
        let mut bytes = Vec::new();
        frame.encode(salt, &mut bytes);
        prop_assert_eq!(bytes.len(), frame.len_bytes());
        prop_assert_eq!(&bytes[frame.data_offset()..], &data[..]);
        for cut in 0..bytes.len() {
            prop_assert!(matches!(Frame::decode(salt, &bytes[..cut]), Decoded::Short(needed) if needed > cut));
        }
        bytes.extend_from_slice(b"what follows");
        prop_assert_eq!(Frame::decode(salt, &bytes), Decoded::Whole(frame));
    }

    #[test]
    fn no_flipped_bit_passes(data in prop::collection::vec(any::<u8>(), 0..100), bit in 0..1000_usize) {
        let mut bytes = Vec::new();
        Frame { sequence: 7, arrival: 8, place: 9, key: "key", data: &data }.encode(SALT, &mut bytes);
        let bit = bit % (bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!matches!(Frame::decode(SALT, &bytes), Decoded::Whole(_)));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), salt: u32) {
        let _ = Frame::decode(salt, &bytes);
        let _ = Mark::decode(&bytes);
    }
}
