#![allow(clippy::unwrap_used)]

use arrow::array::{
    BinaryViewArray, Decimal128Array, DictionaryArray, Int32Array, Int64Array, IntervalDayTimeArray, ListArray,
    NullArray, StringViewArray, StructArray, TimestampNanosecondArray, UInt64Array,
};
use arrow::datatypes::{Int32Type, Int64Type, IntervalDayTime};
use arrow::util::pretty::pretty_format_batches;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

fn written(batches: &[RecordBatch]) -> Vec<RecordBatch> {
    let mut writer =
        ParquetWriter::new(Vec::new(), &batches[0].schema(), &[("alluvium.report", "r".to_owned())]).unwrap();
    batches.iter().try_for_each(|batch| writer.write(batch)).unwrap();
    let file = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(writer.finish().unwrap())).unwrap();
    let about = file.metadata().file_metadata().key_value_metadata().unwrap().clone();
    assert_eq!(about, [KeyValue::new("alluvium.report".to_owned(), "r".to_owned())], "and no schema of Arrow's");
    file.build().unwrap().map(Result::unwrap).collect()
}

#[test]
fn every_type_becomes_one_that_engines_share_and_keeps_its_values() {
    let dictionary: DictionaryArray<Int32Type> = [Some("x"), None].into_iter().collect();
    let object = StructArray::from(vec![(
        Arc::new(Field::new("n", DataType::UInt64, true)),
        Arc::new(UInt64Array::from(vec![1, 2])) as ArrayRef,
    )]);
    let rows = batch(vec![
        ("n", Arc::new(Int64Array::from(vec![Some(1), None]))),
        ("large", Arc::new(UInt64Array::from(vec![u64::MAX, 0]))),
        ("word", Arc::new(StringViewArray::from(vec![Some("a"), None]))),
        ("bytes", Arc::new(BinaryViewArray::from(vec![b"\xff".as_slice(), b""]))),
        ("kind", Arc::new(dictionary)),
        ("at", Arc::new(TimestampNanosecondArray::from(vec![1_500, 0]).with_timezone("+02:00"))),
        ("here", Arc::new(TimestampNanosecondArray::from(vec![1_500, 0]))),
        ("price", Arc::new(Decimal128Array::from(vec![150, -1]).with_precision_and_scale(5, 2).unwrap())),
        ("list", Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1), None]), None]))),
        ("object", Arc::new(object)),
        ("wait", Arc::new(IntervalDayTimeArray::from(vec![IntervalDayTime::new(1, 0), IntervalDayTime::new(0, 5)]))),
        ("nothing", Arc::new(NullArray::new(2))),
    ]);
    let read = written(std::slice::from_ref(&rows));
    let kinds: Vec<_> = read[0].schema().fields().iter().map(|field| field.data_type().to_string()).collect();
    assert_eq!(
        kinds,
        [
            "Int64",
            "Decimal128(20, 0)",
            "Utf8",
            "Binary",
            "Utf8",
            "Timestamp(µs, \"UTC\")",
            "Timestamp(µs)",
            "Decimal128(5, 2)",
            "List(Int64, field: 'element')",
            "Struct(\"n\": Decimal128(20, 0))",
            "Utf8",
            "Utf8",
        ]
    );
    let shown = pretty_format_batches(&read).unwrap().to_string();
    for value in ["18446744073709551615", "| ff ", "1970-01-01T00:00:00.000001Z", "1.50", "[1, ]", "{n: 1}", "1 days"] {
        assert!(shown.contains(value), "{value}: {shown}");
    }
}

#[test]
fn blocks_become_one_file_and_no_rows_a_file_with_columns() {
    let block = |n: i32| batch(vec![("n", Arc::new(Int32Array::from(vec![n; 3])))]);
    let read = written(&[block(1), block(2)]);
    assert_eq!(read.iter().map(RecordBatch::num_rows).sum::<usize>(), 6);
    let empty = RecordBatch::new_empty(block(1).schema());
    let mut writer = ParquetWriter::new(Vec::new(), &empty.schema(), &[]).unwrap();
    writer.write(&empty).unwrap();
    let file = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(writer.finish().unwrap())).unwrap();
    assert_eq!((file.schema().fields().len(), file.metadata().file_metadata().num_rows()), (1, 0));
}

#[test]
fn two_columns_of_one_name_are_refused() {
    let columns = Schema::new(vec![Field::new("n", DataType::Int64, true), Field::new("n", DataType::Utf8, true)]);
    let refused = ParquetWriter::new(Vec::new(), &columns, &[]).unwrap_err().to_string();
    assert_eq!(refused, "two columns are called `n`; name one of them otherwise, with `as`");
}
