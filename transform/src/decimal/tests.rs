use proptest::prelude::*;

use super::*;

fn same(text: &str) -> bool {
    text.parse::<f64>().is_ok_and(|number| number.to_bits() == read(text).to_bits())
}

#[test]
fn numbers_at_the_edges_are_the_nearest() {
    for text in [
        "0",
        "-0",
        "-0.0",
        "0.1",
        "0.3",
        "9007199254740992",
        "9007199254740993",
        "900719925474099.3",
        "0.000000000000001",
        "123456789012345678",
        "1234567890123456789",
        "12345678901234567890",
        "0.1234567890123456789",
        "1e22",
        "1e23",
        "-1.5E-3",
        "1e400",
        "5e-324",
        "0.9007199254740993",
        "179769313486231580793728971405303415079934132710037826936173778980444968292764750946649017977587207096330286416692887910946555547851940402630657488671505820681908902000708383676273854845817711531764475730270069855571366959622842914819860834936475292719074168444365510704342711559699508093042880",
    ] {
        assert!(same(text), "{text}: {} for {:?}", read(text), text.parse::<f64>());
    }
}

#[test]
fn what_is_no_plain_decimal_is_left_to_others() {
    for text in [
        "",
        "-",
        "-,",
        "1",
        ".5,",
        "1.,",
        "01,",
        "-01,",
        "1e3,",
        "1.5E3,",
        "1.5.2,",
        "00,",
        "12345678901234567890,",
        "x",
    ] {
        assert_eq!(at_start(text.as_bytes()), None, "{text}");
    }
    for (text, number, length) in
        [("0,", 0.0, 1), ("-0}", -0.0, 2), ("1.50 ", 1.5, 4), ("10]", 10.0, 2), ("-0.25,", -0.25, 5)]
    {
        let read = at_start(text.as_bytes());
        assert_eq!(read.map(|(read, length)| (read.to_bits(), length)), Some((f64::to_bits(number), length)), "{text}");
    }
}

proptest! {
    #[test]
    fn what_is_read_at_the_start_is_what_stands_there(text in "-?[0-9]{1,4}(\\.[0-9]{0,4})?[,.eE} ]") {
        if let Some((number, length)) = at_start(text.as_bytes()) {
            prop_assert!(crate::scan::number_kind(&text[..length]).is_some());
            prop_assert_eq!(number.to_bits(), text[..length].parse::<f64>().map_or(1, f64::to_bits));
            prop_assert!(!text[length..].starts_with(['.', 'e', 'E']));
        }
    }

    #[test]
    fn any_decimal_is_read_as_the_standard_library_reads_it(text in "-?(0|[1-9][0-9]{0,18})(\\.[0-9]{1,19})?") {
        prop_assert!(same(&text), "{}", text);
    }

    #[test]
    fn any_number_is_read_back(number in any::<f64>().prop_filter("finite", |number| number.is_finite())) {
        prop_assert!(same(&number.to_string()));
        let exponential = format!("{number:e}");
        prop_assert!(same(&exponential));
    }
}
