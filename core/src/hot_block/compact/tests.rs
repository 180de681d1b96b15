#![allow(clippy::unwrap_used)]

use arrow::array::{BooleanArray, Date32Array};
use arrow::datatypes::{Float64Type, Schema};

use super::super::restore::restore;
use super::*;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields = columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true));
    let fields: Vec<Field> = fields.collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, column)| column).collect())
        .unwrap()
}

/// The type that a column is held in; it comes back as it was.
fn held(name: &str, column: ArrayRef) -> DataType {
    let rows = batch(vec![(name, column)]);
    held_of(&rows)
}

/// The type that the first column is held in; all come back as they were.
fn held_of(rows: &RecordBatch) -> DataType {
    let held = compacted(rows);
    let restored = restore(&held).unwrap();
    assert_eq!(restored.schema(), rows.schema());
    assert_eq!(&restored, rows);
    if let (Some(one), Some(other)) =
        (rows.column(0).as_primitive_opt::<Float64Type>(), restored.column(0).as_primitive_opt::<Float64Type>())
    {
        assert!(one.values().iter().zip(other.values()).all(|(one, other)| one.to_bits() == other.to_bits()));
    }
    held.column(0).data_type().clone()
}

fn compacted(rows: &RecordBatch) -> RecordBatch {
    let mut compacter = Compacter::default();
    let numbers: Vec<u32> = (0..rows.num_rows() as u32).collect();
    let columns = compacter.columns(rows, &numbers).unwrap();
    let schema = rows.schema();
    let fields: Vec<_> = schema.fields().iter().zip(&compacter.held).map(|(field, held)| held.field(field)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn numbers(numbers: &[f64]) -> DataType {
    held("n", Arc::new(Float64Array::from(numbers.to_vec())))
}

#[test]
fn doubles_are_held_as_decimals_where_they_are_such() {
    assert_eq!(numbers(&[21.5, 0.0, -3.0, 17.25]), DataType::Int16);
    assert_eq!(numbers(&[1.0, 2.0, -999_999_999.0]), DataType::Int32);
    assert_eq!(numbers(&[52.520_008, 13.404_954, 0.1, 1e-6]), DataType::Int32);
    assert_eq!(numbers(&[0.1, 0.3]), DataType::Int16);
    assert_eq!(numbers(&[1e-9]), DataType::Int16);
    assert_eq!(numbers(&[3276.7, -3276.8]), DataType::Int16);
    assert_eq!(numbers(&[3276.8]), DataType::Int32);
    assert_eq!(numbers(&[-3276.9]), DataType::Int32);
    let many: Vec<f64> = (0..1000).map(|n| f64::from(n) / 1000.0).collect();
    assert_eq!(numbers(&many), DataType::Int16);
    let with_nulls = Float64Array::from(vec![None, Some(0.5), None, Some(7.0)]);
    assert_eq!(held("n", Arc::new(with_nulls)), DataType::Int16);
    // Digits that are too many, alone or together; what is no number; a zero with a sign.
    let others: [&[f64]; 10] = [
        &[0.1 + 0.2],
        &[1_000_000_000.0],
        &[100_000.0, 0.000_01],
        &[0.5, f64::NAN],
        &[f64::INFINITY],
        &[f64::NEG_INFINITY],
        &[1.0, -0.0],
        &[f64::MAX, f64::MIN_POSITIVE],
        &[5e-10],
        &[],
    ];
    for others in others {
        assert_eq!(numbers(others), DataType::Float64, "{others:?}");
    }
    let mut late = many;
    late.push(std::f64::consts::PI);
    assert_eq!(numbers(&late), DataType::Float64);
}

#[test]
fn integers_are_held_in_fewer_bytes_where_they_fit() {
    let integers = |integers: Vec<Option<i64>>| held("n", Arc::new(Int64Array::from(integers)));
    assert_eq!(integers(vec![Some(1), None, Some(i64::from(i32::MIN))]), DataType::Int32);
    assert_eq!(integers(vec![Some(i64::from(i16::MIN)), None, Some(i64::from(i16::MAX))]), DataType::Int16);
    assert_eq!(integers(vec![Some(1 << 15)]), DataType::Int32);
    assert_eq!(integers(vec![Some(1), Some(1 << 31)]), DataType::Int64);
    assert_eq!(integers(vec![None, None]), DataType::Int16);
}

#[test]
fn texts_that_are_128_bits_are_held_as_such() {
    let texts = |texts: &[&str]| held("event_id", Arc::new(StringArray::from_iter_values(texts)));
    let uuid = "0123abcd-89ef-4567-ba98-76543210fedc";
    let hex = "0123456789abcdeffedcba9876543210";
    assert_eq!(texts(&[uuid, "00000000-0000-0000-0000-000000000000", uuid]), DataType::FixedSizeBinary(16));
    assert_eq!(texts(&[hex, "ffffffffffffffffffffffffffffffff"]), DataType::FixedSizeBinary(16));
    assert_eq!(texts(&[]), DataType::Utf8);
    assert_eq!(texts(&[uuid, hex]), DataType::Utf8);
    assert_eq!(texts(&["short", uuid]), DataType::Utf8);
    let nulls: StringArray = [Some(uuid), None].into_iter().collect();
    assert_eq!(held("event_id", Arc::new(nulls)), DataType::Utf8);
    // Every other byte at every place, a letter in upper case among them.
    for (text, at) in [uuid, hex].into_iter().flat_map(|text| (0..text.len()).map(move |at| (text, at))) {
        for other in (0..128_u8).map(char::from) {
            let mut changed: Vec<char> = text.chars().collect();
            let is_digit = |c: char| matches!(c, '0'..='9' | 'a'..='f');
            let is_sound = if changed[at] == '-' { other == '-' } else { is_digit(other) };
            changed[at] = other;
            let changed: String = changed.into_iter().collect();
            let expected = if is_sound { DataType::FixedSizeBinary(16) } else { DataType::Utf8 };
            assert_eq!(texts(&[text, &changed]), expected, "{changed:?}");
        }
    }
    let longer = "é".repeat(16);
    assert_eq!((longer.len(), texts(&[&longer])), (32, DataType::Utf8));
}

#[test]
fn other_readers_know_a_uuid_for_one() {
    let ids = StringArray::from_iter_values(["0123abcd-89ef-4567-ba98-76543210fedc"]);
    let held = compacted(&batch(vec![("event_id", Arc::new(ids))]));
    assert_eq!(held.schema().field(0).extension_type_name(), Some("arrow.uuid"));
    assert_eq!(held.column(0).as_fixed_size_binary().value(0)[..4], [0x01, 0x23, 0xAB, 0xCD]);
}

#[test]
fn times_are_held_as_times_of_their_day() {
    let held_at = |name: &str, times: &[i64], days: &[i32]| {
        let times = TimestampMicrosecondArray::from(times.to_vec()).with_timezone("UTC");
        let days = Date32Array::from(days.to_vec());
        held_of(&batch(vec![(name, Arc::new(times)), ("event_date", Arc::new(days))]))
    };
    let day = 86_400_000_000;
    let time_of_day = DataType::Time32(TimeUnit::Millisecond);
    let as_is = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    assert_eq!(held_at("event_time", &[0, day - 1_000, day, -1_000], &[0, 0, 1, -1]), time_of_day);
    let (first, last) = (-62_135_596_800_000_000, 253_402_300_799_999_000);
    assert_eq!(held_at("event_time", &[first, last], &[-719_162, 2_932_896]), time_of_day);
    assert_eq!(held_at("event_time", &[1_001], &[0]), as_is, "finer than a millisecond");
    assert_eq!(held_at("event_time", &[0], &[1]), as_is, "of another day");
    assert_eq!(held_at("ingest_time", &[0], &[0]), as_is);
    let alone = TimestampMicrosecondArray::from(vec![0]).with_timezone("UTC");
    assert_eq!(held("event_time", Arc::new(alone)), as_is);
}

#[test]
fn other_columns_stay_as_they_are() {
    let on = BooleanArray::from(vec![Some(true), None]);
    assert_eq!(held("on", Arc::new(on)), DataType::Boolean);
    let notes: StringArray = [Some("a"), None].into_iter().collect();
    assert_eq!(held("note", Arc::new(notes)), DataType::Utf8);
}

#[test]
fn columns_that_nobody_writes_are_refused() {
    let bytes = FixedSizeBinaryArray::try_from_iter([[0_u8; 16]].into_iter()).unwrap();
    let error = restore(&batch(vec![("event_id", Arc::new(bytes))])).unwrap_err();
    assert!(error.to_string().contains("`event_id`"), "{error}");
    let marked = |bytes: FixedSizeBinaryArray| {
        let rows = batch(vec![("event_id", Arc::new(bytes))]);
        let field = rows.schema().field(0).clone().with_metadata([(UUID.0.to_owned(), UUID.1.to_owned())].into());
        RecordBatch::try_new(Arc::new(Schema::new(vec![field])), rows.columns().to_vec()).unwrap()
    };
    assert!(restore(&marked(FixedSizeBinaryArray::try_from_iter([[0_u8; 15]].into_iter()).unwrap())).is_err());
    let time = Time32MillisecondArray::from(vec![0]);
    assert!(restore(&batch(vec![("event_time", Arc::new(time.clone()))])).is_err(), "without its day");
    let days = Date32Array::from(vec![i32::MAX]);
    let far = batch(vec![("event_time", Arc::new(time)), ("event_date", Arc::new(days))]);
    assert!(restore(&far).is_err(), "out of range");
    for scale in ["10", "-1", "x"] {
        let field = Field::new("n", DataType::Int32, true).with_metadata([(SCALE.to_owned(), scale.to_owned())].into());
        let rows = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![Arc::new(Int32Array::from(vec![1]))]);
        assert!(restore(&rows.unwrap()).is_err(), "{scale}");
    }
}

#[test]
fn many_texts_of_one_length_are_held_without_their_ends() {
    let texts = |count: u32, text: fn(u32) -> String| {
        let values: ArrayRef = Arc::new(StringArray::from_iter_values((0..count).map(text)));
        let shared = DictionaryArray::try_new(UInt32Array::from_iter_values(0..count), values.clone()).unwrap();
        let held = compacted(&batch(vec![("source", Arc::new(shared))]));
        let restored = restore(&held).unwrap();
        assert_eq!(restored.column(0), &values);
        held.column(0).as_any_dictionary().values().data_type().clone()
    };
    assert_eq!(texts(31, |n| format!("{n:04}")), DataType::Utf8);
    assert_eq!(texts(32, |n| format!("{n:04}")), DataType::FixedSizeBinary(4));
    assert_eq!(texts(300, |n| format!("{n:03}ä")), DataType::FixedSizeBinary(5));
    assert_eq!(texts(300, |n| format!("{n}")), DataType::Utf8);
}
