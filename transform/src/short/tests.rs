use proptest::prelude::*;

use super::*;

#[test]
fn only_texts_of_up_to_sixteen_bytes_are_short() {
    assert_eq!(ShortText::of(""), Some(ShortText::EMPTY));
    assert!(ShortText::of("0123456789abcdef").is_some());
    assert!(ShortText::of("0123456789abcdef0").is_none());
}

proptest! {
    #[test]
    fn equal_texts_are_equal_and_no_others(one in "[ab\0]{0,17}", other in "[ab\0]{0,17}", cut in 0_usize..17) {
        for (one, other) in [(&one[..], &other[..]), (&one, &one), (&one, &one[..cut.min(one.len())])] {
            if let (Some(short), Some(another)) = (ShortText::of(one), ShortText::of(other)) {
                prop_assert_eq!(short == another, one == other);
            }
        }
    }
}
