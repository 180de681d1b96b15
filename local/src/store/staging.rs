//! Writing an object so that its name appears only over durable bytes.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::disk::{Disk, DiskFile, EntryKind, ensure_folder};

/// The folder under the root that holds unfinished writes.
pub(super) const FOLDER: &str = ".staging";

/// What to do about an object of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Publish {
    /// Leave it, and say `AlreadyExists`.
    IfAbsent,
    /// Replace it.
    InPlace,
}

/// A file in the staging folder.
#[derive(Debug)]
pub(super) struct Staged {
    pub path: PathBuf,
    pub file: Box<dyn DiskFile>,
}

/// All the writing of a store.
#[derive(Debug)]
pub(super) struct Staging {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    next: AtomicU64,
    /// Folders whose own names are durable.
    durable_folders: Mutex<HashSet<PathBuf>>,
}

impl Staging {
    pub(super) fn open(disk: Arc<dyn Disk>, root: &Path) -> io::Result<Self> {
        ensure_folder(disk.as_ref(), root)?;
        let root = root.canonicalize()?;
        ensure_folder(disk.as_ref(), &root.join(FOLDER))?;
        for entry in disk.list(&root.join(FOLDER))? {
            disk.remove(&entry.path)?;
        }
        let mut durable_folders = HashSet::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            disk.sync_folder(&folder)?;
            let entries = disk.list(&folder)?.into_iter();
            folders.extend(entries.filter(|entry| entry.kind == EntryKind::Folder).map(|entry| entry.path));
            durable_folders.insert(folder);
        }
        Ok(Self { disk, root, next: AtomicU64::new(0), durable_folders: Mutex::new(durable_folders) })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// A new file for an unfinished write.
    pub(super) fn create(&self) -> io::Result<Staged> {
        let path = self.staged_path();
        let file = self.disk.create(&path).map_err(|error| match error.kind() {
            // It must not be taken for an object that is already there.
            io::ErrorKind::AlreadyExists => {
                io::Error::other(format!("{} is in use: the store is open twice", path.display()))
            }
            _ => error,
        })?;
        Ok(Staged { path, file })
    }

    /// Stores an object.
    pub(super) fn put<'a>(
        &self,
        to: &Path,
        parts: impl Iterator<Item = &'a Bytes>,
        publish: Publish,
    ) -> io::Result<()> {
        let staged = self.create()?;
        let mut offset = 0;
        let written = parts.map(Bytes::as_ref).try_for_each(|part| {
            let written = staged.file.write_at(offset, part);
            offset += part.len() as u64;
            written
        });
        if let Err(error) = written {
            self.discard(&staged.path);
            return Err(error);
        }
        self.publish(staged, to, publish)
    }

    /// Makes what was staged durable and gives it its name.
    pub(super) fn publish(&self, staged: Staged, to: &Path, publish: Publish) -> io::Result<()> {
        let published = staged.file.sync().and_then(|()| self.name(&staged.path, to, publish));
        if published.is_err() || publish == Publish::IfAbsent {
            self.discard(&staged.path);
        }
        published
    }

    /// Gives an object a second name.
    pub(super) fn copy(&self, from: &Path, to: &Path, publish: Publish) -> io::Result<()> {
        if publish == Publish::IfAbsent {
            return self.name(from, to, publish);
        }
        let staged = self.staged_path();
        self.disk.hard_link(from, &staged)?;
        let published = self.name(&staged, to, publish);
        // Also after success: when both were the same file already, renaming left the staged name.
        self.discard(&staged);
        published
    }

    /// Gives an object another name.
    pub(super) fn rename(&self, from: &Path, to: &Path, publish: Publish) -> io::Result<()> {
        self.name(from, to, publish)?;
        if publish == Publish::IfAbsent {
            self.disk.remove(from)?;
        }
        from.parent().map_or(Ok(()), |folder| self.disk.sync_folder(folder))
    }

    /// Removes an object.
    pub(super) fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    /// Removes an unfinished write, as far as possible: opening the store removes what stays.
    pub(super) fn discard(&self, staged: &Path) {
        match self.disk.remove(staged) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::debug!(%error, path = %staged.display(), "an unfinished write stays until the store is opened anew");
            }
            _ => {}
        }
    }

    /// Names a file whose bytes are durable, and makes the name durable.
    fn name(&self, from: &Path, to: &Path, publish: Publish) -> io::Result<()> {
        let folder = to.parent().expect("an object's path has its root for a parent at least");
        self.make_folders(folder)?;
        let name = || match publish {
            Publish::IfAbsent => self.disk.hard_link(from, to),
            Publish::InPlace => self.disk.rename(from, to),
        };
        let named = match name() {
            // Either `from` is gone, or someone removed a folder that was known to be there.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.folders().retain(|known| !known.starts_with(folder));
                self.make_folders(folder)?;
                name()
            }
            named => named,
        };
        match named {
            // Whoever gave it its name may not have synced it yet, and our caller relies on its being there.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.disk.sync_folder(folder)?;
                Err(error)
            }
            Err(error) => Err(error),
            Ok(()) => self.disk.sync_folder(folder),
        }
    }

    /// Makes a folder and those above it up to the root, and makes their names durable.
    fn make_folders(&self, folder: &Path) -> io::Result<()> {
        if self.folders().contains(folder) {
            return Ok(());
        }
        if let Some(parent) = folder.parent().filter(|_| folder != self.root) {
            self.make_folders(parent)?;
        }
        ensure_folder(self.disk.as_ref(), folder)?;
        self.folders().insert(folder.to_owned());
        Ok(())
    }

    fn folders(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.durable_folders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn staged_path(&self) -> PathBuf {
        // The local backend neither lists nor opens a name that ends in `#` and digits.
        self.root.join(FOLDER).join(format!("write#{}", self.next.fetch_add(1, Ordering::Relaxed)))
    }
}
