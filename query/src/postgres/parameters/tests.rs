#![allow(clippy::unwrap_used)]

use super::*;

fn bound(kind: Type, format: Format, bytes: &[u8]) -> Option<String> {
    Parameter::bound(1, &kind, format, Some(bytes)).ok().and_then(|parameter| parameter.value)
}

#[test]
fn values_in_either_form_are_the_same_text() {
    let day = 9_527_i32; // 2026-01-31, from 2000 on
    let micros = i64::from(day) * 86_400_000_000 + 43_200_250_000;
    for (kind, text, binary, expected) in [
        (Type::BOOL, "true", vec![1], "true"),
        (Type::INT2, "-7", (-7_i16).to_be_bytes().to_vec(), "-7"),
        (Type::INT4, "7", 7_i32.to_be_bytes().to_vec(), "7"),
        (Type::INT8, "9007199254740993", 9_007_199_254_740_993_i64.to_be_bytes().to_vec(), "9007199254740993"),
        (Type::FLOAT8, "0.1", 0.1_f64.to_be_bytes().to_vec(), "0.1"),
        (Type::TEXT, "é", "é".into(), "é"),
        (Type::JSONB, "{}", b"\x01{}".to_vec(), "{}"),
        (Type::DATE, "2026-01-31", day.to_be_bytes().to_vec(), "2026-01-31"),
        (Type::TIMESTAMP, "2026-01-31T12:00:00.25", micros.to_be_bytes().to_vec(), "2026-01-31T12:00:00.25"),
        (Type::TIMESTAMPTZ, "2026-01-31T12:00:00.25Z", micros.to_be_bytes().to_vec(), "2026-01-31T12:00:00.25Z"),
        (Type::NUMERIC, "12.50", vec![0, 2, 0, 0, 0, 0, 0, 2, 0, 12, 0x13, 0x88], "12.50"),
        (
            Type::UUID,
            "00112233-4455-6677-8899-aabbccddeeff",
            (0..16_u8).map(|byte| byte * 0x11).collect(),
            "00112233-4455-6677-8899-aabbccddeeff",
        ),
    ] {
        assert_eq!(bound(kind.clone(), Format::Text, text.as_bytes()).as_deref(), Some(expected), "{kind}");
        assert_eq!(bound(kind.clone(), Format::Binary, &binary).as_deref(), Some(expected), "{kind}");
    }
    assert_eq!(bound(Type::TIMESTAMPTZ, Format::Text, b"2026-01-31 12:00:00+02").unwrap(), "2026-01-31 12:00:00+02:00");
}

#[test]
fn what_is_no_value_of_its_type_is_refused() {
    for (kind, bytes) in [
        (Type::INT4, &[1, 2][..]),
        (Type::BOOL, &[]),
        (Type::TEXT, &[0xff]),
        (Type::NUMERIC, &[0, 9, 0, 0, 0, 0, 0, 0]),
        (Type::TIMESTAMP, &i64::MAX.to_be_bytes()),
        (Type::DATE, &i32::MAX.to_be_bytes()),
        (Type::POINT, &[0; 16]),
        (Type::BYTEA, &[1]),
    ] {
        assert_eq!(bound(kind.clone(), Format::Binary, bytes), None, "{kind}");
    }
    assert_eq!(bound(Type::TEXT, Format::Text, &[0xff]), None);
}

#[test]
fn each_place_is_cast_to_what_stands_there() {
    let parameter = |kind: Type, value: Option<&str>| Parameter { kind, value: value.map(str::to_owned) };
    let parameters = [
        parameter(Type::INT8, Some("1")),
        parameter(TEXT, Some("a' or true --")),
        parameter(Type::NUMERIC, Some("-1.50")),
        parameter(Type::TIMESTAMPTZ, None),
        parameter(TEXT, None),
    ];
    let sql = "select $2, '$1', $1::int -- $9\n, $3, $1, $4, $5";
    let (text, values) = for_engine(sql, |at| parameters.get(at).map(Place::Value)).unwrap();
    assert_eq!(
        text,
        "select ?, '$1', cast(? as bigint)::int -- $9\n, cast(? as decimal(3, 2)), cast(? as bigint), \
         cast(null as timestamp(6) with time zone), cast(null as varchar)"
    );
    assert_eq!(values, ["a' or true --", "1", "-1.50", "1"]);
    assert!(for_engine("select $6", |at| parameters.get(at).map(Place::Value)).is_err());
    assert!(for_engine("select $0", |at| parameters.get(at).map(Place::Value)).is_err());
    let kinds = [Some(Type::DATE), None];
    let place = |at: usize| kinds.get(at).map(|kind| kind.as_ref().map_or(Place::Open, Place::Typed));
    assert_eq!(for_engine("$1 $2", place).unwrap().0, "cast(? as date) ?");
}

#[test]
fn numbers_are_bounded() {
    assert_eq!(count("select $3, $1").unwrap(), 3);
    assert_eq!(count("select 1").unwrap(), 0);
    assert!(count("select $4000000000").is_err());
    let parameter = Parameter { kind: TEXT, value: Some(String::new()) };
    let sql = "$1 ".repeat(1_001);
    assert!(for_engine(&sql, |_| Some(Place::Value(&parameter))).is_err());
    assert!(for_engine(&sql[3..], |_| Some(Place::Value(&parameter))).is_ok());
}
