//! `numeric` in its binary form: base 10,000, and how many digits stand behind the point.
//!
//! `src/backend/utils/adt/numeric.c` of PostgreSQL, `numeric_send`.

const NEGATIVE: u16 = 0x4000;
const NOT_A_NUMBER: u16 = 0xC000;
const BASE_DIGITS: usize = 4;

/// The binary form of a number in plain decimal digits, such as `-12.50`; `None`: it is none.
pub(super) fn to_binary(number: &str) -> Option<Vec<u8>> {
    let (sign, digits) = number.strip_prefix('-').map_or((0, number), |digits| (NEGATIVE, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if digits.is_empty() || !whole.chars().chain(fraction.chars()).all(|c| c.is_ascii_digit()) {
        return None;
    }
    let scale = i16::try_from(fraction.len()).ok()?;
    let padded = format!(
        "{}{whole}{fraction}{}",
        "0".repeat(whole.len().next_multiple_of(BASE_DIGITS) - whole.len()),
        "0".repeat(fraction.len().next_multiple_of(BASE_DIGITS) - fraction.len())
    );
    let digits = padded
        .as_bytes()
        .chunks(BASE_DIGITS)
        .map(|digits| digits.iter().fold(0_i16, |value, digit| value * 10 + i16::from(digit - b'0')));
    let mut digits: Vec<i16> = digits.collect();
    let zeros = digits.iter().take_while(|digit| **digit == 0).count();
    let weight = i16::try_from(whole.len().div_ceil(BASE_DIGITS)).ok()? - 1 - i16::try_from(zeros).ok()?;
    digits.drain(..zeros);
    digits.truncate(digits.iter().rposition(|digit| *digit != 0).map_or(0, |last| last + 1));
    let sign = if digits.is_empty() { 0 } else { sign };
    let weight = if digits.is_empty() { 0 } else { weight };
    let mut binary = Vec::with_capacity(8 + 2 * digits.len());
    binary.extend(i16::try_from(digits.len()).ok()?.to_be_bytes());
    binary.extend(weight.to_be_bytes());
    binary.extend(sign.to_be_bytes());
    binary.extend(scale.to_be_bytes());
    digits.iter().for_each(|digit| binary.extend(digit.to_be_bytes()));
    Some(binary)
}

/// The digits of a number in its binary form; `None`: it is not whole, or no number.
pub(super) fn from_binary(binary: &[u8]) -> Option<String> {
    let mut shorts = binary.chunks(2).map(|two| two.try_into().ok().map(i16::from_be_bytes));
    let mut short = || shorts.next().flatten();
    let (count, weight, sign, scale) = (short()?, short()?, short()? as u16, short()?);
    if sign == NOT_A_NUMBER || sign & !NEGATIVE != 0 || !(0..=1_000).contains(&scale) || weight > 1_000 {
        return None;
    }
    let digits: Vec<i16> = (0..count).map(|_| short()).collect::<Option<_>>()?;
    if digits.iter().any(|digit| !(0..10_000).contains(digit)) {
        return None;
    }
    let digit = |place: i32| {
        let index = i32::from(weight) - place;
        usize::try_from(index).ok().and_then(|index| digits.get(index)).copied().unwrap_or_default()
    };
    let mut text = String::from(if sign == NEGATIVE { "-" } else { "" });
    let whole: String = (0..=i32::from(weight).max(0)).rev().map(|place| format!("{:04}", digit(place))).collect();
    let whole = whole.trim_start_matches('0');
    text.push_str(if whole.is_empty() { "0" } else { whole });
    if scale > 0 {
        let places = 1..=i32::from(scale + 3) / 4;
        let fraction: String = places.map(|place| format!("{:04}", digit(-place))).collect();
        text.push('.');
        text.push_str(&fraction[..scale as usize]);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_numbers_have_their_binary_form() {
        for (number, words) in [
            ("0", &[0_i16, 0, 0, 0][..]),
            ("-0.00", &[0, 0, 0, 2]),
            ("1", &[1, 0, 0, 0, 1]),
            ("-12.50", &[2, 0, 0x4000, 2, 12, 5000]),
            ("10000", &[1, 1, 0, 0, 1]),
            ("0.00001", &[1, -2, 0, 5, 1000]),
            ("18446744073709551615", &[5, 4, 0, 0, 1844, 6744, 737, 955, 1615]),
        ] {
            let binary: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            assert_eq!(to_binary(number).unwrap(), binary, "{number}");
        }
        for none in ["", "-", "1e5", "NaN", "1.2.3", "+1"] {
            assert_eq!(to_binary(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn a_number_comes_back(sign in "-?", whole in "0|[1-9][0-9]{0,40}", fraction in "(\\.[0-9]{1,40})?") {
            let number = format!("{sign}{whole}{fraction}");
            let back = from_binary(&to_binary(&number).unwrap()).unwrap();
            let is_zero = number.chars().all(|c| "-0.".contains(c));
            prop_assert_eq!(back, if is_zero { number.trim_start_matches('-').to_owned() } else { number });
        }

        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _number = from_binary(&bytes);
        }
    }
}
