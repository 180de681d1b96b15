//! Bloom filters: whether a row group can have a value at all.

use parquet::bloom_filter::Sbbf;

/// How often a filter may be wrong.
const FALSE_POSITIVES: f64 = 0.01;

/// Whether a column has a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bloom {
    Filter,
    None,
}

impl Bloom {
    /// The filter of these values, each given once or few times, sized by their number. None for fewer than two: the
    /// bounds of the row group say as much.
    pub(super) fn filter<'a>(self, values: impl ExactSizeIterator<Item = &'a [u8]>) -> Option<Sbbf> {
        if self == Self::None || values.len() < 2 {
            return None;
        }
        let mut filter = Sbbf::new_with_ndv_fpp(values.len() as u64, FALSE_POSITIVES).ok()?;
        values.for_each(|value| filter.insert(value));
        Some(filter)
    }
}
