//! The results on disk.
//!
//! ```text
//! DIR/<report>/20261128T1000Z.csv       the rows of the window that begins then
//! DIR/<report>/20261128T1000Z.parquet   the same
//! DIR/<report>/20261128T1000Z.json      what is known of them: a window has a result when this is there
//! DIR/<report>/seen.json                when the report was first seen
//! DIR/.drafts/                          results that are being written
//! ```
//!
//! A result replaces one that is there as a whole (RP-1). Its files are written as drafts and synced; then the draft of its `.json` gets the
//! name that makes it count, and the three move to their places, the `.json` last. Whatever a crash leaves, opening the folder moves the files
//! of a result that counts, and removes the other drafts.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alluvium_core::clock::Micros;
use alluvium_core::file::FileFormat;
use alluvium_core::report::{FileFacts, ReportResult, WindowId};
use alluvium_core::{ReportName, Window};
use serde::{Deserialize, Serialize};

use super::make::DraftFile;
use crate::disk::{Disk, EntryKind, ensure_folder};

const DRAFTS: &str = ".drafts";
const SEEN: &str = "seen.json";

/// The results of every report.
#[derive(Debug)]
pub(super) struct Kept {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    results: Mutex<BTreeMap<String, BTreeMap<WindowId, ReportResult>>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Seen {
    #[serde(with = "alluvium_core::clock::rfc3339")]
    seen_at: Micros,
}

/// A `.json` of a result.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    version: u32,
    #[serde(flatten)]
    result: ReportResult,
}

const VERSION: u32 = 1;

/// What results are old or new by: the window's end, for one that is over later tells of later events, however long it is. Windows of
/// several lengths are there once a report's has changed.
fn age(result: &ReportResult) -> (Micros, Micros) {
    (result.to, result.from)
}

/// How many results are newer than that of a window.
pub(super) fn newer(results: &BTreeMap<WindowId, ReportResult>, window: Window) -> usize {
    results.values().filter(|result| age(result) > (window.end, window.start)).count()
}

impl Kept {
    pub(super) fn open(disk: Arc<dyn Disk>, root: PathBuf) -> io::Result<Self> {
        ensure_folder(disk.as_ref(), &root)?;
        ensure_folder(disk.as_ref(), &root.join(DRAFTS))?;
        let kept = Self { disk, root, results: Mutex::default() };
        kept.finish_drafts()?;
        let mut results = BTreeMap::new();
        for entry in kept.disk.list(&kept.root)? {
            if let (EntryKind::Folder, Some(report)) = (entry.kind, entry.name().filter(|name| *name != DRAFTS)) {
                results.insert(report.to_owned(), kept.read_folder(&entry.path)?);
            }
        }
        *kept.lock() = results;
        Ok(kept)
    }

    /// The results, by report and window.
    pub(super) fn lock(&self) -> MutexGuard<'_, BTreeMap<String, BTreeMap<WindowId, ReportResult>>> {
        self.results.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When a report was first seen; if it never was, this is the first time.
    pub(super) fn first_seen(&self, report: &ReportName, now: Micros) -> io::Result<Micros> {
        let folder = self.folder(report.as_str());
        ensure_folder(self.disk.as_ref(), &folder)?;
        let path = folder.join(SEEN);
        if let Ok(bytes) = std::fs::read(&path) {
            match serde_json::from_slice::<Seen>(&bytes) {
                Ok(seen) => return Ok(seen.seen_at),
                Err(error) => {
                    tracing::warn!(file = %path.display(), %error, "it is not known when a report was first seen; it counts from now on");
                }
            }
        }
        let draft = self.root.join(DRAFTS).join(format!("{report}.{SEEN}.new"));
        self.write(&draft, &Seen { seen_at: now })?;
        self.disk.rename(&draft, &path)?;
        self.disk.sync_folder(&folder)?;
        Ok(now)
    }

    /// Begins a file of a result.
    pub(super) fn draft(&self, report: &str, window: WindowId, format: FileFormat) -> io::Result<DraftFile> {
        let path = self.draft_path(report, window, format.ending());
        // Left by a run that was dropped on its way.
        match self.disk.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Ok(DraftFile::new(self.disk.create(&path)?))
    }

    /// Makes a result whose files are drafted, and synced, that of its window.
    pub(super) fn publish(&self, report: &str, result: &ReportResult) -> io::Result<()> {
        let window = result.window();
        let drafts = self.root.join(DRAFTS);
        let counting = self.draft_path(report, window, "json");
        let draft = self.draft_path(report, window, "json.new");
        match self.disk.remove(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.write(&draft, &Stored { version: VERSION, result: result.clone() })?;
        self.disk.sync_folder(&drafts)?;
        let mut results = self.lock();
        self.disk.rename(&draft, &counting)?;
        self.disk.sync_folder(&drafts)?;
        self.put_into_place(report, window)?;
        results.entry(report.to_owned()).or_default().insert(window, result.clone());
        Ok(())
    }

    /// Removes the drafts of a result that came to nothing, as far as possible: opening the folder removes what stays.
    pub(super) fn discard(&self, report: &str, window: WindowId) {
        if self.draft_path(report, window, "json").exists() {
            // It counts already: opening the folder puts it into place.
            return;
        }
        for ending in ["csv", "parquet", "json.new"] {
            let _gone = self.disk.remove(&self.draft_path(report, window, ending));
        }
    }

    /// Removes all but so many of a report's newest results; says how many.
    pub(super) fn remove_all_but(&self, report: &str, newest: usize) -> io::Result<usize> {
        let mut removed = 0;
        loop {
            let mut results = self.lock();
            let Some(of_report) = results.get_mut(report).filter(|results| results.len() > newest) else {
                return Ok(removed);
            };
            let Some(oldest) = of_report.values().min_by_key(|result| age(result)) else { return Ok(removed) };
            let window = oldest.window();
            of_report.remove(&window);
            for ending in ["json", "csv", "parquet"] {
                match self.disk.remove(&self.path(report, window, ending)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            self.disk.sync_folder(&self.folder(report))?;
            removed += 1;
        }
    }

    /// Opens a file of a result.
    pub(super) fn open_file(
        &self,
        report: &str,
        window: WindowId,
        format: FileFormat,
    ) -> io::Result<Option<(std::fs::File, FileFacts)>> {
        // Nobody replaces the result in between.
        let results = self.lock();
        let Some(result) = results.get(report).and_then(|results| results.get(&window)) else { return Ok(None) };
        let file = std::fs::File::open(self.path(report, window, format.ending()))?;
        Ok(Some((file, result.file(format).clone())))
    }

    fn finish_drafts(&self) -> io::Result<()> {
        let drafts = self.root.join(DRAFTS);
        let entries = self.disk.list(&drafts)?;
        for entry in &entries {
            let counting = entry.name().and_then(|name| name.strip_suffix(".json"));
            if let Some((report, window)) = counting.and_then(|name| name.split_once('.'))
                && let Ok(window) = window.parse()
            {
                self.put_into_place(report, window)?;
            }
        }
        for entry in self.disk.list(&drafts)? {
            self.disk.remove(&entry.path)?;
        }
        self.disk.sync_folder(&drafts)
    }

    /// Moves the files of a result that counts; those that were moved before are there already.
    fn put_into_place(&self, report: &str, window: WindowId) -> io::Result<()> {
        let folder = self.folder(report);
        ensure_folder(self.disk.as_ref(), &folder)?;
        for ending in ["csv", "parquet", "json"] {
            match self.disk.rename(&self.draft_path(report, window, ending), &self.path(report, window, ending)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => self.disk.sync_folder(&folder)?,
            }
        }
        self.disk.sync_folder(&self.root.join(DRAFTS))
    }

    /// The results of a report's folder. Files of a window without its `.json` are what a removal has left.
    fn read_folder(&self, folder: &Path) -> io::Result<BTreeMap<WindowId, ReportResult>> {
        let mut results = BTreeMap::new();
        let mut files = BTreeSet::new();
        for entry in self.disk.list(folder)? {
            let Some((stem, ending)) = entry.name().and_then(|name| name.split_once('.')) else { continue };
            let Ok(window) = stem.parse::<WindowId>() else { continue };
            match ending {
                "json" => match read_result(&entry.path) {
                    Ok(result) if result.window() == window => drop(results.insert(window, result)),
                    Ok(_) => {
                        tracing::warn!(file = %entry.path.display(), "it tells of another window; the window counts as not made")
                    }
                    Err(error) => {
                        tracing::warn!(file = %entry.path.display(), %error, "what is known of a result cannot be read; its window counts as not made");
                    }
                },
                "csv" | "parquet" => drop(files.insert((window, entry.path.clone()))),
                _ => {}
            }
        }
        results.retain(|window, result| {
            let whole = FileFormat::ALL.iter().all(|format| {
                let path = folder.join(format!("{window}.{}", format.ending()));
                std::fs::metadata(&path).is_ok_and(|metadata| metadata.len() == result.file(*format).bytes)
            });
            if !whole {
                tracing::warn!(folder = %folder.display(), %window, "a file of a result is gone or was changed; its window counts as not made");
            }
            whole
        });
        for (window, path) in files {
            if !results.contains_key(&window) && !folder.join(format!("{window}.json")).exists() {
                self.disk.remove(&path)?;
            }
        }
        Ok(results)
    }

    fn write(&self, path: &Path, value: &impl Serialize) -> io::Result<()> {
        let file = self.disk.create(path)?;
        file.write_at(0, &serde_json::to_vec_pretty(value)?)?;
        file.sync()
    }

    fn folder(&self, report: &str) -> PathBuf {
        self.root.join(report)
    }

    fn path(&self, report: &str, window: WindowId, ending: &str) -> PathBuf {
        self.folder(report).join(format!("{window}.{ending}"))
    }

    fn draft_path(&self, report: &str, window: WindowId, ending: &str) -> PathBuf {
        self.root.join(DRAFTS).join(format!("{report}.{window}.{ending}"))
    }
}

fn read_result(path: &Path) -> io::Result<ReportResult> {
    let Stored { version, result } = serde_json::from_slice(&std::fs::read(path)?)?;
    if version == VERSION { Ok(result) } else { Err(io::Error::other(format!("version {version} is not known here"))) }
}
