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

/// Reads a number at the beginning of a text, if it is one by JSON's grammar and of the kind that needs one division; returns it
/// and its length. `None` says nothing about the text: it may hold another kind of number.
#[inline]
pub(crate) fn at_start(text: &[u8]) -> Option<(f64, usize)> {
    let (digits, sign) = match text {
        [b'-', digits @ ..] => (digits, 1),
        digits => (digits, 0),
    };
    let (mut integer, mut length, mut point) = (0_u64, 0, 0);
    let end = loop {
        match digits.get(length)? {
            byte @ b'0'..=b'9' => integer = integer.wrapping_mul(10).wrapping_add(u64::from(byte - b'0')),
            b'.' if point == 0 && length > 0 => point = length,
            end => break *end,
        }
        length += 1;
        if length > 19 {
            return None;
        }
    };
    let decimals = if point == 0 { 0 } else { length - point - 1 };
    let whole = length - decimals - usize::from(point > 0);
    let ends_well = !matches!(end, b'.' | b'e' | b'E') && (point == 0 || decimals > 0);
    let begins_well = whole == 1 || whole > 1 && digits[0] != b'0';
    if !ends_well || !begins_well || integer > EXACT {
        return None;
    }
    let number = integer as f64 / POWERS[decimals];
    Some((if sign == 1 { -number } else { number }, length + sign))
}

#[cold]
fn standard(text: &str) -> f64 {
    text.parse().expect("a number by JSON's grammar is one by the standard library's")
}

#[cfg(test)]
mod tests;
