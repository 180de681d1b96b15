use super::*;

fn record(shard: u32, sequence: u64) -> RecordIdentity {
    RecordIdentity { shard: ShardId::numbered(shard), sequence: sequence.into(), subsequence: 0 }
}

#[test]
fn a_kinesis_sequence_number_survives_the_round_trip() {
    let text = "49590338271490256608559692538361571095921575989136588898";
    let number: SequenceNumber = text.parse().unwrap();
    assert_eq!(number.to_string(), text);
    assert_eq!(number.as_u64(), None);
    assert_eq!(serde_json::from_str::<SequenceNumber>(&serde_json::to_string(&number).unwrap()).unwrap(), number);
}

#[test]
fn sequence_numbers_order_as_numbers_and_not_as_text() {
    let nine: SequenceNumber = "9".parse().unwrap();
    let ten: SequenceNumber = "10".parse().unwrap();
    let beyond_u128: SequenceNumber = "340282366920938463463374607431768211456".parse().unwrap();
    assert!(nine < ten && ten < beyond_u128);
    assert_eq!(beyond_u128.to_string(), "340282366920938463463374607431768211456");
}

#[test]
fn numbers_of_any_length_are_read_digit_for_digit() {
    let digits = "123456789012345678901234567890123456789012345678901234567";
    for length in 1..=digits.len() {
        let text = &digits[..length];
        assert_eq!(text.parse::<SequenceNumber>().unwrap().to_string(), text);
        for at in 0..length {
            for wrong in [b'/', b':', b' ', 0, 0xFF] {
                let mut digits = text.as_bytes().to_vec();
                digits[at] = wrong;
                assert_eq!(SequenceNumber::from_digits(&digits), None, "{wrong} at {at} of {length}");
            }
        }
    }
}

#[test]
fn what_is_no_number_is_refused() {
    for text in ["", "-1", "1.5", "abc", "９", &"9".repeat(58)] {
        assert!(text.parse::<SequenceNumber>().is_err(), "{text}");
    }
}

#[test]
fn a_record_s_identity_survives_the_round_trip_whatever_its_shard_is_called() {
    for shard in [ShardId::numbered(3), ShardId::new(ShardId::DIRECT_PUT), ShardId::new("a/b"), ShardId::new("")] {
        let identity = RecordIdentity { shard, sequence: "49".repeat(28).parse().unwrap(), subsequence: u64::MAX };
        assert_eq!(identity.to_string().parse::<RecordIdentity>(), Ok(identity));
    }
    for text in ["", "1", "shardId-0/1", "shardId-0/1/", "shardId-0//1", "shardId-0/1/-1", "shardId-0/x/0"] {
        assert!(text.parse::<RecordIdentity>().is_err(), "{text}");
    }
}

#[test]
fn a_batch_is_named_by_its_records_and_not_by_their_order() {
    let (a, b) = (record(0, 1), record(1, 1));
    assert_eq!(BatchIdentity::of([&a, &b]), BatchIdentity::of([&b, &a]));
    assert_ne!(BatchIdentity::of([&a]), BatchIdentity::of([&b]));
    assert_ne!(BatchIdentity::of([&a]), BatchIdentity::of([&a, &b]));
}

#[test]
fn a_data_file_name_gives_its_identity_back() {
    let identity = BatchIdentity::of([&record(0, 7)]);
    let name = format!("telemetry/{identity}-{}.parquet", content_hash(b"bytes"));
    assert_eq!(BatchIdentity::from_data_file_name(&name), Some(identity));
    assert_eq!(BatchIdentity::from_data_file_name("telemetry/part-00000.parquet"), None);
}

#[test]
fn derived_ids_differ_by_record_and_by_index() {
    assert_eq!(record(0, 1).derived_event_id(0), record(0, 1).derived_event_id(0));
    assert_ne!(record(0, 1).derived_event_id(0), record(0, 1).derived_event_id(1));
    assert_ne!(record(0, 1).derived_event_id(0), record(0, 2).derived_event_id(0));
    assert_ne!(idempotent_event_id("a", 0), idempotent_event_id("b", 0));
}

#[test]
fn a_record_that_was_put_directly_is_known_by_its_id() {
    let one = RecordIdentity::of_direct_put("one");
    assert_eq!(one, RecordIdentity::of_direct_put("one"));
    assert_ne!(one, RecordIdentity::of_direct_put("other"));
    assert!(one.shard.is_direct_put() && !ShardId::numbered(0).is_direct_put());
    for n in 0..200 {
        let sequence = RecordIdentity::of_direct_put(&n.to_string()).sequence;
        assert_eq!(sequence.to_string().parse(), Ok(sequence), "it has no more digits than a number may");
    }
}

#[test]
fn digits_are_read_alike_however_many_there_are() {
    let digits = "129876543210123456789012345678901234567890123456789987654";
    for length in 1..=digits.len() {
        let number: SequenceNumber = digits[..length].parse().unwrap();
        assert_eq!(number.to_string(), digits[..length]);
    }
    assert_eq!("0001".parse(), Ok(SequenceNumber::from(1)));
}

#[test]
fn user_records_count_on_from_their_record() {
    let record = RecordIdentity { subsequence: 3, ..record(0, 1) };
    assert_eq!(record.user_record(0), record);
    assert_eq!(record.user_record(2).to_string(), "shardId-000000000000/1/5");
}

#[test]
fn records_that_come_one_by_one_have_the_identity_of_their_set() {
    for count in [0, 1, 2, 200, 2_000] {
        let records: Vec<_> = (0..count).map(|n| record((n / 900) as u32, n)).collect();
        let mut hasher = BatchHasher::default();
        for (place, record) in records.iter().enumerate() {
            hasher.push(record);
            if place % 700 == 3 {
                hasher.rest();
            }
        }
        assert_eq!(hasher.finish(), BatchIdentity::of(&records));
    }
}
