use alluvium_core::contract::hot_index::chunk;

use super::*;

/// What is kept of chunks with these newest rows.
fn kept(most: usize, times: &[Micros]) -> Kept {
    let mut kept = Kept::of(most);
    for (batch, time) in times.iter().enumerate() {
        kept.keep(chunk("kept", 1, batch as u64, (*time, *time)));
    }
    kept
}

#[test]
fn the_newest_are_kept_and_none_is_missing_above_what_was_dropped() {
    for most in [1, 3, 10, 1_000] {
        // In no order, each a few times.
        let times: Vec<Micros> = (0..500).map(|n| n * 7_919 % 101).collect();
        let Kept { mut chunks, dropped, .. } = kept(most, &times);
        assert!(chunks.len() >= most.min(times.len()) && chunks.len() <= 2 * most + 10, "{} of {most}", chunks.len());
        assert_eq!(dropped.is_some(), most < 500);
        chunks.retain(|chunk| dropped.is_none_or(|dropped| chunk.max_time > dropped));
        let above = times.iter().filter(|time| dropped.is_none_or(|dropped| **time > dropped)).count();
        assert_eq!(chunks.len(), above, "{most}");
        assert!(above >= most.min(times.len()), "{above} of {most}");
    }
}

#[test]
fn those_of_one_time_are_kept_however_many_they_are() {
    let Kept { chunks, dropped, .. } = kept(2, &[5; 100]);
    assert_eq!((chunks.len(), dropped), (100, None));
}
