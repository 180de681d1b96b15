//! One column chunk: its pages as they are written, and what the footer and the page index say of them.

use bytes::Bytes;
use parquet::basic::{BoundaryOrder, Compression, Encoding, EncodingMask, PageType, Type, ZstdLevel};
use parquet::bloom_filter::Sbbf;
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::DataType;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder, PageEncodingStats};
use parquet::file::statistics::{Statistics, ValueStatistics};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use super::bounds::{self, Bounds};

/// A column chunk that has been encoded, as the row group takes it.
pub(super) type Encoded = (Bytes, ColumnCloseResult);

/// What may be told of a column outside its pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// Its bounds and counts, by chunk and by page.
    Bounds,
    /// Nothing.
    Nothing,
}

/// Compresses pages, with one state for all.
pub(super) struct Zstd(zstd::bulk::Compressor<'static>);

/// The level of every page.
pub(super) const ZSTD_LEVEL: i32 = 1;

impl Zstd {
    pub(super) fn new() -> Result<Self, ParquetError> {
        Ok(Self(zstd::bulk::Compressor::new(ZSTD_LEVEL)?))
    }
}

/// A column chunk that is being written. The values are of the physical type `T`.
pub(super) struct Chunk<'a, T: DataType> {
    column: ColumnDescPtr,
    told: Told,
    zstd: &'a mut Zstd,
    pages: TrackedWrite<Vec<u8>>,
    dictionary_bytes: Option<u64>,
    uncompressed_bytes: u64,
    rows: u64,
    nulls: u64,
    encodings: Vec<PageEncodingStats>,
    bounds: Option<Bounds<T>>,
    order: PageOrder<T>,
    column_index: ColumnIndexBuilder,
    offset_index: OffsetIndexBuilder,
}

/// What a data page holds beside its bytes.
pub(super) struct PageContent<T: DataType> {
    pub(super) rows: usize,
    pub(super) nulls: usize,
    pub(super) encoding: Encoding,
    pub(super) bounds: Option<Bounds<T>>,
}

impl<'a, T: DataType> Chunk<'a, T> {
    pub(super) fn new(column: ColumnDescPtr, told: Told, zstd: &'a mut Zstd) -> Self {
        let mut column_index = ColumnIndexBuilder::new(column.physical_type());
        if told == Told::Nothing {
            column_index.to_invalid();
        }
        Self {
            column,
            told,
            zstd,
            pages: TrackedWrite::new(Vec::new()),
            dictionary_bytes: None,
            uncompressed_bytes: 0,
            rows: 0,
            nulls: 0,
            encodings: Vec::new(),
            bounds: None,
            order: PageOrder { last: None, ascending: true, descending: true },
            column_index,
            offset_index: OffsetIndexBuilder::new(),
        }
    }

    /// Whether bounds of pages serve for anything.
    pub(super) fn wants_bounds(&self) -> bool {
        self.told == Told::Bounds
    }

    /// Writes the dictionary, before any other page.
    pub(super) fn dictionary(&mut self, plain: &[u8], count: usize) -> Result<(), ParquetError> {
        let page =
            |buf| Page::DictionaryPage { buf, num_values: count as u32, encoding: Encoding::PLAIN, is_sorted: false };
        let (_, bytes) = self.write(plain, page)?;
        self.dictionary_bytes = Some(bytes);
        self.count(PageType::DICTIONARY_PAGE, Encoding::PLAIN);
        Ok(())
    }

    /// Writes a data page of levels and values.
    pub(super) fn page(&mut self, data: &[u8], content: PageContent<T>) -> Result<(), ParquetError> {
        let page = |buf| Page::DataPage {
            buf,
            num_values: content.rows as u32,
            encoding: content.encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let (offset, bytes) = self.write(data, page)?;
        self.count(PageType::DATA_PAGE, content.encoding);
        self.offset_index.append_offset_and_size(offset as i64, bytes as i32);
        self.offset_index.append_row_count(content.rows as i64);
        self.index(&content);
        self.rows += content.rows as u64;
        self.nulls += content.nulls as u64;
        self.bounds = bounds::joined::<T>(self.bounds.take(), content.bounds);
        Ok(())
    }

    /// Compresses and writes a page; its offset in the chunk and its bytes there.
    fn write(&mut self, plain: &[u8], page: impl FnOnce(Bytes) -> Page) -> Result<(u64, u64), ParquetError> {
        let compressed = self.zstd.0.compress(plain)?;
        let page = CompressedPage::new(page(compressed.into()), plain.len());
        let written = SerializedPageWriter::new(&mut self.pages).write_page(page)?;
        self.uncompressed_bytes += written.uncompressed_size as u64;
        Ok((written.offset, written.bytes_written))
    }

    fn count(&mut self, page_type: PageType, encoding: Encoding) {
        let same = |known: &&mut PageEncodingStats| known.page_type == page_type && known.encoding == encoding;
        match self.encodings.iter_mut().find(same) {
            Some(known) => known.count += 1,
            None => self.encodings.push(PageEncodingStats { page_type, encoding, count: 1 }),
        }
    }

    /// Enters a page into the column index. A page with values but without bounds (all are NaN) leaves the chunk
    /// without one.
    fn index(&mut self, content: &PageContent<T>) {
        if !self.column_index.valid() {
            return;
        }
        let nulls = content.nulls as i64;
        match &content.bounds {
            _ if content.nulls == content.rows => self.column_index.append(true, Vec::new(), Vec::new(), nulls),
            None => self.column_index.to_invalid(),
            Some(ends) => {
                self.order.add(ends);
                let (low, high) = (bounds::low::<T>(&ends.0).0.to_vec(), bounds::high::<T>(&ends.1).0);
                self.column_index.append(false, low, high, nulls);
            }
        }
    }

    /// Ends the chunk.
    pub(super) fn close(mut self, bloom_filter: Option<Sbbf>) -> Result<Encoded, ParquetError> {
        let pages = self.pages.into_inner()?;
        let levels = (self.column.max_def_level() > 0).then_some(Encoding::RLE);
        let encodings: Vec<Encoding> = self.encodings.iter().map(|used| used.encoding).chain(levels).collect();
        let mut metadata = ColumnChunkMetaData::builder(self.column.clone())
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
            .set_encodings_mask(EncodingMask::new_from_encodings(encodings.iter()))
            .set_page_encoding_stats(self.encodings)
            .set_total_compressed_size(pages.len() as i64)
            .set_total_uncompressed_size(self.uncompressed_bytes as i64)
            .set_num_values(self.rows as i64)
            .set_dictionary_page_offset(self.dictionary_bytes.map(|_| 0))
            .set_data_page_offset(self.dictionary_bytes.unwrap_or(0) as i64);
        if self.told == Told::Bounds {
            metadata = metadata.set_statistics(statistics::<T>(self.bounds, self.nulls, &self.column));
        }
        self.column_index.set_boundary_order(self.order.name());
        let closed = ColumnCloseResult {
            bytes_written: pages.len() as u64,
            rows_written: self.rows,
            metadata: metadata.build()?,
            bloom_filter,
            column_index: self.column_index.valid().then(|| self.column_index.build()).transpose()?,
            offset_index: Some(self.offset_index.build()),
        };
        Ok((pages.into(), closed))
    }
}

fn statistics<T: DataType>(bounds: Option<Bounds<T>>, nulls: u64, column: &ColumnDescPtr) -> Statistics {
    let signed = column.sort_order().is_signed();
    match bounds {
        Some((low, high)) if T::get_physical_type() == Type::BYTE_ARRAY => {
            let ((low, low_exact), (high, high_exact)) = (bounds::low::<T>(&low), bounds::high::<T>(&high));
            Statistics::ByteArray(
                ValueStatistics::new(Some(low.to_vec().into()), Some(high.into()), None, Some(nulls), signed)
                    .with_min_is_exact(low_exact)
                    .with_max_is_exact(high_exact),
            )
        }
        bounds => {
            let (low, high) = bounds.unzip();
            ValueStatistics::<T::T>::new(low, high, None, Some(nulls), false)
                .with_backwards_compatible_min_max(signed)
                .into()
        }
    }
}

/// Whether the bounds of pages rise or fall from page to page.
struct PageOrder<T: DataType> {
    last: Option<Bounds<T>>,
    ascending: bool,
    descending: bool,
}

impl<T: DataType> PageOrder<T> {
    fn add(&mut self, next: &Bounds<T>) {
        if let Some(last) = &self.last {
            self.ascending &= last.0 <= next.0 && last.1 <= next.1;
            self.descending &= last.0 >= next.0 && last.1 >= next.1;
        }
        self.last = Some(next.clone());
    }

    fn name(&self) -> BoundaryOrder {
        match (self.ascending, self.descending) {
            (true, _) => BoundaryOrder::ASCENDING,
            (false, true) => BoundaryOrder::DESCENDING,
            (false, false) => BoundaryOrder::UNORDERED,
        }
    }
}
