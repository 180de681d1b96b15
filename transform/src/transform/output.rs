//! A batch's output as it comes together: data files that grow by row groups, and chunks for the hot index.

use alluvium_core::clock::Micros;
use alluvium_core::commit::CommitMessage;
use alluvium_core::dataset::fingerprint;
use alluvium_core::hot::HotChunk;
use alluvium_core::hot_block::HotBlockWriter;
use alluvium_core::identity::content_hash;
use alluvium_core::{BatchFooter, BatchIdentity, DataFileEntry, DatasetName, DeliveryBatch, LedgerEntry, ShardRange};
use arrow::array::RecordBatch;

use super::{BatchOutput, DataFile, Transform};
use crate::dead::DeadLetters;
use crate::encode::{FileWriter, Layout};
use crate::error::TransformError;
use crate::growing::Growing;
use crate::hot::{self, HotSettings, Parts};
use crate::plan::Plan;
use crate::rows::Rows;
use crate::sources::Sources;

pub(super) struct Output<'a> {
    transform: &'a Transform,
    identity: BatchIdentity,
    /// The arrival of the newest record.
    arrival: Micros,
    /// By plan; the last is that of the dead letters.
    files: Vec<Option<File>>,
    /// By plan: the chunks so far, and which parts are taken.
    chunks: Vec<(Vec<HotChunk>, Parts)>,
    blocks: HotBlockWriter,
}

/// A data file under way.
struct File {
    dataset: String,
    schema: String,
    bytes: Growing,
    writer: FileWriter<Growing>,
}

impl<'a> Output<'a> {
    pub(super) fn new(transform: &'a Transform, batch: &DeliveryBatch) -> Self {
        Self {
            transform,
            identity: batch.identity(),
            arrival: batch.records.iter().map(|record| record.arrival).max().unwrap_or_default(),
            files: transform.plans.iter().map(|_| None).chain([None]).collect(),
            chunks: transform.plans.iter().map(|_| Default::default()).collect(),
            blocks: HotBlockWriter::default(),
        }
    }

    pub(super) fn identity(&self) -> &BatchIdentity {
        &self.identity
    }

    pub(super) fn arrival(&self) -> Micros {
        self.arrival
    }

    /// Sorts the rows of the plan of this index and writes them as a row group and as chunks; leaves none.
    pub(super) fn write_rows(
        &mut self,
        at: usize,
        plan: &Plan,
        rows: &mut Rows,
        sources: &Sources,
    ) -> Result<(), TransformError> {
        let dataset = plan.dataset.name.as_str();
        let hot_block = |source| TransformError::HotBlock { dataset: dataset.to_owned(), source };
        let sorted =
            rows.sort(sources).map_err(|source| TransformError::Arrow { dataset: dataset.to_owned(), source })?;
        self.write(at, dataset, || Layout::of(&plan.dataset), &sorted.batch)?;
        let settings = HotSettings::new(plan, &self.identity, self.arrival, &self.transform.settings);
        let (chunks, parts) = &mut self.chunks[at];
        hot::chunks(&sorted, sources, &settings, &mut self.blocks, parts, chunks).map_err(hot_block)
    }

    /// Sorts the dead letters and writes them as a row group; leaves none.
    pub(super) fn write_dead(&mut self, dead: &mut DeadLetters) -> Result<(), TransformError> {
        let dataset = DatasetName::dead_letters();
        let rows = dead.finish().map_err(|source| TransformError::Arrow { dataset: dataset.to_string(), source })?;
        self.write(self.transform.plans.len(), dataset.as_str(), Layout::dead_letters, &rows)
    }

    fn write(
        &mut self,
        at: usize,
        dataset: &str,
        layout: impl FnOnce() -> Layout,
        rows: &RecordBatch,
    ) -> Result<(), TransformError> {
        let parquet = |source| TransformError::Parquet { dataset: dataset.to_owned(), source };
        if self.files[at].is_none() {
            let bytes = Growing::default();
            let layout = layout();
            let writer = FileWriter::new(bytes.clone(), &layout).map_err(parquet)?;
            let schema = fingerprint(&layout.columns);
            self.files[at] = Some(File { dataset: dataset.to_owned(), schema, bytes, writer });
        }
        let file = self.files[at].as_mut().expect("set just before");
        file.writer.write_row_group(rows).map_err(parquet)
    }

    pub(super) fn finish(
        self,
        covers: Vec<ShardRange>,
        ledger: Vec<LedgerEntry>,
    ) -> Result<BatchOutput, TransformError> {
        let under_way: Vec<File> = self.files.into_iter().flatten().collect();
        let mut tables: Vec<String> = under_way.iter().map(|file| file.dataset.clone()).collect();
        tables.sort_unstable();
        let footer = BatchFooter::new(self.identity.clone(), covers.clone(), tables, &ledger).encode();
        let (mut files, mut entries) = (Vec::new(), Vec::new());
        for file in under_way {
            let dataset = file.dataset;
            let parquet = |source| TransformError::Parquet { dataset: dataset.clone(), source };
            let encoded = file.writer.finish_of_batch(&footer).map_err(parquet)?;
            let bytes = file.bytes.take();
            let path = format!("{dataset}/{}-{}.parquet", self.identity, content_hash(&bytes));
            entries.push(DataFileEntry {
                dataset,
                path: path.clone(),
                size_bytes: encoded.bytes,
                rows: encoded.rows,
                stats: encoded.statistics,
                schema: file.schema,
            });
            files.push(DataFile { path, bytes: bytes.into() });
        }
        entries.sort_by(|one, other| one.dataset.cmp(&other.dataset));
        files.sort_by(|one, other| one.path.cmp(&other.path));
        let mut chunks: Vec<HotChunk> = self.chunks.into_iter().flat_map(|(chunks, _)| chunks).collect();
        chunks.sort_by(|one, other| {
            let key = |chunk: &HotChunk| (chunk.bucket, chunk.time_bucket, chunk.part);
            one.dataset.cmp(&other.dataset).then_with(|| key(one).cmp(&key(other)))
        });
        Ok(BatchOutput { files, chunks, message: CommitMessage::new(self.identity, covers, entries, ledger) })
    }
}
