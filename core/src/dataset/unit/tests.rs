use std::collections::BTreeSet;

use super::*;

fn converted(value: f64, from: &str, to: &str) -> f64 {
    let Conversion { multiply, add } = named(from).unwrap().conversion_to(named(to).unwrap()).unwrap();
    value * multiply + add
}

#[test]
fn known_equalities_hold() {
    // SI brochure, tables 2, 4 and 8; NIST SP 811, B.8.
    for (value, from, wanted, to) in [
        (212.0, "fahrenheit", 100.0, "celsius"),
        (-40.0, "celsius", -40.0, "fahrenheit"),
        (0.0, "kelvin", -459.67, "fahrenheit"),
        (491.67, "rankine", 0.0, "celsius"),
        (1.0, "mile", 5280.0, "foot"),
        (1.0, "inch", 2.54, "cm"),
        (36.0, "km/h", 10.0, "m/s"),
        (1.0, "knot", 1.852, "km/h"),
        (1.0, "mph", 1.609_344, "km/h"),
        (1.0, "atm", 760.0, "torr"),
        (1.0, "psi", 6_894.757_293_168_361, "Pa"),
        (1.0, "pound", 16.0, "ounce"),
        (1.0, "us_gallon", 8.0, "us_pint"),
        (1.0, "us_gallon", 3.785_411_784, "litre"),
        (1.0, "imperial_gallon", 4.546_09, "litre"),
        (1.0, "ft3", 28.316_846_592, "l"),
        (1.0, "kWh", 3.6, "MJ"),
        (1.0, "btu", 1_055.055_852_62, "J"),
        (1.0, "hp", 745.699_871_582_270_2, "W"),
        (1.0, "PS", 735.498_75, "W"),
        (1.0, "week", 168.0, "h"),
        (180.0, "degree", std::f64::consts::PI, "radian"),
        (1.0, "turn", 400.0, "gon"),
        (1.0, "GiB", 8_589_934_592.0, "bit"),
        (45.0, "percent", 0.45, "ratio"),
        (1.0, "%", 10_000.0, "ppm"),
    ] {
        let got = converted(value, from, to);
        assert!((got - wanted).abs() <= wanted.abs().max(1.0) * 1e-12, "{value} {from} = {got} {to}, not {wanted}");
    }
}

#[test]
fn every_unit_converts_within_its_quantity_and_back() {
    for from in &UNITS {
        for to in &UNITS {
            let there = from.conversion_to(to);
            assert_eq!(there.is_some(), from.quantity == to.quantity, "{} to {}", from.names[0], to.names[0]);
            let Some((there, back)) = there.zip(to.conversion_to(from)) else { continue };
            let value = (21.5 * there.multiply + there.add) * back.multiply + back.add;
            assert!((value - 21.5).abs() < 1e-9, "{} to {} and back: {value}", from.names[0], to.names[0]);
        }
    }
}

#[test]
fn a_name_is_one_unit() {
    let names: Vec<_> = UNITS.iter().flat_map(|unit| unit.names).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    assert_ne!(named("mW"), named("MW"));
    assert!(known_of("pressure").starts_with("pascal, hectopascal"), "{}", known_of("pressure"));
}
