#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn texts(text: &str) -> Vec<&str> {
    words(text).into_iter().map(|word| word.text).collect()
}

#[test]
fn words_end_where_others_begin() {
    for (text, expected) in [
        ("select a.b, 1.5", &["select", "a", ".", "b", ",", "1", ".", "5"][..]),
        ("a -- b $1\n c", &["a", "c"]),
        ("a /* b /* c */ d */ e", &["a", "e"]),
        ("a /* never ends", &["a"]),
        ("'it''s $1 ;' x", &["'it''s $1 ;'", "x"]),
        ("'\\' x", &["'\\'", "x"]),
        ("e'\\' $1' x", &["e'\\' $1'", "x"]),
        ("\"a\"\"$1\"`b`", &["\"a\"\"$1\"", "`b`"]),
        ("$1+$23", &["$1", "+", "$23"]),
        ("$$ $1 ; $$ x", &["$$ $1 ; $$", "x"]),
        ("$a$ $$ $1 $a$ x", &["$a$ $$ $1 $a$", "x"]),
        ("a$1 $", &["a$1", "$"]),
        ("'never ends", &["'never ends"]),
        ("é='ü'", &["é", "=", "'ü'"]),
        ("e", &["e"]),
        ("", &[]),
    ] {
        assert_eq!(texts(text), expected, "{text}");
    }
}

#[test]
fn only_parameters_are_parameters() {
    let numbers = |text| -> Vec<usize> {
        let number = |word: Word<'_>| if let Kind::Parameter(number) = word.kind { Some(number) } else { None };
        words(text).into_iter().filter_map(number).collect()
    };
    assert_eq!(numbers("$2 '$3' \"$4\" -- $5\n $1 /* $6 */ $x$ $7 $x$ $2"), [2, 1, 2]);
    // More than any number: no parameter.
    assert!(numbers("$99999999999999999999999").is_empty());
}

#[test]
fn statements_are_cut_at_semicolons_between_them() {
    for (text, expected) in [
        ("select 1", &["select 1"][..]),
        ("select 1;", &["select 1"]),
        ("select ';' ; select 2 ; -- ;", &["select ';' ", " select 2 "]),
        (" ; ;; /* ; */ ", &[]),
        ("", &[]),
    ] {
        assert_eq!(statements(text), expected, "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_has_its_words_in_order(text in "([$'\"eE/*;\\-`\\n a1é]|select){0,40}") {
        let mut at = 0;
        for word in words(&text) {
            prop_assert!(word.at >= at);
            prop_assert_eq!(&text[word.at..word.at + word.text.len()], word.text);
            at = word.at + word.text.len();
        }
        let _statements = statements(&text);
    }
}
