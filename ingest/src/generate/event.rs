//! Writing one made-up event, sound or broken.

use alluvium_core::ReasonCode;
use alluvium_core::clock::Micros;

use super::EventKind;
use super::device::Device;
use crate::seeded::{Seeded, mix};

/// The ways in which events are broken.
pub(super) const BROKEN: [ReasonCode; 7] = [
    ReasonCode::NotJson,
    ReasonCode::NotAnObject,
    ReasonCode::DuplicateKey,
    ReasonCode::TimeUnreadable,
    ReasonCode::TimeInFuture,
    ReasonCode::RequiredMissing,
    ReasonCode::SchemaViolated,
];

/// What is wrong with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
    None,
    /// A pair of braces with something else than JSON in it, so that it can still be told from its neighbours in an array.
    NotJson,
    NotAnObject,
    KeyTwice,
    TimeUnreadable,
    TimeInFuture,
    ValueMissing,
    ValueIsText,
}

impl Defect {
    pub(super) fn of(kind: EventKind) -> Self {
        let EventKind::Broken(reason) = kind else { return Self::None };
        match reason {
            ReasonCode::NotJson => Self::NotJson,
            ReasonCode::NotAnObject => Self::NotAnObject,
            ReasonCode::DuplicateKey => Self::KeyTwice,
            ReasonCode::TimeUnreadable => Self::TimeUnreadable,
            ReasonCode::TimeInFuture => Self::TimeInFuture,
            ReasonCode::RequiredMissing => Self::ValueMissing,
            ReasonCode::SchemaViolated => Self::ValueIsText,
            other => unreachable!("no made-up event is broken by {other}"),
        }
    }
}

/// One event before it is written.
#[derive(Debug)]
pub(super) struct Draft {
    device: Device,
    time: Micros,
    id: (u64, u64),
    /// In hundredths of the unit.
    value: i64,
    /// In tenths of a percent.
    battery: u32,
    status: &'static str,
    event_type: &'static str,
}

impl Draft {
    pub(super) fn of(random: &mut Seeded, devices: u32, number: u64, time: Micros) -> Self {
        let device = Device::numbered(Device::draw(random, devices));
        // The sum of two even draws: values near the middle come more often.
        let swing = device.quantity.spread / 4;
        let value = device.middle + random.between(-swing, swing) + random.between(-swing, swing);
        let drawn = random.next_u64();
        Self {
            device,
            time,
            id: (drawn, mix(drawn ^ number)),
            value,
            battery: device.battery.saturating_sub((number / 500_000) as u32).max(1),
            status: match drawn & 0xFF {
                0..=1 => "fail",
                2..=9 => "warn",
                _ => "ok",
            },
            event_type: if number.is_multiple_of(16) { "telemetry" } else { "reading" },
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>, clock: &mut ClockFace, defect: Defect) {
        match defect {
            Defect::NotJson => {
                out.extend_from_slice(b"{source=device-");
                put_padded(out, u64::from(self.device.number), 5);
                out.extend_from_slice(b" value=");
                put_fixed(out, self.value, 2);
                return out.push(b'}');
            }
            Defect::NotAnObject => {
                out.extend_from_slice(b"[\"device-");
                put_padded(out, u64::from(self.device.number), 5);
                out.extend_from_slice(b"\",");
                put_fixed(out, self.value, 2);
                return out.push(b']');
            }
            _ => {}
        }
        self.write_attributes(out, clock, defect);
        out.extend_from_slice(b",\"data\":{");
        self.write_data(out, defect);
        out.extend_from_slice(b"}}");
    }

    fn write_attributes(&self, out: &mut Vec<u8>, clock: &mut ClockFace, defect: Defect) {
        out.extend_from_slice(b"{\"id\":\"");
        put_uuid(out, self.id);
        out.extend_from_slice(b"\",\"source\":\"device-");
        put_padded(out, u64::from(self.device.number), 5);
        out.extend_from_slice(b"\",\"type\":\"");
        out.extend_from_slice(self.event_type.as_bytes());
        out.extend_from_slice(b"\",\"time\":\"");
        match defect {
            Defect::TimeUnreadable => out.extend_from_slice(b"the day before"),
            Defect::TimeInFuture => out.extend_from_slice(b"2999-12-31T23:59:59Z"),
            _ => clock.put_time(out, self.time),
        }
        out.push(b'"');
    }

    fn write_data(&self, out: &mut Vec<u8>, defect: Defect) {
        match defect {
            Defect::ValueMissing => {}
            Defect::ValueIsText => out.extend_from_slice(b"\"value\":\"unknown\","),
            _ => {
                out.extend_from_slice(b"\"value\":");
                put_fixed(out, self.value, 2);
                out.push(b',');
            }
        }
        if defect == Defect::KeyTwice {
            out.extend_from_slice(b"\"value\":0,");
        }
        out.extend_from_slice(b"\"unit\":\"");
        out.extend_from_slice(self.device.quantity.unit.as_bytes());
        out.extend_from_slice(b"\",\"battery\":");
        put_fixed(out, i64::from(self.battery), 1);
        out.extend_from_slice(b",\"status\":\"");
        out.extend_from_slice(self.status.as_bytes());
        out.extend_from_slice(b"\",\"lat\":");
        put_fixed(out, self.device.lat, 6);
        out.extend_from_slice(b",\"lon\":");
        put_fixed(out, self.device.lon, 6);
        out.extend_from_slice(b",\"firmware\":\"");
        out.extend_from_slice(self.device.firmware.as_bytes());
        out.push(b'"');
    }
}

/// Writes times, and remembers the second that it wrote last: neighbours mostly share it.
#[derive(Debug, Clone, Default)]
pub(super) struct ClockFace {
    second: Option<i64>,
    /// `2026-01-01T00:00:00.` for that second.
    text: Vec<u8>,
}

impl ClockFace {
    /// Appends a time in milliseconds, as RFC 3339 has it.
    fn put_time(&mut self, out: &mut Vec<u8>, time: Micros) {
        let second = time.div_euclid(1_000_000);
        if self.second != Some(second) {
            let moment = jiff::Timestamp::from_second(second).expect("the settings keep times between 1900 and 9999");
            self.text = moment.to_string().into_bytes();
            self.text.pop();
            self.text.push(b'.');
            self.second = Some(second);
        }
        out.extend_from_slice(&self.text);
        put_padded(out, (time.rem_euclid(1_000_000) / 1_000) as u64, 3);
        out.push(b'Z');
    }
}

/// Appends a number with zeros before it up to `width` digits.
fn put_padded(out: &mut Vec<u8>, mut number: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    while number > 0 {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.extend_from_slice(&digits[at.min(digits.len() - width)..]);
}

/// Appends a number that is given in units of 10 to the power of minus `decimals`, with all its decimals.
fn put_fixed(out: &mut Vec<u8>, number: i64, decimals: usize) {
    if number < 0 {
        out.push(b'-');
    }
    put_padded(out, number.unsigned_abs(), decimals + 1);
    out.insert(out.len() - decimals, b'.');
}

/// Appends 122 bits in the form of a version 4 UUID.
fn put_uuid(out: &mut Vec<u8>, (high, low): (u64, u64)) {
    let high = (high & !0xF000) | 0x4000;
    let low = (low & !(0b11 << 62)) | (0b10 << 62);
    let id = uuid::Uuid::from_u64_pair(high, low);
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    out.extend_from_slice(id.hyphenated().encode_lower(&mut text).as_bytes());
}
