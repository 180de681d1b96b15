//! An owner is erased from a node: before, a finder that reads every byte of the folder finds them; past the windows it finds nothing.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail by panicking and is an entry point"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::envelope::{EnvelopeHeader, EnvelopeWriter};
use alluvium_core::hot_block::read_block;
use alluvium_core::ports::Stream as _;
use alluvium_core::{Clock as _, Dataset, DatasetName, Datasets, ManualClock, PutBatch, PutRecord, SystemClock};
use alluvium_lake::{ErasureReport, LakeSettings};
use alluvium_local::committer::CommitterSettings;
use alluvium_local::delivery::DeliverySettings;
use alluvium_local::disk::RealDisk;
use alluvium_local::erasure::{EraseError, EraseRequest};
use alluvium_local::folder::{DataFolder, Missing};
use alluvium_local::log::LogSettings;
use alluvium_local::maintenance::MaintenanceSettings;
use alluvium_local::pipeline::{Pipeline, PipelineSettings};
use alluvium_local::sql::{DataFusionSql, SqlSettings};
use alluvium_transform::{PseudonymKey, TransformSettings};
use arrow::array::AsArray as _;
use arrow::datatypes::Int64Type;
use arrow::json::LineDelimitedWriter;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

const DAY: i64 = 86_400_000_000;
const OWNER: &str = "owner-who-wants-to-be-forgotten";
const MAIL: &str = "forgotten@example.org";
const READINGS: &str = r#"{"type": "object", "properties": {"value": {"type": "number"}, "mail": {"type": "string"}},
    "required": ["value"], "x-alluvium": {"types": ["reading"], "hot_retention": "24h", "pseudonymise": ["mail"]}}"#;

fn datasets() -> Arc<Datasets> {
    let readings = Dataset::from_schema(DatasetName::new("readings").unwrap(), READINGS).unwrap();
    Arc::new(Datasets::of([readings], None).unwrap())
}

fn settings() -> PipelineSettings {
    let turn = Duration::from_millis(20);
    PipelineSettings {
        log: LogSettings { shards: 2, ..LogSettings::default() },
        transform: TransformSettings {
            pseudonym_key: Some(PseudonymKey::from_text(&"17".repeat(32)).unwrap()),
            ..TransformSettings::default()
        },
        delivery: DeliverySettings { buffer_bytes: 20_000, buffer: Duration::from_millis(2), concurrency: 2 },
        committer: CommitterSettings { interval: Duration::from_millis(3), max_batches: 8 },
        lake: LakeSettings { checkpoint_every: 5.try_into().unwrap() },
        hot_cache_bytes: 1 << 20,
        hot_expire_every: Duration::from_secs(3600),
        maintenance: MaintenanceSettings {
            every: turn,
            vacuum_every: turn,
            compact_files: 6,
            ..MaintenanceSettings::default()
        },
    }
}

struct Node {
    root: tempfile::TempDir,
    clock: Arc<ManualClock>,
    pipeline: Pipeline,
}

impl Node {
    async fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(SystemClock.now_micros()));
        let pipeline = Self::open(&root, &clock).await;
        Self { root, clock, pipeline }
    }

    async fn open(root: &tempfile::TempDir, clock: &Arc<ManualClock>) -> Pipeline {
        let folder = DataFolder::open(root.path(), Missing::Create).unwrap();
        Pipeline::start(folder, Arc::new(RealDisk), datasets(), settings(), clock.clone()).await.unwrap().0
    }

    /// Dies as a process does, and starts again.
    async fn restart(self) -> Self {
        let Self { root, clock, pipeline } = self;
        pipeline.halt().await;
        let pipeline = Self::open(&root, &clock).await;
        Self { root, clock, pipeline }
    }

    /// Events of an owner, of which every tenth is dead, in records of some.
    async fn send(&self, owner: &str, mail: &str, ids: std::ops::Range<u64>) {
        let header = EnvelopeHeader { owner: owner.to_owned(), ..EnvelopeHeader::default() };
        let ids: Vec<u64> = ids.collect();
        let record = |ids: &[u64]| {
            let mut envelope = EnvelopeWriter::new(&header, 0);
            for id in ids {
                let value = if id % 10 == 0 { r#""none""#.to_owned() } else { id.to_string() };
                let event = format!(
                    r#"{{"id":"{id}","source":"s{}","type":"reading","data":{{"value":{value},"mail":"{mail}"}}}}"#,
                    id % 3
                );
                envelope.push(event.as_bytes());
            }
            PutRecord { partition_key: ids[0].to_string(), explicit_hash_key: None, data: envelope.finish() }
        };
        let records = ids.chunks(60).map(record).collect();
        self.pipeline.log.append(PutBatch { records }).await.unwrap();
    }

    async fn count(&self, query: &str) -> i64 {
        let reader = Arc::new(self.pipeline.lake_reader());
        let sql = DataFusionSql::new(self.pipeline.store.clone(), reader, datasets(), SqlSettings::default()).unwrap();
        let answer = sql.query(query).await.unwrap();
        answer[0].column(0).as_primitive::<Int64Type>().value(0)
    }

    async fn rows(&self, owner: &str) -> (i64, i64) {
        let of = |table: &str| format!("select count(*) from {table} where owner = '{owner}'");
        (self.count(&of("readings")).await, self.count(&of("dead_letters")).await)
    }

    async fn eventually(&self, what: &str, mut holds: impl AsyncFnMut(&Self) -> bool) {
        for _ in 0..1_500 {
            if holds(self).await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it did not come about in half a minute: {what}");
    }

    async fn reports(&self) -> Vec<ErasureReport> {
        self.pipeline.eraser.reports().await.unwrap()
    }

    /// The parts of the folder in which any of these can be found.
    fn found(&self, needles: &[String]) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for file in files(self.root.path()) {
            // A file may go while it is looked for.
            let Ok(bytes) = std::fs::read(&file) else { continue };
            let name = file.strip_prefix(self.root.path()).unwrap().display().to_string();
            if holds(&name, &bytes.into(), needles) {
                found.insert(name);
            }
        }
        found
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn contains(bytes: &[u8], needles: &[String]) -> bool {
    needles.iter().any(|needle| bytes.windows(needle.len()).any(|window| window == needle.as_bytes()))
}

/// Looks into the bytes as they are, into the values of Parquet files (checkpoints are some), and into every hot block that begins
/// anywhere in them, in use or not.
fn holds(name: &str, bytes: &Bytes, needles: &[String]) -> bool {
    contains(bytes, needles)
        || name.ends_with(".parquet") && parquet_text(bytes).is_some_and(|text| contains(&text, needles))
        || blocks(bytes).any(|rows| contains(&text_of(&rows), needles))
}

fn parquet_text(bytes: &Bytes) -> Option<Vec<u8>> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).ok()?.build().ok()?;
    Some(reader.flat_map(|rows| text_of(&rows.unwrap())).collect())
}

fn text_of(rows: &RecordBatch) -> Vec<u8> {
    let mut text = Vec::new();
    let mut writer = LineDelimitedWriter::new(&mut text);
    writer.write(rows).unwrap();
    writer.finish().unwrap();
    text
}

/// The hot blocks that begin anywhere in these bytes.
fn blocks(bytes: &[u8]) -> impl Iterator<Item = RecordBatch> {
    const LONGEST: usize = 64 * 1024;
    let at =
        |magic: &'static [u8]| bytes.windows(4).enumerate().filter(move |(_, four)| *four == magic).map(|(at, _)| at);
    let lz4 = at(b"ALH2").filter_map(|at| {
        let block = &bytes[at..bytes.len().min(at + LONGEST)];
        let checksum = u32::from_le_bytes(*block.get(4..8)?.first_chunk()?);
        // How long it is stands nowhere in it: as long as its checksum is right.
        let mut crc = 0;
        let end = (8..block.len()).find(|end| {
            crc = crc32c::crc32c_append(crc, &block[*end..end + 1]);
            crc == checksum
        })?;
        read_block(&block[..=end], 1 << 26).ok()
    });
    let zstd = at(&[0x28, 0xB5, 0x2F, 0xFD]).filter_map(|at| {
        let length = zstd::zstd_safe::find_frame_compressed_size(&bytes[at..]).ok()?;
        read_block(&bytes[at..at + length], 1 << 26).ok()
    });
    lz4.chain(zstd)
}

fn needles() -> Vec<String> {
    let hexadecimal = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    vec![OWNER.to_owned(), hexadecimal(OWNER), MAIL.to_owned(), hexadecimal(MAIL)]
}

fn request(at_once: bool) -> EraseRequest {
    EraseRequest { owner: OWNER.to_owned(), dataset: None, at_once }
}

/// Sends events of three owners, of which some are compacted by the node itself.
async fn fill(node: &Node) {
    for part in 0..8 {
        for owner in ["a", OWNER, "b"] {
            let mail = if owner == OWNER { MAIL } else { "someone@example.org" };
            node.send(owner, mail, part * 100..(part + 1) * 100).await;
        }
        node.clock.advance(1_000_000);
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    node.eventually("all rows", async |node: &Node| {
        node.rows(OWNER).await == (720, 80) && node.rows("a").await == (720, 80) && node.rows("b").await == (720, 80)
    })
    .await;
}

fn is_in(found: &BTreeSet<String>, place: &str) -> bool {
    found.iter().any(|name| name.starts_with(place))
}

#[tokio::test(flavor = "multi_thread")]
async fn past_the_windows_nothing_of_the_owner_is_found_anywhere() {
    let node = Node::start().await;
    fill(&node).await;
    let pseudonym = {
        let reader = Arc::new(node.pipeline.lake_reader());
        let sql = DataFusionSql::new(node.pipeline.store.clone(), reader, datasets(), SqlSettings::default()).unwrap();
        let answer = sql.query(&format!("select max(mail) from readings where owner = '{OWNER}'")).await.unwrap();
        arrow::util::display::array_value_to_string(answer[0].column(0), 0).unwrap()
    };
    assert_eq!(pseudonym.len(), 64, "{pseudonym}");
    let needles = [needles(), vec![pseudonym]].concat();
    node.pipeline.maintenance.compact(None).await.unwrap();
    let before = node.found(&needles);
    for place in ["log/", "lake/readings/", "lake/dead_letters/", "hot/"] {
        assert!(is_in(&before, place), "the finder finds nothing in {place}: {before:?}");
    }
    assert!(!is_in(&before, "lake/readings/_delta_log") && !is_in(&before, "lake/_commits"), "{before:?}");

    let would = node.pipeline.eraser.preview(request(false)).await.unwrap();
    let report = node.pipeline.eraser.erase(request(false)).await.unwrap();
    let rows = |report: &ErasureReport| report.stores.iter().map(|store| store.rows).collect::<Vec<_>>();
    assert_eq!(rows(&report), rows(&would));
    assert_eq!(rows(&report), [Some(80), Some(720), Some(720), None, None]);
    assert!(!contains(&serde_json::to_vec(&report).unwrap(), &needles), "{report:?}");
    assert_eq!(node.rows(OWNER).await, (0, 0));
    assert_eq!((node.rows("a").await, node.rows("b").await), ((720, 80), (720, 80)));
    let meanwhile = node.found(&needles);
    assert!(!is_in(&meanwhile, "hot/"), "{meanwhile:?}");
    assert!(is_in(&meanwhile, "log/") && is_in(&meanwhile, "lake/readings/"), "older copies end later: {meanwhile:?}");

    // What is sent later is kept.
    node.clock.advance(1_000_000);
    node.send(OWNER, "new@example.org", 2_001..2_003).await;
    node.eventually("new rows", async |node: &Node| node.rows(OWNER).await == (2, 0)).await;
    // A node that dies and starts again goes on, and makes a lost hot index anew without the owner.
    let root = node.root.path().join("hot");
    let node = node.restart().await;
    assert!(!is_in(&node.found(&needles[1..]), "hot/"));
    let Node { root: temp, clock, pipeline } = node;
    pipeline.drain().await.unwrap();
    drop(pipeline);
    std::fs::remove_dir_all(&root).unwrap();
    let pipeline = Node::open(&temp, &clock).await;
    let node = Node { root: temp, clock, pipeline };
    let mails = [MAIL.to_owned(), needles[4].clone()];
    assert!(!is_in(&node.found(&mails), "hot/"), "{:?}", node.found(&mails));
    assert!(is_in(&node.found(&["s1".to_owned()]), "hot/"), "it was made anew");

    node.clock.advance(31 * DAY);
    node.eventually("files are deleted", async |node: &Node| !is_in(&node.found(&mails), "lake/readings/")).await;
    assert_eq!(node.reports().await[0].closed_at, None);
    node.clock.advance(2 * DAY);
    node.eventually("it is closed", async |node: &Node| node.reports().await[0].closed_at.is_some()).await;
    node.eventually("nothing is left", async |node: &Node| node.found(&mails).is_empty()).await;
    // The owner's name stands only with what was sent later.
    assert_eq!(node.rows(OWNER).await, (2, 0));
    assert!(!is_in(&node.found(&needles), "lake/_erasures"), "what is stored of it names nobody");
    assert_eq!((node.rows("a").await, node.rows("b").await), ((720, 80), (720, 80)));
    node.pipeline.drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn at_once_the_lake_holds_nothing_any_more() {
    let node = Node::start().await;
    fill(&node).await;
    node.pipeline.maintenance.compact(None).await.unwrap();
    node.pipeline.eraser.erase(request(true)).await.unwrap();
    node.eventually("the lake holds nothing", async |node: &Node| {
        let found = node.found(&needles());
        !is_in(&found, "lake/readings/") && !is_in(&found, "lake/dead_letters/") && !is_in(&found, "hot/")
    })
    .await;
    let report = &node.reports().await[0];
    let tables: Vec<_> = report.stores.iter().filter(|store| store.store.starts_with("table")).collect();
    assert!(tables.len() == 2 && tables.iter().all(|store| store.ends.is_none()), "{report:?}");
    assert_eq!(node.rows("a").await, (720, 80));
    node.pipeline.drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_still_held_is_erased_too_and_nonsense_is_refused() {
    let node = Node::start().await;
    node.send(OWNER, MAIL, 1..200).await;
    let report = node.pipeline.eraser.erase(request(false)).await.unwrap();
    assert_eq!(report.stores[1].rows.unwrap() + report.stores[0].rows.unwrap(), 199, "{report:?}");
    assert_eq!(node.rows(OWNER).await, (0, 0));
    let nobody = EraseRequest { owner: String::new(), ..request(false) };
    assert!(matches!(node.pipeline.eraser.erase(nobody).await, Err(EraseError::NoOwner)));
    let nowhere = EraseRequest { dataset: Some("reedings".to_owned()), ..request(false) };
    let refused = node.pipeline.eraser.erase(nowhere).await.unwrap_err().to_string();
    assert!(refused.contains("reedings"), "{refused}");
    assert_eq!(node.reports().await.len(), 1);
    node.pipeline.drain().await.unwrap();
}
