//! Reads the decimal numbers of JSON as 64-bit floating-point numbers, most of them in a few steps.

/// Powers of ten that are exact.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// Up to this integer all are exact.
const EXACT: u64 = 1 << 53;

/// Reads a text that is a number by JSON's grammar; the nearest number there is, infinite when it is out of range.
///
/// Digits and a point, as long as they make an integer that is exact, need one division, which is rounded once and so gives the
/// nearest number (W. D. Clinger, "How to Read Floating Point Numbers Accurately"). All others go to the standard library.
#[inline]
pub(crate) fn read(text: &str) -> f64 {
    let (digits, negative) = match text.as_bytes() {
        [b'-', digits @ ..] => (digits, true),
        digits => (digits, false),
    };
    let (mut integer, mut point) = (0_u64, None);
    // Nineteen digits always fit 64 bits.
    if digits.len() > 19 {
        return standard(text);
    }
    for (at, byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => integer = integer.wrapping_mul(10).wrapping_add(u64::from(byte - b'0')),
            b'.' => point = Some(at),
            _ => return standard(text),
        }
    }
    if integer > EXACT {
        return standard(text);
    }
    let decimals = point.map_or(0, |at| digits.len() - at - 1);
    let number = integer as f64 / POWERS[decimals];
    if negative { -number } else { number }
}

#[cold]
fn standard(text: &str) -> f64 {
    text.parse().expect("a number by JSON's grammar is one by the standard library's")
}

#[cfg(test)]
mod tests;
