use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn the_end_is_the_first_byte_that_is_not_plain(
        bytes in prop::collection::vec(prop_oneof![8 => any::<u8>(), 1 => Just(b'"'), 20 => 0x20_u8..0x7F], 0..80),
        from in any::<prop::sample::Index>(),
    ) {
        let from = from.index(bytes.len() + 1);
        let plain = |byte: &u8| *byte >= 0x20 && *byte != b'"' && *byte != b'\\';
        let expected = from + bytes[from..].iter().take_while(|byte| plain(byte)).count();
        prop_assert_eq!(end(&bytes, from), expected);
    }

    #[test]
    fn words_are_marked_where_chunks_are(bytes in any::<[u8; 16]>()) {
        let word = u128::from_le_bytes(bytes);
        let (low, high) = (marks_of(word as u64), marks_of((word >> 64) as u64));
        let lowest = if low != 0 { low.trailing_zeros() } else { high.trailing_zeros() + 8 };
        let expected = marks(&bytes).trailing_zeros();
        prop_assert_eq!(if low | high == 0 { 32 } else { lowest }, expected);
    }
}
