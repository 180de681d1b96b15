#![allow(clippy::unwrap_used)]

use alluvium_core::Datasets;

use super::*;

/// How many events are read of a file that may have three lines, and how it ends.
fn read(content: &'static str) -> (u64, Result<(), String>) {
    let datasets = Datasets::load(None, None).unwrap();
    let upload = Upload::new("id".into(), "ann".into(), "telemetry".into(), UploadFormat::Ndjson, None, (0, 1));
    let dataset = datasets.get("telemetry").unwrap();
    let mut reader = Reader::open(Box::new(content.as_bytes()), &upload, dataset, &UploadSettings::default()).unwrap();
    reader.most_lines = 3;
    let chunk = reader.next_chunk();
    (chunk.framed.events, chunk.end.unwrap())
}

#[test]
fn lines_without_an_event_count_as_lines() {
    for content in ["{}\n{}\n{}\n", "{}\n\n{}", "{}\n\n\n"] {
        assert!(read(content).1.is_ok(), "{content:?}");
    }
    for (content, events) in [("{}\n{}\n{}\n{}\n", 3), ("{}\n\n\n\n", 1), ("\n\n\n\n\n\n", 0), ("\n\n\n{}", 0)] {
        let (read, end) = read(content);
        assert_eq!(read, events, "{content:?}");
        assert!(end.unwrap_err().contains("more than 3 lines"), "{content:?}");
    }
}
