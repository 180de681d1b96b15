#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

/// An aggregate as the producer library writes it, with its tables of keys and a tag.
pub(crate) fn aggregate<D: AsRef<[u8]>>(user_records: &[D]) -> Bytes {
    let field = |tag: u8, content: &[u8]| {
        let mut bytes = vec![tag << 3 | 2];
        prost::encoding::encode_varint(content.len() as u64, &mut bytes);
        bytes.extend_from_slice(content);
        bytes
    };
    let mut message = [field(1, b"a"), field(1, b"other"), field(2, b"0")].concat();
    for record in user_records {
        let tag = field(4, &[field(1, b"key"), field(2, b"value")].concat());
        message.extend(field(3, &[vec![0x08, 1, 0x10, 0], field(3, record.as_ref()), tag].concat()));
    }
    sealed(&message)
}

fn sealed(message: &[u8]) -> Bytes {
    [&MAGIC[..], message, &Md5::digest(message)].concat().into()
}

fn told(record: &Bytes) -> Option<Vec<Bytes>> {
    user_records(record).unwrap()
}

#[test]
fn user_records_come_out_in_order_and_are_not_copied() {
    let record = aggregate(&[&b"{}"[..], b"", b"\x00\xFF"]);
    let found = told(&record).unwrap();
    assert_eq!(found, [&b"{}"[..], b"", b"\x00\xFF"]);
    let inside = record.as_ptr_range();
    assert!(inside.contains(&found[0].as_ptr()), "a slice of the record");
    assert!(told(&aggregate::<&[u8]>(&[])).unwrap().is_empty());
}

#[test]
fn what_is_damaged_is_a_plain_record() {
    let whole = aggregate(&[&b"one"[..], b"two"]);
    for at in 0..whole.len() {
        let mut damaged = whole.to_vec();
        damaged[at] ^= 1;
        assert_eq!(told(&damaged.into()), None, "byte {at}");
        assert_eq!(told(&whole.slice(..at)), None, "cut at {at}");
    }
    // The MD5 is right and the message is not: no protobuf, a record without data, a record without its key.
    for message in [&b"\x1A\x05\x08"[..], &[0x1A, 2, 0x08, 0], &[0x1A, 3, 0x1A, 1, b'x'], &[0x1A, 2, 0x18, 1]] {
        assert_eq!(told(&sealed(message)), None, "{message:?}");
    }
}

#[test]
fn nested_aggregates_are_flattened_up_to_a_depth() {
    let nested = aggregate(&[aggregate(&["1", "2"]), "3".into(), aggregate(&[aggregate(&["4"])])]);
    assert_eq!(told(&nested).unwrap(), ["1", "2", "3", "4"]);
    let mut deep = Bytes::from("x");
    for _ in 0..DEPTH {
        deep = aggregate(&[deep]);
    }
    assert_eq!(told(&deep).unwrap(), ["x"]);
    let innermost = told(&aggregate(&[deep])).unwrap();
    assert_eq!(innermost, [aggregate(&["x"])]);
}

#[test]
fn too_many_user_records_are_one_fault() {
    let most = vec![""; USER_RECORDS];
    assert_eq!(told(&aggregate(&most)).unwrap().len(), USER_RECORDS);
    let nested = aggregate(&[aggregate(&most), aggregate(&["one more"])]);
    assert_eq!(user_records(&nested).unwrap_err().reason, ReasonCode::ExpandsTooFar);
}

proptest! {
    #[test]
    fn whatever_was_aggregated_comes_out_again(
        sent in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20)
    ) {
        prop_assert_eq!(told(&aggregate(&sent)).unwrap(), sent);
    }

    #[test]
    fn a_message_of_any_bytes_is_taken_apart_or_passed_on(message in prop::collection::vec(any::<u8>(), 0..60)) {
        let records = told(&sealed(&message)).unwrap_or_default();
        prop_assert!(records.iter().map(|record| record.len()).sum::<usize>() <= message.len());
    }
}
