use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::*;

fn mixed(seed: u64) -> GeneratorSettings {
    GeneratorSettings {
        seed,
        broken_share: 0.05,
        late_share: 0.05,
        duplicate_share: 0.05,
        ..GeneratorSettings::default()
    }
}

fn made(settings: GeneratorSettings, events: usize) -> Vec<GeneratedEvent> {
    Generator::new(settings).unwrap().take(events).collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_others() {
    assert_eq!(made(mixed(7), 5_000), made(mixed(7), 5_000));
    assert_ne!(made(mixed(7), 10), made(mixed(8), 10));
}

#[test]
fn the_bytes_of_a_seed_never_change() {
    let first = made(GeneratorSettings::default(), 1).remove(0);
    assert_eq!(
        std::str::from_utf8(&first.bytes).unwrap(),
        concat!(
            r#"{"id":"c63f062c-5c30-43d4-91d9-9e8a6481c164","source":"device-08561","type":"reading","#,
            r#""time":"2026-01-01T00:00:00.000Z","data":{"value":1010.84,"unit":"hPa","battery":59.8,"status":"ok","#,
            r#""lat":47.897419,"lon":17.103421,"firmware":"2.2.1"}}"#
        )
    );
}

#[test]
fn sound_events_fit_the_dataset_and_are_of_the_promised_size() {
    let datasets = alluvium_core::Datasets::load(None, None).unwrap();
    let telemetry = datasets.get("telemetry").unwrap();
    let events = made(GeneratorSettings::default(), 20_000);
    let mut ids = BTreeSet::new();
    for event in &events {
        let parsed: Value = serde_json::from_slice(&event.bytes).unwrap();
        assert!(ids.insert(parsed["id"].as_str().unwrap().to_owned()));
        assert!(telemetry.types.iter().any(|known| parsed["type"] == known.as_str()), "{parsed}");
        let data = parsed["data"].as_object().unwrap();
        let declared: Vec<_> = telemetry.object.properties.iter().map(|property| property.name.as_str()).collect();
        assert_eq!(data.keys().collect::<Vec<_>>(), declared);
        assert!(["ok", "warn", "fail"].contains(&data["status"].as_str().unwrap()));
        assert!((-90.0..=90.0).contains(&data["lat"].as_f64().unwrap()));
        assert!((0.0..=100.0).contains(&data["battery"].as_f64().unwrap()));
    }
    let mean = events.iter().map(|event| event.bytes.len()).sum::<usize>() / events.len();
    assert!((231..=241).contains(&mean), "{mean} bytes");
}

#[test]
fn times_follow_the_rate_and_late_ones_lie_before() {
    let settings = GeneratorSettings { rate_per_second: 4, late_share: 0.2, ..GeneratorSettings::default() };
    for (number, event) in made(settings.clone(), 2_000).into_iter().enumerate() {
        let parsed: Value = serde_json::from_slice(&event.bytes).unwrap();
        let time: jiff::Timestamp = parsed["time"].as_str().unwrap().parse().unwrap();
        let behind = settings.start + number as i64 * 250_000 - time.as_microsecond();
        match event.kind {
            EventKind::Late => assert!((60_000_000..26 * 3_600_000_000).contains(&behind), "{behind}"),
            _ => assert_eq!(behind, 0),
        }
    }
}

#[test]
fn the_tally_and_the_kinds_are_what_was_sent() {
    let mut generator = Generator::new(mixed(3)).unwrap();
    let events: Vec<_> = generator.by_ref().take(40_000).collect();
    let tally = generator.tally();
    assert_eq!(tally.events(), 40_000);
    for (name, count) in [("late", tally.late), ("duplicates", tally.duplicates), ("broken", tally.dead())] {
        assert!((1_800..2_200).contains(&count), "{name}: {count}");
    }
    assert_eq!(tally.broken.len(), event::BROKEN.len());
    let mut seen = BTreeMap::new();
    for event in &events {
        let repeats = seen.insert(event.bytes.clone(), event.kind).is_some();
        assert_eq!(repeats, event.kind == EventKind::Duplicate, "{:?}", event.bytes);
        assert!(!event.bytes.contains(&b'\n'));
    }
}

#[test]
fn broken_events_are_broken_as_they_say() {
    let settings = GeneratorSettings { broken_share: 1.0, ..GeneratorSettings::default() };
    for event in made(settings, 500) {
        let EventKind::Broken(reason) = event.kind else { panic!("{:?}", event.kind) };
        let parsed = serde_json::from_slice::<Value>(&event.bytes);
        let text = std::str::from_utf8(&event.bytes).unwrap();
        let holds = match reason {
            ReasonCode::NotJson => parsed.is_err(),
            ReasonCode::NotAnObject => parsed.unwrap().is_array(),
            ReasonCode::DuplicateKey => text.matches("\"value\":").count() == 2,
            ReasonCode::TimeUnreadable => parsed.unwrap()["time"].as_str().unwrap().parse::<jiff::Timestamp>().is_err(),
            ReasonCode::TimeInFuture => parsed.unwrap()["time"].as_str().unwrap().starts_with("2999-"),
            ReasonCode::RequiredMissing => parsed.unwrap()["data"].get("value").is_none(),
            ReasonCode::SchemaViolated => parsed.unwrap()["data"]["value"].is_string(),
            other => panic!("{other}"),
        };
        assert!(holds, "{reason}: {text}");
    }
}

#[test]
fn few_devices_send_most() {
    let mut by_source: BTreeMap<String, u64> = BTreeMap::new();
    for event in made(GeneratorSettings::default(), 50_000) {
        let parsed: Value = serde_json::from_slice(&event.bytes).unwrap();
        *by_source.entry(parsed["source"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let first = by_source["device-00000"];
    assert!((3_000..4_500).contains(&first), "{first}");
    assert!(by_source.len() > 4_000, "{}", by_source.len());
    assert!(by_source.keys().all(|source| source.as_str() < "device-10000"));
}

#[test]
fn settings_that_cannot_be_are_named() {
    let with = |change: fn(&mut GeneratorSettings)| {
        let mut settings = GeneratorSettings::default();
        change(&mut settings);
        Generator::new(settings).map(|_| ()).unwrap_err().to_string()
    };
    assert!(with(|s| s.devices = 0).starts_with("devices"));
    assert!(with(|s| s.rate_per_second = 0).starts_with("rate_per_second"));
    assert!(with(|s| s.broken_share = f64::NAN).starts_with("broken_share"));
    assert!(with(|s| (s.late_share, s.duplicate_share) = (0.6, 0.6)).contains("more than 1"));
    assert!(with(|s| s.start = i64::MAX).starts_with("start"));
}

/// Not a test of function: prints how fast events are made up.
#[test]
#[ignore = "measures"]
fn speed_of_making_up() {
    let mut generator = Generator::new(mixed(1)).unwrap();
    let started = std::time::Instant::now();
    let mut out = Vec::with_capacity(300_000);
    let mut bytes = 0;
    for number in 0..2_000_000 {
        if number % 1000 == 0 {
            out.clear();
        }
        let start = out.len();
        generator.write_next(&mut out);
        bytes += out.len() - start;
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("{:.2} M events/s, {} bytes each", 2.0 / seconds, bytes / 2_000_000);
}
