//! Data files.

use alluvium_aws::{LakeUrl, S3DataFiles, config};
use alluvium_core::contract::data_files as contract;
use alluvium_core::ports::{Advice, DataFiles, Put};
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use bytes::Bytes;

use crate::endpoint;

/// A bucket of one's own.
struct TestBucket {
    client: Client,
    name: String,
}

impl TestBucket {
    async fn create() -> Self {
        let client = config::s3(&endpoint::config().await);
        let name = endpoint::unique("bucket");
        let region = CreateBucketConfiguration::builder().location_constraint(BucketLocationConstraint::EuWest1);
        client.create_bucket().bucket(&name).create_bucket_configuration(region.build()).send().await.unwrap();
        Self { client, name }
    }

    fn files(&self, prefix: &str) -> S3DataFiles {
        let root: LakeUrl = format!("s3://{}{prefix}", self.name).parse().unwrap();
        S3DataFiles::new(self.client.clone(), root)
    }

    async fn keys(&self) -> Vec<String> {
        let listed = self.client.list_objects_v2().bucket(&self.name).send().await.unwrap();
        listed.contents().iter().filter_map(|object| object.key()).map(str::to_owned).collect()
    }

    async fn remove(self) {
        for key in self.keys().await {
            self.client.delete_object().bucket(&self.name).key(key).send().await.unwrap();
        }
        self.client.delete_bucket().bucket(&self.name).send().await.unwrap();
    }
}

#[tokio::test]
async fn files_under_a_prefix_keep_the_contract() {
    let bucket = TestBucket::create().await;
    contract::all(&bucket.files("/lake")).await;
    let keys = bucket.keys().await;
    assert!(!keys.is_empty() && keys.iter().all(|key| key.starts_with("lake/")), "{keys:?}");
    bucket.remove().await;
}

#[tokio::test]
async fn files_of_a_whole_bucket_keep_the_contract() {
    let bucket = TestBucket::create().await;
    contract::all(&bucket.files("")).await;
    bucket.remove().await;
}

#[tokio::test]
async fn of_many_who_put_one_name_one_wins() {
    let bucket = TestBucket::create().await;
    let files = bucket.files("/lake");
    let puts = (0..20).map(|n: u8| {
        let files = files.clone();
        async move { (n, files.put_if_absent("a/race.parquet", Bytes::from(vec![n; 1000])).await.unwrap()) }
    });
    let outcomes = futures::future::join_all(puts).await;
    let winners: Vec<_> = outcomes.into_iter().filter(|(_, put)| *put == Put::Written).map(|(n, _)| n).collect();
    let [winner] = winners[..] else { panic!("{winners:?} were written") };
    assert_eq!(files.get("a/race.parquet").await.unwrap(), vec![winner; 1000]);
    bucket.remove().await;
}

#[tokio::test]
async fn an_object_too_large_for_memory_is_not_read() {
    let bucket = TestBucket::create().await;
    let body = ByteStream::from(vec![0; 64 * 1024 * 1024 + 1]);
    bucket.client.put_object().bucket(&bucket.name).key("lake/large").body(body).send().await.unwrap();
    let error = bucket.files("/lake").get("large").await.unwrap_err();
    assert_eq!(error.advice, Advice::Stop);
    assert!(error.message.contains("more than 67108864 bytes"), "{error}");
    bucket.remove().await;
}

#[tokio::test]
async fn an_error_names_the_object_and_the_bucket() {
    let client = config::s3(&endpoint::config().await);
    let name = endpoint::unique("missing");
    let files = S3DataFiles::new(client, format!("s3://{name}/lake").parse().unwrap());
    let error = files.put_if_absent("a", Bytes::from_static(b"x")).await.unwrap_err();
    assert_eq!(error.advice, Advice::Stop, "{error}");
    assert!(
        error.message.contains(&format!("s3://{name}/lake/a")) && error.message.contains("NoSuchBucket"),
        "{error}"
    );
}
