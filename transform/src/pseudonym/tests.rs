#![allow(clippy::unwrap_used)]

use super::*;

fn pseudonym(key: &str, value: &str) -> String {
    let mut out = "x".to_owned();
    Pseudonyms::new(&PseudonymKey::from_text(key).unwrap()).write(value, &mut out);
    out.split_off(1)
}

#[test]
fn a_pseudonym_is_the_hmac_that_other_tools_compute() {
    // RFC 4231, section 4.7: a key of 131 bytes 0xAA.
    let key = "aa".repeat(131);
    let expected = "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54";
    assert_eq!(pseudonym(&key, "Test Using Larger Than Block-Size Key - Hash Key First"), expected);
}

#[test]
fn a_key_is_written_as_digits_or_in_base64() {
    let digits = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";
    let base64 = "ABEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJmqu8zd7v8";
    let expected = pseudonym(digits, "ann");
    for key in [base64, &format!(" {base64}=\n"), &format!("{digits}\n")] {
        assert_eq!(pseudonym(key, "ann"), expected, "{key}");
    }
    assert_ne!(pseudonym(&"11".repeat(32), "ann"), expected);
    assert_ne!(pseudonym(digits, "Ann"), expected);
}

#[test]
fn what_is_no_key_is_refused_without_being_repeated() {
    for text in
        ["", "secret", &"0".repeat(62), &"0".repeat(63), &"é".repeat(40), "correct horse battery staple correct horse"]
    {
        let error = PseudonymKey::from_text(text).unwrap_err().to_string();
        assert!(error.contains("openssl rand -hex 32"), "{error}");
        assert!(text.is_empty() || !error.contains(text));
    }
}

#[test]
fn a_key_is_never_printed() {
    let key = PseudonymKey::from_text(&"5a".repeat(32)).unwrap();
    let shown = format!("{key:?} {:?}", Pseudonyms::new(&key));
    assert!(!shown.contains("5a") && !shown.contains("90") && !shown.contains('Z'), "{shown}");
}
