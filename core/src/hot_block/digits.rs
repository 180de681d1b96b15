//! Texts that are nothing but 128 bits, written in hexadecimal digits: as 16 bytes, and as texts again.

/// How 128 bits are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As RFC 9562 writes a UUID: 32 lower-case digits in five groups.
    Uuid,
    /// As event ids are derived: 32 lower-case digits.
    Hex,
}

/// Where the groups of a UUID are parted.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

impl Form {
    /// What the bits take.
    pub(super) const BYTES: usize = 16;
    /// The length of the longest form.
    pub(super) const LONGEST: usize = 36;

    /// The form of texts of this length, if they are of any.
    pub(super) fn of_length(length: usize) -> Option<Self> {
        [Self::Uuid, Self::Hex].into_iter().find(|form| form.length() == length)
    }

    pub(super) fn length(self) -> usize {
        match self {
            Self::Uuid => Self::LONGEST,
            Self::Hex => 32,
        }
    }

    /// The 128 bits of a text of this form.
    #[inline]
    pub(super) fn bits(self, text: &[u8]) -> Option<[u8; Self::BYTES]> {
        match self {
            Self::Hex => {
                let text: &[u8; 32] = text.try_into().ok()?;
                of_digits([0, 8, 16, 24].map(|at| eight(text, at)))
            }
            Self::Uuid => {
                let text: &[u8; Self::LONGEST] = text.try_into().ok()?;
                let four = |at| u64::from(u32::from_le_bytes([text[at], text[at + 1], text[at + 2], text[at + 3]]));
                let (one, other) = (four(9) | four(14) << 32, four(19) | four(24) << 32);
                let is_parted = HYPHENS.iter().fold(true, |is, at| is & (text[*at] == b'-'));
                of_digits([eight(text, 0), one, other, eight(text, 28)]).filter(|_| is_parted)
            }
        }
    }

    /// The text of 128 bits, written into `text`.
    #[inline]
    pub(super) fn text<'t>(self, bits: &[u8], text: &'t mut [u8; Self::LONGEST]) -> &'t [u8] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut at = 0;
        for byte in bits {
            if self == Self::Uuid && HYPHENS.contains(&at) {
                text[at] = b'-';
                at += 1;
            }
            text[at] = DIGITS[usize::from(byte >> 4)];
            text[at + 1] = DIGITS[usize::from(byte & 15)];
            at += 2;
        }
        &text[..at]
    }
}

/// Eight characters of a text from `at` on.
#[inline]
fn eight<const N: usize>(text: &[u8; N], at: usize) -> u64 {
    u64::from_le_bytes(text[at..at + 8].try_into().expect("eight of them"))
}

/// The bytes that four times eight lower-case hexadecimal digits stand for; `None` where they are anything else.
#[inline]
fn of_digits(digits: [u64; 4]) -> Option<[u8; Form::BYTES]> {
    let [(a, is_a), (b, is_b), (c, is_c), (d, is_d)] = digits.map(of_eight);
    let low = u64::from(a) | u64::from(b) << 32;
    let high = u64::from(c) | u64::from(d) << 32;
    (is_a & is_b & is_c & is_d).then(|| (u128::from(low) | u128::from(high) << 64).to_le_bytes())
}

/// Eight digits, each in a byte of its own, all at once: what they stand for, and whether they are digits.
#[inline]
fn of_eight(digits: u64) -> (u32, bool) {
    const ONE: u64 = 0x0101_0101_0101_0101;
    // Of a letter the sixth bit is set, and its low half is from 1 to 6.
    let values = (digits & (ONE * 0x0F)) + ((digits >> 6) & ONE) * 9;
    let above_nine = ((values + ONE * 6) >> 4) & ONE;
    // A value above 15 is written as a letter above `f`, which is what it may have come from.
    let written_again = values + ONE * u64::from(b'0') + above_nine * u64::from(b'a' - b'0' - 10);
    let are_digits = written_again == digits && values & (ONE * 0xF0) == 0;
    // Two halves to a byte, then the bytes together.
    let mut bytes = ((values << 4) | (values >> 8)) & 0x00FF_00FF_00FF_00FF;
    bytes = (bytes | bytes >> 8) & 0x0000_FFFF_0000_FFFF;
    ((bytes | bytes >> 16) as u32, are_digits)
}

#[cfg(test)]
mod tests;
