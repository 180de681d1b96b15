use super::*;

/// What a text becomes; `None`: null.
fn cleaned(clean: &Clean, sent: &str) -> Option<String> {
    let mut scratch = "left from before".to_owned();
    match text(clean, sent, &mut scratch) {
        CleanText::Part(part) => Some(sent[part].to_owned()),
        CleanText::Written => Some(scratch),
        CleanText::Null => None,
    }
}

#[test]
fn a_text_is_trimmed_before_its_case_is_changed() {
    let trim = Clean { trim: true, ..Clean::default() };
    let lower = Clean { case: Some(Case::Lower), ..Clean::default() };
    let both = Clean { trim: true, case: Some(Case::Upper), ..Clean::default() };
    for (clean, sent, expected) in [
        (&trim, "\t a b\u{a0}\n", "a b"),
        (&trim, " \n ", ""),
        (&trim, "", ""),
        (&trim, "ab", "ab"),
        (&lower, " Ab ", " ab "),
        (&lower, "ab", "ab"),
        (&lower, "ÄΣ", "äς"),
        (&lower, "é", "é"),
        (&both, "  straße ", "STRASSE"),
        (&both, " AB ", "AB"),
        (&Clean::default(), " Ab ", " Ab "),
    ] {
        assert_eq!(cleaned(clean, sent).as_deref(), Some(expected), "{sent:?} {clean:?}");
    }
}

#[test]
fn a_text_that_needs_no_change_is_not_written() {
    let clean = Clean { trim: true, case: Some(Case::Lower), null_like: vec!["n/a".to_owned()], ..Clean::default() };
    let mut scratch = String::new();
    assert_eq!(text(&clean, "  kitchen 2 ", &mut scratch), CleanText::Part(2..11));
    assert_eq!(scratch.capacity(), 0);
}

#[test]
fn null_likes_are_compared_after_trimming_and_without_case() {
    let clean = Clean { null_like: ["N/A", "-", "ÜNBEKANNT", ""].map(str::to_owned).to_vec(), ..Clean::default() };
    for sent in ["n/a", " N/a\n", "-", "ünbekannt", "", "  "] {
        assert_eq!(cleaned(&clean, sent), None, "{sent:?}");
    }
    for sent in ["n/a.", "--", " x "] {
        assert_eq!(cleaned(&clean, sent).as_deref(), Some(sent));
    }
}

#[test]
fn numbers_are_converted_before_they_are_moved() {
    let clean = Clean {
        convert: Some(Conversion { multiply: 0.5, add: -1.0 }),
        clamp: Some(Clamp { low: 0.0, high: 10.0 }),
        ..Clean::default()
    };
    assert_eq!(number(&clean, 4.0), (1.0, Moved::No));
    assert_eq!(number(&clean, 1.0), (0.0, Moved::Yes));
    assert_eq!(number(&clean, 22.0), (10.0, Moved::No));
    assert_eq!(number(&clean, 23.0), (10.0, Moved::Yes));
    assert_eq!(number(&Clean::default(), 23.0), (23.0, Moved::No));
    assert_eq!(integer(&clean, -5), (0, Moved::Yes));
    assert_eq!(integer(&clean, i64::MAX), (10, Moved::Yes));
    assert_eq!(integer(&clean, 10), (10, Moved::No));
}
