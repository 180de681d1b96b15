#![allow(clippy::unwrap_used)]

use super::super::{Pattern, Repeats, TextFormat, ValueKind, Values};
use super::*;
use crate::dataset::Nulls;

fn numbers(texts: &[&str]) -> Vec<Number> {
    texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect()
}

#[test]
fn characters_are_counted_and_not_bytes() {
    let rule = TextRule { min_chars: Some(2), max_chars: Some(3), ..TextRule::default() };
    for (text, fits) in [("a", false), ("ab", true), ("äöü", true), ("😀", false), ("😀😀", true), ("abcd", false)]
    {
        assert_eq!(rule.check(text).is_ok(), fits, "{text}");
    }
    assert_eq!(TextRule { min_chars: Some(u64::MAX), ..TextRule::default() }.check("a"), Err(TextFault::Length));
    assert_eq!(TextRule { min_chars: Some(0), ..TextRule::default() }.check(""), Ok(()));
}

#[test]
fn the_first_fault_of_a_text_is_told() {
    let mut rule = TextRule {
        max_chars: Some(40),
        one_of: ["1", "192.0.2.1", "::1"].map(str::to_owned).to_vec(),
        pattern: Some(Pattern::new("^[0-9.]+$").unwrap()),
        format: Some(TextFormat::Ipv4),
        ..TextRule::default()
    };
    assert_eq!(rule.check(&"1".repeat(41)), Err(TextFault::Length));
    assert_eq!(rule.check("2"), Err(TextFault::NotListed));
    assert_eq!(rule.check("::1"), Err(TextFault::Pattern));
    assert_eq!(rule.check("1"), Err(TextFault::Format));
    assert_eq!(rule.check("192.0.2.1"), Ok(()));
    rule.one_of.clear();
    assert_eq!(rule.check("192.0.2.2"), Ok(()));
}

#[test]
fn integers_are_compared_with_bounds_without_rounding() {
    const LARGE: i64 = 1 << 53;
    let bound = LARGE as f64;
    let rule = |bounds| NumberRule { bounds, ..NumberRule::default() };
    let most = rule(Bounds { maximum: Some(bound), ..Bounds::default() });
    assert_eq!(most.check_integer(LARGE), Ok(()));
    assert_eq!(most.check_integer(LARGE + 1), Err(NumberFault::Bounds));
    let below = rule(Bounds { exclusive_maximum: Some(-bound), ..Bounds::default() });
    assert_eq!(below.check_integer(-LARGE - 1), Ok(()));
    assert_eq!(below.check_integer(-LARGE), Err(NumberFault::Bounds));
    let above = rule(Bounds { exclusive_minimum: Some(bound), ..Bounds::default() });
    assert_eq!(above.check_integer(LARGE + 1), Ok(()));
    let far = rule(Bounds { minimum: Some(-1e300), maximum: Some(2_f64.powi(63)), ..Bounds::default() });
    assert_eq!(far.check_integer(i64::MAX), Ok(()));
    assert_eq!(far.check_integer(i64::MIN), Ok(()));
    let near = rule(Bounds { minimum: Some(0.5), maximum: Some(1.5), ..Bounds::default() });
    assert_eq!([0, 1, 2].map(|n| near.check_integer(n).is_ok()), [false, true, false]);
    let least = rule(Bounds { minimum: Some(-(2_f64.powi(63))), ..Bounds::default() });
    assert_eq!(least.check_integer(i64::MIN), Ok(()));
}

#[test]
fn listed_numbers_are_equal_by_worth() {
    let rule =
        NumberRule { one_of: numbers(&["1.0", "2.5", "-0.0", "1e19", "9007199254740993"]), ..NumberRule::default() };
    for integer in [1, 0, 9_007_199_254_740_993] {
        assert_eq!(rule.check_integer(integer), Ok(()), "{integer}");
    }
    for number in [1.0, 2.5, 0.0, 1e19] {
        assert_eq!(rule.check_number(number), Ok(()), "{number}");
    }
    assert_eq!(rule.check_integer(9_007_199_254_740_992), Err(NumberFault::NotListed));
    assert_eq!(rule.check_number(9_007_199_254_740_992.0), Err(NumberFault::NotListed));
    assert_eq!(rule.check_number(2.0), Err(NumberFault::NotListed));
}

#[test]
fn multiples_are_told_for_integers_and_numbers() {
    let rule = |divisor: &str| NumberRule { multiple_of: numbers(&[divisor]).pop(), ..NumberRule::default() };
    assert_eq!(rule("3").check_integer(-9), Ok(()));
    assert_eq!(rule("3").check_integer(i64::MIN), Err(NumberFault::NotMultiple));
    assert_eq!(rule("2").check_integer(i64::MIN), Ok(()));
    assert_eq!(rule("0.5").check_integer(7), Ok(()));
    assert_eq!(rule("1.5").check_integer(7), Err(NumberFault::NotMultiple));
    assert_eq!(rule("0.1").check_number(0.3), Ok(()));
    assert_eq!(rule("0.1").check_number(0.35), Err(NumberFault::NotMultiple));
    assert_eq!(rule("2").check_number(4.0), Ok(()));
    let mut bounded = rule("2");
    bounded.bounds.maximum = Some(3.0);
    assert_eq!(bounded.check_number(5.0), Err(NumberFault::Bounds));
}

#[test]
fn arrays_are_counted() {
    let rule = ListRule {
        items: Box::new(Values { kind: ValueKind::Timestamp, nulls: Nulls::NotListed }),
        min_items: Some(1),
        max_items: Some(2),
        repeats: Repeats::Allowed,
    };
    assert_eq!([0, 1, 2, 3].map(|items| rule.takes(items)), [false, true, true, false]);
}
