#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use alluvium_core::envelope::Envelope;
use alluvium_core::ports::{PutVerdict, ReadPage, Refusal, ShardState};
use alluvium_core::upload::UploadFormat;
use alluvium_core::{ManualClock, PutBatch, SequenceNumber, ShardId};
use bytes::Bytes;
use serde_json::{Value, json};

use super::*;

const NOW: Micros = 1_000_000_000_000_000;
const ID: &str = "0123456789abcdef0123456789abcdef";

/// Uploads in memory, as the table and the bucket keep them.
#[derive(Default)]
struct Memory {
    uploads: Mutex<HashMap<String, Kept>>,
    contents: Mutex<HashMap<(String, Option<String>), Bytes>>,
    /// That nothing can be read.
    away: AtomicBool,
    /// Until when an upload was taken last.
    held_until: Mutex<Micros>,
    /// That all parts but the first take longer than what is known of an upload is believed.
    slow: AtomicBool,
    /// How much of content is there, whatever its size was said to be.
    cut: Mutex<Option<usize>>,
}

#[derive(Clone)]
struct Kept {
    upload: Upload,
    revision: u64,
    version: Option<String>,
    lease: Option<(String, Micros)>,
}

struct MemoryFile {
    content: Option<Bytes>,
    bytes: u64,
    away: bool,
    slow: bool,
}

#[async_trait]
impl OpenFile for MemoryFile {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn tag(&self) -> &'static str {
        "tag"
    }

    async fn read(&self, offset: u64) -> Result<Bytes, PortError> {
        if self.away {
            return Err(PortError::new(Advice::Retry, "injected"));
        }
        if self.slow && offset > 0 {
            tokio::time::sleep(Duration::from_millis(1_300)).await;
        }
        let content = self.content.as_ref().ok_or_else(|| PortError::new(Advice::Stop, "there is none"))?;
        let begin = (offset as usize).min(content.len());
        Ok(content.slice(begin..(begin + 700_000).min(content.len())))
    }
}

#[async_trait]
impl Shelf for Memory {
    async fn claim(&self, content: &Arrived, by: &str, until: Micros) -> Result<Claim, PortError> {
        let mut uploads = self.uploads.lock().unwrap();
        let id = content.key.rsplit('/').next().unwrap();
        let Some(kept) = uploads.get_mut(id) else { return Ok(Claim::Nobodys) };
        let other = kept.version.is_some() && kept.version != content.version;
        if kept.upload.state.has_ended() || other {
            return Ok(Claim::Nobodys);
        }
        if let Some((by, until)) = kept.lease.clone().filter(|(_, until)| *until > NOW) {
            return Ok(Claim::Others { by, until });
        }
        if kept.upload.received.is_none() {
            kept.upload.receive(content.bytes, content.at);
        }
        kept.upload.state = UploadState::Loading;
        kept.version.clone_from(&content.version);
        kept.lease = Some((by.to_owned(), until));
        *self.held_until.lock().unwrap() = until;
        kept.revision += 1;
        let (upload, revision) = (kept.upload.clone(), kept.revision);
        Ok(Claim::Mine(Box::new(Held { upload, content: content.clone(), by: by.to_owned(), revision })))
    }

    async fn keep(&self, held: &mut Held, until: Option<Micros>) -> Result<Keeping, PortError> {
        let mut uploads = self.uploads.lock().unwrap();
        let Some(kept) = uploads.get_mut(&held.upload.id) else { return Ok(Keeping::Gone) };
        if kept.revision != held.revision {
            return Ok(Keeping::Others);
        }
        kept.revision += 1;
        held.revision = kept.revision;
        kept.upload = held.upload.clone();
        kept.lease = until.map(|until| (held.by.clone(), until));
        Ok(Keeping::Kept)
    }

    fn open(&self, held: &Held) -> Arc<dyn OpenFile> {
        let key = (held.content.key.clone(), held.content.version.clone());
        let mut content = self.contents.lock().unwrap().get(&key).cloned();
        if let (Some(content), Some(cut)) = (&mut content, *self.cut.lock().unwrap()) {
            content.truncate(cut);
        }
        let [away, slow] = [&self.away, &self.slow].map(|flag| flag.load(Ordering::SeqCst));
        Arc::new(MemoryFile { content, bytes: held.content.bytes, away, slow })
    }

    async fn discard(&self, content: &Arrived) -> Result<(), PortError> {
        self.contents.lock().unwrap().remove(&(content.key.clone(), content.version.clone()));
        Ok(())
    }
}

/// What the queue was told.
#[derive(Default)]
struct Told {
    sent: Mutex<Vec<String>>,
    waits: Mutex<Vec<Duration>>,
}

#[async_trait]
impl Messages for Told {
    async fn postpone(&self, _: &str, wait: Duration) -> Result<(), PortError> {
        self.waits.lock().unwrap().push(wait);
        Ok(())
    }

    async fn send(&self, body: &str) -> Result<(), PortError> {
        self.sent.lock().unwrap().push(body.to_owned());
        Ok(())
    }
}

/// A stream that keeps what it is given, or is full.
#[derive(Default)]
struct Taken(Mutex<Vec<Envelope>>, AtomicBool);

#[async_trait]
impl Stream for Taken {
    async fn append(&self, batch: PutBatch) -> Result<Vec<PutVerdict>, PortError> {
        let full = self.1.load(Ordering::SeqCst);
        let verdict = |record: &alluvium_core::PutRecord| {
            if full {
                return PutVerdict::Refused(Refusal::Full);
            }
            self.0.lock().unwrap().push(Envelope::open(&record.data).unwrap());
            PutVerdict::Stored { shard: ShardId::numbered(0), sequence: SequenceNumber::from(1) }
        };
        Ok(batch.records.iter().map(verdict).collect())
    }

    async fn read(&self, _: &ShardId, _: Option<SequenceNumber>, _: usize, _: Duration) -> Result<ReadPage, PortError> {
        unreachable!("a loader reads nothing")
    }

    async fn shards(&self) -> Result<Vec<ShardState>, PortError> {
        unreachable!("a loader reads nothing")
    }
}

struct World {
    shelf: Arc<Memory>,
    queue: Arc<Told>,
    stream: Arc<Taken>,
    handler: Handler,
}

impl World {
    fn of(settings: UploadSettings) -> Self {
        let (shelf, queue, stream) = (Arc::<Memory>::default(), Arc::<Told>::default(), Arc::<Taken>::default());
        let handler = Handler {
            shelf: shelf.clone(),
            queue: queue.clone(),
            stream: stream.clone(),
            datasets: Arc::new(Datasets::load(None, None).unwrap()),
            settings,
            bytes_per_second: NonZeroU64::new(1 << 30).unwrap(),
            clock: Arc::new(ManualClock::at(NOW)),
        };
        Self { shelf, queue, stream, handler }
    }

    /// An upload of ann's that waits.
    fn asked(&self, id: &str, format: UploadFormat) {
        let upload = Upload::new(id.into(), "ann".into(), "telemetry".into(), format, None, (NOW, NOW + 1));
        let kept = Kept { upload, revision: 1, version: None, lease: None };
        self.shelf.uploads.lock().unwrap().insert(id.to_owned(), kept);
    }

    /// Puts content; the body of the message that tells of it.
    fn put(&self, id: &str, version: &str, content: impl Into<Bytes>) -> String {
        let (content, key) = (content.into(), format!("content/owner/{id}"));
        let size = content.len();
        self.shelf.contents.lock().unwrap().insert((key.clone(), Some(version.to_owned())), content);
        let object = json!({"key": key, "size": size, "versionId": version});
        json!({"Records": [{"eventTime": "2001-09-09T01:46:39Z", "s3": {"object": object}}]}).to_string()
    }

    /// Handles a message that comes for the first time, with much time; whether it comes again.
    async fn message(&self, id: &str, body: &str) -> bool {
        self.within(id, body, Duration::from_secs(900), &mut Metrics::new("test")).await
    }

    async fn within(&self, id: &str, body: &str, time: Duration, metrics: &mut Metrics) -> bool {
        let attributes = json!({"ApproximateReceiveCount": "2"});
        let message = json!({"messageId": id, "receiptHandle": "r", "body": body, "attributes": attributes,
            "messageAttributes": {}, "md5OfBody": "", "eventSource": "aws:sqs", "eventSourceARN": "a", "awsRegion": "r"});
        let event = serde_json::from_value(json!({"Records": [message]})).unwrap();
        let response = self.handler.handle(event, Instant::now() + time, metrics).await;
        !response.batch_item_failures.is_empty()
    }

    fn upload(&self, id: &str) -> Upload {
        self.shelf.uploads.lock().unwrap()[id].upload.clone()
    }

    fn contents(&self) -> usize {
        self.shelf.contents.lock().unwrap().len()
    }

    /// Every event by what its id is derived from, and how often it is there.
    fn events(&self) -> BTreeMap<(String, u32), (Vec<u8>, usize)> {
        let mut found = BTreeMap::new();
        for envelope in self.stream.0.lock().unwrap().iter() {
            let header = &envelope.header;
            assert_eq!((header.owner.as_str(), header.dataset.as_str()), ("ann", "telemetry"));
            let key = header.idempotency_key.clone().unwrap();
            for (index, event) in (header.first_index..).zip(envelope.elements()) {
                let kept = found.entry((key.clone(), index)).or_insert((event.to_vec(), 0));
                assert_eq!(kept.0, event, "one id, two events");
                kept.1 += 1;
            }
        }
        found
    }
}

fn gzipped(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn long_content(lines: u32) -> Vec<u8> {
    (1..=lines)
        .flat_map(|line| format!("{{\"value\": {line}, \"note\": \"{}\"}}\n", "x".repeat(80)).into_bytes())
        .collect()
}

#[tokio::test]
async fn what_was_put_is_in_the_stream_and_its_content_is_gone() {
    let world = World::of(UploadSettings::default());
    world.asked(ID, UploadFormat::Csv);
    let body = world.put(ID, "1", gzipped(b"time,value\n1,5\n1,2,3\n\n2,6\n"));
    let mut metrics = Metrics::new("test");
    assert!(!world.within("m1", &body, Duration::from_secs(900), &mut metrics).await);
    let upload = world.upload(ID);
    assert_eq!((upload.state, upload.accepted, upload.odd, upload.lines), (UploadState::Done, 3, 1, 5));
    assert_eq!((upload.received, upload.ended), (Some(NOW - 1_000_000), Some(NOW)));
    assert!(upload.odd_lines[0].problem.contains("3 cells, the header 2"), "{:?}", upload.odd_lines);
    let lines: Vec<_> = world
        .events()
        .into_iter()
        .map(|((_, row), (event, times))| (row, String::from_utf8(event).unwrap(), times))
        .collect();
    let row = |time, value| format!(r#"{{"time":"{time}","value":{value}}}"#);
    assert_eq!(lines, [(2, row(1, 5), 1), (3, "1,2,3".to_owned(), 1), (4, row(2, 6), 1)]);
    assert!(world.events().keys().all(|(key, _)| *key == format!("file:{}", upload.content.as_ref().unwrap())));
    assert_eq!((world.contents(), world.queue.sent.lock().unwrap().len()), (0, 0));
    let lines: Vec<Value> = metrics.lines(0).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (name, value) in [
        ("UploadsDone", json!(1)),
        ("UploadEvents", json!(3)),
        ("UploadOddLines", json!(1)),
        ("UploadSeconds", json!(1.0)),
    ] {
        assert_eq!(lines[0][name], value, "{name}");
    }
    assert_eq!((&lines[1]["Dataset"], &lines[1]["UploadEvents"]), (&json!("telemetry"), &json!(3)));
    // The message comes once more, as messages do.
    assert!(!world.message("m1", &body).await);
    assert_eq!(world.events().len(), 3);
}

#[tokio::test]
async fn the_same_bytes_make_the_same_events_in_another_upload() {
    let world = World::of(UploadSettings::default());
    let other = ID.replace('0', "f");
    for id in [ID, &other] {
        world.asked(id, UploadFormat::Ndjson);
        let body = world.put(id, "1", "{\"a\":1}\n{\"a\":2}\n");
        assert!(!world.message(id, &body).await);
        assert_eq!(world.upload(id).accepted, 2);
    }
    assert_eq!(world.events().into_values().map(|(_, times)| times).collect::<Vec<_>>(), [2, 2]);
}

#[tokio::test]
async fn what_does_not_fit_an_invocation_goes_on_in_the_next_ones() {
    let lines = 60_000;
    let mut world = World::of(UploadSettings { record_bytes: 64 * 1024, ..UploadSettings::default() });
    world.handler.bytes_per_second = NonZeroU64::new(1 << 10).unwrap();
    world.asked(ID, UploadFormat::Ndjson);
    let body = world.put(ID, "1", gzipped(&long_content(lines)));
    // A part takes half an hour at that pace; there is time for one.
    let short = SPARE + Duration::from_secs(30);
    let mut seen = vec![0];
    let mut invocations = 0;
    while !world.upload(ID).state.has_ended() {
        invocations += 1;
        assert!(!world.within(&format!("m{invocations}"), &body, short, &mut Metrics::new("test")).await);
        seen.push(world.upload(ID).accepted);
        assert!(seen[invocations] > seen[invocations - 1], "each gets on: {seen:?}");
        let sent = world.queue.sent.lock().unwrap().clone();
        let ended = world.upload(ID).state.has_ended();
        assert_eq!(sent.len(), invocations - usize::from(ended), "what is left asks for another invocation");
        assert!(sent.iter().all(|sent| *sent == body));
        assert_eq!(world.contents(), usize::from(!ended));
    }
    assert!(invocations > 1);
    assert_eq!(world.upload(ID).accepted, u64::from(lines));
    let events = world.events();
    assert_eq!(events.keys().map(|(_, line)| *line).collect::<Vec<_>>(), (1..=lines).collect::<Vec<_>>());
    assert!(events.values().all(|(_, times)| *times == 1), "it went on from where it was");
}

#[tokio::test]
async fn a_stream_that_takes_nothing_is_asked_again_later_and_not_for_ever() {
    let world = World::of(UploadSettings::default());
    world.asked(ID, UploadFormat::Ndjson);
    let body = world.put(ID, "1", "{\"a\":1}\n");
    world.stream.1.store(true, Ordering::SeqCst);
    let short = SPARE + Duration::from_millis(300);
    let metrics = &mut Metrics::new("test");
    // Its hash is known then, which is progress; the second time there is none, and the queue counts.
    assert!(!world.within("m1", &body, short, metrics).await);
    assert!(world.within("m2", &body, short, metrics).await);
    assert_eq!(world.queue.sent.lock().unwrap().len(), 1);
    assert_eq!((world.upload(ID).state, world.contents()), (UploadState::Loading, 1));
    world.stream.1.store(false, Ordering::SeqCst);
    assert!(!world.message("m2", &body).await);
    assert_eq!((world.upload(ID).state, world.events().len()), (UploadState::Done, 1));
}

#[tokio::test]
async fn an_upload_that_is_held_is_left_to_its_holder() {
    let world = World::of(UploadSettings::default());
    world.asked(ID, UploadFormat::Ndjson);
    let body = world.put(ID, "1", "{}\n");
    let lease = |until| world.shelf.uploads.lock().unwrap().get_mut(ID).unwrap().lease = Some(("m1".to_owned(), until));
    lease(NOW + 90_000_000);
    assert!(!world.message("m2", &body).await, "whoever holds it has a message of its own");
    assert!(world.message("m1", &body).await, "the holder's own message saves the upload if it ends without a word");
    let waits = world.queue.waits.lock().unwrap().clone();
    assert_eq!(
        waits.last(),
        Some(&Duration::from_secs(100)),
        "it comes when the upload is free, and not to find it held"
    );
    assert_eq!((world.events().len(), world.contents()), (0, 1));
    lease(NOW);
    assert!(!world.message("m1", &body).await);
    assert_eq!(world.upload(ID).state, UploadState::Done);
}

#[tokio::test]
async fn who_has_lost_an_upload_puts_no_more_and_keeps_nothing() {
    for (taken_back, left) in [(true, 0), (false, 1)] {
        let world = World::of(UploadSettings::default());
        world.asked(ID, UploadFormat::Ndjson);
        let body = world.put(ID, "1", "{}\n");
        world.stream.1.store(true, Ordering::SeqCst);
        let change = async {
            while world.upload(ID).content.is_none() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let mut uploads = world.shelf.uploads.lock().unwrap();
            if taken_back {
                drop(uploads.remove(ID))
            } else {
                uploads.get_mut(ID).unwrap().revision += 1
            }
            world.stream.1.store(false, Ordering::SeqCst);
        };
        let (again, ()) = tokio::join!(world.message("m1", &body), change);
        assert!(!again);
        assert_eq!(world.contents(), left, "content goes with its upload, and stays for whoever loads it now");
        assert_eq!(
            world.shelf.uploads.lock().unwrap().get(ID).map(|kept| kept.upload.state),
            (!taken_back).then_some(UploadState::Loading)
        );
    }
}

#[tokio::test]
async fn what_was_taken_back_while_a_part_was_read_is_not_put() {
    let world = World::of(UploadSettings::default());
    world.asked(ID, UploadFormat::Ndjson);
    let body = world.put(ID, "1", long_content(10_000));
    world.shelf.uploads.lock().unwrap().get_mut(ID).unwrap().upload.content = Some("hash".to_owned());
    world.shelf.slow.store(true, Ordering::SeqCst);
    let take_back = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(world.upload(ID).state, UploadState::Loading);
        world.shelf.uploads.lock().unwrap().remove(ID);
    };
    let (again, ()) = tokio::join!(world.message("m1", &body), take_back);
    assert!(!again);
    assert_eq!((world.events().len(), world.contents()), (0, 0));
}

#[tokio::test]
async fn a_message_comes_again_only_once_its_upload_is_free() {
    let world = World::of(UploadSettings::default());
    world.asked(ID, UploadFormat::Ndjson);
    let body = world.put(ID, "1", "{}\n");
    world.shelf.away.store(true, Ordering::SeqCst);
    assert!(world.message("m1", &body).await);
    let hidden = world.queue.waits.lock().unwrap()[0];
    let held_until = *world.shelf.held_until.lock().unwrap();
    let held = Duration::from_micros((held_until - NOW) as u64);
    assert!(hidden > held + Duration::from_secs(5), "hidden for {hidden:?}, and held for {held:?}");
    assert!(held > Duration::from_secs(900), "held longer than the invocation lives");
}

#[tokio::test]
async fn what_was_not_read_to_its_size_fails_nothing() {
    let world = World::of(UploadSettings::default());
    world.asked(ID, UploadFormat::Ndjson);
    let body = world.put(ID, "1", "{\"a\":1}\n{\"a\":2}\n");
    *world.shelf.cut.lock().unwrap() = Some(8);
    assert!(world.message("m1", &body).await);
    world.shelf.uploads.lock().unwrap().get_mut(ID).unwrap().upload.content = Some("hash".to_owned());
    // One line of two is in, and it goes on later.
    assert!(!world.message("m1", &body).await);
    assert_eq!((world.upload(ID).state, world.upload(ID).accepted, world.contents()), (UploadState::Loading, 1, 1));
    *world.shelf.cut.lock().unwrap() = None;
    assert!(!world.message("m1", &body).await);
    assert_eq!((world.upload(ID).state, world.upload(ID).accepted), (UploadState::Done, 2));
}

#[tokio::test]
async fn what_is_put_a_second_time_or_without_an_upload_is_removed() {
    let world = World::of(UploadSettings::default());
    world.asked(ID, UploadFormat::Ndjson);
    let first = world.put(ID, "1", "{\"a\":1}\n");
    let second = world.put(ID, "2", "{\"a\":2}\n");
    world.shelf.uploads.lock().unwrap().get_mut(ID).unwrap().version = Some("1".to_owned());
    assert!(!world.message("m2", &second).await);
    assert_eq!((world.contents(), world.events().len()), (1, 0));
    assert!(!world.message("m1", &first).await);
    let nobodys = world.put(&ID.replace('0', "f"), "3", "{}");
    assert!(!world.message("m3", &nobodys).await);
    assert_eq!((world.contents(), world.events().len()), (0, 1));
}

#[tokio::test]
async fn content_that_cannot_be_loaded_says_why() {
    let large = vec![b'1'; 1_001];
    let cut = gzipped(&long_content(100));
    let settings = || UploadSettings { max_bytes: 1_000, ..UploadSettings::default() };
    for (content, says) in [
        (large, "1001 bytes, more than 1000"),
        (Vec::new(), "empty"),
        (cut[..cut.len() - 20].to_vec(), "cannot be decompressed as gzip"),
        (b"[1]".to_vec(), "begins with `[`"),
    ] {
        let world = World::of(settings());
        world.asked(ID, UploadFormat::Ndjson);
        let body = world.put(ID, "1", content);
        let mut metrics = Metrics::new("test");
        assert!(!world.within("m1", &body, Duration::from_secs(900), &mut metrics).await);
        let upload = world.upload(ID);
        assert_eq!((upload.state, world.contents()), (UploadState::Failed, 0), "{says}");
        assert!(upload.error.as_ref().unwrap().contains(says), "{:?}", upload.error);
        assert!(metrics.lines(0)[0].contains("\"UploadsFailed\":1"));
    }
    let world = World::of(settings());
    world.asked(ID, UploadFormat::Ndjson);
    let body = world.put(ID, "1", "{}");
    world.shelf.contents.lock().unwrap().clear();
    assert!(!world.message("m1", &body).await);
    assert!(world.upload(ID).error.unwrap().contains("gone"));
}

#[tokio::test]
async fn content_that_cannot_be_read_now_fails_nothing() {
    let world = World::of(UploadSettings::default());
    world.asked(ID, UploadFormat::Ndjson);
    let body = world.put(ID, "1", "{}");
    world.shelf.away.store(true, Ordering::SeqCst);
    assert!(world.message("m1", &body).await);
    assert_eq!((world.upload(ID).state, world.contents()), (UploadState::Loading, 1));
    // Known what it is, and away while it is loaded.
    world.shelf.uploads.lock().unwrap().get_mut(ID).unwrap().upload.content = Some("hash".to_owned());
    assert!(world.message("m1", &body).await);
    assert_eq!((world.upload(ID).state, world.upload(ID).error), (UploadState::Loading, None));
    world.shelf.away.store(false, Ordering::SeqCst);
    assert!(!world.message("m1", &body).await);
    assert_eq!(world.upload(ID).state, UploadState::Done);
}

#[tokio::test]
async fn a_message_that_tells_of_nothing_is_settled_and_one_that_is_none_is_set_aside() {
    let world = World::of(UploadSettings::default());
    assert!(!world.message("m1", r#"{"Service": "Amazon S3", "Event": "s3:TestEvent"}"#).await);
    assert!(world.message("m2", "tables/a.json").await);
    assert_eq!(world.queue.waits.lock().unwrap().last(), Some(&Duration::from_secs(120)));
}
