//! Erasures: each table knows of those that are open, has been swept, and they end in their time.

use std::time::Duration;

use alluvium_core::clock::{Micros, micros};

use super::Findings;
use crate::erase::{Erasures, OPEN_FOR};
use crate::error::{LakeError, Result};
use crate::reader::LakeReader;

/// How long an erasure may take in the tables, and after its end.
const GRACE: Duration = Duration::from_secs(24 * 3_600);

/// Looks through the erasures that are open. A lake of an earlier release has none.
pub(crate) async fn check(reader: &LakeReader, now: Micros, findings: &mut Findings) -> Result<()> {
    let erasures = Erasures::new(reader.store().clone(), reader.root_url().clone()).all().await?;
    let mut open = 0;
    for erasure in erasures.iter().filter(|erasure| erasure.target().is_some()) {
        open += 1;
        let (id, age) = (erasure.id.simple(), now.saturating_sub(erasure.requested_at));
        if age > micros(OPEN_FOR + GRACE) {
            findings.problem(format!(
                "Erasure {id} was asked for {} days ago and is not closed: files or the log still hold rows of it, or no node has looked \
                 after it.",
                age / micros(Duration::from_secs(24 * 3_600))
            ));
        }
        if age <= micros(GRACE) {
            continue;
        }
        for (table, progress) in &erasure.tables {
            let known = match reader.newest(table).await {
                Ok(state) => state,
                Err(LakeError::NoTable(_)) => continue,
                Err(error) => return Err(error),
            };
            if !progress.is_swept || !known.erasures.contains(&erasure.id) {
                findings.problem(format!(
                    "`{table}` may still have rows of erasure {id}: its sweep has not come to its end."
                ));
            }
        }
    }
    match open {
        0 => {}
        1 => findings.note("One erasure is open.".to_owned()),
        open => findings.note(format!("{open} erasures are open.")),
    }
    Ok(())
}
