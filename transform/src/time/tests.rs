#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

/// The second opinion.
fn micros(rfc_3339: &str) -> Micros {
    rfc_3339.parse::<jiff::Timestamp>().unwrap().as_microsecond()
}

#[test]
fn the_ways_to_write_one_time() {
    let time = micros("2014-02-14T14:30:00Z");
    let texts = [
        "2014-02-14T14:30:00Z",
        "2014-02-14t14:30:00z",
        "2014-02-14 14:30:00",
        "2014-02-14T14:30:00",
        "2014-02-14T14:30:00.000000000Z",
        "2014-02-14T15:30:00+01:00",
        "2014-02-14T15:30:00+0100",
        "2014-02-14T15:30:00+01",
        "2014-02-14T09:00:00.0-05:30",
        "2014-02-15T00:00:00+09:30",
        " 2014-02-14T14:30:00Z ",
        "1392388200",
        "1392388200.0",
        "1.3923882e9",
        "1392388200000",
        "1392388200000000",
        "1392388200000000000",
    ];
    for text in texts {
        assert_eq!(from_text(text), Some(time), "{text}");
    }
    assert_eq!(from_text("2014-02-14"), Some(micros("2014-02-14T00:00:00Z")));
    assert_eq!(from_text("2014-02-14 14:30:00.123456789"), Some(time + 123_456));
    assert_eq!(from_number("1392388200.25"), Some(time + 250_000));
    assert_eq!(from_number("1392388200000.5"), Some(time + 500));
    assert_eq!(from_text("2016-12-31T23:59:60Z"), Some(micros("2017-01-01T00:00:00Z")));
}

#[test]
fn the_unit_of_a_count_is_told_by_its_size() {
    assert_eq!(from_number("99999999999"), Some(99_999_999_999 * MICROS_PER_SECOND));
    assert_eq!(from_number("100000000000"), Some(100_000_000_000 * 1000));
    assert_eq!(from_number("99999999999999"), Some(99_999_999_999_999 * 1000));
    assert_eq!(from_number("100000000000000"), Some(100_000_000_000_000));
    assert_eq!(from_number("100000000000000000"), Some(100_000_000_000_000));
    assert_eq!(from_number("-1"), Some(-MICROS_PER_SECOND));
    assert_eq!(from_number("-1500000000001"), Some(-1_500_000_000_001_000));
}

#[test]
fn what_is_no_time_is_none() {
    let texts = [
        "",
        "now",
        "2014",
        "20140214",
        "x2014-02-14",
        "2014-2-14",
        "2014-13-01",
        "2014-00-10",
        "2014-02-00",
        "2015-02-29",
        "1900-02-29",
        "0000-01-01",
        "2014-02-14T",
        "2014-02-14T14:30",
        "2014-02-14T24:00:00Z",
        "2014-02-14T14:60:00Z",
        "2014-02-14T14:30:61Z",
        "2014-02-14T14:30:00.Z",
        "2014-02-14T14:30:00+24:00",
        "2014-02-14T14:30:00+1",
        "2014-02-14T14:30:00+01:60",
        "2014-02-14T14:30:00Zz",
        "2014-02-14T14:30:00 CET",
        "2014-02-14é14:30:00Z",
        "9999-12-31T23:59:59-01:00",
        "0001-01-01T00:00:00+01:00",
        "1e300",
        "99999999999999999999999",
        "1_000",
        "NaN",
        "14:30:00",
    ];
    for text in texts {
        assert_eq!(from_text(text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn every_time_is_read_as_the_reference_writes_it(micros in FIRST..=LAST, offset in -1439_i64..=1439) {
        let timestamp = jiff::Timestamp::from_microsecond(micros).unwrap();
        prop_assert_eq!(from_text(&timestamp.to_string()), Some(micros));
        let zone = jiff::tz::Offset::from_seconds(offset as i32 * 60).unwrap();
        let local = zone.to_datetime(timestamp);
        if (1..=9999).contains(&local.year()) {
            let sign = if offset < 0 { '-' } else { '+' };
            let text = format!("{local}{sign}{:02}:{:02}", offset.abs() / 60, offset.abs() % 60);
            prop_assert_eq!(from_text(&text), Some(micros), "{}", text);
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), stamped in "[0-9TtZz:.+\\- ]{0,40}") {
        from_text(&text);
        if let (Some(found), Ok(reference)) = (from_text(&stamped), stamped.parse::<jiff::Timestamp>()) {
            prop_assert_eq!(found, reference.as_microsecond().max(FIRST));
        }
    }
}
