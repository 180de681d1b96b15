//! Open erasures by schedule.

use std::sync::Mutex;

use alluvium_core::hot::{ErasableHotIndex, HotChunk, Left, Screen, TakeOut, TakenOut};
use alluvium_core::ports::PortError;
use alluvium_lake::{LakeReader, Target};
use async_trait::async_trait;

use super::*;

/// A hot index in memory, of what the transform made for it.
#[derive(Default)]
struct Hot(Mutex<Vec<HotChunk>>);

#[async_trait]
impl ErasableHotIndex for Hot {
    async fn take_out(&self, _: TakeOut, _: Micros, screen: &Screen<'_>) -> Result<TakenOut, PortError> {
        let mut taken = TakenOut::default();
        let mut held = self.0.lock().unwrap();
        for chunk in std::mem::take(&mut *held) {
            match screen(&chunk)? {
                Left::All => held.push(chunk),
                Left::Without(rows, left) => {
                    taken.add(&rows);
                    held.extend(left);
                }
            }
        }
        Ok(taken)
    }
}

/// One event of the world's owner as the transform makes it a chunk, when it is handed over once more.
fn delivered_again(world: &World, hot: &Hot) {
    let data = json!({"id": "late", "source": "s", "type": "reading", "value": 1.5}).to_string().into();
    let identity = RecordIdentity { shard: ShardId::numbered(0), sequence: 9_000.into(), subsequence: 0 };
    let record = StreamRecord { identity, arrival: world.clock.now_micros(), partition_key: "k".to_owned(), data };
    let output = world.transform.run(&DeliveryBatch { records: vec![record] }).unwrap();
    assert!(!output.chunks.is_empty());
    hot.0.lock().unwrap().extend(output.chunks);
}

fn handler(world: &World, hot: &Arc<Hot>) -> Handler {
    let stream = Duration::from_secs(24 * 3_600);
    let beside = Beside { hot: hot.clone(), set_aside: Arc::new(InMemory::new()), stream };
    Handler { beside: Some(beside), ..world.handler() }
}

async fn ask(world: &World, handler: &Handler) -> Value {
    handler.handle(json!({"task": "erasures"}), world.clock.now_micros() + 15 * MINUTE).await.unwrap()
}

#[tokio::test]
async fn an_open_erasure_takes_out_what_comes_late_and_is_closed_when_it_is_over() {
    let mut world = World::new().await;
    world.fill(3).await;
    let hot = Arc::<Hot>::default();
    let handler = handler(&world, &hot);
    let none = ask(&world, &handler).await;
    assert_eq!((&none["closed"], &none["open"], &none["overdue_seconds"]), (&json!([]), &json!([]), &json!(0)));
    delivered_again(&world, &hot);
    let owner = TransformSettings::default().stream_owner.to_string();
    let target = Target { owner: owner.clone(), until: world.clock.now_micros(), dataset: None };
    let id = handler.upkeep().begin_erasure(target, false).await.unwrap().simple().to_string();
    let first = ask(&world, &handler).await;
    assert_eq!((&first["open"], &first["hot_rows"]), (&json!([id]), &json!(1)), "{first}");
    assert_eq!(LakeReader::new(world.store.clone(), root()).snapshot("telemetry").await.unwrap().rows(), 0);
    world.copy().await;
    world.clock.advance(33 * 24 * 60 * MINUTE);
    let late = ask(&world, &handler).await;
    assert_eq!((&late["closed"], &late["open"]), (&json!([id]), &json!([])), "{late}");
    assert!(!late.to_string().contains(&owner));
}

#[tokio::test]
async fn one_that_is_late_says_by_how_much() {
    let mut world = World::new().await;
    world.fill(1).await;
    let hot = Arc::<Hot>::default();
    let handler = handler(&world, &hot);
    let target = Target { owner: "somebody".to_owned(), until: world.clock.now_micros(), dataset: None };
    handler.upkeep().begin_erasure(target, false).await.unwrap();
    let set_aside = &handler.beside.as_ref().unwrap().set_aside;
    set_aside.put(&Path::from("failed"), "{}".into()).await.unwrap();
    ask(&world, &handler).await;
    world.copy().await;
    world.clock.advance(33 * 24 * 60 * MINUTE);
    let late = ask(&world, &handler).await;
    assert_eq!((&late["set_aside"], &late["closed"]), (&json!(1), &json!([])));
    assert_eq!(late["overdue_seconds"], 24 * 3_600);
}

#[tokio::test]
async fn a_function_that_is_not_told_of_the_stores_says_so() {
    let world = World::new().await;
    let failed = world.ask(json!({"task": "erasures"})).await.unwrap_err();
    assert!(failed.to_string().contains("ALLUVIUM_ERASURES__HOT_TABLE"), "{failed}");
}
