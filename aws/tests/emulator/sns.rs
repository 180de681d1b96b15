//! Commits told of, and who hears of them: the filter policy of docs/formats/commits.md, as it stands there.

use std::time::Duration;

use alluvium_aws::SnsTopic;
use alluvium_core::{BatchIdentity, BatchPart, CommitAnnouncement, RecordIdentity, SequenceNumber, ShardId};
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::Value;

use crate::endpoint::{config, unique};

const PAGE: &str = include_str!("../../../docs/formats/commits.md");

/// The filter policy on the page: its block that names a dataset and is no message.
fn policy() -> String {
    let blocks = PAGE.split("```json\n").skip(1).map(|block| block.split("```").next().unwrap());
    let policies: Vec<_> = blocks.filter(|block| block.contains("\"numeric\"")).collect();
    let [policy] = policies[..] else { panic!("the page has one filter policy, not {}", policies.len()) };
    policy.to_owned()
}

struct Listener {
    sqs: aws_sdk_sqs::Client,
    url: String,
}

impl Listener {
    /// A queue that hears of what a topic tells, as far as a filter lets it.
    async fn of(sns: &aws_sdk_sns::Client, topic: &str, filter: Option<String>) -> Self {
        let sqs = aws_sdk_sqs::Client::new(&config().await);
        let url = sqs.create_queue().queue_name(unique("listener")).send().await.unwrap().queue_url.unwrap();
        let asked = sqs.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::QueueArn);
        let arn = asked.send().await.unwrap().attributes.unwrap()[&QueueAttributeName::QueueArn].clone();
        let subscribe = sns.subscribe().topic_arn(topic).protocol("sqs").endpoint(arn);
        let subscribe = subscribe.attributes("RawMessageDelivery", "true");
        let subscribe = match filter {
            Some(filter) => subscribe.attributes("FilterPolicy", filter),
            None => subscribe,
        };
        subscribe.send().await.unwrap();
        Self { sqs, url }
    }

    /// The messages that came, in any order, when so many are there or no more come.
    async fn heard(&self, count: usize) -> Vec<CommitAnnouncement> {
        let mut heard = Vec::new();
        for _ in 0..20 {
            let receive = self.sqs.receive_message().queue_url(&self.url).max_number_of_messages(10);
            let received = receive.send().await.unwrap().messages.unwrap_or_default();
            heard.extend(received.iter().map(|message| serde_json::from_str(message.body().unwrap()).unwrap()));
            if heard.len() >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        heard
    }
}

fn told(dataset: &str, rows: u64, dead: u64, day: i8) -> CommitAnnouncement {
    let record = RecordIdentity { shard: ShardId::numbered(0), sequence: SequenceNumber::from(rows), subsequence: 0 };
    let date = jiff::civil::date(2026, 11, day);
    let part = BatchPart {
        batch: BatchIdentity::of([&record]),
        dataset: dataset.to_owned(),
        files: 1,
        rows,
        dead,
        dates: (rows > 0).then_some((date, date)),
    };
    CommitAnnouncement::of([part], |_| Some(rows), 1_000_000).remove(0)
}

#[tokio::test]
async fn a_filter_lets_the_right_ones_through() {
    let sns = aws_sdk_sns::Client::new(&config().await);
    let topic = sns.create_topic().name(unique("commits")).send().await.unwrap().topic_arn.unwrap();
    let all = Listener::of(&sns, &topic, None).await;
    let filter: Value = serde_json::from_str(&policy()).unwrap();
    let some = Listener::of(&sns, &topic, Some(filter.to_string())).await;
    let publisher = SnsTopic::new(sns, &topic);
    // What the page says of its filter: telemetry that has rows of November 2026 or later.
    let wanted = [told("telemetry", 5, 0, 1), told("telemetry", 6, 1, 30)];
    let others = [
        told("data", 7, 0, 28),
        told("telemetry", 0, 3, 28),
        CommitAnnouncement { last_date: Some(jiff::civil::date(2026, 10, 31)), ..told("telemetry", 8, 0, 28) },
    ];
    for announcement in wanted.iter().chain(&others) {
        publisher.publish(announcement).await.unwrap();
    }
    let sorted = |mut heard: Vec<CommitAnnouncement>| {
        heard.sort_by_key(|told| (told.dataset.clone(), told.rows));
        heard
    };
    let every = sorted(wanted.iter().chain(&others).cloned().collect());
    assert_eq!(sorted(all.heard(5).await), every);
    assert_eq!(sorted(some.heard(3).await), wanted);
}

#[tokio::test]
async fn a_topic_that_is_not_there_is_named() {
    let sns = aws_sdk_sns::Client::new(&config().await);
    let publisher = SnsTopic::new(sns, "arn:aws:sns:eu-west-1:000000000000:no-such-topic");
    let refused = publisher.publish(&told("telemetry", 1, 0, 1)).await.unwrap_err();
    assert!(refused.message.contains("no-such-topic") && refused.message.contains("telemetry"), "{refused}");
}
