//! What each column of a file takes, in bytes and in time, by our encoders and by the crate's writer with each of its
//! encodings. It asserts nothing and is run by hand, optimised, on a Parquet file such as `alluvium convert` writes:
//!
//! ```text
//! ROWS=rows.parquet cargo test --release -p alluvium-transform --lib encode::measure -- --ignored --nocapture
//! ```

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)]

use std::fs::File;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion};

use super::{FileWriter, Layout, ROW_GROUP_ROWS};

const ROUNDS: usize = 3;

/// Rows of the file in row groups of this many.
fn row_groups(rows: usize) -> Vec<RecordBatch> {
    let file = File::open(std::env::var("ROWS").unwrap()).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().with_batch_size(rows).build().unwrap();
    reader.map(Result::unwrap).collect()
}

/// Nanoseconds that this thread has spent on a processor.
fn now() -> u64 {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    times.split(' ').next().unwrap().parse().unwrap()
}

fn print(what: &str, row_groups: &[RecordBatch], write: impl Fn(&mut Vec<u8>)) {
    let rows = row_groups.iter().map(RecordBatch::num_rows).sum::<usize>() as f64;
    let (mut bytes, mut least) = (Vec::new(), u64::MAX);
    for _ in 0..ROUNDS {
        bytes.clear();
        let start = now();
        write(&mut bytes);
        least = least.min(now() - start);
    }
    println!("{what:44} {:9.4} bytes {:8.1} ns a row", bytes.len() as f64 / rows, least as f64 / rows);
}

fn ours(row_groups: &[RecordBatch], bytes: &mut Vec<u8>) {
    let mut file = FileWriter::new(bytes, &Layout::with_columns(row_groups[0].schema())).unwrap();
    row_groups.iter().for_each(|rows| file.write_row_group(rows).unwrap());
    file.finish().unwrap();
}

fn theirs(row_groups: &[RecordBatch], properties: WriterPropertiesBuilder, bytes: &mut Vec<u8>) {
    let properties = properties
        .set_max_row_group_row_count(Some(row_groups[0].num_rows()))
        .set_statistics_enabled(EnabledStatistics::Page)
        .build();
    let mut file = ArrowWriter::try_new(bytes, row_groups[0].schema(), Some(properties)).unwrap();
    row_groups.iter().for_each(|rows| file.write(rows).unwrap());
    file.close().unwrap();
}

fn zstd(level: i32) -> WriterPropertiesBuilder {
    WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::try_new(level).unwrap()))
}

#[test]
#[ignore = "a measurement: reads the file that ROWS names"]
fn columns() {
    let row_groups = row_groups(ROW_GROUP_ROWS);
    print("all, ours", &row_groups, |bytes| ours(&row_groups, bytes));
    for level in [1, 3, 9] {
        let what = format!("all, the crate's defaults, zstd {level}");
        print(&what, &row_groups, |bytes| theirs(&row_groups, zstd(level), bytes));
    }
    print("all, the crate's defaults, zstd 1, version 2", &row_groups, |bytes| {
        theirs(&row_groups, zstd(1).set_writer_version(WriterVersion::PARQUET_2_0), bytes);
    });
    for place in 0..row_groups[0].num_columns() {
        let column: Vec<RecordBatch> = row_groups.iter().map(|rows| rows.project(&[place]).unwrap()).collect();
        let schema = column[0].schema();
        let name = schema.field(0).name();
        print(&format!("{name}, ours"), &column, |bytes| ours(&column, bytes));
        print(&format!("{name}, dictionary"), &column, |bytes| theirs(&column, zstd(1), bytes));
        let encodings: &[Encoding] = match schema.field(0).data_type() {
            DataType::Utf8 => &[Encoding::PLAIN, Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::DELTA_BYTE_ARRAY],
            DataType::Float64 => &[Encoding::PLAIN, Encoding::BYTE_STREAM_SPLIT],
            DataType::Int64 | DataType::Timestamp(..) | DataType::Date32 => {
                &[Encoding::PLAIN, Encoding::BYTE_STREAM_SPLIT, Encoding::DELTA_BINARY_PACKED]
            }
            _ => &[],
        };
        for encoding in encodings {
            for level in [1, 3] {
                print(&format!("{name}, {encoding}, zstd {level}"), &column, |bytes| {
                    theirs(&column, zstd(level).set_dictionary_enabled(false).set_encoding(*encoding), bytes);
                });
            }
        }
    }
}

#[test]
#[ignore = "a measurement: reads the file that ROWS names"]
fn row_group_sizes() {
    for rows in [16, 32, 64, 128] {
        let row_groups = row_groups(rows * 1024);
        print(&format!("row groups of {rows} Ki rows"), &row_groups, |bytes| ours(&row_groups, bytes));
    }
}
