//! The devices: which one sends, and what each of them is like.

use crate::seeded::{Seeded, mix};

/// What a device measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quantity {
    /// Its unit, as UCUM writes it.
    pub(super) unit: &'static str,
    /// The middle of its values, in hundredths.
    pub(super) middle: i64,
    /// How far devices differ in their own middles, in hundredths, to either side.
    pub(super) spread: i64,
}

const QUANTITIES: [Quantity; 3] = [
    Quantity { unit: "Cel", middle: 2_150, spread: 900 },
    Quantity { unit: "%", middle: 4_500, spread: 2_000 },
    Quantity { unit: "hPa", middle: 101_325, spread: 1_500 },
];

const FIRMWARES: [&str; 5] = ["1.8.2", "2.0.0", "2.1.4", "2.2.0", "2.2.1"];

/// What stays the same about a device; it follows from its number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Device {
    pub(super) number: u32,
    pub(super) quantity: Quantity,
    /// Its own middle, in hundredths of the unit.
    pub(super) middle: i64,
    /// Millionths of degrees north.
    pub(super) lat: i64,
    /// Millionths of degrees east.
    pub(super) lon: i64,
    pub(super) firmware: &'static str,
    /// Charge at the beginning, in tenths of a percent.
    pub(super) battery: u32,
}

impl Device {
    pub(super) fn numbered(number: u32) -> Self {
        let mut traits = Seeded::new(mix(u64::from(number)));
        let quantity = QUANTITIES[traits.below(QUANTITIES.len() as u32) as usize];
        Self {
            number,
            quantity,
            middle: quantity.middle + traits.between(-quantity.spread, quantity.spread),
            lat: traits.between(36_000_000, 60_000_000),
            lon: traits.between(-9_000_000, 30_000_000),
            firmware: FIRMWARES[traits.below(FIRMWARES.len() as u32) as usize],
            battery: 400 + traits.below(601),
        }
    }

    /// Draws who sends: the `n`th device with a weight of about 1/n (Zipf's law), in whole numbers so that every machine draws
    /// the same.
    ///
    /// Numbers are grouped by doublings, 1, 2–3, 4–7, …; each group sends as much as any other, evenly within.
    pub(super) fn draw(random: &mut Seeded, devices: u32) -> u32 {
        let groups = devices.ilog2() + 1;
        loop {
            let first = 1 << random.below(groups);
            let rank = first + random.below(first);
            // The last group may reach past the devices there are.
            if rank <= devices {
                return rank - 1;
            }
        }
    }
}
