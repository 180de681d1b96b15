//! Decimal numbers as they are written, so that 0.3 is a multiple of 0.1.

use std::fmt::Write;

use serde_json::Number;

/// The size of a number as its shortest decimal text has it: `digits × 10^exponent`. Its sign does not matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decimal {
    digits: u64,
    exponent: i32,
}

impl Decimal {
    /// The size of a finite number.
    pub(super) fn of_number(number: f64) -> Self {
        let mut text = Digits::default();
        write!(text, "{number:e}")
            .expect("the shortest text of an f64 has at most 17 digits and an exponent of 16 bits");
        Self { digits: text.digits, exponent: text.exponent() }
    }

    /// The size of an integer.
    pub(super) fn of_integer(integer: i64) -> Self {
        Self { digits: integer.unsigned_abs(), exponent: 0 }
    }

    /// The size of a number of a schema.
    pub(super) fn of(number: &Number) -> Self {
        match (number.as_u64(), number.as_i64()) {
            (Some(digits), _) => Self { digits, exponent: 0 },
            (_, Some(integer)) => Self::of_integer(integer),
            _ => Self::of_number(number.as_f64().expect("a JSON number without a fraction of its own is an f64")),
        }
    }

    /// Whether this is a whole multiple of another that is not 0. Exact, whatever the sizes.
    pub(super) fn is_multiple_of(self, other: Self) -> bool {
        if self.digits == 0 || other.digits == 0 {
            return self.digits == 0;
        }
        let (digits, divisor) = (u128::from(self.digits), u128::from(other.digits));
        match u32::try_from(self.exponent - other.exponent) {
            // Digits of 64 bits, so that no product leaves the 128 bits.
            Ok(shift) => (digits % divisor * power_of_ten(shift, divisor)).is_multiple_of(divisor),
            Err(_) => {
                let scale = 10_u128.checked_pow(self.exponent.abs_diff(other.exponent));
                // A divisor that leaves the 128 bits is larger than the digits.
                scale.and_then(|scale| divisor.checked_mul(scale)).is_some_and(|divisor| digits % divisor == 0)
            }
        }
    }
}

/// The remainder of a power of ten.
fn power_of_ten(exponent: u32, divisor: u128) -> u128 {
    let (mut power, mut square, mut left) = (1 % divisor, 10 % divisor, exponent);
    while left > 0 {
        if left & 1 == 1 {
            power = power * square % divisor;
        }
        square = square * square % divisor;
        left >>= 1;
    }
    power
}

/// Reads the text `d.ddde±x` as it is written, without a copy of it.
#[derive(Debug, Default)]
struct Digits {
    digits: u64,
    fraction: i32,
    part: Part,
    power: i32,
    power_is_negative: bool,
}

/// What the next digit belongs to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Part {
    #[default]
    Whole,
    Fraction,
    Power,
}

impl Digits {
    fn exponent(&self) -> i32 {
        (if self.power_is_negative { -self.power } else { self.power }) - self.fraction
    }
}

impl Write for Digits {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for byte in text.bytes() {
            match (byte, self.part) {
                (b'0'..=b'9', Part::Power) => self.power = self.power * 10 + i32::from(byte - b'0'),
                (b'0'..=b'9', part) => {
                    self.digits = self.digits * 10 + u64::from(byte - b'0');
                    self.fraction += i32::from(part == Part::Fraction);
                }
                (b'.', _) => self.part = Part::Fraction,
                (b'e', _) => self.part = Part::Power,
                (b'-', Part::Power) => self.power_is_negative = true,
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
