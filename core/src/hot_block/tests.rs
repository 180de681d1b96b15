use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, DictionaryArray, Float64Array, Int64Array, ListArray,
    StringArray, StructArray, TimestampMicrosecondArray, UInt32Array, new_null_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields, Schema};
use arrow::ipc::writer::StreamWriter;

use super::*;

fn rows(count: i64) -> RecordBatch {
    let schema =
        Schema::new(vec![Field::new("source", DataType::Utf8, false), Field::new("value", DataType::Int64, true)]);
    let sources: StringArray = (0..count).map(|row| Some(format!("pump-{row}"))).collect();
    let values: Int64Array = (0..count).map(|row| (row % 3 != 0).then_some(row)).collect();
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(sources), Arc::new(values)]).unwrap()
}

#[test]
fn rows_survive_the_round_trip_and_give_the_same_bytes_each_time() {
    let mut writer = HotBlockWriter::default();
    for count in [0, 1, 1000] {
        let block = writer.write(&rows(count)).unwrap();
        assert_eq!(read_block(&block, 1 << 20).unwrap(), rows(count));
        assert_eq!(HotBlockWriter::default().write(&rows(count)).unwrap(), block, "state must not leak between blocks");
    }
}

#[test]
fn one_writer_writes_blocks_of_several_datasets() {
    let other = rows(10).project(&[1]).unwrap();
    let mut writer = HotBlockWriter::default();
    for rows in [rows(10), other.clone(), other, rows(0), rows(1000)] {
        let block = writer.write(&rows).unwrap();
        assert_eq!(read_block(&block, 1 << 20).unwrap(), rows);
        assert_eq!(HotBlockWriter::default().write(&rows).unwrap(), block);
        assert!(read_block(&block, writer.expanded_bytes()).is_ok());
    }
}

fn read_rows_with(
    block: &[u8],
    limit_bytes: usize,
    texts: &[(&str, &str)],
) -> Result<Option<RecordBatch>, HotBlockError> {
    HotBlockReader::new(limit_bytes).read_with(block, texts)
}

#[test]
fn what_is_no_block_is_refused() {
    for other in [b"ALH4 and what that will be".as_slice(), b"not a block", b"ALH", b""] {
        let error = read_block(other, 1 << 20).unwrap_err();
        assert!(matches!(error, HotBlockError::Unknown(bytes) if bytes == other.len()), "{error}");
        assert!(error.to_string().contains("of another release"), "{error}");
    }
    let field = Field::new("narrow", DataType::Int32, true);
    let rows = RecordBatch::new_empty(Arc::new(Schema::new(vec![field])));
    let error = HotBlockWriter::default().write(&rows).unwrap_err();
    assert!(error.to_string().contains("`narrow`"), "{error}");
}

/// The rows with the texts of their first column as a dictionary, of which not all values are used.
fn shared(rows: &RecordBatch) -> RecordBatch {
    let texts: Vec<&str> = rows.column(0).as_string::<i32>().iter().map(Option::unwrap_or_default).collect();
    let values = StringArray::from_iter_values(["unused"].into_iter().chain(texts.iter().copied().rev()));
    let keys = UInt32Array::from_iter_values((1..=texts.len() as u32).rev());
    let shared = DictionaryArray::try_new(keys, Arc::new(values)).unwrap();
    let mut columns = rows.columns().to_vec();
    columns[0] = Arc::new(shared);
    let field = Field::new("source", columns[0].data_type().clone(), false);
    let fields = [Arc::new(field)].into_iter().chain(rows.schema_ref().fields().iter().skip(1).cloned());
    RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), columns).unwrap()
}

#[test]
fn a_dictionary_holds_what_its_block_has_and_comes_back_as_texts() {
    let mut writer = HotBlockWriter::default();
    for count in [0, 1, 255, 256, 70_000] {
        let all = shared(&rows(count));
        let block = writer.write(&all).unwrap();
        assert_eq!(read_block(&block, 16 << 20).unwrap(), rows(count));
        for (at, length) in [(0, 3), (100, 3), (100, 150), (0, 256)].into_iter().filter(|(at, n)| at + n <= count) {
            let (at, length) = (at as usize, length as usize);
            let block = writer.write(&all.slice(at, length)).unwrap();
            assert_eq!(read_block(&block, 1 << 20).unwrap(), rows(count).slice(at, length));
        }
    }
}

/// Rows whose first column's texts are held in each way that there is, by turns.
fn held_in_all_ways() -> Vec<RecordBatch> {
    let digits = |row: i64| format!("{:032x}", row % 7 + (1 << 60));
    let uuid = |row: i64| {
        let digits = digits(row);
        [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
    };
    let with = |texts: Vec<String>| {
        let all = rows(texts.len() as i64);
        let columns = vec![Arc::new(StringArray::from(texts)) as ArrayRef, all.column(1).clone()];
        RecordBatch::try_new(all.schema(), columns).unwrap()
    };
    let repeated = |count: i64| with((0..count).map(|row| format!("{}", row % 3 * 1000)).collect());
    let of_one_length = with((0..500).map(|row| format!("pump-{:03}", row % 90)).collect());
    let (uuids, digits) = (with((0..100).map(uuid).collect()), with((0..100).map(digits).collect()));
    vec![
        repeated(20),
        repeated(100),
        shared(&repeated(20)),
        shared(&repeated(100)),
        shared(&of_one_length),
        uuids,
        digits,
    ]
}

#[test]
fn the_rows_with_a_text_are_those_of_all_that_have_it() {
    for all in held_in_all_ways() {
        let block = HotBlockWriter::default().write(&all).unwrap();
        let whole = read_block(&block, 1 << 20).unwrap();
        let texts = whole.column(0).as_string::<i32>();
        for text in texts.iter().flatten().take(10).chain(["", "pump-1", "pump-0001", "\u{fc}"]) {
            let expected: BooleanArray = texts.iter().map(|other| Some(other == Some(text))).collect();
            let expected = arrow::compute::filter_record_batch(&whole, &expected).unwrap();
            let found = read_rows_with(&block, 1 << 20, &[("source", text)]).unwrap();
            assert_eq!(found, Some(expected).filter(|rows| rows.num_rows() > 0), "{text}");
            assert_eq!(read_rows_with(&block, 1 << 20, &[("source", text), ("source", "no text")]).unwrap(), None);
        }
        let any_of = |wanted: &[&str]| {
            let wanted: TextSet = wanted.iter().copied().collect();
            HotBlockReader::new(1 << 20).read_any_of(&block, &[], ("source", &wanted)).unwrap()
        };
        let held: Vec<&str> = texts.iter().flatten().step_by(3).take(10).collect();
        let wanted = [held.as_slice(), &["no text", ""]].concat();
        let expected: BooleanArray = texts.iter().map(|text| text.map(|text| wanted.contains(&text))).collect();
        let expected = arrow::compute::filter_record_batch(&whole, &expected).unwrap();
        assert_eq!(any_of(&wanted), Some(expected).filter(|rows| rows.num_rows() > 0));
        assert_eq!(any_of(&[]), None);
        let one: TextSet = held.iter().copied().collect();
        let both = HotBlockReader::new(1 << 20).read_any_of(&block, &[("source", held[0])], ("source", &one)).unwrap();
        assert_eq!(both, read_rows_with(&block, 1 << 20, &[("source", held[0])]).unwrap());
        assert_eq!(read_rows_with(&block, 1 << 20, &[]).unwrap(), Some(whole));
        read_rows_with(&block, 1 << 20, &[("value", "")]).unwrap_err();
        read_rows_with(&block, 1 << 20, &[("owner", "")]).unwrap_err();
        assert!(matches!(read_rows_with(&block, 10, &[("source", "")]), Err(HotBlockError::TooLarge { .. })));
        for text in ["pump-000", "0"] {
            let numbers =
                HotBlockReader::of_columns(1 << 20, &["value"]).read_with(&block, &[("source", text)]).unwrap();
            let whole = read_rows_with(&block, 1 << 20, &[("source", text)]).unwrap();
            assert_eq!(numbers, whole.map(|rows| rows.project(&[1]).unwrap()));
        }
    }
}

#[test]
fn a_dictionary_cannot_expand_past_the_limit() {
    let long = "x".repeat(10_000);
    let keys = UInt32Array::from(vec![0; 1000]);
    let texts = DictionaryArray::try_new(keys, Arc::new(StringArray::from_iter_values([&long]))).unwrap();
    let field = Field::new("note", texts.data_type().clone(), true);
    let rows = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![Arc::new(texts)]).unwrap();
    let mut writer = HotBlockWriter::default();
    let block = writer.write(&rows).unwrap();
    assert!(block.len() < 10_000 && writer.expanded_bytes() > 10_000_000);
    let error = read_block(&block, 10_000_000).unwrap_err();
    assert!(matches!(error, HotBlockError::TooLarge { .. }), "{error}");
    assert_eq!(read_block(&block, writer.expanded_bytes()).unwrap().num_rows(), 1000);
}

#[test]
fn a_block_that_expands_past_the_limit_is_refused_before_it_is_expanded() {
    let block = HotBlockWriter::default().write(&rows(1000)).unwrap();
    let error = read_block(&block, 100).unwrap_err();
    assert!(matches!(error, HotBlockError::TooLarge { limit_bytes: 100, .. }), "{error}");
}

#[test]
fn damage_is_an_error_and_no_panic() {
    let block = HotBlockWriter::default().write(&rows(100)).unwrap();
    for length in 0..block.len() {
        assert!(read_block(&block[..length], 1 << 20).is_err(), "cut at {length}");
    }
    for (at, other) in (0..block.len()).flat_map(|at| [1, 0x80, 0xFF].map(|other| (at, other))) {
        let mut damaged = block.to_vec();
        damaged[at] ^= other;
        assert!(read_block(&damaged, 1 << 20).is_err(), "byte {at}");
    }
}

/// A block of this content, with a right checksum.
fn block_of(content: &[u8]) -> Vec<u8> {
    let checked = [&(content.len() as u32).to_le_bytes(), lz4_flex::block::compress(content).as_slice()].concat();
    [&MAGIC, &crc32c::crc32c(&checked).to_le_bytes(), checked.as_slice()].concat()
}

#[test]
fn damage_behind_a_right_checksum_is_no_panic() {
    for rows in [shared(&rows(40)), telemetry(40).0, telemetry(3).0, nested()] {
        let block = HotBlockWriter::default().write(&rows).unwrap();
        let mut content = Vec::new();
        expand(&block, 1 << 20, &mut content).unwrap();
        assert_eq!(read_block(&block_of(&content), 1 << 20).unwrap().num_rows(), rows.num_rows());
        let mut refused = 0;
        for (at, other) in (0..content.len()).flat_map(|at| [1, 0x80, 0xFF].map(|other| (at, other))) {
            let mut damaged = content.clone();
            damaged[at] ^= other;
            let damaged = block_of(&damaged);
            refused += usize::from(read_block(&damaged, 1 << 20).is_err());
            // Whatever it is, of a part of the rows or of the columns there is no panic either.
            let _ = read_rows_with(&damaged, 1 << 20, &[("source", "device-00001")]);
            let _ = HotBlockReader::of_columns(1 << 20, &["source", "value"]).read_with(&damaged, &[]);
        }
        assert!(refused > content.len() / 4, "{refused} of {} bytes", content.len());
        for length in 0..content.len() {
            assert!(read_block(&block_of(&content[..length]), 1 << 20).is_err(), "cut at {length}");
        }
    }
}

/// Rows with lists and structs, within one another, with and without nulls.
fn nested() -> RecordBatch {
    let members: Fields =
        vec![Arc::new(Field::new("name", DataType::Utf8, true)), Arc::new(Field::new("on", DataType::Boolean, true))]
            .into();
    let names: StringArray = [Some("a"), None, Some("ccc"), Some(""), Some("a")].into_iter().collect();
    let on: BooleanArray = [Some(true), Some(false), None, Some(true), None].into_iter().collect();
    let nulls = NullBuffer::from(vec![true, true, false, true, true]);
    let items = StructArray::new(members.clone(), vec![Arc::new(names), Arc::new(on)], Some(nulls));
    let item = Arc::new(Field::new("element", DataType::Struct(members), true));
    let ends = OffsetBuffer::from_lengths([2, 0, 0, 3]);
    let lists = ListArray::new(item, ends, Arc::new(items), Some(NullBuffer::from(vec![true, true, false, true])));
    let sources = StringArray::from_iter_values(["pump-1", "pump-1", "pump-2", "pump-2"]);
    RecordBatch::try_from_iter([("source", Arc::new(sources) as ArrayRef), ("parts", Arc::new(lists))]).unwrap()
}

#[test]
fn lists_and_structs_come_back_whole_and_in_part() {
    let all = nested();
    let mut writer = HotBlockWriter::default();
    let block = writer.write(&all).unwrap();
    assert_eq!(read_block(&block, writer.expanded_bytes()).unwrap(), all);
    let of_second = read_rows_with(&block, 1 << 20, &[("source", "pump-2")]).unwrap().unwrap();
    assert_eq!(of_second, all.slice(2, 2));
    let some = writer.write_rows(&all, &[3, 0]).unwrap();
    let expected = arrow::compute::take_record_batch(&all, &UInt32Array::from(vec![3, 0])).unwrap();
    assert_eq!(read_block(&some, 1 << 20).unwrap(), expected);
}

#[test]
fn a_reader_of_some_columns_gives_those_in_their_order() {
    let (shared, plain) = telemetry(50);
    let block = HotBlockWriter::default().write(&shared).unwrap();
    let mut reader = HotBlockReader::of_columns(1 << 20, &["value", "source", "no such"]);
    for _ in 0..2 {
        let some = reader.read_with(&block, &[]).unwrap().unwrap();
        assert_eq!(some, plain.project(&[1, 7]).unwrap());
    }
    let one = reader.read_with(&block, &[("owner", "anna")]).unwrap().unwrap();
    assert_eq!(one.num_rows(), 50, "a column need not be wanted to be looked at");
    let other = HotBlockWriter::default().write(&rows(3)).unwrap();
    assert_eq!(reader.read_with(&other, &[]).unwrap().unwrap(), rows(3), "a block of other columns");
}

/// Rows like those of the dataset `telemetry`, as the transform hands them over and as they are read.
fn telemetry(count: usize) -> (RecordBatch, RecordBatch) {
    let mut state = 7_u64;
    let mut drawn = |most: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % most
    };
    let time = 1_767_225_600_000_000_i64;
    let times = |times: Vec<i64>| Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")) as ArrayRef;
    let ids = (0..count).map(|_| {
        let (high, low) = (drawn(1 << 31) << 31 | drawn(1 << 31), drawn(1 << 31) << 31 | drawn(1 << 31));
        let digits = format!("{high:016x}{low:016x}");
        format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
    });
    let ids: ArrayRef = Arc::new(StringArray::from_iter_values(ids));
    let mut sources: Vec<u64> = (0..count).map(|_| drawn(200)).collect();
    sources.sort_unstable();
    let of_source = |seed: u64, most: u64| -> Vec<f64> {
        sources.iter().map(|source| (source.wrapping_mul(seed) % most) as f64).collect()
    };
    let scaled = |numbers: Vec<f64>, power: f64| -> ArrayRef {
        Arc::new(numbers.into_iter().map(|number| Some(number / power)).collect::<Float64Array>())
    };
    let (lat, lon, battery) =
        (of_source(0x9E37_79B9, 60_000_000), of_source(0x85EB_CA6B, 30_000_000), of_source(77, 999));
    let event_times = (0..count).map(|_| time + drawn(9_000) as i64 * 1_000).collect();
    let values = (0..count).map(|_| drawn(100_000) as f64).collect();
    let texts = |texts: Vec<String>| Arc::new(StringArray::from_iter_values(texts)) as ArrayRef;
    let columns = vec![
        ("event_id", ids),
        ("source", texts(sources.iter().map(|source| format!("device-{source:05}")).collect())),
        (
            "type",
            texts((0..count).map(|_| ["reading", "telemetry", "alarm"][drawn(16) as usize / 7].to_owned()).collect()),
        ),
        ("event_time", times(event_times)),
        ("event_date", Arc::new(Date32Array::from(vec![20_454; count])) as ArrayRef),
        ("ingest_time", times(vec![time + 3_600_000_000; count])),
        ("owner", texts(vec!["anna".to_owned(); count])),
        ("value", scaled(values, 100.0)),
        ("unit", texts(sources.iter().map(|source| ["Cel", "%", "hPa"][*source as usize % 3].to_owned()).collect())),
        ("battery", scaled(battery, 10.0)),
        ("status", texts((0..count).map(|_| ["ok", "warn"][drawn(32) as usize / 31].to_owned()).collect())),
        ("lat", scaled(lat, 1e6)),
        ("lon", scaled(lon, 1e6)),
        ("firmware", texts(sources.iter().map(|source| format!("2.{}.{}", source % 5, source % 10)).collect())),
        ("extra", new_null_array(&DataType::Utf8, count)),
    ];
    let plain = RecordBatch::try_from_iter(columns.clone()).unwrap();
    let shared = columns.into_iter().map(|(name, column)| match name {
        "source" | "type" | "owner" | "unit" | "status" | "firmware" => {
            let dictionary = DataType::Dictionary(Box::new(DataType::UInt32), Box::new(DataType::Utf8));
            (name, arrow::compute::cast(&column, &dictionary).unwrap())
        }
        _ => (name, column),
    });
    (RecordBatch::try_from_iter(shared).unwrap(), plain)
}

/// What Arrow's own stream takes under zstd.
fn stream_bytes(rows: &RecordBatch) -> usize {
    let mut writer = StreamWriter::try_new(Vec::new(), rows.schema_ref()).unwrap();
    writer.write(rows).unwrap();
    zstd::bulk::compress(&writer.into_inner().unwrap(), 1).unwrap().len()
}

#[test]
fn a_block_of_however_many_rows_is_smaller_than_a_stream_under_zstd() {
    let mut writer = HotBlockWriter::default();
    for count in [1, 2, 5, 10, 20, 39, 40, 64, 100, 300, 1000] {
        let (shared, plain) = telemetry(count);
        let block = writer.write(&shared).unwrap();
        assert_eq!(read_block(&block, 1 << 20).unwrap().columns(), plain.columns());
        let stream = stream_bytes(&plain);
        println!("{count} rows: {} bytes, {stream} as a stream", block.len());
        assert!(block.len() < stream, "{count} rows: {} bytes, {stream} as a stream", block.len());
    }
}

#[test]
fn rows_that_are_found_one_by_one_and_long_descriptions_are_held_to_the_limit() {
    // Every other row of one run has a text, so that each is a range of its own.
    let sources: StringArray = (0..40_000).map(|row| (row % 2 == 0).then_some("a")).collect();
    let dictionary = DataType::Dictionary(Box::new(DataType::UInt32), Box::new(DataType::Utf8));
    let sources = arrow::compute::cast(&sources, &dictionary).unwrap();
    let rows = RecordBatch::try_from_iter([("source", sources)]).unwrap();
    let block = HotBlockWriter::default().write(&rows).unwrap();
    let found = HotBlockReader::new(1 << 20).read_with(&block, &[("source", "a")]).unwrap().unwrap();
    assert_eq!(found.num_rows(), 20_000);
    let error = HotBlockReader::new(100_000).read_with(&block, &[("source", "a")]).unwrap_err();
    assert!(matches!(error, HotBlockError::TooLarge { .. }), "{error}");
    let fields: Vec<Field> = (0..30_000).map(|n| Field::new(format!("{n:040}"), DataType::Int64, true)).collect();
    let wide = RecordBatch::new_empty(Arc::new(Schema::new(fields)));
    let error = HotBlockWriter::default().write(&wide).unwrap_err();
    assert!(error.to_string().contains("longer than"), "{error}");
}

#[test]
fn runs_and_ranges_are_met_in_order_wherever_they_begin() {
    let texts = ["a", "a", "b", "a", "a", "a", "c", "a"];
    let owners = ["o", "p", "p", "p", "o", "o", "o", "p"];
    let dictionary = DataType::Dictionary(Box::new(DataType::UInt32), Box::new(DataType::Utf8));
    let shared = |texts: &[&str]| arrow::compute::cast(&StringArray::from(texts.to_vec()), &dictionary).unwrap();
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..8));
    let rows = [("owner", shared(&owners)), ("source", shared(&texts)), ("value", numbers)];
    let block = HotBlockWriter::default().write(&RecordBatch::try_from_iter(rows).unwrap()).unwrap();
    for (owner, source) in ["o", "p", "x"].into_iter().flat_map(|owner| ["a", "b", "c"].map(|source| (owner, source))) {
        let expected: Vec<i64> =
            (0..8).filter(|row| owners[*row] == owner && texts[*row] == source).map(|row| row as i64).collect();
        for wanted in [[("owner", owner), ("source", source)], [("source", source), ("owner", owner)]] {
            let found = read_rows_with(&block, 1 << 20, &wanted).unwrap();
            let found = found.map_or(Vec::new(), |rows| {
                rows.column(2).as_primitive::<arrow::datatypes::Int64Type>().values().to_vec()
            });
            assert_eq!(found, expected, "{owner} {source}");
        }
    }
}
