//! Units of measurement, for the cleaning rule `convert`.
//!
//! Sources: The International System of Units (SI brochure, 9th edition); NIST Special Publication 811, "Guide for the Use of
//! the International System of Units", appendix B. Factors are exact, as ratios of whole numbers, unless it is said.

use super::Conversion;

/// One unit: `value × numerator ÷ denominator + offset` is the value in the first unit of its quantity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Unit {
    pub(super) quantity: &'static str,
    /// Its names; the first is listed in messages.
    names: &'static [&'static str],
    numerator: f64,
    denominator: f64,
    offset: f64,
}

const fn unit(quantity: &'static str, names: &'static [&'static str], numerator: f64, denominator: f64) -> Unit {
    Unit { quantity, names, numerator, denominator, offset: 0.0 }
}

const fn shifted(names: &'static [&'static str], numerator: f64, denominator: f64, offset: f64) -> Unit {
    Unit { quantity: "temperature", names, numerator, denominator, offset }
}

static UNITS: [Unit; 86] = [
    shifted(&["celsius", "C", "Cel", "°C"], 1.0, 1.0, 0.0),
    shifted(&["fahrenheit", "F", "°F"], 5.0, 9.0, -160.0 / 9.0),
    shifted(&["kelvin", "K"], 1.0, 1.0, -273.15),
    shifted(&["rankine"], 5.0, 9.0, -273.15),
    unit("length", &["metre", "meter", "m"], 1.0, 1.0),
    unit("length", &["kilometre", "kilometer", "km"], 1_000.0, 1.0),
    unit("length", &["centimetre", "centimeter", "cm"], 1.0, 100.0),
    unit("length", &["millimetre", "millimeter", "mm"], 1.0, 1_000.0),
    unit("length", &["micrometre", "micrometer", "um", "µm"], 1.0, 1_000_000.0),
    unit("length", &["inch", "in"], 254.0, 10_000.0),
    unit("length", &["foot", "ft"], 3_048.0, 10_000.0),
    unit("length", &["yard", "yd"], 9_144.0, 10_000.0),
    unit("length", &["mile", "mi"], 1_609_344.0, 1_000.0),
    unit("length", &["nautical_mile", "nmi"], 1_852.0, 1.0),
    unit("speed", &["m/s"], 1.0, 1.0),
    unit("speed", &["km/h", "kph"], 10.0, 36.0),
    unit("speed", &["mph"], 44_704.0, 100_000.0),
    unit("speed", &["knot", "kn", "kt"], 1_852.0, 3_600.0),
    unit("speed", &["ft/s"], 3_048.0, 10_000.0),
    unit("pressure", &["pascal", "Pa"], 1.0, 1.0),
    unit("pressure", &["hectopascal", "hPa"], 100.0, 1.0),
    unit("pressure", &["kilopascal", "kPa"], 1_000.0, 1.0),
    unit("pressure", &["megapascal", "MPa"], 1_000_000.0, 1.0),
    unit("pressure", &["bar"], 100_000.0, 1.0),
    unit("pressure", &["millibar", "mbar"], 100.0, 1.0),
    unit("pressure", &["atmosphere", "atm"], 101_325.0, 1.0),
    unit("pressure", &["torr"], 101_325.0, 760.0),
    unit("pressure", &["mmHg"], 133_322_387_415.0, 1_000_000_000.0),
    unit("pressure", &["psi"], 44_482_216_152_605.0, 6_451_600_000.0),
    unit("mass", &["kilogram", "kg"], 1.0, 1.0),
    unit("mass", &["gram", "g"], 1.0, 1_000.0),
    unit("mass", &["milligram", "mg"], 1.0, 1_000_000.0),
    unit("mass", &["tonne", "t"], 1_000.0, 1.0),
    unit("mass", &["pound", "lb"], 45_359_237.0, 100_000_000.0),
    unit("mass", &["ounce", "oz"], 45_359_237.0, 1_600_000_000.0),
    unit("volume", &["cubic_metre", "cubic_meter", "m3", "m³"], 1.0, 1.0),
    unit("volume", &["litre", "liter", "l", "L"], 1.0, 1_000.0),
    unit("volume", &["millilitre", "milliliter", "ml", "mL"], 1.0, 1_000_000.0),
    unit("volume", &["us_gallon"], 3_785_411_784.0, 1_000_000_000_000.0),
    unit("volume", &["imperial_gallon"], 454_609.0, 100_000_000.0),
    unit("volume", &["us_pint"], 473_176_473.0, 1_000_000_000_000.0),
    unit("volume", &["cubic_foot", "ft3", "ft³"], 28_316_846_592.0, 1_000_000_000_000.0),
    unit("energy", &["joule", "J"], 1.0, 1.0),
    unit("energy", &["kilojoule", "kJ"], 1_000.0, 1.0),
    unit("energy", &["megajoule", "MJ"], 1_000_000.0, 1.0),
    unit("energy", &["watt_hour", "Wh"], 3_600.0, 1.0),
    unit("energy", &["kilowatt_hour", "kWh"], 3_600_000.0, 1.0),
    unit("energy", &["megawatt_hour", "MWh"], 3_600_000_000.0, 1.0),
    unit("energy", &["calorie", "cal"], 4_184.0, 1_000.0),
    unit("energy", &["kilocalorie", "kcal"], 4_184.0, 1.0),
    unit("energy", &["btu", "BTU"], 105_505_585_262.0, 100_000_000.0),
    unit("power", &["watt", "W"], 1.0, 1.0),
    unit("power", &["milliwatt", "mW"], 1.0, 1_000.0),
    unit("power", &["kilowatt", "kW"], 1_000.0, 1.0),
    unit("power", &["megawatt", "MW"], 1_000_000.0, 1.0),
    unit("power", &["metric_horsepower", "PS"], 73_549_875.0, 100_000.0),
    unit("power", &["horsepower", "hp"], 745.699_871_582_270_2, 1.0),
    unit("time", &["second", "s"], 1.0, 1.0),
    unit("time", &["millisecond", "ms"], 1.0, 1_000.0),
    unit("time", &["microsecond", "us", "µs"], 1.0, 1_000_000.0),
    unit("time", &["nanosecond", "ns"], 1.0, 1_000_000_000.0),
    unit("time", &["minute", "min"], 60.0, 1.0),
    unit("time", &["hour", "h"], 3_600.0, 1.0),
    unit("time", &["day", "d"], 86_400.0, 1.0),
    unit("time", &["week"], 604_800.0, 1.0),
    unit("angle", &["degree", "deg", "°"], 1.0, 1.0),
    unit("angle", &["radian", "rad"], 180.0, std::f64::consts::PI),
    unit("angle", &["gradian", "gon"], 9.0, 10.0),
    unit("angle", &["turn"], 360.0, 1.0),
    unit("angle", &["arcminute"], 1.0, 60.0),
    unit("angle", &["arcsecond"], 1.0, 3_600.0),
    unit("data", &["byte", "B"], 1.0, 1.0),
    unit("data", &["bit"], 1.0, 8.0),
    unit("data", &["kilobyte", "kB"], 1_000.0, 1.0),
    unit("data", &["megabyte", "MB"], 1_000_000.0, 1.0),
    unit("data", &["gigabyte", "GB"], 1_000_000_000.0, 1.0),
    unit("data", &["terabyte", "TB"], 1_000_000_000_000.0, 1.0),
    unit("data", &["kibibyte", "KiB"], 1_024.0, 1.0),
    unit("data", &["mebibyte", "MiB"], 1_048_576.0, 1.0),
    unit("data", &["gibibyte", "GiB"], 1_073_741_824.0, 1.0),
    unit("data", &["tebibyte", "TiB"], 1_099_511_627_776.0, 1.0),
    unit("ratio", &["ratio", "fraction"], 1.0, 1.0),
    unit("ratio", &["percent", "%"], 1.0, 100.0),
    unit("ratio", &["permille", "‰"], 1.0, 1_000.0),
    unit("ratio", &["ppm"], 1.0, 1_000_000.0),
    unit("ratio", &["ppb"], 1.0, 1_000_000_000.0),
];

impl Unit {
    /// The conversion from this unit to another; `None` when they measure different quantities.
    pub(super) fn conversion_to(&self, to: &Self) -> Option<Conversion> {
        let multiply = (self.numerator * to.denominator) / (self.denominator * to.numerator);
        let add = (self.offset - to.offset) * to.denominator / to.numerator;
        (self.quantity == to.quantity).then_some(Conversion { multiply, add })
    }
}

/// The unit of this name; names of units differ by case (`mW`, `MW`), so case counts.
pub(super) fn named(name: &str) -> Option<&'static Unit> {
    UNITS.iter().find(|unit| unit.names.contains(&name))
}

/// The names of all units, for a message.
pub(super) fn known() -> String {
    let names: Vec<_> = UNITS.iter().map(|unit| unit.names[0]).collect();
    names.join(", ")
}

/// The names of the units of one quantity, for a message.
pub(super) fn known_of(quantity: &str) -> String {
    let names: Vec<_> = UNITS.iter().filter(|unit| unit.quantity == quantity).map(|unit| unit.names[0]).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests;
