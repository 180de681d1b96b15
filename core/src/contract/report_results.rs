//! What every [`ReportResults`] does.
//!
//! Each function takes results without any, of a report `hourly` whose windows are hours and of a report `idle`, and what makes results.

use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::clock::Micros;
use crate::file::FileFormat;
use crate::report::{ReportResults, WindowId};

const HOUR: Micros = 3_600_000_000;

/// 1972-09-27T00:00:00Z: the windows that are made are the fifth hour of this day and those after it, up to nine o'clock.
pub const DAY: Micros = 24_000 * HOUR;

/// Makes results.
#[async_trait]
pub trait Maker: Send + Sync {
    /// Makes the result of a window of `hourly`, or makes it anew: its rows hold this number.
    async fn make(&self, window: WindowId, number: i64);
}

/// Runs all of them, one after the other.
///
/// # Panics
///
/// When they break the contract.
pub async fn all(results: &dyn ReportResults, maker: &dyn Maker) {
    what_is_not_there_is_not_answered(results).await;
    results_come_by_window_the_newest_first(results, maker).await;
    a_file_is_what_is_said_of_it(results, maker).await;
    a_window_has_one_result(results, maker).await;
}

fn window(hour: i64) -> WindowId {
    WindowId(DAY + hour * HOUR)
}

async fn hours(results: &dyn ReportResults, before: Option<WindowId>, most: usize) -> (Vec<i64>, bool) {
    let page = results.results("hourly", before, most).await.expect("results can be listed").expect("it is there");
    (page.results.iter().map(|result| (result.from - DAY) / HOUR).collect(), page.more)
}

async fn read(results: &dyn ReportResults, at: WindowId, format: FileFormat) -> Option<Bytes> {
    let file = results.open("hourly", at, format).await.expect("files can be opened")?;
    let mut bytes = Vec::new();
    loop {
        let part = file.read(bytes.len() as u64).await.expect("a file can be read");
        if part.is_empty() {
            assert_eq!(bytes.len() as u64, file.bytes());
            return Some(bytes.into());
        }
        bytes.extend_from_slice(&part);
    }
}

/// Reports are listed before they have results; of others, and of windows that were not made, there is nothing.
///
/// # Panics
///
/// When they break the contract.
pub async fn what_is_not_there_is_not_answered(results: &dyn ReportResults) {
    let listed = results.reports().await.expect("reports can be listed");
    let listed: Vec<_> = listed.iter().map(|status| (status.name.as_str(), status.kept)).collect();
    assert_eq!(listed, [("hourly", 0), ("idle", 0)]);
    assert_eq!(results.results("idle", None, 10).await.expect("it can be asked"), Some(Default::default()));
    assert_eq!(results.results("none", None, 10).await.expect("it can be asked"), None);
    for format in FileFormat::ALL {
        assert!(results.open("none", window(5), format).await.expect("it can be asked").is_none());
        assert!(read(results, window(5), format).await.is_none());
    }
}

/// In whatever order they were made; pages lead to each other by the last window on them.
///
/// # Panics
///
/// When they break the contract.
pub async fn results_come_by_window_the_newest_first(results: &dyn ReportResults, maker: &dyn Maker) {
    for hour in [6, 8, 5, 7] {
        maker.make(window(hour), hour).await;
    }
    assert_eq!(hours(results, None, 10).await, (vec![8, 7, 6, 5], false));
    assert_eq!(hours(results, None, 4).await, (vec![8, 7, 6, 5], false));
    assert_eq!(hours(results, None, 2).await, (vec![8, 7], true));
    assert_eq!(hours(results, Some(window(7)), 2).await, (vec![6, 5], false));
    assert_eq!(hours(results, Some(window(5)), 2).await, (vec![], false));
    let listed = results.reports().await.expect("reports can be listed");
    assert_eq!(listed.iter().map(|status| status.kept).collect::<Vec<_>>(), [4, 0]);
}

/// Bytes and hash are those of the file that is opened.
///
/// # Panics
///
/// When they break the contract.
pub async fn a_file_is_what_is_said_of_it(results: &dyn ReportResults, maker: &dyn Maker) {
    maker.make(window(6), 4711).await;
    let page = results.results("hourly", Some(window(7)), 1).await.expect("it can be asked").expect("it is there");
    let result = &page.results[0];
    assert_eq!((result.window(), result.to - result.from), (window(6), HOUR));
    for format in FileFormat::ALL {
        let bytes = read(results, window(6), format).await.expect("it was made");
        let facts = result.file(format);
        let hash: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((bytes.len() as u64, hash), (facts.bytes, facts.sha256.clone()), "{format:?}");
    }
    let csv = read(results, window(6), FileFormat::Csv).await.expect("it was made");
    assert!(String::from_utf8_lossy(&csv).contains("4711"));
}

/// The last that was made (RP-1); one that was opened before stays what it was.
///
/// # Panics
///
/// When they break the contract.
pub async fn a_window_has_one_result(results: &dyn ReportResults, maker: &dyn Maker) {
    maker.make(window(8), 1111).await;
    let before = hours(results, None, 10).await;
    let opened = results.open("hourly", window(8), FileFormat::Csv).await.expect("it opens").expect("it is there");
    maker.make(window(8), 2222).await;
    assert_eq!(hours(results, None, 10).await, before);
    let anew = read(results, window(8), FileFormat::Csv).await.expect("it is there");
    let text = String::from_utf8_lossy(&anew);
    assert!(text.contains("2222") && !text.contains("1111"), "{text}");
    let old = opened.read(0).await.expect("it is open");
    assert!(String::from_utf8_lossy(&old).contains("1111"), "an open file stays what it was");
}
