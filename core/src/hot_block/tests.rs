use std::sync::Arc;

use arrow::array::{Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema};

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
    let mut writer = HotBlockWriter::new().unwrap();
    for count in [0, 1, 1000] {
        let block = writer.write(&rows(count)).unwrap();
        assert_eq!(read_block(&block, 1 << 20).unwrap(), rows(count));
        assert_eq!(
            HotBlockWriter::new().unwrap().write(&rows(count)).unwrap(),
            block,
            "state must not leak between blocks"
        );
    }
}

#[test]
fn one_writer_writes_blocks_of_several_datasets_as_arrow_itself_does() {
    let other = rows(10).project(&[1]).unwrap();
    let mut writer = HotBlockWriter::new().unwrap();
    for rows in [rows(10), other.clone(), other, rows(0), rows(1000)] {
        let block = writer.write(&rows).unwrap();
        let mut expected = StreamWriter::try_new(Vec::new(), rows.schema_ref()).unwrap();
        expected.write(&rows).unwrap();
        let expected = expected.into_inner().unwrap();
        assert_eq!(zstd::bulk::decompress(&block, 1 << 20).unwrap(), expected);
        assert_eq!(writer.expanded_bytes(), expected.len());
    }
}

#[test]
fn a_block_that_expands_past_the_limit_is_refused_before_it_is_expanded() {
    let block = HotBlockWriter::new().unwrap().write(&rows(1000)).unwrap();
    let error = read_block(&block, 100).unwrap_err();
    assert!(matches!(error, HotBlockError::TooLarge { limit_bytes: 100, .. }), "{error}");
}

#[test]
fn damage_is_an_error_and_no_panic() {
    let block = HotBlockWriter::new().unwrap().write(&rows(100)).unwrap();
    for length in 0..block.len() {
        assert!(read_block(&block[..length], 1 << 20).is_err(), "cut at {length}");
    }
    assert!(matches!(read_block(b"not a block", 1 << 20), Err(HotBlockError::NoFrame(11))));
    let empty_stream = zstd::bulk::compress(b"", LEVEL).unwrap();
    assert!(read_block(&empty_stream, 1 << 20).is_err());
}
