//! The order of rows that a dataset declares: what a data file says of its order is true, and the hot index has its own.

use alluvium_core::DatasetName;
use arrow::array::StringArray;
use arrow::compute::{LexicographicalComparator, SortColumn, SortOptions};
use arrow::datatypes::Float64Type;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use serde_json::{Value, json};

use super::*;

fn sorted_by(sort: &[&str]) -> Transform {
    let schema = json!({
        "properties": {
            "room": {"type": "string"}, "note": {"type": "string"}, "level": {"type": "number"},
            "count": {"type": "integer"}, "on": {"type": "boolean"}, "day": {"type": "string", "format": "date"},
            "seen": {"type": "string", "format": "date-time"}, "user": {"type": "string"},
        },
        "x-alluvium": {"sort": sort, "pseudonymise": ["user"]},
    });
    let dataset = Dataset::from_schema(DatasetName::new("mine").unwrap(), &schema.to_string()).unwrap();
    let key = crate::PseudonymKey::from_text(&"5a".repeat(32)).unwrap();
    let settings = TransformSettings { pseudonym_key: Some(key), ..TransformSettings::default() };
    Transform::new(Arc::new(Datasets::of([dataset], Some("mine")).unwrap()), settings).unwrap()
}

/// Events of two owners that repeat in some fields, lack others, and have more notes than are kept as codes.
fn events() -> DeliveryBatch {
    let rooms = ["attic", "kitchen", "", "Ümlaut"];
    let records = (0..4).map(|sequence| {
        let elements: Vec<String> = (0..500_u64)
            .map(|n| {
                let mixed = (n + sequence * 500).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 8;
                let time = ARRIVAL / 1000 - (mixed % (2 * 3_600_000)) as i64 / 60_000 * 60_000;
                let mut event = json!({
                    "id": (mixed % 1500).to_string(), "source": format!("s{}", mixed % 13), "time": time,
                    "type": format!("t{}", mixed % 3), "room": rooms[mixed as usize % 4],
                    "note": format!("{}", mixed % 1400), "level": (mixed % 7) as f64 / 2.0 - 1.5, "count": mixed as i64 % 9 - 4,
                    "on": mixed % 2 == 0, "day": format!("20{}-01-31", 10 + mixed % 9), "seen": 1_600_000_000 + mixed % 5,
                    "user": format!("u{}", mixed % 40),
                });
                for (name, every) in [("room", 5), ("note", 7), ("level", 3), ("count", 11), ("on", 4), ("seen", 6)] {
                    if mixed % every == 0 {
                        event[name] = Value::Null;
                    }
                }
                event.to_string()
            })
            .collect();
        let elements: Vec<&str> = elements.iter().map(String::as_str).collect();
        record(0, sequence + 1, sealed(["anna", "bert"][sequence as usize % 2], "mine", None, 0, &elements))
    });
    batch(records)
}

/// The columns that the first row group of the dataset's data file says it is sorted by, and how.
fn told(output: &BatchOutput) -> Vec<(String, SortOptions)> {
    let file = output.files.iter().find(|file| file.path.starts_with("mine/")).unwrap();
    let metadata = ArrowReaderMetadata::load(&file.bytes, Default::default()).unwrap().metadata().clone();
    let group = metadata.row_group(0);
    let of = |by: &parquet::file::metadata::SortingColumn| {
        let options = SortOptions { descending: by.descending, nulls_first: by.nulls_first };
        (group.column(by.column_idx as usize).column_path().string(), options)
    };
    group.sorting_columns().unwrap().iter().map(of).collect()
}

#[test]
fn the_rows_of_a_file_are_in_the_order_that_it_says() {
    for sort in [
        &["room", "event_time"][..],
        &["note"],
        &["level", "room", "event_id"],
        &["count", "on"],
        &["on", "seen"],
        &["day", "level"],
        &["seen", "count"],
        &["user", "event_time"],
        &["event_date", "source"],
        &["event_time"],
        &["source"],
        &["source", "event_id"],
        &["type", "owner"],
        &["owner", "event_id"],
        &["ingest_time", "note"],
    ] {
        let output = run(&sorted_by(sort), &events());
        let told = told(&output);
        assert_eq!(told.iter().map(|(name, _)| name).collect::<Vec<_>>(), sort);
        let rows = rows(&output, "mine");
        assert_eq!(rows.num_rows(), 2000);
        let declared = told.into_iter().map(|(name, options)| (name, Some(options)));
        let then = ["source", "event_time", "event_id"].map(|name| (name.to_owned(), None));
        let columns: Vec<SortColumn> = declared
            .chain(then)
            .map(|(name, options)| SortColumn { values: rows.column_by_name(&name).unwrap().clone(), options })
            .collect();
        let order = LexicographicalComparator::try_new(&columns).unwrap();
        let wrong = (1..rows.num_rows()).find(|row| order.compare(row - 1, *row).is_gt());
        assert_eq!(wrong, None, "{sort:?}");
    }
}

#[test]
fn nulls_come_first_and_equal_rows_go_by_source_time_and_id() {
    let lines = [
        r#"{"id":"a","source":"two","time":3,"room":"b","level":-0.0}"#,
        r#"{"id":"b","source":"one","time":2,"room":"b","level":0}"#,
        r#"{"id":"c","source":"one","time":1,"room":"a","level":10}"#,
        r#"{"id":"d","source":"one","time":9,"level":9}"#,
        r#"{"id":"f","source":"one","time":1,"room":"b","level":0.0}"#,
        r#"{"id":"e","source":"one","time":1,"room":"b","level":-0.0}"#,
        r#"{"id":"g","source":"one","time":1,"room":"b"}"#,
        r#"{"id":"h","source":"one","time":1,"room":"","level":-1e300}"#,
    ];
    let output = run(&sorted_by(&["room", "level"]), &batch([record(0, 1, lines.join("\n"))]));
    let rows = rows(&output, "mine");
    assert_eq!(texts(&rows, "event_id").concat(), "dhcgefba");
    let levels = rows.column_by_name("level").unwrap().as_primitive::<Float64Type>();
    assert_eq!(levels.iter().collect::<Vec<_>>()[..4], [Some(9.0), Some(-1e300), Some(10.0), None]);
    assert!(told(&output).iter().all(|(_, options)| !options.descending && options.nulls_first));
}

#[test]
fn the_hot_index_has_each_source_in_order_of_time_whatever_the_file_has() {
    let usual = run(&sorted_by(&["source", "event_time"]), &events());
    assert!(usual.chunks.len() > 100 && usual.chunks.iter().any(|chunk| chunk.rows > 10));
    for sort in [&["room", "level"][..], &["event_id"], &["owner", "count"]] {
        let output = run(&sorted_by(sort), &events());
        let ids = |output: &BatchOutput| texts(&rows(output, "mine"), "event_id");
        assert!(ids(&output) != ids(&usual), "the files differ in their order: {sort:?}");
        assert!(output.chunks == usual.chunks, "the chunks do not: {sort:?}");
        for chunk in &output.chunks {
            let block = read_block(&chunk.block, EXPANDED_BYTES).unwrap();
            let text = |name: &str| block.column_by_name(name).unwrap().as_string::<i32>().clone();
            let (owners, sources): (StringArray, StringArray) = (text("owner"), text("source"));
            let keys = owners.iter().zip(sources.iter()).zip(times(&block, "event_time"));
            assert!(keys.is_sorted());
        }
    }
}

#[test]
fn the_log_tells_the_same_of_a_file_in_whatever_order() {
    let usual = run(&sorted_by(&["source", "event_time"]), &events());
    let output = run(&sorted_by(&["note", "on"]), &events());
    assert_eq!(output.message.files[0].stats, usual.message.files[0].stats);
    assert_eq!(output.message.ledger, usual.message.ledger);
}

#[test]
fn hot_chunks_of_one_owner_keep_their_own_order() {
    let of_anna = batch(events().records.into_iter().step_by(2));
    let output = run(&sorted_by(&["note"]), &of_anna);
    assert!(output.chunks.len() > 10);
    for chunk in &output.chunks {
        let block = read_block(&chunk.block, EXPANDED_BYTES).unwrap();
        assert!(texts(&block, "owner").iter().all(|owner| owner == "anna"));
        assert!(texts(&block, "source").iter().zip(&times(&block, "event_time")).is_sorted());
    }
}
