//! The audit of what is stored, where there is no time to read the stream.

use alluvium_core::ports::ObjectIndex;
use alluvium_core::{DatasetName, Datasets};

use super::{
    AuditReport, AuditSettings, Checks, ERASURES, FILES, Findings, INDEX, LEDGER, MESSAGES, ROWS, erasures, examine,
    index, messages,
};
use crate::error::Result;
use crate::pending;
use crate::reader::LakeReader;

/// Recomputes what a lake that several committers share says of itself: the ledger, the tables' rows and files, the object index,
/// erasures, and the commit messages that wait.
///
/// The stream is not asked. So a record of which nothing was ever stored is not missed here, nor a redriven event that has not come:
/// that takes [`audit_shared`](super::audit_shared), which reads all that the stream retains.
///
/// # Errors
///
/// As [`audit`](super::audit); [`LakeError::NoTable`](crate::LakeError::NoTable) while no committer has opened the lake.
pub async fn audit_stored(
    reader: &LakeReader,
    datasets: &Datasets,
    object_index: &dyn ObjectIndex,
    settings: &AuditSettings,
) -> Result<AuditReport> {
    // Listed first, so that whatever lies there and is committed by the end is in.
    let stored = pending::stored(reader).await?;
    let ledger = reader.newest(DatasetName::ledger().as_str()).await?;
    let mut checks = Checks::default();
    let examined = examine(reader, datasets, &ledger, &mut checks).await?;
    examined.check_asked(settings)?;
    erasures::check(reader, settings.now, &mut checks.erasures).await?;
    let (mut indexed, mut overdue) = (Findings::default(), Findings::default());
    index::check(object_index, &examined.files, &mut indexed).await?;
    let mut uncommitted = messages::uncommitted(reader, &stored, &examined.rows.entries).await?;
    messages::check(&mut uncommitted, settings, &mut overdue);
    let checks = vec![
        checks.ledger.into_check(LEDGER),
        checks.rows.into_check(ROWS),
        checks.files.into_check(FILES),
        checks.erasures.into_check(ERASURES),
        indexed.into_check(INDEX),
        overdue.into_check(MESSAGES),
    ];
    Ok(examined.report(settings, Vec::new(), uncommitted, checks))
}
