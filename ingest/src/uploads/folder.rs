//! The files of uploads: what is kept of each, and its content until it is loaded.
//!
//! ```text
//! ID.json      what is kept of an upload; replaced whole, and durable before anything is said of it
//! ID.content   its content as it was put, once it is whole and until it is loaded
//! ID.draft     content that is arriving; worth nothing after a crash
//! ```
//!
//! All of them can be read by their user alone. All calls block.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use alluvium_core::upload::{Upload, UploadState};

/// Reading and writing by their user.
const MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

const KEPT: &str = "json";
const CONTENT: &str = "content";
const DRAFT: &str = "draft";

/// The folder of all uploads.
#[derive(Debug, Clone)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Opens the folder, made if it is not there, and throws away what is nobody's: content that never was whole, or of no upload.
    /// Returns the uploads in the order in which they were asked for.
    pub(super) fn open(path: PathBuf) -> io::Result<(Self, Vec<Upload>)> {
        fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(&path)?;
        let folder = Self(path);
        let (mut uploads, mut others) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(&folder.0)? {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == KEPT) {
                match Upload::from_json(&fs::read(&path)?) {
                    Some(upload) => uploads.push(upload),
                    None => {
                        tracing::warn!(file = %path.display(), "what is kept of an upload cannot be read; it is left alone")
                    }
                }
            } else {
                others.push(path);
            }
        }
        for upload in &mut uploads {
            // A crash between its last event and its end, or after its end and before its content went.
            let whole = folder.content(&upload.id).exists();
            if !whole && matches!(upload.state, UploadState::Queued | UploadState::Loading) {
                upload.state = UploadState::Failed;
                upload.error =
                    Some("its content is gone from the node's folder; put it again as a new upload".to_owned());
            }
        }
        let wanted = |path: &PathBuf| {
            let of = |upload: &&Upload| *path == folder.content(&upload.id);
            let loadable = |upload: &Upload| matches!(upload.state, UploadState::Queued | UploadState::Loading);
            uploads.iter().find(of).is_some_and(loadable)
        };
        // Content that somebody was promised would be loaded stays where what is kept of it cannot be read.
        let unread = |path: &PathBuf| {
            let is_content = path.extension().is_some_and(|ending| ending == CONTENT);
            is_content
                && path.with_extension(KEPT).exists()
                && !uploads.iter().any(|upload| *path == folder.content(&upload.id))
        };
        others.iter().filter(|path| !wanted(path) && !unread(path)).try_for_each(fs::remove_file)?;
        uploads.sort_by(|one, other| (one.created, &one.id).cmp(&(other.created, &other.id)));
        folder.sync()?;
        Ok((folder, uploads))
    }

    /// Where the whole content lies.
    pub(super) fn content(&self, id: &str) -> PathBuf {
        self.0.join(id).with_extension(CONTENT)
    }

    /// Where content arrives.
    pub(super) fn draft(&self, id: &str) -> PathBuf {
        self.0.join(id).with_extension(DRAFT)
    }

    /// Keeps an upload, in place of what was kept of it. Durable when it returns.
    pub(super) fn keep(&self, upload: &Upload) -> io::Result<()> {
        let path = self.0.join(&upload.id).with_extension(KEPT);
        let new = path.with_extension("json-new");
        let mut file = create(&new)?;
        file.write_all(&upload.to_json())?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        self.sync()
    }

    /// Takes a draft that is whole as the content. Durable when it returns.
    pub(super) fn take_draft(&self, id: &str) -> io::Result<()> {
        File::open(self.draft(id))?.sync_all()?;
        fs::rename(self.draft(id), self.content(id))?;
        self.sync()
    }

    /// Removes a draft, if it is there.
    pub(super) fn remove_draft(&self, id: &str) -> io::Result<()> {
        unless_missing(fs::remove_file(self.draft(id)))
    }

    /// Removes an upload's content, if it is there.
    pub(super) fn remove_content(&self, id: &str) -> io::Result<()> {
        unless_missing(fs::remove_file(self.content(id)))
    }

    /// Removes all that there is of an upload. Durable when it returns.
    pub(super) fn remove(&self, id: &str) -> io::Result<()> {
        unless_missing(fs::remove_file(self.0.join(id).with_extension(KEPT)))?;
        self.remove_draft(id)?;
        self.remove_content(id)?;
        self.sync()
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }
}

/// Creates a file that its user alone can read, in place of one that was left behind.
pub(super) fn create(path: &Path) -> io::Result<File> {
    // One that was left behind may have another mode.
    unless_missing(fs::remove_file(path))?;
    OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)
}

fn unless_missing(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
