//! How old the oldest row of a table is, for those who ask often.

use alluvium_core::clock::Micros;
use alluvium_core::ports::SqlEngine as _;

use super::lake::{Event, MemoryLake, events};
use crate::sql::SqlSettings;

fn at(time: Micros) -> Vec<Event> {
    events(1, 1).into_iter().map(|event| Event { time, ..event }).collect()
}

#[tokio::test]
async fn it_is_read_anew_when_something_was_committed() {
    let lake = MemoryLake::default();
    let sql = lake.sql(SqlSettings::default());
    lake.add(&at(5_000));
    assert_eq!(sql.oldest("telemetry").await.unwrap(), Some(5_000));
    lake.add(&at(4_000));
    assert_eq!(sql.oldest("telemetry").await.unwrap(), Some(4_000), "nobody tells of commits");

    *lake.commits.lock().unwrap() = Some(1);
    assert_eq!(sql.oldest("telemetry").await.unwrap(), Some(4_000));
    lake.count_snapshots();
    assert_eq!(sql.oldest("telemetry").await.unwrap(), Some(4_000));
    assert_eq!(lake.count_snapshots(), 0, "nothing was committed, and nothing read");
    lake.add(&at(3_000));
    *lake.commits.lock().unwrap() = Some(2);
    assert_eq!(sql.oldest("telemetry").await.unwrap(), Some(3_000));
    assert_eq!(sql.oldest("nothing").await.unwrap(), None);
}
