//! What every [`ObjectIndex`] does.
//!
//! Each function takes an index without entries of its tables, whose names start with the test's own word.

use bytes::Bytes;

use crate::object_index::IndexEntry;
use crate::ports::ObjectIndex;

/// Runs all of them on one index.
///
/// # Panics
///
/// When the index breaks the contract.
pub async fn all(index: &dyn ObjectIndex) {
    what_was_put_is_read_back_whole(index).await;
    an_entry_put_again_takes_the_place_of_the_first(index).await;
    entries_come_by_path_page_by_page(index).await;
    what_was_removed_is_gone(index).await;
}

fn entry(table: &str, path: &str) -> IndexEntry {
    IndexEntry {
        table: table.to_owned(),
        path: path.to_owned(),
        rows: 5,
        size_bytes: 1 << 40,
        times: Some((-1, 1)),
        owners: Some(Bytes::from(format!("the owners of {path}"))),
        sources: None,
    }
}

async fn paths(index: &dyn ObjectIndex, table: &str, after: Option<&str>, max: usize) -> Vec<String> {
    let entries = index.entries(table, after, max).await.expect("the index can be asked");
    entries.into_iter().map(|entry| entry.path).collect()
}

async fn put(index: &dyn ObjectIndex, entries: Vec<IndexEntry>) {
    index.put(entries).await.expect("the index takes entries");
}

/// Every field survives, and tables do not mix.
///
/// # Panics
///
/// When the index breaks the contract.
pub async fn what_was_put_is_read_back_whole(index: &dyn ObjectIndex) {
    assert_eq!(paths(index, "whole", None, 10).await, [""; 0], "an empty index answers with nothing");
    let bare = IndexEntry { times: None, owners: None, ..entry("whole", "b.parquet") };
    put(index, vec![bare.clone(), entry("whole", "a.parquet"), entry("whole2", "c.parquet")]).await;
    let found = index.entries("whole", None, 10).await.expect("the index can be asked");
    assert_eq!(found, [entry("whole", "a.parquet"), bare]);
}

/// There is one entry of a table and path, the last.
///
/// # Panics
///
/// When the index breaks the contract.
pub async fn an_entry_put_again_takes_the_place_of_the_first(index: &dyn ObjectIndex) {
    put(index, vec![entry("again", "a.parquet")]).await;
    let changed = IndexEntry { rows: 6, sources: Some(Bytes::from_static(b"s")), ..entry("again", "a.parquet") };
    put(index, vec![changed.clone()]).await;
    assert_eq!(index.entries("again", None, 10).await.expect("the index can be asked"), [changed]);
}

/// In the order of paths, so many at the most, and those after a path without it.
///
/// # Panics
///
/// When the index breaks the contract.
pub async fn entries_come_by_path_page_by_page(index: &dyn ObjectIndex) {
    let all = ["0.parquet", "1.parquet", "a_1.parquet", "a_2.parquet"];
    put(index, all.iter().rev().map(|path| entry("pages", path)).collect()).await;
    assert_eq!(paths(index, "pages", None, 10).await, all);
    let mut listed = index.paths("pages").await.expect("the index can be asked");
    listed.sort_unstable();
    assert_eq!(listed, all);
    assert_eq!(paths(index, "pages", None, 3).await, all[..3]);
    assert_eq!(paths(index, "pages", Some("a_1.parquet"), 3).await, all[3..]);
    assert_eq!(paths(index, "pages", Some("00"), 2).await, all[1..3], "a path that has no entry is a place too");
    assert_eq!(paths(index, "pages", Some("a_2.parquet"), 3).await, [""; 0]);
}

/// The others stay, and removing what is not there is no error.
///
/// # Panics
///
/// When the index breaks the contract.
pub async fn what_was_removed_is_gone(index: &dyn ObjectIndex) {
    put(index, vec![entry("gone", "a.parquet"), entry("gone", "b.parquet")]).await;
    let removed = vec!["a.parquet".to_owned(), "none.parquet".to_owned()];
    index.remove("gone", removed).await.expect("the index forgets entries");
    assert_eq!(paths(index, "gone", None, 10).await, ["b.parquet"]);
}
