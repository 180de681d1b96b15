use super::*;

#[test]
fn bits_come_back_as_their_text_and_whatever_else_has_none() {
    let uuid = "0123abcd-89ef-4567-ba98-76543210fedc";
    let hex = "0123456789abcdeffedcba9876543210";
    let mut buffer = [0; Form::LONGEST];
    for (text, form) in [(uuid, Form::Uuid), (hex, Form::Hex)] {
        assert_eq!(Form::of_length(text.len()), Some(form));
        // Every other byte at every place, a letter in upper case among them.
        for (at, other) in (0..text.len()).flat_map(|at| (0..128_u8).map(move |other| (at, other))) {
            let mut changed = text.as_bytes().to_vec();
            let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            let is_sound = if changed[at] == b'-' { other == b'-' } else { is_digit(other) };
            changed[at] = other;
            let restored = form.bits(&changed).map(|bits| form.text(&bits, &mut buffer).to_vec());
            assert_eq!(restored, is_sound.then_some(changed), "{text} with {other} at {at}");
        }
    }
    assert_eq!(Form::Uuid.bits(uuid.as_bytes()).map(|bits| [bits[0], bits[1], bits[15]]), Some([0x01, 0x23, 0xDC]));
    assert_eq!(Form::Hex.bits("é".repeat(16).as_bytes()), None);
    assert_eq!(Form::Hex.bits(uuid.as_bytes()), None);
}
