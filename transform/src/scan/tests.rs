#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::tape::At;

fn scan(event: &str) -> Result<Tape> {
    let mut tape = Tape::default();
    scan_event(event, 64, &mut tape).map(|()| tape)
}

/// Whether the reference takes the text. It refuses numbers beyond f64 that RFC 8259 allows, and so do not count if the rest
/// of the text follows the grammar.
fn reference_takes(text: &str) -> bool {
    match serde_json::from_str::<Value>(text) {
        Ok(_) => true,
        Err(error) => {
            error.to_string().contains("number out of range")
                && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
        }
    }
}

fn is_json(text: &str) -> bool {
    !matches!(scan(text), Err(ScanFault::NotJson { .. }))
}

#[test]
fn members_are_found_with_their_kinds() {
    let event =
        r#" {"id" : "a\n", "n":1, "d":-1.5e3,"t":true,"f":false,"z":null,"o":{"x":[1,{}]},"a":[],"data":{"k":"v"}} "#;
    let tape = scan(event).unwrap();
    let members = tape.members(Tape::EVENT).map(|(key, value)| (key, tape.token(value)));
    let found: Vec<_> = members.map(|(key, value)| (key.text(event), value.kind, value.raw(event))).collect();
    assert_eq!(
        found,
        [
            ("id", Kind::EscapedText, r#""a\n""#),
            ("n", Kind::Integer, "1"),
            ("d", Kind::Decimal, "-1.5e3"),
            ("t", Kind::True, "true"),
            ("f", Kind::False, "false"),
            ("z", Kind::Null, "null"),
            ("o", Kind::Object, r#"{"x":[1,{}]}"#),
            ("a", Kind::Array, "[]"),
            ("data", Kind::Object, r#"{"k":"v"}"#),
        ]
    );
    let (_, data) = tape.members(Tape::EVENT).last().unwrap();
    let inner: Vec<_> =
        tape.members(data).map(|(key, value)| (key.text(event), tape.token(value).text(event))).collect();
    assert_eq!(inner, [("k", "v")]);
}

#[test]
fn what_is_not_json_is_refused_where_it_breaks() {
    let cases: [(&str, usize); 26] = [
        ("", 0),
        ("{", 1),
        (r#"{"a"}"#, 4),
        (r#"{"a":}"#, 5),
        (r#"{"a":1,}"#, 7),
        (r#"{"a":1 "b":2}"#, 7),
        (r#"{a:1}"#, 1),
        (r#"{"a":01}"#, 6),
        (r#"{"a":1.}"#, 7),
        (r#"{"a":-}"#, 6),
        (r#"{"a":1e}"#, 7),
        (r#"{"a":+1}"#, 5),
        (r#"{"a":NaN}"#, 5),
        (r#"{"a":nul}"#, 5),
        (r#"{"a":"x"#, 7),
        ("{\"a\":\"\n\"}", 6),
        (r#"{"a":"\x"}"#, 7),
        (r#"{"a":"\u12G4"}"#, 8),
        (r#"{"a":"\ud800"}"#, 12),
        (r#"{"a":"\ud800\u0041"}"#, 18),
        (r#"{"a":"\udc00"}"#, 12),
        (r#"{"a":[{"b":"\ud800x"}]}"#, 18),
        (r#"{"a":[1,2}"#, 9),
        (r#"{"a":[1 2]}"#, 8),
        (r#"{"a":{"b":1]}"#, 11),
        (r#"{} {}"#, 3),
    ];
    for (text, at) in cases {
        match scan(text) {
            Err(ScanFault::NotJson { at: found, .. }) => assert_eq!(found, at, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
        assert!(!reference_takes(text), "{text}");
    }
}

#[test]
fn depth_is_checked_before_anything_can_overflow() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = format!("{{\"a\":{}", open.repeat(1_000_000));
        assert!(matches!(scan(&deep), Err(ScanFault::TooDeep { .. })));
        assert!(matches!(scan(&open.repeat(1_000_000)), Err(ScanFault::TooDeep { .. })));
        let fits = |levels: usize| format!("{{\"a\":{}1{}}}", open.repeat(levels), close.repeat(levels));
        assert!(scan(&fits(63)).is_ok());
        assert!(matches!(scan(&fits(64)), Err(ScanFault::TooDeep { .. })));
        let data = |levels: usize| format!("{{\"data\":{}}}", fits(levels));
        assert!(scan(&data(62)).is_ok());
        assert!(matches!(scan(&data(63)), Err(ScanFault::TooDeep { .. })));
        let mut tape = Tape::default();
        assert!(scan_event(&fits(127), 128, &mut tape).is_ok());
        assert!(scan_event(&fits(128), 128, &mut tape).is_err());
    }
}

#[test]
fn json_that_is_no_object_is_told_apart() {
    for (text, kind) in [("1", Kind::Integer), (" [1] ", Kind::Array), ("\"{}\"", Kind::Text), ("null", Kind::Null)] {
        assert_eq!(scan(text).unwrap_err(), ScanFault::NotAnObject(kind), "{text}");
    }
}

#[test]
fn numbers_are_told_by_their_grammar() {
    for text in ["0", "-0", "12", "99999999999999999999999"] {
        assert_eq!(number_kind(text), Some(Kind::Integer), "{text}");
    }
    for text in ["0.5", "1e9", "-1.25E-3", "1e999"] {
        assert_eq!(number_kind(text), Some(Kind::Decimal), "{text}");
    }
    for text in ["", "-", "007", "1 ", " 1", "inf", "NaN", "1.", ".5", "+1", "0x1", "1_000", "true"] {
        assert_eq!(number_kind(text), None, "{text}");
    }
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_the_reference_writes_is_taken(value in json()) {
        prop_assert!(is_json(&value.to_string()));
        prop_assert!(is_json(&serde_json::to_string_pretty(&value).unwrap()));
    }

    #[test]
    fn a_broken_text_is_judged_as_the_reference_judges_it(
        value in json(), at in any::<prop::sample::Index>(), replaced in 0_usize..3,
        with in prop::sample::select(vec!["", "\"", "\\", "\\u", "\\ud83d", "{", "}", "[", "]", ",", ":", "0", "-", ".", "e", " ", "\n", "\u{1}", "é"])
    ) {
        let text: Vec<char> = value.to_string().chars().collect();
        let at = at.index(text.len() + 1);
        let end = (at + replaced).min(text.len());
        let broken: String = text[..at].iter().copied().chain(with.chars()).chain(text[end..].iter().copied()).collect();
        prop_assert_eq!(is_json(&broken), reference_takes(&broken), "{}", broken);
    }

    #[test]
    fn text_made_of_json_s_own_characters_is_judged_as_the_reference_judges_it(
        text in r#"[\[\]{}:,"\\u0-9a-fDd\-+.eE tfn]{0,24}"#
    ) {
        prop_assert_eq!(is_json(&text), reference_takes(&text), "{}", text);
    }

    #[test]
    fn strings_stand_for_what_the_reference_reads(text in any::<String>()) {
        let mut sent = String::from("{\"k\":\"");
        for unit in text.encode_utf16() {
            sent.push_str(&format!("\\u{unit:04x}"));
        }
        sent.push_str("\"}");
        let written = serde_json::to_string(&serde_json::json!({"k": text})).unwrap();
        for event in [sent, written] {
            let tape = scan(&event).unwrap();
            let (_, value) = tape.members(Tape::EVENT).next().unwrap();
            let mut found = String::new();
            unescape(tape.token(value).text(&event), &mut found);
            prop_assert_eq!(&found, &text);
        }
    }
}

/// The value that a tape holds, as the reference would have it.
fn held(event: &str, tape: &Tape, at: At) -> Value {
    let token = tape.token(at);
    let text = |token: Token| {
        let mut text = String::new();
        unescape(token.text(event), &mut text);
        text
    };
    match token.kind {
        Kind::Null => Value::Null,
        Kind::True => true.into(),
        Kind::False => false.into(),
        Kind::Text | Kind::EscapedText => text(token).into(),
        Kind::Array => tape.items(at).map(|item| held(event, tape, item)).collect(),
        Kind::Object => {
            Value::Object(tape.members(at).map(|(key, value)| (text(key), held(event, tape, value))).collect())
        }
        Kind::Integer | Kind::Decimal => {
            let number = token.text(event);
            match (number.parse::<i64>(), number.parse::<u64>()) {
                (Ok(integer), _) if number != "-0" => integer.into(),
                (_, Ok(integer)) => integer.into(),
                _ => crate::decimal::read(number).into(),
            }
        }
    }
}

/// Numbers as devices and attackers write them: of any length, with and without fraction and exponent.
fn number_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<f64>().prop_map(|number| Value::from(number).to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?",
    ]
}

proptest! {
    #[test]
    fn values_are_those_that_the_reference_reads(value in json(), depth in 0_usize..50, numbers in prop::collection::vec(number_text(), 0..4)) {
        let nested = format!("{}{}{}", "[".repeat(depth), value, "]".repeat(depth));
        for number in numbers {
            let event = format!("{{\"v\":{nested}, \"n\" :[{number},\"\\u0041{number}\"]}}");
            let read = serde_json::from_str::<Value>(&event);
            let tape = scan(&event).unwrap();
            match read {
                Ok(read) => prop_assert_eq!(held(&event, &tape, Tape::EVENT), read),
                // RFC 8259 sets no limit to numbers; the reference refuses what fits no f64.
                Err(error) => {
                    prop_assert!(error.to_string().contains("number out of range"), "{}: {}", error, event);
                    prop_assert!(crate::decimal::read(&number).is_infinite());
                }
            }
        }
    }
}
