//! The owners and sources of one batch: each pair is stored once and known by a number.

use ahash::AHashMap;

use alluvium_core::hot::bucket_of;
use arrow::array::StringArray;

use crate::short::ShortText;

/// The number of an owner within its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OwnerIndex(usize);

/// The number of a pair of owner and source within its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SourceIndex(u32);

#[derive(Debug)]
struct Owner {
    name: Box<str>,
    short: AHashMap<ShortText, SourceIndex>,
    long: AHashMap<Box<str>, SourceIndex>,
}

#[derive(Debug)]
struct Source {
    owner: OwnerIndex,
    name: Box<str>,
}

/// How many names wait before they are looked up.
const WAITING: usize = 64;

/// The names of the sources of one owner's events, looked up some at a time: so the processor waits for their places in memory
/// together and not for one after the other.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    names: String,
    /// Where each name ends.
    ends: Vec<usize>,
}

impl Waiting {
    /// Adds a name; returns whether they are so many that they should be looked up.
    #[inline]
    pub(crate) fn push(&mut self, name: &str) -> bool {
        self.names.push_str(name);
        self.ends.push(self.names.len());
        self.ends.len() >= WAITING
    }

    /// Tells the number of each name, in the order in which they were added; leaves none.
    pub(crate) fn look_up(&mut self, known: &mut Sources, owner: OwnerIndex, mut found: impl FnMut(SourceIndex)) {
        let mut start = 0;
        for end in self.ends.drain(..) {
            found(known.source(owner, &self.names[start..end]));
            start = end;
        }
        self.names.clear();
    }
}

/// How often the name of a source is held at most: twice here, and in what a file is encoded from.
const COPIES: usize = 4;

/// Every pair of owner and source met in a batch.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    size_bytes: usize,
    owners: Vec<Owner>,
    by_name: AHashMap<Box<str>, OwnerIndex>,
    sources: Vec<Source>,
}

impl Sources {
    /// The number of an owner.
    pub(crate) fn owner(&mut self, name: &str) -> OwnerIndex {
        if let Some(known) = self.by_name.get(name) {
            return *known;
        }
        let index = OwnerIndex(self.owners.len());
        self.owners.push(Owner { name: name.into(), short: AHashMap::new(), long: AHashMap::new() });
        self.by_name.insert(name.into(), index);
        index
    }

    /// The number of a source of this owner.
    #[inline]
    pub(crate) fn source(&mut self, owner: OwnerIndex, name: &str) -> SourceIndex {
        let known = &mut self.owners[owner.0];
        let new = SourceIndex(self.sources.len() as u32);
        let found = match ShortText::of(name) {
            Some(short) => *known.short.entry(short).or_insert(new),
            None => match known.long.get(name) {
                Some(index) => *index,
                None => *known.long.entry(name.into()).or_insert(new),
            },
        };
        if found == new {
            self.size_bytes += COPIES * name.len();
            self.sources.push(Source { owner, name: name.into() });
        }
        found
    }

    /// The bytes that the names take, and may take when rows are written, roughly.
    pub(crate) fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    pub(crate) fn owner_name(&self, owner: OwnerIndex) -> &str {
        &self.owners[owner.0].name
    }

    /// The owner and the source of a pair.
    pub(crate) fn pair(&self, index: SourceIndex) -> (&str, &str) {
        let source = &self.sources[index.0 as usize];
        (self.owner_name(source.owner), &source.name)
    }

    /// The number of a pair's owner.
    pub(crate) fn owner_of(&self, index: SourceIndex) -> u32 {
        self.sources[index.at()].owner.0 as u32
    }

    /// The owners by their numbers.
    pub(crate) fn owner_names(&self) -> StringArray {
        StringArray::from_iter_values(self.owners.iter().map(|owner| &owner.name))
    }

    /// The names of the sources by their ranks, as [`Sources::source_ranks`] tells them.
    pub(crate) fn names(&self, ranks: &Ranks) -> StringArray {
        let mut names = vec![""; ranks.count()];
        for (source, rank) in self.sources.iter().zip(&ranks.0) {
            names[*rank as usize] = &source.name;
        }
        StringArray::from(names)
    }

    /// For each pair its place among the sources in their order; pairs of equal sources share one.
    pub(crate) fn source_ranks(&self) -> Ranks {
        self.ranks(|pair| (pair.1, ""))
    }

    /// For each pair its place in the order of owners, then sources.
    pub(crate) fn pair_ranks(&self) -> Ranks {
        self.ranks(|pair| pair)
    }

    fn ranks<'a>(&'a self, key: impl Fn((&'a str, &'a str)) -> (&'a str, &'a str)) -> Ranks {
        let key = |index: &u32| key(self.pair(SourceIndex(*index)));
        // Most keys differ in their first bytes, which are compared as numbers without a look at the texts.
        let begins = |index: u32| (beginning(key(&index).0), index);
        let mut order: Vec<(u128, u32)> = (0..self.sources.len() as u32).map(begins).collect();
        order.sort_unstable_by(|one, other| one.0.cmp(&other.0).then_with(|| key(&one.1).cmp(&key(&other.1))));
        let order: Vec<u32> = order.into_iter().map(|(_, index)| index).collect();
        let mut ranks = vec![0; order.len()];
        let mut rank = 0;
        for (place, index) in order.iter().enumerate() {
            if place > 0 && key(index) != key(&order[place - 1]) {
                rank += 1;
            }
            ranks[*index as usize] = rank;
        }
        Ranks(ranks)
    }

    /// For each pair its bucket of the hot index, of so many.
    pub(crate) fn buckets(&self, buckets: u16) -> Vec<u16> {
        (0..self.sources.len() as u32)
            .map(|index| {
                let (owner, source) = self.pair(SourceIndex(index));
                bucket_of(owner, source, buckets)
            })
            .collect()
    }
}

/// The first sixteen bytes of a text as a number that orders as they do; of a shorter text, with zeros for those missing.
fn beginning(text: &str) -> u128 {
    let mut bytes = [0; 16];
    let length = text.len().min(16);
    bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
    u128::from_be_bytes(bytes)
}

impl SourceIndex {
    /// The number as an index into what is kept per pair.
    pub(crate) fn at(self) -> usize {
        self.0 as usize
    }
}

/// A place in an order for each pair.
#[derive(Debug)]
pub(crate) struct Ranks(Vec<u32>);

impl Ranks {
    /// How many places there are.
    pub(crate) fn count(&self) -> usize {
        self.0.iter().max().map_or(0, |last| *last as usize + 1)
    }

    pub(crate) fn of(&self, index: SourceIndex) -> u32 {
        self.0[index.at()]
    }
}

#[cfg(test)]
mod tests;
