#![allow(clippy::unwrap_used)]

use num_bigint::BigUint;

use super::*;

fn number(text: &str) -> Number {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_number_is_read_as_its_shortest_text() {
    let decimal = |digits, exponent| Decimal { digits, exponent };
    assert_eq!(Decimal::of_number(0.1), decimal(1, -1));
    assert_eq!(Decimal::of_number(-12.5), decimal(125, -1));
    assert_eq!(Decimal::of_number(1e300), decimal(1, 300));
    assert_eq!(Decimal::of_number(5e-324), decimal(5, -324));
    assert_eq!(Decimal::of_number(-0.0), decimal(0, 0));
    assert_eq!(Decimal::of_number(f64::MAX), decimal(17_976_931_348_623_157, 292));
    assert_eq!(Decimal::of(&number("18446744073709551615")), decimal(u64::MAX, 0));
    assert_eq!(Decimal::of(&number("-9223372036854775808")), decimal(1 << 63, 0));
}

#[test]
fn multiples_are_exact() {
    let cases = [
        ("0.3", "0.1", true),
        ("0.30000000000000004", "0.1", false),
        ("4.35", "0.01", true),
        ("1.005", "0.01", false),
        ("0", "0.1", true),
        ("-7.5", "2.5", true),
        ("1e300", "3", false),
        ("3e300", "3", true),
        ("1e300", "0.0007", false),
        ("7e300", "0.0007", true),
        ("1e-300", "1e-301", true),
        ("1e-301", "1e-300", false),
        ("5e-324", "1e308", false),
        ("1e308", "5e-324", true),
        ("18446744073709551615", "5", true),
        ("18446744073709551615", "18446744073709551615", true),
        ("1", "18446744073709551615", false),
        ("9007199254740993", "2", false),
        ("100000000000000000000", "18446744073709551615", false),
    ];
    for (value, of, expected) in cases {
        let found = Decimal::of(&number(value)).is_multiple_of(Decimal::of(&number(of)));
        assert_eq!(found, expected, "{value} of {of}");
    }
}

#[test]
fn remainders_agree_with_big_integers() {
    let seeds = [1_u64, 3, 7, 10, 999_999_937, 17_976_931_348_623_157, u64::MAX, u64::MAX - 58];
    for digits in seeds {
        for divisor in seeds {
            for shift in [-40, -19, -3, -1, 0, 1, 5, 20, 63, 300, 630] {
                let (value, of) = if shift < 0 { (0, -shift) } else { (shift, 0) };
                let whole =
                    |digits: u64, exponent: i32| BigUint::from(digits) * BigUint::from(10_u32).pow(exponent as u32);
                let expected = whole(digits, value) % whole(divisor, of) == BigUint::ZERO;
                let found =
                    Decimal { digits, exponent: value }.is_multiple_of(Decimal { digits: divisor, exponent: of });
                assert_eq!(found, expected, "{digits}e{value} of {divisor}e{of}");
            }
        }
    }
}
