use alluvium_core::DatasetName;
use std::io::Cursor;

use super::*;

const SCHEMA: &str = r#"{
    "type": "object",
    "properties": {
        "value": {"type": "number"},
        "code": {"type": "string"},
        "on": {"type": "boolean"},
        "position": {"type": "object", "properties": {"lat": {"type": "number"}}},
        "date": {"type": "string", "format": "date"}
    },
    "x-alluvium": {"aliases": {"code": ["kode"]}}
}"#;

fn dataset() -> Dataset {
    Dataset::from_schema(DatasetName::new("sensors").unwrap(), SCHEMA).unwrap()
}

fn open(csv: &[u8], source: Option<&str>) -> Result<Table, Broken> {
    Table::open(Box::new(Cursor::new(csv.to_vec())), &dataset(), source)
}

/// Every row: its number, its line, what is wrong with it, and the event.
fn rows(csv: &[u8], source: Option<&str>) -> Vec<(u64, u64, Option<String>, String)> {
    let mut table = open(csv, source).unwrap();
    let (mut found, mut out) = (Vec::new(), Vec::new());
    while let Some(row) = table.next_into(&mut out).unwrap() {
        let odd = match row {
            Row::Event => None,
            Row::Odd(problem) => Some(problem),
        };
        found.push((table.row(), table.line(), odd, String::from_utf8_lossy(&std::mem::take(&mut out)).into_owned()));
    }
    found
}

fn events(csv: &str) -> Vec<String> {
    rows(csv.as_bytes(), None).into_iter().map(|(_, _, _, event)| event).collect()
}

#[test]
fn cells_are_what_their_property_wants() {
    let csv = "\u{FEFF}id,time,value, code ,kode,on,position,other\n\
               7,1392388200123,1.50,007,42,true,\"{\"\"lat\"\": 5}\",12\n\
               x,2014-02-14 14:30,NaN,a b,,,{broken,\"x,\"\"y\n\"\n";
    assert_eq!(
        events(csv),
        [
            r#"{"id":"7","time":"1392388200123","value":1.50,"code":"007","kode":"42","on":"true","position":{"lat": 5},"other":12}"#,
            r#"{"id":"x","time":"2014-02-14 14:30","value":"NaN","code":"a b","position":"{broken","other":"x,\"y\n"}"#,
        ]
    );
    for event in events(csv) {
        serde_json::from_str::<serde_json::Value>(&event).unwrap();
    }
}

#[test]
fn a_column_that_is_named_like_a_time_is_the_time_unless_it_is_a_property() {
    assert_eq!(events("TimeStamp,value\n5,1\n"), [r#"{"time":"5","value":1}"#]);
    assert_eq!(events("timestamp,time\n5,6\n"), [r#"{"timestamp":5,"time":"6"}"#]);
    assert_eq!(events("date,value\n2014-02-14,1\n"), [r#"{"date":"2014-02-14","value":1}"#]);
    assert_eq!(events("date,ts\n2014-02-14,1\n"), [r#"{"date":"2014-02-14","time":"1"}"#]);
}

#[test]
fn a_source_is_given_only_where_there_is_no_column_of_it() {
    let of = |csv: &str| rows(csv.as_bytes(), Some("the \"roof\"")).remove(0).3;
    assert_eq!(of("value\n1\n"), r#"{"source":"the \"roof\"","value":1}"#);
    assert_eq!(of("value,on\n,\n"), r#"{"source":"the \"roof\""}"#);
    assert_eq!(of("source,value\n5,1\n"), r#"{"source":"5","value":1}"#);
}

#[test]
fn a_row_that_is_no_event_is_handed_out_as_it_is_and_the_next_ones_follow() {
    let found = rows(b"value,code\n1,a\n2\n3,b,c\n\n4,\xFF\n\"x\ny\",5\n6,d\n", None);
    let shown: Vec<_> =
        found.iter().map(|(row, line, odd, text)| (*row, *line, odd.as_deref(), text.as_str())).collect();
    assert_eq!(
        shown,
        [
            (2, 2, None, r#"{"value":1,"code":"a"}"#),
            (3, 3, Some("the row has 1 cells, the header 2; expected as many"), "2"),
            (4, 4, Some("the row has 3 cells, the header 2; expected as many"), "3,b,c"),
            (5, 6, Some("cell 2 is not UTF-8"), "4,\u{FFFD}"),
            (6, 7, None, r#"{"value":"x\ny","code":"5"}"#),
            (7, 9, None, r#"{"value":6,"code":"d"}"#),
        ]
    );
}

#[test]
fn lines_are_counted_whatever_they_end_in() {
    for end in ["\n", "\r\n"] {
        let csv = format!("value,\"no\nte\"{end}1,a{end}2,\"b\nc\"{end}3,d");
        let lines: Vec<_> = rows(csv.as_bytes(), None).into_iter().map(|(row, line, _, _)| (row, line)).collect();
        assert_eq!(lines, [(2, 3), (3, 4), (4, 6)], "{end:?}");
    }
}

#[test]
fn blank_lines_are_no_rows_and_count_as_lines_wherever_they_are() {
    for end in ["\n", "\r\n"] {
        let csv =
            ["", "", "value,code", "", "1,a", "  ", "\t", "2,\"b", "", "c\"", "", "", "3", "4,d", "", " "].join(end);
        for mark in ["", "\u{FEFF}"] {
            for csv in [format!("{mark}{csv}"), format!("{mark}{csv}{end}{end}")] {
                let found = rows(csv.as_bytes(), None);
                let lines: Vec<_> = found.iter().map(|(_, line, odd, _)| (*line, odd.is_some())).collect();
                assert_eq!(lines, [(5, false), (8, false), (13, true), (14, false)], "{csv:?}");
                let numbers: Vec<_> = found.iter().map(|(row, ..)| *row).collect();
                assert!(numbers.is_sorted_by(|one, next| one < next), "each row has a number of its own: {numbers:?}");
                let header = open(format!("{mark}{end}{end}a,a{end}").as_bytes(), None).unwrap_err();
                assert_eq!(header.line, Some(3), "{header:?}");
            }
        }
    }
    let mixed = rows(b"value\r\n1\n\n2\r\n\r\n\n3\r4\n", None);
    assert_eq!(
        mixed.into_iter().map(|(row, line, ..)| (row, line)).collect::<Vec<_>>(),
        [(2, 2), (3, 4), (4, 7), (5, 7)]
    );
}

#[test]
fn a_quote_that_the_file_does_not_close_is_said_and_where_it_was_opened() {
    for (csv, line) in [
        ("value,code\n1,a\n\n2,\"b\n3,c\n4,d\n", 4),
        ("value,code\r\n1,a\r\n2,\"b", 3),
        ("value,code\n1,\"a \"\" b\"\"", 2),
        ("value,code\n\"1,a\n", 2),
        ("value,\"code\n1,a\n", 1),
    ] {
        let broken = open(csv.as_bytes(), None).and_then(|mut table| {
            while table.next_into(&mut Vec::new())?.is_some() {}
            Ok(())
        });
        let broken = broken.unwrap_err();
        assert!(broken.problem.contains("not closed") && broken.line == Some(line), "{csv:?}: {broken:?}");
    }
    for csv in [
        "code\n\"a\"",
        "code\n\"a \"\" b\"",
        "code\na\"",
        "code\na \"b",
        "code\n\"\"",
        "code\n\"\"\"\"",
        "code\n\"a\"b",
    ] {
        assert_eq!(rows(csv.as_bytes(), None).len(), 1, "{csv:?}");
    }
}

#[test]
fn what_can_be_no_header_is_refused() {
    for (csv, expected) in [
        ("", "the file is empty"),
        ("\n\n", "the file is empty"),
        ("1,2015-07-10 14:24:00\n", "the first line holds values and no names"),
        ("a,,b\n", "column 2 has no name"),
        ("a,b,a\n", "two columns are named `a`"),
    ] {
        let broken = open(csv.as_bytes(), None).unwrap_err();
        assert!(broken.problem.starts_with(expected) && broken.line == Some(1), "{csv:?}: {broken:?}");
    }
    assert_eq!(open(b"a,\xFF\n", None).unwrap_err().problem, "the header is not UTF-8");
    let mut endless = b"value\n1\n\"".to_vec();
    endless.extend(std::iter::repeat_n(b'x', 3_000_000));
    let mut table = open(&endless, None).unwrap();
    assert!(table.next_into(&mut Vec::new()).unwrap().is_some());
    let broken = table.next_into(&mut Vec::new()).unwrap_err();
    assert!(broken.problem.contains("is a quote not closed?") && broken.line == Some(3), "{broken:?}");
}
