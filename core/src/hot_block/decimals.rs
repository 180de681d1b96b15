//! Doubles that are decimals of few digits, as whole numbers: a double is what its decimal divided by a power of ten is rounded to, and so comes
//! back with every bit.

/// What a number is multiplied with, by its digits after the point.
pub(super) const POWERS: [f64; 10] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
/// The greatest decimal, without its point.
const GREATEST: i32 = 999_999_999;

/// Doubles as decimals with as few digits after the point as do for all, and how many those are; `None` where one is no such decimal.
pub(super) fn decimals(numbers: &[f64], held: &mut Vec<i64>) -> Option<usize> {
    let mut scale = scale_of(*numbers.first()?, 0)?;
    loop {
        match all_decimals(numbers, POWERS[scale], held) {
            Ok(()) => return Some(scale),
            Err(at) => scale = scale_of(numbers[at], scale + 1)?,
        }
    }
}

/// The digits after the point that a double has as a decimal, of those from `least` on; `None`: it is none.
fn scale_of(number: f64, least: usize) -> Option<usize> {
    (least..POWERS.len()).find(|scale| decimal(number, POWERS[*scale]).1)
}

/// A double as a decimal, and whether it is one.
#[inline]
fn decimal(number: f64, power: f64) -> (i32, bool) {
    let scaled = number * power;
    // A cast of what is out of range, or no number, gives another number than was.
    let whole = (scaled + 0.5_f64.copysign(scaled)) as i32;
    let is_same = (f64::from(whole) / power).to_bits() == number.to_bits();
    (whole, is_same & (-GREATEST..=GREATEST).contains(&whole))
}

/// All as decimals, or where the first stands that is none.
fn all_decimals(numbers: &[f64], power: f64, held: &mut Vec<i64>) -> Result<(), usize> {
    /// Looked at without a branch between them.
    const TOGETHER: usize = 64;
    held.clear();
    held.resize(numbers.len(), 0);
    for (at, (numbers, held)) in numbers.chunks(TOGETHER).zip(held.chunks_mut(TOGETHER)).enumerate() {
        let mut are_decimals = true;
        for (number, held) in numbers.iter().zip(held) {
            let (whole, is_one) = decimal(*number, power);
            *held = i64::from(whole);
            are_decimals &= is_one;
        }
        if !are_decimals {
            let first = numbers.iter().position(|number| !decimal(*number, power).1);
            return Err(at * TOGETHER + first.expect("one of them is no decimal"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
