//! What a Parquet file says of itself, as text.

use std::fmt::Write;

use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::bloom_filter::Sbbf;
use parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData};
use parquet::file::statistics::Statistics;
use parquet::schema::printer::print_schema;

pub(super) fn file(file: &Bytes) -> String {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
    let metadata = ArrowReaderMetadata::load(file, options).unwrap().metadata().clone();
    let about = metadata.file_metadata();
    let mut text =
        format!("{} rows, version {}, by {}\n", about.num_rows(), about.version(), about.created_by().unwrap());
    for pair in about.key_value_metadata().unwrap() {
        writeln!(text, "{}: {}", pair.key, pair.value.as_deref().unwrap()).unwrap();
    }
    let mut schema = Vec::new();
    print_schema(&mut schema, about.schema());
    text.push_str(&String::from_utf8(schema).unwrap());
    for (at, group) in metadata.row_groups().iter().enumerate() {
        let sorted = group.sorting_columns().unwrap().iter();
        let sorted: Vec<String> =
            sorted.map(|by| group.column(by.column_idx as usize).column_path().string()).collect();
        writeln!(text, "\nrow group {at}: {} rows, sorted by {}", group.num_rows(), sorted.join(", ")).unwrap();
        for (leaf, column) in group.columns().iter().enumerate() {
            describe_column(&mut text, file, &metadata, at, leaf, column);
        }
    }
    text
}

fn describe_column(
    text: &mut String,
    file: &Bytes,
    metadata: &ParquetMetaData,
    group: usize,
    leaf: usize,
    column: &ColumnChunkMetaData,
) {
    let path = column.column_path().string();
    writeln!(text, "  {path}: {} values, {:?}", column.num_values(), column.compression()).unwrap();
    let used: Vec<String> = column.encodings().map(|encoding| encoding.to_string()).collect();
    let data = column.page_encoding_stats_mask().into_iter().flat_map(|mask| mask.encodings());
    let data: Vec<String> = data.map(|encoding| encoding.to_string()).collect();
    let dictionary = if column.dictionary_page_offset().is_some() { "after a dictionary" } else { "no dictionary" };
    writeln!(text, "    encodings: {}; of data pages: {}, {dictionary}", used.join(", "), data.join(", ")).unwrap();
    let rows: Vec<String> = metadata.offset_index().map_or_else(Vec::new, |index| {
        index[group][leaf].page_locations().iter().map(|page| page.first_row_index.to_string()).collect()
    });
    writeln!(text, "    offset index: pages begin with rows {}", rows.join(", ")).unwrap();
    match metadata.column_index().map(|index| &index[group][leaf]).filter(|_| column.column_index_offset().is_some()) {
        Some(index) => {
            let nulls = index.null_counts().map(|counts| format!("{counts:?}")).unwrap_or_default();
            writeln!(text, "    column index: {:?}, nulls {nulls}", index.get_boundary_order().unwrap()).unwrap();
        }
        None => text.push_str("    column index: none\n"),
    }
    match column.statistics() {
        Some(statistics) => writeln!(text, "    statistics: {}", shown(statistics)).unwrap(),
        None => text.push_str("    statistics: none\n"),
    }
    if let Some(filter) = Sbbf::read_from_column_chunk(column, file).unwrap() {
        writeln!(text, "    bloom filter: {} blocks", filter.num_blocks()).unwrap();
    }
}

fn shown(statistics: &Statistics) -> String {
    let ends = match statistics {
        Statistics::Boolean(of) => format!("{:?} to {:?}", of.min_opt(), of.max_opt()),
        Statistics::Int32(of) => format!("{:?} to {:?}", of.min_opt(), of.max_opt()),
        Statistics::Int64(of) => format!("{:?} to {:?}", of.min_opt(), of.max_opt()),
        Statistics::Double(of) => format!("{:?} to {:?}", of.min_opt(), of.max_opt()),
        Statistics::ByteArray(of) => {
            let text = |end: Option<&parquet::data_type::ByteArray>| end.map(|end| end.as_utf8().unwrap().to_owned());
            format!("{:?} to {:?}", text(of.min_opt()), text(of.max_opt()))
        }
        other => unreachable!("no column has {other}"),
    };
    format!("{ends}, {} nulls", statistics.null_count_opt().unwrap())
}
