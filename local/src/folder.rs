//! The data folder: where everything of one node lies, who holds it, and where that node listens.
//!
//! ```text
//! DIR/lock         held (advisory, exclusive) by the one process that has the folder open
//! DIR/up.json      while a node runs on the folder: where it listens; left behind by one that was killed
//! DIR/secret       what the node's own tokens are signed with; readable by its user alone
//! DIR/token        while a node runs on the folder: a token with every right, for commands of that user; left behind likewise
//! DIR/log/         the stream, see docs/formats/log.md
//! DIR/lake/        the Delta tables and commit messages, see docs/formats/lake.md
//! DIR/hot/         the hot index; may be deleted while nothing runs, it is rebuilt
//! DIR/queries/     results of statements that wait for their readers; emptied whenever the folder is opened
//! DIR/uploads/     files that were put and are not loaded into the stream yet, and what has become of those that were
//! DIR/reports/     results of reports, see docs/reports.md
//! DIR/spill/       rows that are being sorted by maintenance; may be deleted while nothing runs
//! ```

mod private;

use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use url::Url;

const LOCK: &str = "lock";
const UP: &str = "up.json";
const SECRET: &str = "secret";
const TOKEN: &str = "token";

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process has it open.
    #[error("{folder} is in use by another process{who}; stop that one first, or use another folder")]
    InUse {
        /// The folder.
        folder: String,
        /// What `up.json` says of the other process, with a space before it; empty when there is none.
        who: String,
    },
    /// There is no such folder, and the caller only wants to read one.
    #[error("{folder} holds no Alluvium data; `alluvium up --data {folder}` makes it")]
    Missing {
        /// The folder.
        folder: String,
    },
    /// A file that is nobody else's business can be read by others.
    #[error(
        "{path} can be read by other users (mode {mode:o}); `chmod 600 {path}`, and make it anew if one of them may have"
    )]
    NotPrivate {
        /// The file.
        path: String,
        /// Its mode.
        mode: u32,
    },
    /// A file operation failed.
    #[error("cannot {doing} {path}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file or folder.
        path: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> FolderError {
    let path = path.display().to_string();
    move |source| FolderError::Io { doing, path, source }
}

/// What a running node says of itself in `up.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningNode {
    /// Its process.
    pub pid: u32,
    /// Where it listens.
    pub listen: SocketAddr,
    /// The program's version.
    pub version: String,
}

impl RunningNode {
    /// The base of its API: `http://127.0.0.1:7171`.
    pub fn url(&self) -> String {
        format!("http://{}", self.listen)
    }
}

/// Whether opening a folder may make it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Make it.
    Create,
    /// Refuse.
    Refuse,
}

/// An open data folder, held until this is dropped.
#[derive(Debug)]
pub struct DataFolder {
    root: PathBuf,
    /// The node that announced itself here last and never took its announcement away.
    last_node: Option<RunningNode>,
    // Closing the file is what gives the lock back.
    _lock: File,
}

impl DataFolder {
    /// Opens the folder and takes its lock.
    ///
    /// # Errors
    ///
    /// When it is missing and may not be made, another process holds it, or it cannot be written to.
    pub fn open(root: &Path, missing: Missing) -> Result<Self, FolderError> {
        let lock_path = root.join(LOCK);
        if missing == Missing::Refuse && !lock_path.exists() {
            return Err(FolderError::Missing { folder: root.display().to_string() });
        }
        std::fs::create_dir_all(root).map_err(failed("make the folder", root))?;
        let root = root.canonicalize().map_err(failed("find", root))?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(failed("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let who =
                    running_on(&root).map(|node| format!(" (process {}, listening on {})", node.pid, node.listen));
                return Err(FolderError::InUse { folder: root.display().to_string(), who: who.unwrap_or_default() });
            }
            Err(TryLockError::Error(source)) => return Err(failed("lock", &lock_path)(source)),
        }
        let last_node = running_on(&root);
        let folder = Self { root, last_node, _lock: lock };
        // Left by one that was killed: rows that an erasure would not look for.
        for left in [folder.spill(), folder.queries()] {
            match std::fs::remove_dir_all(&left) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(failed("empty", &left)(error));
                }
                _ => {}
            }
        }
        for part in [folder.log(), folder.lake(), folder.hot()] {
            std::fs::create_dir_all(&part).map_err(failed("make the folder", &part))?;
        }
        sync_folder(&folder.root)?;
        Ok(folder)
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether the last node that ran here ended without stopping: its log may hold what the lake does not have.
    pub fn was_left_running(&self) -> bool {
        self.last_node.is_some()
    }

    /// Where the stream lies.
    pub fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// Where the tables and commit messages lie.
    pub fn lake(&self) -> PathBuf {
        self.root.join("lake")
    }

    /// The lake's folder as a URL, with a slash at its end.
    pub fn lake_url(&self) -> Url {
        Url::from_directory_path(self.lake()).expect("an open data folder's path is absolute")
    }

    /// Where the hot index lies.
    pub fn hot(&self) -> PathBuf {
        self.root.join("hot")
    }

    /// Where results of statements wait for their readers.
    pub fn queries(&self) -> PathBuf {
        self.root.join("queries")
    }

    /// Where uploaded files lie until they are loaded.
    pub fn uploads(&self) -> PathBuf {
        self.root.join("uploads")
    }

    /// Where results of reports are kept.
    pub fn reports(&self) -> PathBuf {
        self.root.join("reports")
    }

    /// Where maintenance puts rows that do not fit into memory.
    pub fn spill(&self) -> PathBuf {
        self.root.join("spill")
    }

    /// Says in `up.json` where this process listens, so that commands on the folder find it.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn announce(&self, node: &RunningNode) -> Result<(), FolderError> {
        let path = self.root.join(UP);
        let draft = self.root.join("up.json.new");
        let text = serde_json::to_vec_pretty(node).expect("a node's description holds only text and numbers");
        File::create(&draft)
            .and_then(|mut file| file.write_all(&text))
            .and_then(|()| std::fs::rename(&draft, &path))
            .map_err(failed("write", &path))
    }

    /// What the node's own tokens are signed with: what `make` makes when there is nothing yet.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or written, or others can read it.
    pub fn secret(&self, make: impl FnOnce() -> String) -> Result<String, FolderError> {
        let path = self.root.join(SECRET);
        match private::read(&path)? {
            Some(secret) => Ok(secret),
            None => {
                let secret = make();
                private::write(&path, &secret)?;
                sync_folder(&self.root)?;
                Ok(secret)
            }
        }
    }

    /// Leaves a token for commands of the user that the node runs as.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn leave_token(&self, token: &str) -> Result<(), FolderError> {
        private::write(&self.root.join(TOKEN), token)
    }

    /// Takes `up.json` and the token away again.
    ///
    /// # Errors
    ///
    /// When a file is there and cannot be removed.
    pub fn remove_running(&self) -> Result<(), FolderError> {
        [UP, TOKEN].into_iter().try_for_each(|name| {
            let path = self.root.join(name);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed("remove", &path)(error)),
                _ => Ok(()),
            }
        })
    }
}

/// The secret of a folder that may be in use; `None`: no node has run on it.
///
/// # Errors
///
/// When it cannot be read, or others can read it too.
pub fn secret_of(root: &Path) -> Result<Option<String>, FolderError> {
    private::read(&root.join(SECRET))
}

/// What a file outside of a folder holds that nobody else may read, such as a private key; `None`: it is not there.
///
/// # Errors
///
/// As [`secret_of`].
pub fn private_file(path: &Path) -> Result<Option<String>, FolderError> {
    private::read(path)
}

/// The token that the node on a folder has left; `None`: there is none.
///
/// # Errors
///
/// As [`secret_of`].
pub fn token_of(root: &Path) -> Result<Option<String>, FolderError> {
    private::read(&root.join(TOKEN))
}

/// The node that runs on a folder, if there is one.
///
/// A node that was killed leaves its `up.json` behind but not its lock, so the lock decides.
pub fn running_node(root: &Path) -> Option<RunningNode> {
    let lock = File::options().write(true).open(root.join(LOCK)).ok()?;
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) => running_on(root),
        _ => None,
    }
}

fn running_on(root: &Path) -> Option<RunningNode> {
    serde_json::from_slice(&std::fs::read(root.join(UP)).ok()?).ok()
}

fn sync_folder(folder: &Path) -> Result<(), FolderError> {
    File::open(folder).and_then(|file| file.sync_all()).map_err(failed("sync", folder))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_second_opener_is_told_who_holds_the_folder() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("node");
        let folder = DataFolder::open(&root, Missing::Create).unwrap();
        assert_eq!(running_node(&root), None, "nobody has announced itself yet");
        let node = RunningNode { pid: 42, listen: "127.0.0.1:7171".parse().unwrap(), version: "0.1.0".to_owned() };
        folder.announce(&node).unwrap();
        assert_eq!(running_node(&root), Some(node));
        let error = DataFolder::open(&root, Missing::Create).unwrap_err().to_string();
        assert!(error.contains("process 42, listening on 127.0.0.1:7171"), "{error}");
        drop(folder);
        assert_eq!(running_node(&root), None, "what a dead node left behind is not believed");
        let folder = DataFolder::open(&root, Missing::Refuse).unwrap();
        assert!(folder.was_left_running());
        folder.remove_running().unwrap();
        drop(folder);
        assert!(!DataFolder::open(&root, Missing::Refuse).unwrap().was_left_running());
    }

    #[test]
    fn reading_a_folder_that_is_not_there_makes_nothing() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("nothing");
        assert!(matches!(DataFolder::open(&root, Missing::Refuse), Err(FolderError::Missing { .. })));
        assert!(!root.exists());
    }
}
