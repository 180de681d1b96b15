//! Data files by the `parquet` crate's own writer: maintenance is tested without the transform's encoders.

use alluvium_core::{DataFileError, DataFileFormat, DataFileWriter, EncodedFile};
use arrow::array::{AsArray as _, RecordBatch};
use arrow::compute::{max, min};
use arrow::datatypes::Date32Type;
use arrow::util::display::array_value_to_string;
use parquet::arrow::ArrowWriter;

/// Files of any table.
#[derive(Debug)]
pub(crate) struct PlainFormat;

#[derive(Default)]
struct Plain {
    writer: Option<ArrowWriter<Vec<u8>>>,
    rows: u64,
    days: Option<(i32, i32)>,
}

impl DataFileFormat for PlainFormat {
    fn begin(&self, _table: &str) -> Result<Box<dyn DataFileWriter>, DataFileError> {
        Ok(Box::<Plain>::default())
    }
}

impl DataFileWriter for Plain {
    fn write(&mut self, rows: &RecordBatch) -> Result<(), DataFileError> {
        let writer = self.writer.get_or_insert_with(|| ArrowWriter::try_new(Vec::new(), rows.schema(), None).unwrap());
        writer.write(rows).unwrap();
        self.rows += rows.num_rows() as u64;
        let days = rows["event_date"].as_primitive::<Date32Type>();
        let (first, last) = (min(days).unwrap(), max(days).unwrap());
        let known = self.days.unwrap_or((first, last));
        self.days = Some((known.0.min(first), known.1.max(last)));
        Ok(())
    }

    fn take(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn finish(self: Box<Self>) -> Result<EncodedFile, DataFileError> {
        let end = self.writer.unwrap().into_inner().unwrap();
        let (first, last) = self.days.unwrap();
        let date = |day| array_value_to_string(&arrow::array::Date32Array::from(vec![day]), 0).unwrap();
        let stats = serde_json::json!({
            "numRecords": self.rows,
            "minValues": {"event_date": date(first)},
            "maxValues": {"event_date": date(last)},
            "nullCount": {},
        });
        Ok(EncodedFile { size_bytes: end.len() as u64, end, rows: self.rows, stats: stats.to_string() })
    }
}
