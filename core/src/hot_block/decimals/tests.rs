use super::*;

/// How many digits after the point doubles are held with; they come back to the bit.
fn digits(numbers: &[f64]) -> Option<usize> {
    let mut held = Vec::new();
    let digits = decimals(numbers, &mut held)?;
    let restored = held.iter().map(|whole| (*whole as f64 / POWERS[digits]).to_bits());
    assert!(restored.eq(numbers.iter().map(|number| number.to_bits())), "{numbers:?}");
    Some(digits)
}

#[test]
fn doubles_are_held_as_decimals_where_they_are_such() {
    assert_eq!(digits(&[21.5, 0.0, -3.0, 17.25]), Some(2));
    assert_eq!(digits(&[1.0, 2.0, -999_999_999.0]), Some(0));
    assert_eq!(digits(&[52.520_008, 13.404_954, 0.1, 1e-6]), Some(6));
    assert_eq!(digits(&[0.1, 0.3]), Some(1));
    assert_eq!(digits(&[1e-9]), Some(9));
    let many: Vec<f64> = (0..1000).map(|n| f64::from(n) / 1000.0).collect();
    assert_eq!(digits(&many), Some(3));
    // Digits that are too many, alone or together; what is no number; a zero with a sign.
    let others: [&[f64]; 10] = [
        &[0.1 + 0.2],
        &[1_000_000_000.0],
        &[100_000.0, 0.000_01],
        &[0.5, f64::NAN],
        &[f64::INFINITY],
        &[f64::NEG_INFINITY],
        &[1.0, -0.0],
        &[f64::MAX, f64::MIN_POSITIVE],
        &[5e-10],
        &[],
    ];
    for others in others {
        assert_eq!(digits(others), None, "{others:?}");
    }
    let mut late = many;
    late.push(std::f64::consts::PI);
    assert_eq!(digits(&late), None);
}
