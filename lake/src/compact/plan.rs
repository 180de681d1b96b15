//! Which files a round of compaction takes.

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

/// The files of the next round; none: there is nothing to gain. New ones come first, in the order in which they were committed.
pub(super) fn choose<'a>(
    files: &'a [ActiveFile],
    settings: &CompactSettings,
    least_files: usize,
) -> Vec<&'a ActiveFile> {
    let mut all: Vec<Candidate<'a>> = files.iter().map(Candidate::of).collect();
    all.sort_by(|one, other| {
        (one.file.modification_time, &one.file.path).cmp(&(other.file.modification_time, &other.file.path))
    });
    let (mut new, old): (Vec<_>, Vec<_>) = all.into_iter().partition(|candidate| candidate.is_new);
    let waiting = new.len();
    let mut bytes = 0;
    new.retain(|candidate| {
        let fits = bytes == 0 || bytes + candidate.file.size_bytes <= settings.round_bytes;
        bytes += candidate.file.size_bytes;
        fits
    });
    let is_small = |candidate: &&Candidate<'_>| candidate.file.size_bytes < settings.target_bytes / 2;
    let mut small: Vec<&Candidate<'_>> = old.iter().filter(is_small).collect();
    small.sort_by_key(|candidate| candidate.file.size_bytes);
    let mut chosen = new;
    for candidate in &small {
        let gained: u64 = chosen.iter().map(|chosen| chosen.bytes_in(&candidate.days)).sum();
        if gained > 0 && candidate.file.size_bytes <= TIER * gained {
            chosen.push((*candidate).clone());
        }
    }
    let mut too_many_small = false;
    for candidate in &small {
        if chosen.contains(candidate) {
            continue;
        }
        let beside = small.iter().filter(|other| other.bytes_in(&candidate.days) > 0);
        if beside.clone().count() >= MOST_SMALL {
            too_many_small = true;
            let more: Vec<_> = beside.filter(|other| !chosen.contains(other)).map(|other| (*other).clone()).collect();
            chosen.extend(more);
        }
    }
    let enough_new = waiting > 0 && waiting >= least_files;
    if enough_new || too_many_small { chosen.into_iter().map(|candidate| candidate.file).collect() } else { Vec::new() }
}

#[cfg(test)]
mod tests;
