#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Schema};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::bloom_filter::Sbbf;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use parquet::file::properties::WriterProperties;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::encode::{FileWriter, Layout, ROW_GROUP_ROWS};

fn rows(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let field =
        |(name, column): &(&str, ArrayRef)| Field::new(*name, column.data_type().clone(), column.null_count() > 0);
    let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
    RecordBatch::try_new(schema, columns.into_iter().map(|(_, column)| column).collect()).unwrap()
}

fn ours(rows: &RecordBatch) -> Bytes {
    let mut bytes = Vec::new();
    let mut file = FileWriter::new(&mut bytes, &Layout::with_columns(rows.schema())).unwrap();
    file.write_row_group(rows).unwrap();
    file.finish().unwrap();
    bytes.into()
}

/// The same rows by the crate's own writer, with its settings but pages of as many rows as ours.
fn theirs(rows: &RecordBatch) -> Bytes {
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(1000)
        .set_dictionary_enabled(false)
        .build();
    let mut bytes = Vec::new();
    let mut file = ArrowWriter::try_new(&mut bytes, rows.schema(), Some(properties)).unwrap();
    file.write(rows).unwrap();
    file.close().unwrap();
    bytes.into()
}

fn metadata(file: &Bytes) -> Arc<ParquetMetaData> {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
    ArrowReaderMetadata::load(file, options).unwrap().metadata().clone()
}

/// The rows of a file that was made of rows like these.
fn read(file: Bytes, like: &RecordBatch) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let read: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    arrow::compute::concat_batches(&like.schema(), &read).unwrap()
}

/// Asserts that a file of ours has these rows, and says of them what the crate's own writer says.
fn assert_written(rows: &RecordBatch) {
    let file = ours(rows);
    let read = read(file.clone(), rows);
    for (column, expected) in read.columns().iter().zip(rows.columns()) {
        // NaN is not equal to itself, but its text is.
        assert!(column == expected || format!("{column:?}") == format!("{expected:?}"), "{column:?} {expected:?}");
    }
    let (ours, theirs) = (metadata(&file), metadata(&theirs(rows)));
    assert_eq!(ours.num_row_groups(), theirs.num_row_groups());
    for group in 0..ours.num_row_groups() {
        let columns = ours.row_group(group).columns().iter().zip(theirs.row_group(group).columns());
        for (at, (our, their)) in columns.enumerate() {
            assert_eq!(our.statistics(), their.statistics(), "{}", our.column_path());
            let told = |of: &ParquetMetaData| of.column_index().map(|index| index[group][at].clone());
            let (our, their) = (told(&ours), told(&theirs));
            let shown = |index: &Option<_>| format!("{index:?}");
            // The crate also counts levels; nothing reads that.
            let cut = |text: String| text.split("definition_level_histograms").next().unwrap().to_owned();
            assert_eq!(cut(shown(&our)), cut(shown(&their)));
        }
    }
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (0..40_i32).prop_map(f64::from),
        1 => any::<f64>(),
        1 => prop::sample::select(vec![0.0, -0.0, f64::NAN, f64::INFINITY, f64::MIN, f64::MIN_POSITIVE]),
    ]
}

fn integer() -> impl Strategy<Value = i64> {
    prop_oneof![4 => -20..20_i64, 1 => any::<i64>(), 1 => prop_oneof![Just(i64::MIN), Just(i64::MAX)]]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-c]{0,2}",
        2 => "[a-z0-9-]{3,20}",
        1 => any::<String>(),
        1 => (0..5_usize, "[ab]").prop_map(|(times, end)| format!("{}{end}", "\u{10FFFF}ü".repeat(times * 8))),
    ]
}

proptest! {
    #[test]
    fn integers_and_times_come_back(values in vec(option::of(integer()), 0..700)) {
        let days: Date32Array = values.iter().map(|value| value.map(|value| value as i32)).collect();
        let times: TimestampMicrosecondArray = values.iter().copied().collect();
        assert_written(&rows(vec![
            ("n", Arc::new(values.iter().copied().collect::<Int64Array>())),
            ("t", Arc::new(times.with_timezone("UTC"))),
            ("d", Arc::new(days)),
            ("whole", Arc::new(values.iter().map(|value| value.unwrap_or(7)).collect::<Int64Array>())),
        ]));
    }

    #[test]
    fn doubles_come_back(values in vec(option::of(number()), 0..700)) {
        assert_written(&rows(vec![
            ("v", Arc::new(values.iter().copied().collect::<Float64Array>())),
            ("whole", Arc::new(values.iter().map(|value| value.unwrap_or(-0.0)).collect::<Float64Array>())),
        ]));
    }

    #[test]
    fn texts_come_back(values in vec(option::of(text()), 0..700)) {
        let whole = || values.iter().map(|value| value.as_deref().unwrap_or("x"));
        assert_written(&rows(vec![
            ("s", Arc::new(values.iter().map(Option::as_deref).collect::<StringArray>())),
            ("event_id", Arc::new(values.iter().map(Option::as_deref).collect::<StringArray>())),
            ("source", Arc::new(whole().map(Some).collect::<StringArray>())),
        ]));
    }

    #[test]
    fn bytes_and_booleans_come_back(values in vec(option::of(vec(any::<u8>(), 0..20)), 0..400)) {
        let flags: BooleanArray = values.iter().map(|value| value.as_ref().map(|value| value.len() % 3 == 0)).collect();
        let bytes: BinaryArray = values.iter().map(Option::as_deref).collect();
        let columns: Vec<(&str, ArrayRef)> = vec![("b", Arc::new(bytes)), ("flag", Arc::new(flags))];
        let file = ours(&rows(columns.clone()));
        prop_assert_eq!(read(file, &rows(columns.clone())), rows(columns.clone()));
        assert_written(&rows(columns[1..].to_vec()));
    }
}

/// A number that looks drawn at random.
fn drawn(n: u64) -> u64 {
    (n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23).wrapping_mul(0xD6E8_FEB8_6659_FD93)
}

#[test]
fn many_pages_and_row_groups_come_back() {
    let n = 2 * ROW_GROUP_ROWS as u64 + 17;
    let few = |n: u64| drawn(n) % 300;
    assert_written(&rows(vec![
        ("event_id", Arc::new((0..n).map(|n| Some(format!("{:016x}-{n}", drawn(n)))).collect::<StringArray>())),
        ("source", Arc::new((0..n).map(|n| Some(format!("device-{:06}", n / 40))).collect::<StringArray>())),
        (
            "status",
            Arc::new((0..n).map(|n| (few(n) > 9).then(|| format!("s{}", few(n) / 90))).collect::<StringArray>()),
        ),
        ("time", Arc::new((0..n).map(|n| (n * 1000 + drawn(n) % 999) as i64).collect::<Int64Array>())),
        ("falling", Arc::new((0..n).map(|n| -((n / 5) as i64)).collect::<Int64Array>())),
        ("value", Arc::new((0..n).map(|n| few(n) as f64 / 8.0).collect::<Float64Array>())),
        (
            "noise",
            Arc::new(
                (0..n).map(|n| (!(30_000..=70_000).contains(&n)).then(|| drawn(n) as f64)).collect::<Float64Array>(),
            ),
        ),
        ("none", Arc::new((0..n).map(|_| None).collect::<Float64Array>())),
        ("flag", Arc::new((0..n).map(|n| (few(n) < 250).then_some(few(n) == 3)).collect::<BooleanArray>())),
    ]));
}

#[test]
fn encodings_follow_the_values() {
    let n = 60_000;
    let file = ours(&rows(vec![
        ("event_id", Arc::new((0..n).map(|n| Some(format!("{}", n % 2))).collect::<StringArray>())),
        ("runs", Arc::new((0..n).map(|n| Some(format!("device-{:06}", n / 20))).collect::<StringArray>())),
        ("texts", Arc::new((0..n).map(|n| Some(format!("{:x}", drawn(n)))).collect::<StringArray>())),
        ("counter", Arc::new((0..n as i64).collect::<Int64Array>())),
        ("few", Arc::new((0..n).map(|n| drawn(n) as i64 % 9).collect::<Int64Array>())),
        ("noise", Arc::new((0..n).map(|n| drawn(n) as f64).collect::<Float64Array>())),
        ("thousands", Arc::new((0..n).map(|n| (drawn(n) % 9000) as f64 / 100.0).collect::<Float64Array>())),
        ("none", Arc::new((0..n).map(|_| None::<i64>).collect::<Int64Array>())),
        ("flag", Arc::new((0..n).map(|n| Some(n % 2 == 0)).collect::<BooleanArray>())),
    ]));
    let metadata = metadata(&file);
    let data_pages = |name: &str| {
        let columns = metadata.row_group(0).columns();
        let column = columns.iter().find(|column| column.column_path().string() == name).unwrap();
        let mut known: Vec<Encoding> = column.encodings().collect();
        known.retain(|encoding| *encoding != Encoding::RLE);
        assert!(matches!(column.compression(), parquet::basic::Compression::ZSTD(_)));
        known
    };
    let dictionary = vec![Encoding::PLAIN, Encoding::RLE_DICTIONARY];
    assert_eq!(data_pages("event_id"), [Encoding::DELTA_LENGTH_BYTE_ARRAY], "ids are known not to repeat");
    assert_eq!(data_pages("runs"), dictionary, "sorted values that repeat are not taken for values that do not");
    assert_eq!(data_pages("texts"), [Encoding::DELTA_LENGTH_BYTE_ARRAY]);
    assert_eq!(data_pages("counter"), [Encoding::DELTA_BINARY_PACKED]);
    assert_eq!(data_pages("few"), dictionary);
    assert_eq!(data_pages("noise"), [Encoding::PLAIN]);
    assert_eq!(data_pages("thousands"), dictionary);
    assert_eq!(data_pages("none"), [Encoding::PLAIN], "no page has a value");
    assert_eq!(data_pages("flag"), [Encoding::PLAIN]);
}

#[test]
fn a_bloom_filter_holds_each_source_and_is_sized_by_them() {
    let sources =
        |many: u64| -> ArrayRef { Arc::new((0..many).map(|n| Some(format!("device-{n}"))).collect::<StringArray>()) };
    let filter = |many: u64| {
        let file = ours(&rows(vec![("source", sources(many))]));
        let metadata = metadata(&file);
        let column = metadata.row_group(0).column(0).clone();
        Sbbf::read_from_column_chunk(&column, &file)
            .unwrap()
            .map(|filter| (filter, column.bloom_filter_length().unwrap()))
    };
    let (known, bytes) = filter(1000).unwrap();
    assert!((0..1000).all(|n| known.check(format!("device-{n}").as_str())));
    let wrong = (1000..11_000).filter(|n| known.check(format!("device-{n}").as_str())).count();
    assert!(wrong < 150, "{wrong} of 10,000");
    assert!((1024..3000).contains(&bytes), "{bytes} bytes");
    assert!(filter(2).unwrap().1 < 64);
    assert!(filter(1).is_none(), "the bounds say as much");
}

#[test]
fn the_same_rows_give_the_same_bytes() {
    let of = || {
        rows(vec![
            ("s", Arc::new((0..5000).map(|n| Some(format!("{}", drawn(n) % 77))).collect::<StringArray>()) as ArrayRef),
            ("v", Arc::new((0..5000).map(|n| (drawn(n) % 900) as f64).collect::<Float64Array>())),
        ])
    };
    assert_eq!(ours(&of()), ours(&of()));
}
