//! Which files a round of compaction takes.
//!
//! New files all, if they are no more than a round may take. Else those of the date on which most of them have rows, for a reader of
//! that date opens the most files; then of the date with the most of the rest, and so on. Of one date those come first that were
//! committed first.

use std::ops::RangeInclusive;

use alluvium_core::BatchIdentity;
use arrow::compute::kernels::cast_utils::Parser as _;
use arrow::datatypes::Date32Type;
use serde::Deserialize;

use super::CompactSettings;
use crate::anew::REWRITTEN;
use crate::reader::ActiveFile;

/// A compacted file is rewritten together with new rows while it has no more bytes than so many times theirs. So each byte is
/// rewritten a number of times that grows with the logarithm of the table.
const TIER: u64 = 4;
/// So many small compacted files of one date are merged even though no tier asks for it.
const MOST_SMALL: usize = 8;
/// So many dates are looked for by the number of their files; files of others come in the order in which they were committed.
const MOST_DATES: usize = 64;

/// A file as the plan looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidate<'a> {
    file: &'a ActiveFile,
    /// The first and the last `event_date`, in days since 1970.
    days: RangeInclusive<i32>,
    is_new: bool,
}

impl<'a> Candidate<'a> {
    fn of(file: &'a ActiveFile) -> Self {
        Self { file, days: days_of(file), is_new: is_new(file) }
    }

    /// How many of its bytes fall into these days, were they spread evenly over its own.
    fn bytes_in(&self, days: &RangeInclusive<i32>) -> u64 {
        let first = (*self.days.start()).max(*days.start());
        let last = (*self.days.end()).min(*days.end());
        let all = i64::from(*self.days.end()) - i64::from(*self.days.start()) + 1;
        let common = (i64::from(last) - i64::from(first) + 1).max(0);
        (u128::from(self.file.size_bytes) * common as u128 / all as u128) as u64
    }
}

/// Whether compaction has not seen the rows of a file: a batch left it, or it was written anew from one that a batch left.
pub(crate) fn is_new(file: &ActiveFile) -> bool {
    let is_rewritten = file.path.split_once('_').is_some_and(|(first, _)| first == REWRITTEN);
    is_rewritten || BatchIdentity::from_data_file_name(&file.path).is_some()
}

/// The first and the last `event_date` of a file's rows; any day, when its statistics do not say.
pub(crate) fn days_of(file: &ActiveFile) -> RangeInclusive<i32> {
    #[derive(Deserialize)]
    struct Day {
        event_date: Option<String>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Stats {
        min_values: Option<Day>,
        max_values: Option<Day>,
    }
    let day = |day: Option<Day>| Date32Type::parse(&day?.event_date?);
    let stats = file.stats.as_deref().and_then(|stats| serde_json::from_str::<Stats>(stats).ok());
    let bounds = stats.and_then(|stats| Some((day(stats.min_values)?, day(stats.max_values)?)));
    match bounds {
        Some((first, last)) if first <= last => first..=last,
        _ => i32::MIN..=i32::MAX,
    }
}

/// New files for one round, out of those that wait, which are in the order of their commits. One that is larger than a round is taken by
/// itself.
fn most_rewarding(waiting: Vec<Candidate<'_>>, round_bytes: u64) -> Vec<Candidate<'_>> {
    let size = |candidate: &Candidate<'_>| candidate.file.size_bytes;
    if waiting.iter().map(size).sum::<u64>() <= round_bytes {
        return waiting;
    }
    let mut in_order = Vec::with_capacity(waiting.len());
    let mut rest = waiting;
    let (mut bytes, mut dates) = (0, 0);
    while let Some(day) = busiest_day(&rest)
        && bytes <= round_bytes
        && dates < MOST_DATES
    {
        let (of_day, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(|candidate| candidate.days.contains(&day));
        bytes += of_day.iter().map(size).sum::<u64>();
        dates += 1;
        in_order.extend(of_day);
        rest = others;
    }
    in_order.extend(rest);
    let mut taken = 0;
    let fits = in_order.iter().take_while(|candidate| {
        let is_first = taken == 0;
        taken += size(candidate);
        is_first || taken <= round_bytes
    });
    let fits = fits.count();
    in_order.truncate(fits);
    in_order
}

/// The day on which most files have rows, the newest of several; `None`: there are no files.
fn busiest_day(files: &[Candidate<'_>]) -> Option<i32> {
    let begins = files.iter().map(|file| (i64::from(*file.days.start()), 1));
    let ends = files.iter().map(|file| (i64::from(*file.days.end()) + 1, -1));
    let mut changes: Vec<(i64, i64)> = begins.chain(ends).collect();
    changes.sort_unstable();
    let mut open = 0;
    // Most of them are open from a day on which one begins.
    let counted = changes.into_iter().map(|(day, change)| {
        open += change;
        (open, day)
    });
    let (_, day) = counted.max()?;
    i32::try_from(day).ok()
}

/// The files of the next round; none: there is nothing to gain. New ones come first.
pub(super) fn choose<'a>(
    files: &'a [ActiveFile],
    settings: &CompactSettings,
    least_files: usize,
) -> Vec<&'a ActiveFile> {
    let mut all: Vec<Candidate<'a>> = files.iter().map(Candidate::of).collect();
    all.sort_by(|one, other| {
        (one.file.modification_time, &one.file.path).cmp(&(other.file.modification_time, &other.file.path))
    });
    let (new, old): (Vec<_>, Vec<_>) = all.into_iter().partition(|candidate| candidate.is_new);
    let waiting = new.len();
    let new = most_rewarding(new, settings.round_bytes);
    let is_small = |candidate: &&Candidate<'_>| candidate.file.size_bytes < settings.target_bytes / 2;
    let mut small: Vec<&Candidate<'_>> = old.iter().filter(is_small).collect();
    small.sort_by_key(|candidate| candidate.file.size_bytes);
    let mut chosen = new;
    let mut room = settings.round_bytes;
    for candidate in &small {
        let gained: u64 = chosen.iter().map(|chosen| chosen.bytes_in(&candidate.days)).sum();
        let size = candidate.file.size_bytes;
        if gained > 0 && size <= TIER * gained && size <= room {
            room -= size;
            chosen.push((*candidate).clone());
        }
    }
    let mut too_many_small = false;
    for candidate in &small {
        let beside = || small.iter().filter(|other| other.bytes_in(&candidate.days) > 0);
        if chosen.contains(candidate) || beside().count() < MOST_SMALL {
            continue;
        }
        // The file itself is first, for all the others share a date with it: so any two of these become fewer, or share fewer dates.
        let others = beside().filter(|other| other != &candidate);
        let joins = others.clone().any(|other| chosen.contains(other));
        let mut left = room;
        let more = std::iter::once(candidate).chain(others.filter(|other| !chosen.contains(other)));
        let more = more.enumerate().filter(|(number, other)| {
            let size = other.file.size_bytes;
            // Two in any case, or nothing would ever be gained.
            let fits = size <= left || chosen.is_empty() && *number < 2;
            left = left.saturating_sub(if fits { size } else { 0 });
            fits
        });
        let more: Vec<_> = more.map(|(_, other)| (*other).clone()).collect();
        if more.len() >= 2 || joins && !more.is_empty() {
            too_many_small = true;
            room = left;
            chosen.extend(more);
        }
    }
    let enough_new = waiting > 0 && waiting >= least_files;
    if enough_new || too_many_small { chosen.into_iter().map(|candidate| candidate.file).collect() } else { Vec::new() }
}

#[cfg(test)]
mod tests;
