//! Nested columns: files that the transform wrote under an older schema, read under a newer one.

use std::sync::{Arc, Mutex};

use alluvium_core::ports::PortError;
use alluvium_core::{Dataset, DatasetName, DeliveryBatch, RecordIdentity, SequenceNumber, ShardId, StreamRecord};
use alluvium_lake::{ActiveFile, Lease, TableSnapshot};
use alluvium_transform::{Transform, TransformSettings};
use arrow::json::writer::{LineDelimited, WriterBuilder};
use object_store::ObjectStoreExt as _;
use object_store::memory::InMemory;
use object_store::path::Path;
use serde_json::{Value, json};

use super::*;

const NAME: &str = "visits";

/// Before `geo`, `tags` and the `colour` of parts were declared, and with the fields of `place` in another order.
const OLD: &str = r#"{"properties": {
    "place": {"type": "object", "properties": {"floor": {"type": "integer"}, "room": {"type": "string"},
              "source": {"type": "string"}}},
    "parts": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer"}}}},
    "value": {"type": "number"}}}"#;
const NEW: &str = r#"{"properties": {
    "value": {"type": "number"},
    "tags": {"type": "array", "items": {"type": "string"}},
    "place": {"type": "object", "properties": {"room": {"type": "string"}, "source": {"type": "string"},
              "floor": {"type": "integer"},
              "geo": {"type": "object", "properties": {"lat": {"type": "number"}, "seen": {"type": "array",
                      "items": {"type": "string", "format": "date"}}}}}},
    "parts": {"type": "array", "items": {"type": "object", "properties": {"colour": {"type": "string"},
              "n": {"type": "integer"}}}}}}"#;

fn datasets(schema: &str) -> Arc<Datasets> {
    let dataset = Dataset::from_schema(DatasetName::new(NAME).unwrap(), schema).unwrap();
    Arc::new(Datasets::of([dataset], Some(NAME)).unwrap())
}

/// A lake of one table, whose files the transform writes.
#[derive(Debug, Clone, Default)]
struct VisitsLake {
    store: Arc<InMemory>,
    files: Arc<Mutex<Vec<ActiveFile>>>,
}

impl VisitsLake {
    /// Adds one file of these events, written under a schema.
    async fn add(&self, schema: &str, events: &[Value]) {
        let batch = self.files.lock().unwrap().len() as u64 + 1;
        let record = |(index, event): (usize, &Value)| StreamRecord {
            identity: RecordIdentity {
                shard: ShardId::numbered(0),
                sequence: SequenceNumber::from(batch * 1_000 + index as u64),
                subsequence: 0,
            },
            arrival: 1_700_000_000_000_000 + batch as i64,
            partition_key: "k".to_owned(),
            data: event.to_string().into(),
        };
        let records = events.iter().enumerate().map(record).collect();
        let transform = Transform::new(datasets(schema), TransformSettings::default()).unwrap();
        let output = transform.run(&DeliveryBatch { records }).unwrap();
        let [file] = output.files.as_slice() else { panic!("an event became a dead letter") };
        let entry = &output.message.files[0];
        self.store.put(&Path::from(file.path.as_str()), file.bytes.clone().into()).await.unwrap();
        self.files.lock().unwrap().push(ActiveFile {
            path: file.path.strip_prefix("visits/").unwrap().to_owned(),
            size_bytes: entry.size_bytes,
            rows: entry.rows,
            stats: Some(entry.stats.clone()),
            modification_time: 0,
        });
    }

    fn sql(&self) -> DataFusionSql {
        let settings = SqlSettings::default();
        DataFusionSql::new(self.store.clone(), Arc::new(self.clone()), datasets(NEW), settings).unwrap()
    }
}

#[async_trait]
impl Snapshots for VisitsLake {
    async fn snapshot(&self, table: &str) -> Result<Option<TableSnapshot>, PortError> {
        let files = self.files.lock().unwrap().clone();
        let columns = datasets(NEW).get(NAME).unwrap().columns().clone();
        Ok((table == NAME).then_some(TableSnapshot {
            version: files.len() as u64,
            columns,
            files,
            lease: Lease::default(),
        }))
    }
}

/// A file of three events under the old schema, one of three under the new one.
async fn two_schemas() -> VisitsLake {
    let lake = VisitsLake::default();
    let old = [
        json!({"id": "1", "source": "s", "value": 1, "place": {"room": "a", "floor": 1, "source": "x"}, "parts": [{"n": 1}, {"n": 2}]}),
        json!({"id": "2", "source": "s", "value": 2, "place": {"room": "b"}, "parts": []}),
        json!({"id": "3", "source": "t", "value": 3}),
    ];
    let new = [
        json!({"id": "4", "source": "s", "value": 4, "tags": ["p", "q"],
               "place": {"room": "a", "floor": 2, "geo": {"lat": 1.5, "seen": ["2026-01-31"]}}, "parts": [{"n": 3, "colour": "red"}]}),
        json!({"id": "5", "source": "t", "value": 5, "tags": [], "place": {"room": "c", "geo": {"lat": -1.5}}}),
        json!({"id": "6", "source": "t", "value": 6, "place": {"source": "y"}}),
    ];
    lake.add(OLD, &old).await;
    lake.add(NEW, &new).await;
    lake
}

/// The rows that a statement returns, nulls included.
async fn rows(sql: &DataFusionSql, statement: &str) -> Vec<Value> {
    let mut bytes = Vec::new();
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(&mut bytes);
    for batch in sql.query(statement).await.unwrap() {
        writer.write(&batch).unwrap();
    }
    writer.finish().unwrap();
    drop(writer);
    String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn what_an_older_file_has_not_is_null() {
    let sql = two_schemas().await.sql();
    for table in ["visits", "visits_raw"] {
        let found = rows(&sql, &format!("select place, parts, tags from {table} order by value")).await;
        let place = |room, source, floor, geo| json!({"room": room, "source": source, "floor": floor, "geo": geo});
        let (null, text) = (Value::Null, |text: &str| json!(text));
        let expected = [
            json!({"place": place(text("a"), text("x"), json!(1), null.clone()),
                   "parts": [{"colour": null, "n": 1}, {"colour": null, "n": 2}], "tags": null}),
            json!({"place": place(text("b"), null.clone(), null.clone(), null.clone()), "parts": [], "tags": null}),
            json!({"place": null, "parts": null, "tags": null}),
            json!({"place": place(text("a"), null.clone(), json!(2), json!({"lat": 1.5, "seen": ["2026-01-31"]})),
                   "parts": [{"colour": "red", "n": 3}], "tags": ["p", "q"]}),
            json!({"place": place(text("c"), null.clone(), null.clone(), json!({"lat": -1.5, "seen": null})),
                   "parts": null, "tags": []}),
            json!({"place": place(null.clone(), text("y"), null.clone(), null.clone()), "parts": null, "tags": null}),
        ];
        assert_eq!(found, expected, "{table}");
    }
}

#[tokio::test]
async fn fields_are_selected_alone() {
    let sql = two_schemas().await.sql();
    for table in ["visits", "visits_raw"] {
        let statement = format!(
            "select value, place.room, {table}.place.geo.lat as lat, place['floor'] as floor, place.geo.seen[1] as seen, \
             parts[1]['colour'] as colour from {table} order by value"
        );
        let found = rows(&sql, &statement).await;
        let column = |name: &str| found.iter().map(|row| row[name].clone()).collect::<Vec<_>>();
        let room = found[0].as_object().unwrap().keys().nth(1).unwrap().clone();
        assert_eq!(
            column(&room),
            [json!("a"), json!("b"), Value::Null, json!("a"), json!("c"), Value::Null],
            "{table}"
        );
        assert_eq!(json!(column("lat")), json!([null, null, null, 1.5, -1.5, null]), "{table}");
        assert_eq!(json!(column("floor")), json!([1, null, null, 2, null, null]), "{table}");
        assert_eq!(json!(column("seen")), json!([null, null, null, "2026-01-31", null, null]), "{table}");
        assert_eq!(json!(column("colour")), json!([null, null, null, "red", null, null]), "{table}");
    }
}

#[tokio::test]
async fn filters_on_nested_values_lose_no_row() {
    let sql = two_schemas().await.sql();
    for table in ["visits", "visits_raw"] {
        for (filter, expected) in [
            ("place.room = 'a'", "14"),
            ("place.room <> 'a'", "25"),
            ("place.room is null", "36"),
            ("place.room >= 'b' and value < 5", "2"),
            ("place.source = 'x'", "1"),
            ("place.source is not null", "16"),
            ("source = 's' and place.source = 'x'", "1"),
            ("source = 't' and place.source is null", "35"),
            ("place.floor + 1 > 1", "14"),
            ("place.geo.lat < 0", "5"),
            ("place.geo.lat between -2 and 2", "45"),
            ("place.geo.lat is null", "1236"),
            ("place.geo is null", "1236"),
            ("place is null", "3"),
            ("place is not null", "12456"),
            ("coalesce(place.geo.lat, 0) = 0", "1236"),
            ("tags is null", "1236"),
            ("array_has(tags, 'q')", "4"),
            ("cardinality(tags) = 0", "5"),
            ("parts is null", "356"),
            ("array_length(parts) = 2", "1"),
            ("parts[1]['n'] = 3 or place.room = 'b'", "24"),
            ("parts[1]['colour'] is null and parts is not null", "12"),
            ("place.room in ('a', 'c')", "145"),
            ("place.room like 'a%'", "14"),
            ("not (place.geo.lat > 0)", "5"),
        ] {
            let found = rows(&sql, &format!("select event_id from {table} where {filter} order by value")).await;
            let found: String = found.iter().map(|row| row["event_id"].as_str().unwrap()).collect();
            assert_eq!(found, expected, "{table} where {filter}");
            let counted = count(&sql, &format!("select count(*) from {table} where {filter}")).await;
            assert_eq!(counted as usize, expected.len(), "{table} where {filter}");
        }
    }
}

#[tokio::test]
async fn lists_are_unnested_grouped_and_joined() {
    let sql = two_schemas().await.sql();
    let parts =
        "select event_id, part.n, part.colour from (select event_id, unnest(parts) as part from visits) order by 2";
    let found: Vec<Vec<Value>> =
        rows(&sql, parts).await.iter().map(|row| row.as_object().unwrap().values().cloned().collect()).collect();
    assert_eq!(json!(found), json!([["1", 1, null], ["1", 2, null], ["4", 3, "red"]]));
    let tags = rows(&sql, "select unnest(tags) as tag, count(*) as n from visits group by tag order by tag").await;
    assert_eq!(tags, [json!({"tag": "p", "n": 1}), json!({"tag": "q", "n": 1})]);
    let rooms =
        rows(&sql, "select place.room as room, sum(value) as s from visits group by place.room order by 1 nulls last")
            .await;
    assert_eq!(
        json!(rooms),
        json!([{"room": "a", "s": 5.0}, {"room": "b", "s": 2.0}, {"room": "c", "s": 5.0}, {"room": null, "s": 9.0}])
    );
    let joined = "select a.event_id as a, b.event_id as b from visits a join visits b on a.place.room = b.place.room and a.value < b.value";
    assert_eq!(rows(&sql, joined).await, [json!({"a": "1", "b": "4"})]);
}

#[tokio::test]
async fn the_view_hides_other_arrivals_whatever_is_asked_of_nested_columns() {
    let lake = two_schemas().await;
    // Event 1 and 4 once more, later and changed.
    let again = [
        json!({"id": "1", "source": "s", "value": 1, "place": {"room": "z", "geo": {"lat": 9}}}),
        json!({"id": "4", "source": "s", "value": 4, "place": {"room": "z"}, "tags": ["r"]}),
    ];
    lake.add(NEW, &again).await;
    let sql = lake.sql();
    assert_eq!(count(&sql, "select count(*) from visits_raw where place.room = 'z'").await, 2);
    assert_eq!(count(&sql, "select count(*) from visits where place.room = 'z'").await, 0);
    assert_eq!(count(&sql, "select count(*) from visits where place.room = 'a' and source = 's'").await, 2);
    assert_eq!(count(&sql, "select count(*) from visits where place.geo.lat > 1").await, 1);
    assert_eq!(count(&sql, "select count(place.geo.lat) from visits").await, 2);
}
