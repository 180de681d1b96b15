#![allow(clippy::unwrap_used)]

use alluvium_core::{RecordIdentity, ShardId};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn record(data: Vec<u8>, arrival: Micros) -> StreamRecord {
    let identity = RecordIdentity { shard: ShardId::numbered(0), sequence: 1.into(), subsequence: 0 };
    StreamRecord { identity, arrival, partition_key: "key".into(), data: data.into() }
}

/// The lines of an object as a simpler reading has them; `None`: one of them tells of no record.
fn plainly(object: &[u8]) -> Option<Vec<Line>> {
    let number = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
    let lines = object.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let line = |line: &[u8]| {
        let line: Value = serde_json::from_slice(line).ok()?;
        Some(Line {
            arrival_ms: number(&line["arrivalTimestamp"])?,
            ended_ms: number(&line["attemptEndingTimestamp"])?,
            data: STANDARD.decode(line["rawData"].as_str()?).ok()?.into(),
        })
    };
    lines.map(line).collect()
}

/// What a service may write where a line has a value, and what it may not.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<i64>().prop_map(|number| format!("\"{number}\"")),
        prop::collection::vec(any::<u8>(), 0..12).prop_map(|data| format!("\"{}\"", STANDARD.encode(data))),
        "\"[A-Za-z0-9+/=_-]{0,8}\"",
        r#""(\\u00[0-7][0-9a-f]|\\n|\\/|a){0,6}""#,
        "-?[0-9]{1,22}(\\.[0-9]{1,3})?(e[0-9]{1,2})?",
        "null|true|\\[\\]|\\{\\}|\\[1\\]|\\{\"a\": 1\\}",
    ]
}

/// Lines that tell of records, and some that nearly do.
fn line() -> impl Strategy<Value = String> {
    const NAMES: [&str; 5] = ["arrivalTimestamp", "attemptEndingTimestamp", "rawData", "errorCode", "new"];
    let good =
        (any::<i64>(), any::<i64>(), prop::collection::vec(any::<u8>(), 0..12)).prop_map(|(one, other, data)| {
            let data = STANDARD.encode(data);
            format!(r#"{{"arrivalTimestamp": {one}, "attemptEndingTimestamp": "{other}", "rawData": "{data}"}}"#)
        });
    let members = (prop::sample::subsequence(&NAMES, 0..=NAMES.len()), prop::collection::vec(value(), NAMES.len()));
    let nearly = members.prop_map(|(names, values)| {
        let members: Vec<_> = names.iter().zip(values).map(|(name, value)| format!("\"{name}\": {value}")).collect();
        format!("{{{}}}", members.join(", "))
    });
    prop_oneof![6 => good, 2 => nearly, 1 => "[ \t\r]{0,3}", 1 => "\\PC{0,20}", 1 => Just("[1, 2, \"\"]".to_owned())]
}

proptest! {
    #[test]
    fn what_is_set_aside_is_read_again(
        records in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..40), any::<i64>()), 0..6),
        ended in any::<i64>(),
        message in "\\PC{0,20}|(\n|\"|\\\\){0,5}",
    ) {
        let failure = Failure::new("Lambda.FunctionError", message);
        let records: Vec<_> = records.into_iter().map(|(data, arrival)| record(data, arrival)).collect();
        let lines = Lines { attempts: 4, ended, function_arn: "arn" };
        let object = lines.of(records.iter().map(|record| (record, &failure)));
        let line = |record: &StreamRecord| {
            Line { arrival_ms: millis(record.arrival), ended_ms: millis(ended), data: record.data.clone() }
        };
        prop_assert_eq!(read(&object), Ok(records.iter().map(line).collect()));
    }

    #[test]
    fn lines_are_read_as_a_simpler_reader_has_them_or_refused(lines in prop::collection::vec(line(), 0..5)) {
        let object = lines.join("\n");
        match read(object.as_bytes()) {
            Ok(read) => prop_assert_eq!(Some(read), plainly(object.as_bytes())),
            Err(why) => prop_assert!(plainly(object.as_bytes()).is_none(), "{}", why),
        }
    }

    #[test]
    fn any_bytes_are_lines_or_refused_by_number(
        before in 0_usize..3,
        bytes in prop::collection::vec(any::<u8>().prop_filter("one line", |byte| *byte != b'\n'), 1..60),
    ) {
        let failure = Failure::new("Lambda.FunctionError", "boom");
        let records: Vec<_> = (0..before).map(|_| record(b"data".to_vec(), 0)).collect();
        let lines = Lines { attempts: 4, ended: 0, function_arn: "arn" };
        let object = [&lines.of(records.iter().map(|record| (record, &failure))), &bytes[..]].concat();
        match read(&object) {
            Ok(read) => prop_assert!(read.len() == before && bytes.trim_ascii().is_empty()),
            Err(why) => prop_assert!(why.starts_with(&format!("line {} ", before + 1)), "{}", why),
        }
    }
}
