//! From a JSON string as it was sent to the text that it stands for.

/// Appends the text that `sent` stands for. `sent` is the inside of a string that the scanner has passed.
pub(crate) fn unescape(sent: &str, text: &mut String) {
    let mut rest = sent;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let escaped = rest.as_bytes()[at + 1];
        rest = &rest[at + 2..];
        text.push(match escaped {
            b'b' => '\u{8}',
            b'f' => '\u{C}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => code_point(&mut rest),
            other => char::from(other),
        });
    }
    text.push_str(rest);
}

fn code_point(rest: &mut &str) -> char {
    let first = code_unit(rest);
    if let Some(character) = char::from_u32(first) {
        return character;
    }
    *rest = &rest[2..];
    let second = code_unit(rest);
    char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00))
        .expect("the scanner passes whole surrogate pairs only")
}

fn code_unit(rest: &mut &str) -> u32 {
    let (digits, after) = rest.split_at(4);
    *rest = after;
    u32::from_str_radix(digits, 16).expect("the scanner passes four hexadecimal digits only")
}
