#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use super::*;
use crate::testing::{open, open_shared};

#[test]
fn intervals_are_read_as_delta_writes_them() {
    assert_eq!(parse("interval 30 days"), Some(DAY * 30));
    assert_eq!(parse("interval 1 week"), Some(DAY * 7));
    assert_eq!(parse("interval 2 hours"), Some(HOUR * 2));
    assert_eq!(parse("interval 0 seconds"), Some(Duration::ZERO));
    for text in ["30 days", "interval", "interval 1", "interval -1 days", "interval 1 months", "interval 1 day 2 hours"]
    {
        assert_eq!(parse(text), None, "{text}");
    }
}

/// Changes a property in the first entry of `readings`.
async fn set(store: &Arc<dyn ObjectStore>, property: &str, value: &str) {
    let first = Path::from("readings/_delta_log/00000000000000000000.json");
    let entry = store.get(&first).await.unwrap().bytes().await.unwrap();
    let changed = std::str::from_utf8(&entry).unwrap().lines().map(|line| {
        let mut action: serde_json::Value = serde_json::from_str(line).unwrap();
        if let Some(configuration) = action.pointer_mut("/metaData/configuration") {
            configuration[property] = value.into();
        }
        action.to_string()
    });
    let changed = changed.collect::<Vec<_>>().join("\n");
    store.put(&first, changed.into()).await.unwrap();
}

#[tokio::test]
async fn a_lake_whose_tables_forget_too_soon_is_not_opened() {
    let refusals = [
        (TOMBSTONES, "interval 29 days", "interval 30 days"),
        (TOMBSTONES, "as long as you like", "interval 30 days"),
        (TRANSACTIONS, "interval 2 weeks", "interval 30 days"),
        (LOG, "interval 60 minutes", "interval 1 days"),
        (CLEANUP, "true", "false"),
    ];
    for (property, found, right) in refusals {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        open_shared(&store).await.unwrap();
        set(&store, property, found).await;
        let (alone, shared) = (open(&store).await.unwrap_err(), open_shared(&store).await.unwrap_err());
        for error in [alone, shared] {
            assert!(matches!(error, LakeError::Retention { .. }), "{error}");
            let told = error.to_string();
            assert!(told.starts_with(&format!("table `readings` has `{property}` = `{found}`: ")), "{told}");
            assert!(told.ends_with(&format!("Set it to `{right}`")), "{told}");
        }
    }
}

#[tokio::test]
async fn longer_is_as_good() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    open(&store).await.unwrap();
    set(&store, TOMBSTONES, "interval 52 weeks").await;
    set(&store, LOG, "interval 2 hours").await;
    open(&store).await.unwrap();
}
