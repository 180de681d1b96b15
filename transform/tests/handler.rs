//! A measurement of what a Firehose handler does beside storing, step by step. It asserts nothing about time and is run by hand,
//! optimised:
//!
//! ```text
//! cargo test --release -p alluvium-transform --test handler -- --ignored --nocapture
//! ```

#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::sync::Arc;

use alluvium_core::{Datasets, limits};
use alluvium_transform::firehose::Invocation;
use alluvium_transform::{Transform, TransformSettings, convert};

/// 2023-11-14T22:13:20Z, in milliseconds.
const NOW_MS: i64 = 1_700_000_000_000;
const DAY_MS: i64 = 24 * 3_600_000;
const ROUNDS: usize = 7;

/// The time that this thread has spent on a processor: what others do meanwhile does not count.
fn spent() -> u64 {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    times.split(' ').next().unwrap().parse().unwrap()
}

fn timed<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let start = spent();
    let result = work();
    (spent() - start, result)
}

/// Events of 236 bytes or so, of the last ten minutes.
fn payloads() -> Vec<String> {
    let mut state = 7_u64;
    let mut next = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed ^ (mixed >> 27)
    };
    let event = |_| {
        let (id, n) = (u128::from(next()) << 64 | u128::from(next()), next());
        let time = NOW_MS - (n % 600_000) as i64;
        let source = (n % 10_000) * (n % 10_000) / 10_000;
        format!(
            r#"{{"id":"{id:032x}","source":"device-{source:05}","type":"reading","time":{time},"data":{{"value":{}.{:03},"unit":"Cel","battery":{},"status":"ok","lat":{}.{:05},"lon":5.{:05},"firmware":"4.2.1"}}}}"#,
            n % 40,
            n % 991,
            n % 101,
            n % 89,
            n % 99_991,
            n % 99_989,
        )
    };
    (0..9_500).map(event).collect()
}

/// The event that Firehose makes of them, arrived at this time.
fn event(payloads: &[String], arrival_ms: i64) -> Vec<u8> {
    let mut event = r#"{"invocationId":"i","deliveryStreamArn":"a","region":"r","records":["#.to_owned();
    for (n, payload) in payloads.iter().enumerate() {
        let data = base64_simd::STANDARD.encode_to_string(payload);
        let comma = if n > 0 { "," } else { "" };
        let sequence = format!("495903382714902566085596925383615710959219759{n:011}");
        write!(
            event,
            r#"{comma}{{"recordId":"{sequence}000000","approximateArrivalTimestamp":{arrival_ms},"data":"{data}","kinesisRecordMetadata":{{"shardId":"shardId-000000000000","partitionKey":"device-{n}","approximateArrivalTimestamp":{arrival_ms},"sequenceNumber":"{sequence}","subsequenceNumber":0}}}}"#
        )
        .unwrap();
    }
    event.push_str("]}");
    assert!(event.len() <= limits::INVOCATION_BYTES, "{}", event.len());
    event.into()
}

#[test]
#[ignore = "a measurement"]
fn steps() {
    let payloads = payloads();
    let payload_bytes: usize = payloads.iter().map(String::len).sum();
    let datasets = Datasets::load(None, Some("telemetry")).unwrap();
    let telemetry = datasets.get("telemetry").unwrap().clone();
    let settings = TransformSettings::default();
    let transform = Transform::new(Arc::new(datasets), settings.clone()).unwrap();
    let (hot, cold) = (event(&payloads, NOW_MS), event(&payloads, NOW_MS + 30 * DAY_MS));
    let lines = payloads.join("\n");
    println!("{} events, {payload_bytes} bytes of payload, {} of event", payloads.len(), hot.len());
    let mut best = [u64::MAX; 5];
    for _ in 0..ROUNDS {
        let copy = hot.clone();
        let (read, invocation) = timed(|| Invocation::read(copy).unwrap());
        let (with, output) = timed(|| transform.run_invocation(&invocation).unwrap());
        let (answer, response) = timed(|| invocation.stored());
        assert_eq!(output.message.ledger[0].written as usize, payloads.len());
        assert!(!output.chunks.is_empty() && !response.is_empty());
        let cold = Invocation::read(cold.clone()).unwrap();
        let (without, output) = timed(|| transform.run_invocation(&cold).unwrap());
        assert!(output.chunks.is_empty());
        let (bare, _) =
            timed(|| convert(lines.as_bytes(), &telemetry, &settings, NOW_MS * 1000, std::io::sink()).unwrap());
        for (best, took) in best.iter_mut().zip([read, without, with, answer, bare]) {
            *best = (*best).min(took);
        }
    }
    let [read, without, with, answer, bare] = best;
    for (step, took) in [
        ("read the event", read),
        ("run without hot chunks", without),
        ("run with hot chunks", with),
        ("answer", answer),
        ("bare conversion", bare),
    ] {
        println!("{:>7.1} ns per event  {step}", took as f64 / payloads.len() as f64);
    }
    let handler = read + with + answer;
    println!(
        "handler {:.0} MB/s of payload, bare conversion {:.0} MB/s: {:.0} %",
        payload_bytes as f64 * 1e3 / handler as f64,
        payload_bytes as f64 * 1e3 / bare as f64,
        bare as f64 * 100.0 / handler as f64,
    );
}
