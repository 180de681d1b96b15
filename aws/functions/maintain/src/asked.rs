//! What an invocation is asked for.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The event: `{"task": "compact", "dataset": "telemetry", "within": "4m"}`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// What is to be done.
    pub task: Task,
    /// To this table alone: a dataset's, `dead_letters` or `ledger`. `None`: to all.
    #[serde(default)]
    pub dataset: Option<String>,
    /// Begin nothing more after so long, so that a schedule's invocations do not meet. `None`: as long as the function may run.
    #[serde(default, with = "alluvium_core::duration::optional")]
    pub within: Option<Duration>,
}

/// A piece of maintenance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Small files become few large ones, without duplicates.
    Compact,
    /// Rows that are past their dataset's retention leave.
    Retain,
    /// Files that nobody needs any more are deleted, and the object index is completed.
    Vacuum,
    /// What the lake says of itself is recomputed.
    Audit,
    /// Open erasures go on, and are closed when they are over.
    Erasures,
}

impl Task {
    /// Its name in events and in lines of the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Compact => "compact",
            Self::Retain => "retain",
            Self::Vacuum => "vacuum",
            Self::Audit => "audit",
            Self::Erasures => "erasures",
        }
    }
}

impl Asked {
    /// Reads an event; `tables` are those that there are. Returns what is asked for, and of which tables.
    ///
    /// # Errors
    ///
    /// What is wrong with the event, and what would be right.
    pub fn read(event: Value, tables: Vec<String>) -> Result<(Self, Vec<String>), String> {
        let asked: Self = serde_json::from_value(event).map_err(|error| {
            format!(
                "{error}. Expected {{\"task\": \"compact\"}}, or retain, vacuum, audit or erasures; beside it \"dataset\" may name one table, and \
                 \"within\" say in what time work is begun, such as \"4m\""
            )
        })?;
        let Some(only) = asked.dataset.clone() else { return Ok((asked, tables)) };
        if matches!(asked.task, Task::Audit | Task::Erasures) {
            return Err(format!("`{}` is of the whole lake; leave \"dataset\": \"{only}\" out", asked.task.name()));
        }
        if !tables.contains(&only) {
            return Err(format!("there is no table `{only}`; there are {}", tables.join(", ")));
        }
        Ok((asked, vec![only]))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(event: Value) -> Result<(Asked, Vec<String>), String> {
        Asked::read(event, ["ledger", "telemetry"].map(str::to_owned).to_vec())
    }

    #[test]
    fn an_event_says_what_and_of_which_table_and_in_what_time() {
        let (asked, tables) = read(json!({"task": "compact"})).unwrap();
        assert_eq!(asked, Asked { task: Task::Compact, dataset: None, within: None });
        assert_eq!(tables.len(), 2);
        let (asked, tables) = read(json!({"task": "vacuum", "dataset": "telemetry", "within": "4m"})).unwrap();
        assert_eq!((asked.task.name(), asked.within), ("vacuum", Some(Duration::from_secs(240))));
        assert_eq!(tables, ["telemetry"]);
    }

    #[test]
    fn a_wrong_event_is_told_what_would_be_right() {
        for (event, says) in [
            (json!({}), "task"),
            (json!({"task": "tidy"}), "retain, vacuum, audit or erasures"),
            (json!({"task": "compact", "table": "telemetry"}), "table"),
            (json!({"task": "compact", "within": "soon"}), "soon"),
            (json!({"task": "compact", "dataset": "nothing"}), "there are ledger, telemetry"),
            (json!({"task": "audit", "dataset": "telemetry"}), "`audit` is of the whole lake"),
            (json!({"task": "erasures", "dataset": "telemetry"}), "`erasures` is of the whole lake"),
            (json!([1]), "Expected"),
        ] {
            let told = read(event.clone()).unwrap_err();
            assert!(told.contains(says), "{event}: {told}");
        }
    }
}
