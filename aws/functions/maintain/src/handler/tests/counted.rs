//! The audit by schedule beside what services counted.

use alluvium_core::ports::PortError;
use alluvium_core::service_counts::Counted;
use async_trait::async_trait;

use super::*;

/// So many records in any window.
struct Always(u64);

#[async_trait]
impl ServiceCounts for Always {
    fn granularity(&self, _: Duration) -> Option<Duration> {
        Some(Duration::from_secs(60))
    }

    async fn sum(&self, _: Counted, from: Micros, to: Micros) -> Result<Option<u64>, PortError> {
        assert!(to - from >= 24 * 60 * MINUTE, "a day, which is how far audits are apart");
        Ok(Some(self.0))
    }
}

#[tokio::test]
async fn records_that_left_no_event_are_a_problem_of_the_audit() {
    let mut world = World::new().await;
    world.fill(5).await;
    // Until the window that ends half an hour ago has them.
    world.clock.advance(60 * MINUTE);
    for (records, problems) in [(50, 0), (90, 1)] {
        let counted = CountedStream { counts: Arc::new(Always(records)), buffer: Duration::from_secs(5) };
        let handler = Handler { counted: Some(counted), ..world.handler() };
        let audited = handler.handle(json!({"task": "audit"}), world.clock.now_micros() + 15 * MINUTE).await.unwrap();
        assert_eq!(audited["problems"].as_array().unwrap().len(), problems, "{audited}");
        let kept = world.stored(LAST).await;
        assert_eq!((&kept["counted"]["put_records"], &kept["counted"]["ledger_events"]), (&json!(records), &json!(50)));
    }
}
