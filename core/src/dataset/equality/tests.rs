use serde_json::json;

use super::*;

#[test]
fn numbers_are_equal_by_worth_and_members_have_no_order() {
    let pairs = [
        (json!(1), json!(1.0), true),
        (json!(0), json!(-0.0), true),
        (json!(u64::MAX), json!(18_446_744_073_709_551_615_u64), true),
        (json!(u64::MAX), json!(18_446_744_073_709_551_616.0), false),
        (json!(9_007_199_254_740_993_i64), json!(9_007_199_254_740_992.0), false),
        (json!(1e300), json!(1e300), true),
        (json!(1), json!(true), false),
        (json!(0), json!(null), false),
        (json!("1"), json!(1), false),
        (json!([1, 2]), json!([1.0, 2]), true),
        (json!([1, 2]), json!([2, 1]), false),
        (json!([1]), json!([1, 1]), false),
        (json!({"a": 1, "b": [{}]}), json!({"b": [{}], "a": 1.0}), true),
        (json!({"a": 1}), json!({"a": 1, "b": 1}), false),
        (json!({"a": 1}), json!({"b": 1}), false),
        (json!({"a": null}), json!({}), false),
        (json!({}), json!([]), false),
    ];
    for (one, other, expected) in pairs {
        assert_eq!(equal(&one, &other), expected, "{one} {other}");
        assert_eq!(equal(&other, &one), expected, "{other} {one}");
        assert_eq!(all_differ(&[one.clone(), json!("between"), other.clone()]), !expected, "{one} {other}");
    }
}

#[test]
fn few_and_none_differ() {
    assert!(all_differ(&[]));
    assert!(all_differ(&[json!(null)]));
    assert!(!all_differ(&[json!(null), json!(null)]));
}

#[test]
fn numbers_are_in_order_across_their_kinds() {
    let sorted = [
        json!(-1e308),
        json!(i64::MIN),
        json!(-1.5),
        json!(-1),
        json!(-0.5),
        json!(0),
        json!(0.5),
        json!(1),
        json!(u64::MAX),
        json!(1e38),
        json!(1e39),
    ];
    for (at, one) in sorted.iter().enumerate() {
        for (other_at, other) in sorted.iter().enumerate() {
            assert_eq!(Ordered::new(one).cmp(&Ordered::new(other)), at.cmp(&other_at), "{one} {other}");
        }
    }
}

#[test]
fn many_are_told_apart_in_reasonable_time() {
    let mut values: Vec<Value> = (0..200_000).map(|n| json!({"n": n, "f": f64::from(n) + 0.5})).collect();
    assert!(all_differ(&values));
    values.push(json!({"f": 77.5, "n": 77.0}));
    assert!(!all_differ(&values));
}
