#![allow(clippy::unwrap_used)]

use arrow::array::AsArray;
use arrow::datatypes::DataType;
use proptest::prelude::*;

use super::*;

/// What the column holds of these rows.
fn taken(texts: &[Option<String>], order: &[u32]) -> (bool, Vec<Option<String>>) {
    let mut column = Texts::new();
    for text in texts {
        match text {
            Some(text) => column.push(text),
            None => column.push_null(),
        }
    }
    let finished = column.finish().unwrap();
    let coded = matches!(finished, FinishedTexts::Coded { .. });
    let array = finished.take(&UInt32Array::from(order.to_vec())).unwrap();
    assert_eq!(array.as_dictionary_opt::<UInt32Type>().is_some(), coded);
    let array = arrow::compute::cast(&array, &DataType::Utf8).unwrap();
    let all = finished.all().unwrap();
    let all: Vec<_> = all.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect();
    assert_eq!(all, texts);
    (coded, array.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect())
}

#[test]
fn a_column_of_many_values_goes_over_to_plain_texts() {
    let texts =
        |values: usize| -> Vec<Option<String>> { (0..3000).map(|n| Some(format!("v{}", n % values))).collect() };
    let order: Vec<u32> = (0..3000).rev().collect();
    for (values, coded) in [(CODED_VALUES, true), (CODED_VALUES + 1, false), (3000, false)] {
        let texts = texts(values);
        let reversed: Vec<_> = texts.iter().rev().cloned().collect();
        assert_eq!(taken(&texts, &order), (coded, reversed));
    }
}

#[test]
fn short_values_that_differ_in_length_alone_are_told_apart() {
    let texts = [
        "",
        "\0",
        "\0\0",
        "a",
        "a\0",
        "aab",
        "aba",
        "1234",
        "1235",
        "123 456",
        "12345678",
        "123456789",
        "0123456789abcdef",
        "0123456789abcdeX",
        "0123456789abcdef0",
    ]
    .map(|text| Some(text.to_owned()));
    let order: Vec<u32> = (0..texts.len() as u32).collect();
    assert_eq!(taken(&texts, &order).1, texts);
}

proptest! {
    #[test]
    fn what_was_pushed_is_taken(
        texts in prop::collection::vec(prop::option::of("[a-cé]{0,10}|[ab]{0,3}|[a-b]{14,18}"), 1..60),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..80),
    ) {
        let order: Vec<u32> = order.iter().map(|at| at.index(texts.len()) as u32).collect();
        let expected: Vec<_> = order.iter().map(|row| texts[*row as usize].clone()).collect();
        prop_assert_eq!(taken(&texts, &order).1, expected);
    }
}
