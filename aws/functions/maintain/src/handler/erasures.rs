//! Open erasures, by schedule: what came late is taken out again, files are deleted whose time has come, and those are closed that are over.

use std::time::Duration;

use alluvium_core::clock::Micros;
use alluvium_lake::{Beside, LookedAfter};
use serde_json::{Value, json};

use super::{Handler, HandlerError, Time, in_time, stopped};
use crate::asked::Task;
use crate::measured::Measured;

impl Handler {
    /// Looks after every open erasure, logs which are open and for how long, and says what was done. None is named but by its id.
    pub(super) async fn erasures(&self, time: Time) -> Result<Value, HandlerError> {
        let task = Task::Erasures.name();
        let Some(beside) = &self.beside else {
            let why = "the stores beside the tables are not told: ALLUVIUM_ERASURES__HOT_TABLE and those beside it are not set".to_owned();
            tracing::error!(task, why, "maintenance failed");
            self.measure(Measured { failures: 1, ..Measured::default() });
            return Err(HandlerError::Failed { task, why });
        };
        let looked = match in_time(time, self.upkeep().look_after_erasures(beside)).await {
            Some(Ok(looked)) => looked,
            Some(Err(error)) => return Err(self.failed(task, &error)),
            None => {
                self.measure(Measured { failures: 1, ..Measured::default() });
                return Err(stopped(task));
            }
        };
        self.tell(task, &looked, beside)
    }

    fn tell(&self, task: &'static str, looked: &LookedAfter, beside: &Beside) -> Result<Value, HandlerError> {
        let now = self.clock.now_micros();
        let seconds = |since: Micros| now.saturating_sub(since) / 1_000_000;
        for id in &looked.closed {
            tracing::info!(task, erasure = %id.simple(), "an erasure is closed");
        }
        for open in &looked.open {
            let (erasure, promised) = (open.id.simple().to_string(), open.promised(beside.stream));
            tracing::info!(
                task,
                erasure,
                open_seconds = seconds(open.target.until),
                overdue_seconds = seconds(promised).max(0),
                set_aside = looked.set_aside,
                "an erasure is open"
            );
        }
        let hot_rows: u64 = looked.hot.rows.iter().sum();
        if hot_rows + looked.hot.waiting_objects > 0 {
            tracing::info!(
                task,
                rows = hot_rows,
                waiting_objects = looked.hot.waiting_objects,
                "rows left the hot index"
            );
        }
        let overdue = looked.overdue(beside.stream, now);
        self.measure(Measured {
            erasures_open: Some(looked.open.len() as u64),
            erasure_overdue: Some(overdue),
            failures: looked.failed.len() as u64,
            ..Measured::default()
        });
        let named = |id: &Option<_>| id.map_or_else(|| "all".to_owned(), |id: uuid::Uuid| id.simple().to_string());
        for (id, error) in &looked.failed {
            tracing::error!(task, erasure = named(id), %error, "maintenance failed; the next invocation tries again");
        }
        if !looked.failed.is_empty() {
            let why: Vec<_> = looked.failed.iter().map(|(id, error)| format!("{}: {error}", named(id))).collect();
            return Err(HandlerError::Failed { task, why: why.join("; ") });
        }
        let ids = |ids: &mut dyn Iterator<Item = uuid::Uuid>| ids.map(|id| id.simple().to_string()).collect::<Vec<_>>();
        Ok(json!({
            "task": task,
            "closed": ids(&mut looked.closed.iter().copied()),
            "open": ids(&mut looked.open.iter().map(|open| open.id)),
            "hot_rows": hot_rows,
            "waiting_objects": looked.hot.waiting_objects,
            "set_aside": looked.set_aside,
            "overdue_seconds": Duration::as_secs(&overdue),
        }))
    }
}
