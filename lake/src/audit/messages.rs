//! Commit messages: each that is stored is committed in time.

use std::collections::HashSet;

use alluvium_core::LedgerEntry;
use alluvium_core::clock::micros;

use super::report::UncommittedMessage;
use super::{AuditSettings, Findings, counted};
use crate::batches::Batches;
use crate::error::Result;
use crate::pending::{self, StoredMessage};
use crate::reader::LakeReader;
use crate::state::IdentityBits;

/// The messages whose batches are not in, by path, of those that were listed before everything else. The tables forget batches in time,
/// the ledger does not: a message of one that it has must not be enqueued again.
pub(super) async fn uncommitted(
    reader: &LakeReader,
    stored: &[StoredMessage],
    entries: &[LedgerEntry],
) -> Result<Vec<UncommittedMessage>> {
    if stored.is_empty() {
        return Ok(Vec::new());
    }
    let batches = Batches::load(reader).await?;
    let in_ledger: HashSet<IdentityBits> = entries.iter().filter_map(|entry| IdentityBits::of(&entry.batch)).collect();
    let message = |message: &StoredMessage| UncommittedMessage {
        path: message.path.clone(),
        stored_at: message.stored_at,
        is_overdue: false,
    };
    let uncommitted = pending::uncommitted(stored, &batches).filter(|message| !in_ledger.contains(&message.batch));
    Ok(uncommitted.map(message).collect())
}

/// Where a queue brings messages, one that waits for long has lost its place in it.
pub(super) fn check(messages: &mut [UncommittedMessage], settings: &AuditSettings, findings: &mut Findings) {
    let due = settings.now - micros(settings.commit_within);
    for message in &mut *messages {
        message.is_overdue = message.stored_at < due;
        if message.is_overdue {
            let seconds = (settings.now - message.stored_at) / 1_000_000;
            findings.problem(format!("{} was stored {seconds} s ago, and its batch is not in.", message.path));
        }
    }
    let waiting = messages.iter().filter(|message| !message.is_overdue).count();
    if waiting > 0 {
        let waiting = counted(waiting as u64, "commit message is on its way", "commit messages are on their way");
        findings.note(format!("{waiting}."));
    }
}

/// Where one committer writes, its node has no use for them.
pub(super) fn tell(messages: &[UncommittedMessage], findings: &mut Findings) {
    if !messages.is_empty() {
        let stored = counted(
            messages.len() as u64,
            "commit message is stored whose batch is not in",
            "commit messages are stored whose batches are not in",
        );
        findings.note(format!(
            "{stored}: a commit is under way, or a crash left it and the records come again out of the log."
        ));
    }
}
