#![allow(clippy::unwrap_used)]

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use aws_sdk_athena::types::{Datum, ResultSetMetadata};

use super::*;

/// A page of results as `GetQueryResults` gives it.
fn page(columns: &[(&str, &str)], rows: &[&[Option<&str>]]) -> ResultSet {
    let info = |(name, kind): &(&str, &str)| ColumnInfo::builder().name(*name).r#type(*kind).build().unwrap();
    let metadata = ResultSetMetadata::builder().set_column_info(Some(columns.iter().map(info).collect())).build();
    let datum = |text: &Option<&str>| Datum::builder().set_var_char_value(text.map(str::to_owned)).build();
    let row = |cells: &&[Option<&str>]| Row::builder().set_data(Some(cells.iter().map(datum).collect())).build();
    ResultSet::builder().set_rows(Some(rows.iter().map(row).collect())).result_set_metadata(metadata).build()
}

/// One column of one type, and in it these texts.
fn column(kind: &str, texts: &[&str]) -> Result<ArrayRef, PortError> {
    let cells: Vec<[Option<&str>; 1]> = texts.iter().map(|text| [Some(*text)]).collect();
    let cells: Vec<&[Option<&str>]> = cells.iter().map(|cell| cell.as_slice()).collect();
    Ok(rows(&page(&[("c", kind)], &cells), Place::Later)?.column(0).clone())
}

#[test]
fn every_type_becomes_its_column() {
    for kind in ["tinyint", "smallint", "integer", "bigint"] {
        let numbers = column(kind, &["-128", "0", "127"]).unwrap();
        assert_eq!(numbers.as_primitive::<Int64Type>().values(), &[-128, 0, 127], "{kind}");
    }
    let numbers = column("bigint", &["9223372036854775807"]).unwrap();
    assert_eq!(numbers.as_primitive::<Int64Type>().value(0), i64::MAX);
    let numbers = column("double", &["1.5", "-1.0E-5", "Infinity", "NaN"]).unwrap();
    let numbers = numbers.as_primitive::<Float64Type>().values();
    assert_eq!(numbers[..3], [1.5, -1e-5, f64::INFINITY]);
    assert!(numbers[3].is_nan());
    let truths = column("boolean", &["true", "false"]).unwrap();
    assert!(truths.as_boolean().value(0) && !truths.as_boolean().value(1));
    let days = column("date", &["1970-01-02", "1969-12-31", "2026-01-31", "0001-01-01"]).unwrap();
    assert_eq!(days.as_primitive::<Date32Type>().values(), &[1, -1, 20_484, -719_162]);
    let bytes = column("varbinary", &["68 65 6c", "", "ff"]).unwrap();
    assert_eq!(bytes.as_binary::<i32>().iter().flatten().collect::<Vec<_>>(), [b"hel".as_slice(), b"", b"\xff"]);
    for kind in ["varchar", "char", "decimal", "json", "array", "row", "map", "time", "ipaddress", "string"] {
        let texts = column(kind, &["", "{a=1}", "0.10"]).unwrap();
        assert_eq!(texts.data_type(), &DataType::Utf8, "{kind}");
        assert_eq!(texts.as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["", "{a=1}", "0.10"]);
    }
}

#[test]
fn times_are_read_to_the_microsecond_and_in_utc() {
    let times = column(
        "timestamp with time zone",
        &[
            "1970-01-01 00:00:00.000 UTC",
            "2026-01-31 12:00:00.123456 UTC",
            "2026-01-31 12:00:00.123456789012 UTC",
            "2026-01-31 14:00:00.123456 +02:00",
            "2026-01-31 13:00:00.123456 Europe/Berlin",
            "1969-12-31 23:59:59.999 UTC",
        ],
    );
    let times = times.unwrap();
    assert_eq!(times.data_type(), &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
    let noon = 1_769_860_800_123_456;
    assert_eq!(times.as_primitive::<TimestampMicrosecondType>().values(), &[0, noon, noon, noon, noon, -1_000]);
    let times = column("timestamp", &["2026-01-31 12:00:00.123456", "1970-01-01 00:00:00"]).unwrap();
    assert_eq!(times.data_type(), &DataType::Timestamp(TimeUnit::Microsecond, None));
    assert_eq!(times.as_primitive::<TimestampMicrosecondType>().values(), &[noon, 0]);
}

#[test]
fn null_is_null_in_every_type() {
    let kinds =
        ["bigint", "double", "boolean", "date", "timestamp", "timestamp with time zone", "varbinary", "varchar", "row"];
    let columns: Vec<(&str, &str)> = kinds.iter().map(|kind| ("c", *kind)).collect();
    let nulls = vec![None; kinds.len()];
    let read = rows(&page(&columns, &[&nulls]), Place::First).unwrap();
    assert_eq!(read.num_rows(), 1);
    assert!(read.columns().iter().all(|column| column.is_null(0)));
}

#[test]
fn only_the_first_page_begins_with_the_names() {
    let columns = [("n", "bigint"), ("word", "varchar")];
    let header: &[Option<&str>] = &[Some("n"), Some("word")];
    let first: &[Option<&str>] = &[Some("1"), Some("word")];
    let read = rows(&page(&columns, &[header, first]), Place::First).unwrap();
    assert_eq!((read.num_rows(), read.num_columns()), (1, 2));
    // What looks like them later is a row.
    let texts = [("n", "varchar"), ("word", "varchar")];
    assert_eq!(rows(&page(&texts, &[header, header]), Place::First).unwrap().num_rows(), 1);
    assert_eq!(rows(&page(&texts, &[header, header]), Place::Later).unwrap().num_rows(), 2);
    // `SHOW TABLES` is answered without.
    assert_eq!(rows(&page(&[("tab_name", "string")], &[&[Some("telemetry")]]), Place::First).unwrap().num_rows(), 1);
}

#[test]
fn an_empty_answer_keeps_its_columns() {
    let read = rows(&page(&[("n", "bigint")], &[&[Some("n")]]), Place::First).unwrap();
    assert_eq!((read.num_rows(), read.schema().field(0).data_type().clone()), (0, DataType::Int64));
    let read = rows(&ResultSet::builder().build(), Place::First).unwrap();
    assert_eq!((read.num_rows(), read.num_columns()), (0, 0));
}

#[test]
fn a_value_that_is_not_of_its_type_is_named() {
    for (kind, text) in [
        ("bigint", "1.0"),
        ("double", "one"),
        ("boolean", "yes"),
        ("date", "2026-02-30"),
        ("timestamp", "yesterday"),
        ("timestamp with time zone", "2026-01-31 12:00:00"),
        ("timestamp with time zone", "2026-01-31 12:00:00 Nowhere/Else"),
        ("varbinary", "6 8"),
    ] {
        let error = column(kind, &[text]).unwrap_err();
        assert_eq!(error.advice, Advice::Stop);
        let expected = format!("`{text}` in column `c`, row 1 of the page, is no {kind}");
        assert!(error.message.contains(&expected), "{error}");
    }
}
