use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn cut(body: &[u8], layout: Layout) -> Result<Vec<&[u8]>, DelimitError> {
    Elements::of(body, layout, 64).collect()
}

fn array(body: &str) -> Result<Vec<&str>, DelimitError> {
    let elements = cut(body.as_bytes(), Layout::Array)?;
    Ok(elements.into_iter().map(|element| std::str::from_utf8(element).unwrap()).collect())
}

#[test]
fn an_array_s_elements_are_found_whatever_is_in_them() {
    let cases: [(&str, &[&str]); 13] = [
        ("[]", &[]),
        (" [ \n ] \r\n", &[]),
        ("[1]", &["1"]),
        (r#" [ {"a":1} , {"b":[1,2]} ] "#, &[r#"{"a":1}"#, r#"{"b":[1,2]}"#]),
        (r#"[{"a":"},]"},"x,y"]"#, &[r#"{"a":"},]"}"#, r#""x,y""#]),
        (r#"["a\"b","\\",3]"#, &[r#""a\"b""#, r#""\\""#, "3"]),
        (r#"[{"a":1}, nope]"#, &[r#"{"a":1}"#, "nope"]),
        ("[1,,2]", &["1", "", "2"]),
        ("[1,]", &["1", ""]),
        ("[,]", &["", ""]),
        (r#"[{"a":1],2]"#, &[r#"{"a":1]"#, "2"]),
        (r#"[[1,2],[[3]]]"#, &["[1,2]", "[[3]]"]),
        (
            r#"["a string that is longer than what is looked at byte by byte, with a \" in it", 2]"#,
            &[r#""a string that is longer than what is looked at byte by byte, with a \" in it""#, "2"],
        ),
    ];
    for (body, elements) in cases {
        assert_eq!(array(body).as_deref(), Ok(elements), "{body}");
    }
}

#[test]
fn an_array_that_cannot_be_cut_is_refused_with_its_place() {
    let cases = [
        ("", DelimitError::NotAnArray(String::new())),
        ("{}", DelimitError::NotAnArray("{}".into())),
        ("[", DelimitError::Unclosed { index: 0, at: 1 }),
        ("[1", DelimitError::Unclosed { index: 0, at: 1 }),
        ("[1, ", DelimitError::Unclosed { index: 1, at: 4 }),
        (r#"[1,{"a":"]}"#, DelimitError::Unclosed { index: 1, at: 3 }),
        (r#"["\"#, DelimitError::Unclosed { index: 0, at: 1 }),
        (r#"[{"a":1,{"b":2}]"#, DelimitError::Unclosed { index: 0, at: 1 }),
        ("[1}", DelimitError::Unbalanced { index: 0, at: 2 }),
        ("[1] x", DelimitError::Trailing { at: 4 }),
        ("[]\n[]", DelimitError::Trailing { at: 3 }),
    ];
    for (body, error) in cases {
        assert_eq!(array(body), Err(error), "{body}");
    }
}

#[test]
fn depth_counts_within_one_element() {
    let nested = |depth: usize| format!("[0,{}{},0]", "[".repeat(depth), "]".repeat(depth));
    assert!(array(&nested(64)).is_ok());
    assert_eq!(array(&nested(65)), Err(DelimitError::TooDeep { index: 1, at: 3, limit: 64 }));
    // Far beyond what a recursive reader would survive.
    assert!(matches!(array(&nested(2_000_000)), Err(DelimitError::TooDeep { .. })));
}

#[test]
fn nothing_comes_after_an_error() {
    let mut elements = Elements::of(b"[1,2}", Layout::Array, 64);
    assert_eq!(elements.next(), Some(Ok(&b"1"[..])));
    assert!(elements.next().is_some_and(|element| element.is_err()));
    assert_eq!(elements.next(), None);
}

#[test]
fn lines_are_cut_at_line_breaks_alone_and_blank_ones_are_none() {
    let body = b"\n{\"a\":1}\r\n\r\n  {\"a\":  \n\xFF\t\n[1,\n";
    assert_eq!(cut(body, Layout::Lines).unwrap(), [&b"{\"a\":1}"[..], b"{\"a\":", b"\xFF", b"[1,"]);
    assert!(cut(b" \r\n\n\t", Layout::Lines).unwrap().is_empty());
    assert_eq!(cut(b"{}", Layout::Lines).unwrap(), [b"{}"]);
}

#[test]
fn a_single_body_is_one_event_unless_it_is_blank() {
    assert_eq!(cut(b" \nhello\n", Layout::One).unwrap(), [b"hello"]);
    assert!(cut(b" \n", Layout::One).unwrap().is_empty());
}

#[test]
fn the_layout_follows_from_the_content_type_and_then_from_the_bytes() {
    let pretty = "{\n  \"a\": {\n    \"b\": 1\n  }\n}\n";
    let opens_on_its_own_line = "{\"a\":\n{\"b\":1}}";
    let cases = [
        ("application/json", "{\"a\":1}\n{\"a\":2}", Layout::One),
        ("application/json; charset=utf-8", " [1]", Layout::Array),
        ("Application/X-NDJSON", "[1]", Layout::Lines),
        ("application/jsonl", "{}", Layout::Lines),
        ("application/cloudevents+json; charset=utf-8", "[1]", Layout::One),
        ("application/cloudevents-batch+json", "{}", Layout::Array),
        ("application/x-www-form-urlencoded", "[1]", Layout::Array),
        ("", "{\"a\":1}", Layout::One),
        ("", "{\"a\":1}\n", Layout::One),
        ("", "{\"a\":1} \r\n{\"a\":2}", Layout::Lines),
        ("", "{\"a\":1}\nnope\n", Layout::Lines),
        ("", "{\"a\":\n{\"a\":2}\n", Layout::Lines),
        ("", "{\"a\":1}{\"a\":2}\n{\"a\":3}", Layout::Lines),
        ("", "{\"a\":1} x", Layout::One),
        ("", pretty, Layout::One),
        ("", opens_on_its_own_line, Layout::One),
        ("", "hello\nworld", Layout::One),
        ("", "", Layout::One),
    ];
    for (content_type, body, layout) in cases {
        assert_eq!(BodyKind::of_content_type(content_type).layout(body.as_bytes()), layout, "{content_type}: {body}");
    }
}

fn json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![".*", "[\"\\\\,\\[\\]{}\n a]*"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((text.clone(), inner), 0..6)
                .prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #[test]
    fn every_array_is_cut_as_a_parser_reads_it(values in prop::collection::vec(json(), 0..8), pretty: bool) {
        let body = if pretty { serde_json::to_vec_pretty(&values) } else { serde_json::to_vec(&values) }.unwrap();
        let elements = cut(&body, Layout::Array).unwrap();
        let parsed: Vec<Value> = elements.iter().map(|element| serde_json::from_slice(element).unwrap()).collect();
        // Read back once: the parser rounds some numbers to a neighbour.
        let expected: Vec<Value> = values.iter().map(|value| serde_json::from_str(&value.to_string()).unwrap()).collect();
        prop_assert_eq!(parsed, expected);
    }

    #[test]
    fn every_ndjson_body_is_cut_into_its_lines(values in prop::collection::vec(json(), 0..8), crlf: bool) {
        let end = if crlf { "\r\n" } else { "\n" };
        let lines: Vec<String> = values.iter().map(Value::to_string).collect();
        let body = lines.join(end);
        prop_assert_eq!(cut(body.as_bytes(), Layout::Lines).unwrap(), lines.iter().map(String::as_bytes).collect::<Vec<_>>());
    }

    #[test]
    fn one_object_is_one_event_and_several_on_lines_are_several(values in prop::collection::vec(json(), 1..5), pretty: bool) {
        let objects: Vec<String> = values
            .iter()
            .map(|value| {
                let object = serde_json::json!({ "data": value });
                if pretty && values.len() == 1 { serde_json::to_string_pretty(&object).unwrap() } else { object.to_string() }
            })
            .collect();
        let expected = if values.len() == 1 { Layout::One } else { Layout::Lines };
        prop_assert_eq!(BodyKind::Unknown.layout(objects.join("\n").as_bytes()), expected);
    }

    #[test]
    fn any_bytes_are_cut_without_panic_and_nothing_is_lost(body in prop::collection::vec(prop_oneof![
        Just(b'['), Just(b']'), Just(b'{'), Just(b'}'), Just(b'"'), Just(b'\\'), Just(b','), Just(b' '), any::<u8>(),
    ], 0..80)) {
        for layout in [Layout::One, Layout::Lines, Layout::Array] {
            let Ok(elements) = cut(&body, layout) else { continue };
            // What lies outside the elements is blanks, and for an array its brackets and commas.
            let kept: usize = elements.iter().map(|element| element.len()).sum();
            let outside = body.len() - kept;
            let blanks_and_marks = body.iter().filter(|byte| is_blank(**byte) || matches!(byte, b'[' | b']' | b',')).count();
            prop_assert!(outside <= blanks_and_marks);
        }
        BodyKind::Unknown.layout(&body);
    }
}

/// Not a test of function: prints how fast bodies are cut. `cargo test -p alluvium-ingest --lib -- --ignored --nocapture speed`
#[test]
#[ignore = "measures"]
fn speed_of_cutting() {
    let mut generator = crate::Generator::new(crate::GeneratorSettings::default()).unwrap();
    let mut ndjson = Vec::new();
    for _ in 0..1000 {
        generator.write_next(&mut ndjson);
        ndjson.push(b'\n');
    }
    let mut array = ndjson.clone();
    array.iter_mut().for_each(|byte| {
        if *byte == b'\n' {
            *byte = b','
        }
    });
    array.insert(0, b'[');
    *array.last_mut().unwrap() = b']';
    for (name, body, layout) in [("ndjson", &ndjson, Layout::Lines), ("array", &array, Layout::Array)] {
        let started = std::time::Instant::now();
        let mut events = 0;
        for _ in 0..2000 {
            events += Elements::of(std::hint::black_box(body), layout, 64).flatten().count();
        }
        assert_eq!(events, 2_000_000);
        let seconds = started.elapsed().as_secs_f64();
        println!("{name}: {} bytes per body, {:.0} MB/s", body.len(), body.len() as f64 * 2000.0 / seconds / 1e6);
    }
}
