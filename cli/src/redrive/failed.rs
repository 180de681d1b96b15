//! `alluvium redrive --failed`: objects that Firehose has put under its error prefix.

use std::path::{Path, PathBuf};

use alluvium_local::pipeline::Pipeline;
use alluvium_local::redrive::{FailedReport, failed_records, preview_failed, send_failed};
use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::client::Client;
use crate::settings::Settings;
use crate::{Common, Outcome, node, output};

/// The most bytes of one object. Firehose buffers at most 128 MB, which base64 makes a third more.
pub const OBJECT_BYTES: usize = 192 * 1024 * 1024;

/// What is asked of a node beside the object.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Whether it only says what would be sent.
    #[serde(default)]
    pub dry_run: bool,
}

/// What was done with one object.
#[derive(Debug, Serialize)]
struct OfObject {
    path: PathBuf,
    #[serde(flatten)]
    report: FailedReport,
}

pub async fn run(
    common: &Common,
    settings: &Settings,
    node: Option<&Client>,
    paths: &[PathBuf],
    dry_run: bool,
) -> anyhow::Result<Outcome> {
    let files = files(paths)?;
    let mut done = Vec::new();
    let sent = match node {
        Some(node) => through_node(node, &files, dry_run, &mut done).await,
        None if dry_run => preview(&files, &mut done),
        None => {
            // Everything is read once before a pipeline is opened for it.
            preview(&files, &mut Vec::new())?;
            let pipeline = node::pipeline_of_folder(settings).await?;
            let sent = send(&pipeline, &files, &mut done).await;
            pipeline.drain().await?;
            sent
        }
    };
    tell(common, &done, dry_run);
    sent?;
    let too_large: u64 = done.iter().map(|object| object.report.too_large).sum();
    Ok(if too_large == 0 { Outcome::Done } else { Outcome::Failed })
}

async fn through_node(
    client: &Client,
    files: &[PathBuf],
    dry_run: bool,
    done: &mut Vec<OfObject>,
) -> anyhow::Result<()> {
    for path in files {
        let query = [("dry_run", dry_run.to_string())];
        let report = client.post_bytes("/admin/redrive/failed", &query, read(path)?).await;
        done.push(OfObject { path: path.clone(), report: report.with_context(|| path.display().to_string())? });
    }
    Ok(())
}

fn preview(files: &[PathBuf], done: &mut Vec<OfObject>) -> anyhow::Result<()> {
    for path in files {
        let records = failed_records(&read(path)?).with_context(|| path.display().to_string())?;
        done.push(OfObject { path: path.clone(), report: preview_failed(&records) });
    }
    Ok(())
}

async fn send(pipeline: &Pipeline, files: &[PathBuf], done: &mut Vec<OfObject>) -> anyhow::Result<()> {
    for path in files {
        let records = failed_records(&read(path)?).with_context(|| path.display().to_string())?;
        let report = send_failed(&*pipeline.log, records).await.with_context(|| path.display().to_string())?;
        done.push(OfObject { path: path.clone(), report });
    }
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let cannot = || format!("{} cannot be read", path.display());
    let bytes = std::fs::metadata(path).with_context(cannot)?.len();
    anyhow::ensure!(
        bytes <= OBJECT_BYTES as u64,
        "{} has {}; an object of Firehose has {} at most",
        path.display(),
        output::bytes(bytes),
        output::bytes(OBJECT_BYTES as u64)
    );
    std::fs::read(path).with_context(cannot)
}

/// The files at these paths, those of a folder by name.
fn files(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut waiting: Vec<PathBuf> = paths.iter().rev().cloned().collect();
    while let Some(path) = waiting.pop() {
        let cannot = || format!("{} cannot be read", path.display());
        if !std::fs::metadata(&path).with_context(cannot)?.is_dir() {
            files.push(path);
            continue;
        }
        let entries = std::fs::read_dir(&path).with_context(cannot)?;
        let mut within =
            entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>().with_context(cannot)?;
        within.sort_unstable_by(|one, other| other.cmp(one));
        waiting.append(&mut within);
    }
    anyhow::ensure!(!files.is_empty(), "there is no file in what --failed names");
    Ok(files)
}

fn tell(common: &Common, done: &[OfObject], dry_run: bool) {
    if common.json {
        return output::json(&json!({"dry_run": dry_run, "objects": done}));
    }
    if done.is_empty() {
        return;
    }
    let rows = done.iter().map(|OfObject { path, report }| {
        let FailedReport { sent, bytes, too_large } = report;
        [path.display().to_string(), output::thousands(*sent), output::bytes(*bytes), output::thousands(*too_large)]
    });
    output::table(["object", if dry_run { "would be sent" } else { "sent" }, "bytes", "too large"], rows);
}
