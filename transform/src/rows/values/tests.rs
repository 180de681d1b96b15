#![allow(clippy::unwrap_used)]

use arrow::array::Array;
use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn numbers_that_may_be_alike_are_those_pushed(values in prop::collection::vec(0..2_u8, 0..8)) {
        let mut alike = Alike::default();
        values.iter().for_each(|value| alike.push(*value));
        prop_assert_eq!(alike.all(), &values[..]);
        let backwards: Vec<u32> = (0..values.len() as u32).rev().collect();
        prop_assert_eq!(alike.take(&backwards), values.into_iter().rev().collect::<Vec<_>>());
    }

    #[test]
    fn texts_after_nulls_are_those_pushed(nulls in 0..4_usize, texts in prop::collection::vec(prop::option::of("[aé]{0,3}"), 0..8)) {
        let mut strings = Strings::of_nulls(nulls);
        for text in &texts {
            match text {
                Some(text) => strings.push(text),
                None => strings.push_null(),
            }
        }
        let expected: Vec<Option<&str>> = (0..nulls).map(|_| None).chain(texts.iter().map(Option::as_deref)).collect();
        let finished = strings.finish().unwrap();
        prop_assert_eq!(finished.iter().collect::<Vec<_>>(), expected);
        prop_assert!(strings.finish().unwrap().is_empty(), "none are left");
    }
}
