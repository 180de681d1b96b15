//! The ledger's counts beside those that services keep of the stream.
//!
//! The two count different things. A service counts records at the moment it takes or reads them, by the minute and for some days; a record read
//! twice counts twice. The ledger counts events, each once, and a batch's at the arrival of its newest record. So no equation holds, but two
//! inequalities do, over a window that has settled: **what was put in it is read by some time after it**, and **the ledger has, by that time, an event
//! at least of each record**. Each may fail for a reason that is none of loss, which is said; what is lost the identities prove, in the other checks.

use std::time::Duration;

use alluvium_core::LedgerEntry;
use alluvium_core::clock::{Micros, micros};
use alluvium_core::ports::PortError;
use alluvium_core::service_counts::{Counted, ServiceCounts};
use serde::{Deserialize, Serialize};

use super::{Findings, counted as so_many};

pub(super) const COUNTS: &str = "what the services counted of the stream is in the ledger";

/// How much later than it arrived a record may be read, beside the time for which records are gathered: what a delivery that is tried again takes.
const LATER: Duration = Duration::from_secs(600);
/// How long after that the ledger and the services may need to have counted it: a commit, and the services' own delay.
const SETTLE: Duration = Duration::from_secs(900);
/// Of so many records one may be counted in the minute beside its own: services do not count to the microsecond.
const ONE_OF: u64 = 1_000;
/// So many records are too few to tell anything by.
const FEW: u64 = 10;

/// A window of time, and what was counted in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountedWindow {
    /// When it begins, in microseconds since 1970.
    pub from: Micros,
    /// When it ends.
    pub to: Micros,
    /// When all of it was read, and arrived newest in its batch, at the latest: it is counted until then what was read, and in the ledger.
    pub until: Micros,
    /// Records that the stream took in it.
    pub put_records: u64,
    /// Records that were read until `until`; `None`: nobody counts them.
    pub read_records: Option<u64>,
    /// Events that the ledger has received of batches whose newest record arrived until `until`.
    #[serde(default)]
    pub ledger_events: u64,
}

/// What services answered that were asked for their counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskedCounts {
    /// What they counted; `None`: they keep nothing of that time.
    Window(Option<CountedWindow>),
    /// They could not be asked, for this reason. It is told, and nothing is wrong with the lake.
    Failed(String),
}

/// Which window is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AskedWindow {
    /// When it is asked.
    pub now: Micros,
    /// How long it is, about.
    pub length: Duration,
    /// For how long records are gathered before they are handed over.
    pub buffer: Duration,
}

impl AskedWindow {
    /// The newest window that has settled: its beginning, its end, and until when it is read. `None`: nothing is kept of that time.
    fn settled(self, counts: &dyn ServiceCounts) -> Option<(Micros, Micros, Micros)> {
        let ago = LATER + SETTLE + self.buffer + self.length;
        // Rounded towards the past, so that all of it has settled.
        let step = micros(counts.granularity(ago)?);
        let floor = |time: Micros| time.div_euclid(step) * step;
        let until = floor(self.now - micros(SETTLE));
        let to = floor(until - micros(LATER + self.buffer));
        let from = floor(to - micros(self.length)).min(to - step);
        Some((from, to, until))
    }

    /// Asks for what was counted.
    pub async fn count(self, counts: &dyn ServiceCounts) -> AskedCounts {
        self.try_count(counts).await.map_or_else(|error| AskedCounts::Failed(error.to_string()), AskedCounts::Window)
    }

    async fn try_count(self, counts: &dyn ServiceCounts) -> Result<Option<CountedWindow>, PortError> {
        let Some((from, to, until)) = self.settled(counts) else { return Ok(None) };
        let put_records = counts.sum(Counted::Put, from, to).await?.unwrap_or_default();
        let read_records = counts.sum(Counted::Read, from, until).await?;
        Ok(Some(CountedWindow { from, to, until, put_records, read_records, ledger_events: 0 }))
    }
}

/// Holds the ledger against what was counted, of what could be asked.
pub(super) fn check<'a>(
    counted: &AskedCounts,
    entries: impl IntoIterator<Item = &'a LedgerEntry>,
    findings: &mut Findings,
) -> Option<CountedWindow> {
    match counted {
        AskedCounts::Failed(error) => findings.note(format!("They were not asked: {error}.")),
        AskedCounts::Window(None) => findings.note("They keep nothing of that time.".to_owned()),
        AskedCounts::Window(Some(window)) => {
            let arrived = |entry: &&LedgerEntry| (window.from..window.until).contains(&entry.arrival);
            let ledger_events = entries.into_iter().filter(arrived).map(|entry| entry.received).sum();
            let window = CountedWindow { ledger_events, ..window.clone() };
            window.tell(findings);
            return Some(window);
        }
    }
    None
}

impl CountedWindow {
    fn tell(&self, findings: &mut Findings) {
        let Self { put_records: put, ledger_events: events, .. } = *self;
        let (from, to) = (text(self.from), text(self.to));
        let records = |number| so_many(number, "record", "records");
        let read = self.read_records.map_or_else(String::new, |read| format!(", {} read from it", records(read)));
        findings.note(format!(
            "From {from} to {to}: {} put into the stream{read} by {}, {} in the ledger.",
            records(put),
            text(self.until),
            so_many(events, "event", "events"),
        ));
        let tolerated = FEW.max(put / ONE_OF);
        if let Some(read) = self.read_records {
            if put.saturating_sub(read) > tolerated {
                findings.problem(format!(
                    "{} fewer were read than were put from {from} to {to}: {}. Delivery stood still or was behind, see its alarms; or the \
                     service's counts are late. Records that it never reads are lost when the stream forgets them.",
                    records(put - read),
                    share(put - read, put),
                ));
            } else if read > put + tolerated {
                findings.note(format!(
                    "{} more were read than were put: a batch that is handed over once more is counted once more, and so is what arrived before \
                     {from} and was read after it.",
                    records(read - put),
                ));
            }
        }
        if put.saturating_sub(events) > tolerated {
            findings.problem(format!(
                "The ledger has {} fewer than records were put from {from} to {to}: {}. Each leaves an event at least, unless it holds none \
                 (an empty array). They wait in the stream, were set aside, are in a batch whose newest record arrived after {}, or are lost: \
                 `alluvium audit` of the stream says which.",
                so_many(put - events, "event", "events"),
                share(put - events, put),
                text(self.until),
            ));
        } else if events > put + tolerated {
            let each = events as f64 / put.max(1) as f64;
            findings.note(format!(
                "{each:.2} events to a record: a record may hold several, an aggregate's records are counted as one, and the ledger's batches \
                 reach until {}.",
                text(self.until)
            ));
        }
    }
}

fn share(part: u64, of: u64) -> String {
    format!("{:.2} %", 100.0 * part as f64 / of.max(1) as f64)
}

fn text(time: Micros) -> String {
    jiff::Timestamp::from_microsecond(time).map_or_else(|_| format!("{time} µs"), |time| time.to_string())
}

#[cfg(test)]
mod tests;
