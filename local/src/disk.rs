//! The few file operations that durability rests on, as a trait, so that tests can take away what was not synced.
//!
//! A file system promises less than it seems to: bytes written are there after a power cut only once the file was synced,
//! and a name (created, linked, renamed or removed) only once its folder was. The log and the store of this crate do all
//! their writing through [`Disk`]. [`RealDisk`] is the machine's; [`lossy::LossyDisk`] forgets on command what was not
//! synced, and fails on command.

pub mod lossy;
mod real;

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};

pub use real::RealDisk;

/// File operations. All of them block: call them off the async runtime.
///
/// Errors are the operating system's own, so that a caller can tell a full disk from a missing file by
/// [`io::Error::kind`]; they name no path, the caller knows it.
pub trait Disk: Send + Sync + Debug {
    /// Creates a file that must not be there yet. Neither it nor its name is durable before [`DiskFile::sync`] and
    /// [`sync_folder`](Self::sync_folder).
    ///
    /// # Errors
    ///
    /// `AlreadyExists` when the name is taken; else when it cannot be created.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file for reading and writing.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is none; else when it cannot be opened.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Creates one folder; its parent must be there. Durable once the parent is synced.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` when the name is taken; else when it cannot be created.
    fn create_folder(&self, path: &Path) -> io::Result<()>;

    /// Makes every name durable that was created, renamed or removed in this folder.
    ///
    /// # Errors
    ///
    /// When that failed. The names may or may not be durable then.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;

    /// Gives a file a second name that must not be there yet: the way to publish a file without replacing another.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` when the name is taken; else when it cannot be linked.
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Renames a file, replacing one that has the new name.
    ///
    /// # Errors
    ///
    /// When it cannot be renamed.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file's name.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is none; else when it cannot be removed.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// What a folder holds, by name.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no such folder; else when it cannot be listed.
    fn list(&self, folder: &Path) -> io::Result<Vec<FolderEntry>>;
}

/// An open file. Offsets and lengths are in bytes. Several threads may use one at once, each at its own offsets.
pub trait DiskFile: Send + Sync + Debug {
    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    ///
    /// `StorageFull` when there is no room. A part of the bytes may have been written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Fills `buffer` from `offset`.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` when the file ends before.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// The file's length.
    ///
    /// # Errors
    ///
    /// When the file cannot be asked.
    fn len_bytes(&self) -> io::Result<u64>;

    /// Cuts the file to `length`. Durable once the file is synced.
    ///
    /// # Errors
    ///
    /// When it cannot be cut.
    fn truncate(&self, length: u64) -> io::Result<()>;

    /// Makes everything durable that was written to the file and its length, but not its name.
    ///
    /// # Errors
    ///
    /// When that failed. Nothing written since the last sync can be trusted then, and a later sync that succeeds proves
    /// nothing: the system may have dropped what it could not write.
    fn sync(&self) -> io::Result<()>;
}

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FolderEntry {
    /// The full path.
    pub path: PathBuf,
    /// What the name stands for.
    pub kind: EntryKind,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// Anything else, such as a socket.
    Other,
}

impl FolderEntry {
    /// The name without its folder; `None` when it is not UTF-8, which no name of ours is.
    pub fn name(&self) -> Option<&str> {
        self.path.file_name()?.to_str()
    }
}

/// Creates a folder if it is not there, and makes its name durable either way.
///
/// The name may have been there without being durable: a process killed between the two left it so.
///
/// # Errors
///
/// When it cannot be created or its parent not synced.
pub fn ensure_folder(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.create_folder(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => disk.sync_folder(Path::new(".")),
        Some(parent) => disk.sync_folder(parent),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
