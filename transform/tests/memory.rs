//! One event of Firehose, whatever its shape, is transformed within the memory of a small Lambda function: never more than 96 MB
//! of heap, the event, the data files, the chunks and the response included.

// A global allocator cannot be written without it.
#![allow(unsafe_code, clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use alluvium_core::{Dataset, DatasetName, Datasets, limits};
use alluvium_transform::firehose::Invocation;
use alluvium_transform::{Transform, TransformSettings};
use md5::{Digest, Md5};

const ALLOWED_BYTES: usize = 96_000_000;
/// What the zstd library, which allocates past the counter, has for its two encoders of the fastest level: more than they take.
const ENCODERS_BYTES: usize = 4_000_000;
/// The same for its decoder, with the largest window that it is allowed, where a record is compressed with zstd.
const DECODER_BYTES: usize = 17_000_000;

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn count(more: usize, less: usize) {
    let held = HELD.fetch_add(more, Ordering::Relaxed) + more;
    HELD.fetch_sub(less, Ordering::Relaxed);
    PEAK.fetch_max(held - less, Ordering::Relaxed);
}

// SAFETY: every call is passed on to the system's allocator as it came; counting touches nothing but two atomics.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // A block that is aligned to more than the allocator does by itself is copied, so that old and new are held at once; a large
        // one that is not is moved by mapping it anew.
        if layout.align() > 16 {
            count(size, 0);
            count(0, layout.size());
        } else {
            count(size, layout.size());
        }
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Numbers that look like chance.
struct Seeded(u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Characters of which each stands for six and a half bits, and that JSON takes as they are.
    fn text(&mut self, length: usize) -> String {
        let character = |_| match b' ' + (self.next() % 94) as u8 {
            b'"' | b'\\' => '~',
            other => char::from(other),
        };
        (0..length).map(character).collect()
    }
}

/// An event of Firehose as large as Lambda takes one, of records that `data` makes; each says as little as it may.
fn event(mut data: impl FnMut(usize) -> Option<Vec<u8>>) -> Vec<u8> {
    full_event(|n| data(n).map(|data| (data, String::new())))
}

fn full_event(mut record: impl FnMut(usize) -> Option<(Vec<u8>, String)>) -> Vec<u8> {
    let mut event = r#"{"invocationId":"i","deliveryStreamArn":"a","region":"r","records":["#.to_owned();
    event.reserve_exact(limits::INVOCATION_BYTES);
    for n in 0.. {
        let Some((data, metadata)) = record(n) else { break };
        let data = base64_simd::STANDARD.encode_to_string(data);
        if event.len() + data.len() + metadata.len() + 90 > limits::INVOCATION_BYTES {
            break;
        }
        let comma = if n > 0 { "," } else { "" };
        let time = r#""approximateArrivalTimestamp":1700000000000"#;
        write!(event, r#"{comma}{{"recordId":"{n:08}",{time},"data":"{data}"{metadata}}}"#).unwrap();
    }
    event.push_str("]}");
    event.into()
}

/// One event whose only record takes all the room there is.
fn of_one(text: impl FnOnce(usize) -> Vec<u8>) -> Vec<u8> {
    let mut data = Some(text(limits::INVOCATION_BYTES / 4 * 3 - 1000));
    event(|_| data.take())
}

/// An event of records of 100 KB, filled with lines.
fn of_lines(mut line: impl FnMut() -> String) -> Vec<u8> {
    event(|_| {
        let mut lines = String::new();
        while lines.len() < 100_000 {
            lines.push_str(&line());
            lines.push('\n');
        }
        Some(lines.into())
    })
}

fn realistic(seeded: &mut Seeded) -> String {
    let (n, id) = (seeded.next(), u128::from(seeded.next()) << 64 | u128::from(seeded.next()));
    format!(
        r#"{{"id":"{id:032x}","source":"device-{:05}","type":"reading","time":"2023-11-14T22:{:02}:{:02}.{:03}Z","data":{{"value":{}.{:03},"unit":"Cel","battery":{},"status":"ok","lat":{}.{:05},"lon":5.{:05},"firmware":"4.2.1"}}}}"#,
        n % 10_000,
        n % 13,
        n % 59,
        n % 997,
        n % 40,
        n % 991,
        n % 101,
        n % 89,
        n % 99_991,
        n % 99_989,
    )
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(text, 3).unwrap()
}

/// Text that a window of a whole record finds to repeat, and a smaller window does not: what it expands to is as large again when
/// it is written.
fn far_repeats(seeded: &mut Seeded, bytes: usize) -> Vec<u8> {
    let lines: Vec<String> = (0..1500).map(|_| format!("{{\"note\":\"{}\"}}\n", seeded.text(690))).collect();
    let text: Vec<u8> = lines.concat().into_bytes().into_iter().cycle().take(bytes).collect();
    let mut compressor = zstd::bulk::Compressor::new(3).unwrap();
    compressor.set_parameter(zstd::zstd_safe::CParameter::EnableLongDistanceMatching(true)).unwrap();
    compressor.set_parameter(zstd::zstd_safe::CParameter::WindowLog(24)).unwrap();
    compressor.compress(&text).unwrap()
}

fn aggregate(user_record: impl Fn(usize) -> Vec<u8>, count: usize) -> Vec<u8> {
    let varint = |mut value: usize, bytes: &mut Vec<u8>| {
        while value >= 0x80 {
            bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
    };
    let mut message = Vec::new();
    for n in 0..count {
        let data = user_record(n);
        let mut record = vec![0x08, 0, 0x1A];
        varint(data.len(), &mut record);
        record.extend(data);
        message.push(0x1A);
        varint(record.len(), &mut message);
        message.extend(record);
    }
    [&[0xF3, 0x89, 0x9A, 0xC2][..], &message, &Md5::digest(&message)].concat()
}

type Shape = (&'static str, &'static str, fn() -> Vec<u8>);

/// A name, the dataset that its events go to, and the event.
const SHAPES: &[Shape] = &[
    ("records of 100 bytes", "telemetry", || {
        let mut seeded = Seeded(1);
        event(|n| {
            Some(
                format!(
                    r#"{{"id":"{:016x}{n:06}","source":"d{:05}","value":{}.5,"unit":"Cel"}}          "#,
                    seeded.next(),
                    n % 10_000,
                    n % 80
                )
                .into(),
            )
        })
    }),
    ("realistic records", "telemetry", || {
        let mut seeded = Seeded(2);
        full_event(|n| {
            let metadata = format!(
                r#","kinesisRecordMetadata":{{"shardId":"shardId-000000000000","partitionKey":"device-{n}","approximateArrivalTimestamp":1700000000000,"sequenceNumber":"495903382714902566085596925383615710959219759{n:011}","subsequenceNumber":0}}"#
            );
            Some((realistic(&mut seeded).into(), metadata))
        })
    }),
    ("one record of realistic lines", "telemetry", || {
        let mut seeded = Seeded(3);
        of_one(|bytes| {
            let mut lines = String::new();
            while lines.len() + 400 < bytes {
                lines.push_str(&realistic(&mut seeded));
                lines.push('\n');
            }
            lines.into()
        })
    }),
    ("one record of one event", "telemetry", || {
        of_one(|bytes| [&b"{\"value\":1,\"note\":\""[..], &vec![b'x'; bytes - 30], b"\"}"].concat())
    }),
    ("one record of one array", "telemetry", || {
        of_one(|bytes| [&b"["[..], &b"{},".repeat(bytes / 3 - 2), b"{}]"].concat())
    }),
    ("lines of {}", "open", || of_lines(|| "{}".to_owned())),
    ("lines of 1", "open", || of_lines(|| "1".to_owned())),
    ("lines of one letter", "open", || of_lines(|| "x".to_owned())),
    ("all bad, readable", "telemetry", || {
        let mut seeded = Seeded(4);
        event(|_| Some(realistic(&mut seeded).replace("\"value\":", "\"value\":\"no number \",\"x\":").into()))
    }),
    ("all bad, noise", "telemetry", || {
        let mut seeded = Seeded(5);
        event(|_| Some((0..25).flat_map(|_| seeded.next().to_le_bytes()).collect()))
    }),
    ("all bad, no base64", "telemetry", || {
        let event = event(|n| Some(format!("{n:0200}").into()));
        String::from_utf8(event).unwrap().replace("\"data\":\"MD", "\"data\":\"!D").into()
    }),
    ("records without data", "telemetry", || event(|_| Some(Vec::new()))),
    ("one gzip bomb", "open", || event(|n| (n == 0).then(|| gzip(&vec![b' '; 4 << 30 >> 4])))),
    ("one zstd bomb", "open", || event(|n| (n == 0).then(|| zstd(&vec![b' '; 4 << 30 >> 4])))),
    ("many gzip bombs", "open", || {
        let bomb = gzip(&vec![b' '; 20 << 20]);
        event(|_| Some(bomb.clone()))
    }),
    ("many zstd bombs", "open", || {
        let bomb = zstd(&vec![b' '; 20 << 20]);
        event(|_| Some(bomb.clone()))
    }),
    ("gzip of lines of {}", "open", || {
        let lines = gzip(&b"{}\n".repeat(90_000));
        event(|_| Some(lines.clone()))
    }),
    ("zstd of lines of 1", "open", || {
        let lines = zstd(&b"1\n".repeat(90_000));
        event(|_| Some(lines.clone()))
    }),
    ("zstd of realistic lines", "telemetry", || {
        let mut seeded = Seeded(6);
        event(|_| Some(zstd((0..3000).map(|_| realistic(&mut seeded) + "\n").collect::<String>().as_bytes())))
    }),
    ("zstd that expands to as much when written", "open", || {
        let mut seeded = Seeded(7);
        let records = [far_repeats(&mut seeded, 16 << 20), far_repeats(&mut seeded, 15 << 20)];
        event(|n| records.get(n).cloned())
    }),
    ("zstd that expands to one noisy array of events", "open", || {
        let mut seeded = Seeded(8);
        let events: Vec<String> = (0..1500).map(|_| format!("{{\"note\":\"{}\"}}", seeded.text(690))).collect();
        let record = zstd(format!("[{}]", events.join(",")).as_bytes());
        event(|_| Some(record.clone()))
    }),
    ("wide, one value each", "wide", || {
        let mut seeded = Seeded(9);
        event(|_| Some(format!(r#"{{"p{}":{}}}"#, seeded.next() % 500, seeded.next() % 1000).into()))
    }),
    ("wide, lines of {}", "wide", || of_lines(|| "{}".to_owned())),
    ("wide, lines of one value", "wide", || {
        let mut seeded = Seeded(10);
        of_lines(move || format!(r#"{{"p{}":"{}"}}"#, seeded.next() % 500, seeded.next() % 10))
    }),
    ("ids and sources of noise", "open", || {
        let mut seeded = Seeded(11);
        event(|_| Some(format!(r#"{{"id":"{}","source":"{}","value":1}}"#, seeded.text(120), seeded.text(60)).into()))
    }),
    ("lines of ids and sources of noise", "open", || {
        let mut seeded = Seeded(12);
        of_lines(move || format!(r#"{{"id":"{}","source":"{}"}}"#, seeded.text(20), seeded.text(12)))
    }),
    ("zstd of lines of long sources", "open", || {
        let mut next = 0;
        event(|n| {
            let mut lines = String::new();
            for _ in 0..15_000 {
                next += 1;
                writeln!(lines, r#"{{"source":"{}{next:08}"}}"#, "x".repeat(1000)).unwrap();
            }
            (n < 2).then(|| zstd(lines.as_bytes()))
        })
    }),
    ("lines of {} that get a long default", "default", || of_lines(|| "{}".to_owned())),
    ("a day of times", "open", || {
        let mut seeded = Seeded(13);
        of_lines(move || {
            format!(
                r#"{{"source":"s{}","time":{}}}"#,
                seeded.next() % 1000,
                1_699_920_000_000 + seeded.next() % 80_000_000
            )
        })
    }),
    ("one aggregate of many user records", "open", || {
        of_one(|_| aggregate(|n| format!(r#"{{"value":{n}}}"#).into(), 99_000))
    }),
    ("aggregates of empty user records", "open", || event(|_| Some(aggregate(|_| Vec::new(), 10_000)))),
];

fn transform(default_dataset: &str) -> Transform {
    let open = r#"{"properties": {"value": {"type": "number"}, "note": {"type": "string"}}}"#;
    let kinds = [r#"{"type": "integer"}"#, r#"{"type": "number"}"#, r#"{"type": "string"}"#, r#"{"type": "boolean"}"#];
    let wide: Vec<String> = (0..500).map(|n| format!("\"p{n}\": {}", kinds[n % 4])).collect();
    let wide = format!("{{\"properties\": {{{}}}}}", wide.join(","));
    let default = format!(r#"{{"properties": {{"note": {{"type": "string", "default": "{}"}}}}}}"#, "x".repeat(1000));
    let telemetry = include_str!("../../datasets/telemetry.json");
    let dataset = |name: &str, schema: &str| Dataset::from_schema(DatasetName::new(name).unwrap(), schema).unwrap();
    let datasets =
        [dataset("open", open), dataset("telemetry", telemetry), dataset("wide", &wide), dataset("default", &default)];
    Transform::new(Arc::new(Datasets::of(datasets, Some(default_dataset)).unwrap()), TransformSettings::default())
        .unwrap()
}

#[test]
fn no_shape_of_event_takes_more_than_a_small_function_has() {
    let mut too_much = Vec::new();
    for (name, dataset, event) in SHAPES {
        let transform = transform(dataset);
        let event = event();
        let event_bytes = event.len();
        assert!(event_bytes <= limits::INVOCATION_BYTES, "{name}");
        PEAK.store(HELD.load(Ordering::Relaxed), Ordering::Relaxed);
        let invocation = Invocation::read(event).unwrap();
        let output = transform.run_invocation(&invocation).unwrap();
        let records = invocation.batch().records.len();
        let response = invocation.stored();
        let peak = PEAK.load(Ordering::Relaxed);
        let message = &output.message;
        let received: u64 = message.ledger.iter().map(|entry| entry.received).sum();
        let rows: u64 = message.files.iter().map(|file| file.rows).sum();
        assert!(message.ledger.iter().all(|entry| entry.balances() && entry.filtered == 0), "TR-2: {name}");
        assert_eq!(received, rows, "TR-1: {name}");
        let files: usize = output.files.iter().map(|file| file.bytes.len()).sum();
        let chunks: usize = output.chunks.iter().map(|chunk| chunk.block.len()).sum();
        println!(
            "{:>5.1} MB  event {:>4.1}, files {:>4.1}, chunks {:>4.1}, response {:>3.1}  {records:>6} records {rows:>8} rows  {name}",
            peak as f64 / 1e6,
            event_bytes as f64 / 1e6,
            files as f64 / 1e6,
            chunks as f64 / 1e6,
            response.len() as f64 / 1e6,
        );
        let decoder = if name.contains("zstd") { DECODER_BYTES } else { 0 };
        if peak + ENCODERS_BYTES + decoder > ALLOWED_BYTES {
            too_much.push((name, peak));
        }
    }
    assert!(too_much.is_empty(), "more than {ALLOWED_BYTES} bytes with the zstd library's: {too_much:?}");
}
