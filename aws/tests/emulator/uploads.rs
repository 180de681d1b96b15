//! Uploads in the emulator's S3 and DynamoDB, as the stack makes both.

use std::sync::Arc;
use std::time::Duration;

use alluvium_aws::uploads::{Arrived, Claim, Forgotten, Held, Keeping, UploadLimits};
use alluvium_aws::{S3Uploads, config as sdk};
use alluvium_core::ManualClock;
use alluvium_core::clock::{Clock as _, Micros, SystemClock};
use alluvium_core::ports::{OwnerKey, PortError};
use alluvium_core::upload::{Share, Upload, UploadFormat, UploadState, UploadStore as _, UploadStoreError};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType,
};
use aws_sdk_s3::types::{BucketVersioningStatus, CreateBucketConfiguration, VersioningConfiguration};

use crate::endpoint::{config, send, unique};

const SECOND: Micros = 1_000_000;
const LINK: Micros = 900 * SECOND;
const KEPT: Duration = Duration::from_secs(7 * 86_400);
const LIMITS: UploadLimits =
    UploadLimits { unfinished: 4, unfinished_of_owner: 2, stored_bytes: 1_000, stored_bytes_of_owner: 500 };

struct World {
    uploads: S3Uploads,
    s3: aws_sdk_s3::Client,
    bucket: String,
    clock: Arc<ManualClock>,
}

impl World {
    /// At the wall clock's time, for S3 has no other when it looks at a link.
    async fn new() -> Self {
        let aws = config().await;
        let (s3, dynamo) = (sdk::s3(&aws), aws_sdk_dynamodb::Client::new(&aws));
        let bucket = unique("uploads");
        let region = CreateBucketConfiguration::builder().location_constraint("eu-west-1".into()).build();
        s3.create_bucket().bucket(&bucket).create_bucket_configuration(region).send().await.unwrap();
        let versions = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        s3.put_bucket_versioning().bucket(&bucket).versioning_configuration(versions).send().await.unwrap();
        let table = table(&dynamo).await;
        let clock = Arc::new(ManualClock::at(SystemClock.now_micros()));
        let root = format!("s3://{bucket}/content").parse().unwrap();
        let uploads = S3Uploads::new((s3.clone(), root), (dynamo, table), LIMITS, KEPT, clock.clone());
        Self { uploads, s3, bucket, clock }
    }

    fn upload(&self, owner: &str) -> Upload {
        // 32 digits that differ.
        let id = format!(
            "{:0>32}",
            unique("").bytes().fold(7_u128, |sum, byte| sum.wrapping_mul(257) + u128::from(byte)) % (1 << 90)
        );
        let now = self.clock.now_micros();
        Upload::new(id, owner.into(), "telemetry".into(), UploadFormat::Ndjson, None, (now, now + LINK))
    }

    async fn added(&self, owner: &str) -> Upload {
        let upload = self.upload(owner);
        self.uploads.add(&upload).await.unwrap();
        upload
    }

    /// Puts content by an upload's link; what S3 would tell of it.
    async fn put(&self, upload: &Upload, content: &str) -> Arrived {
        let url = self.uploads.target(upload, None).await.unwrap();
        let (head, _) = send("PUT", &url, content).await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let key = format!("content/{}/{}", OwnerKey::of(&upload.owner).as_str(), upload.id);
        let head = self.s3.head_object().bucket(&self.bucket).key(&key).send().await.unwrap();
        let (version, bytes) = (head.version_id.clone(), head.content_length().unwrap() as u64);
        Arrived { key, version, bytes, at: self.clock.now_micros() }
    }

    async fn get(&self, id: &str) -> Option<Upload> {
        self.uploads.get(id).await.unwrap()
    }

    async fn claim(&self, content: &Arrived, by: &str) -> Claim {
        let until = self.clock.now_micros() + 60 * SECOND;
        self.uploads.claim(content, by, until).await.unwrap()
    }

    async fn versions(&self) -> usize {
        let listed = self.s3.list_object_versions().bucket(&self.bucket).send().await.unwrap();
        listed.versions().len()
    }
}

/// The table as the stack makes it, but for TTL.
async fn table(dynamo: &aws_sdk_dynamodb::Client) -> String {
    let table = unique("uploads");
    let key = |name, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
    let mut create = dynamo.create_table().table_name(&table).billing_mode(BillingMode::PayPerRequest);
    for (name, kind) in [
        ("id", ScalarAttributeType::S),
        ("owner", ScalarAttributeType::S),
        ("shelf", ScalarAttributeType::S),
        ("created", ScalarAttributeType::N),
    ] {
        let of_type = AttributeDefinition::builder().attribute_name(name).attribute_type(kind);
        create = create.attribute_definitions(of_type.build().unwrap());
    }
    for (index, name) in [("owners", "owner"), ("all", "shelf")] {
        let index = GlobalSecondaryIndex::builder()
            .index_name(index)
            .key_schema(key(name, KeyType::Hash))
            .key_schema(key("created", KeyType::Range))
            .projection(Projection::builder().projection_type(ProjectionType::All).build());
        create = create.global_secondary_indexes(index.build().unwrap());
    }
    create.key_schema(key("id", KeyType::Hash)).send().await.unwrap();
    table
}

fn mine(claim: Claim) -> Held {
    match claim {
        Claim::Mine(held) => *held,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn uploads_in_s3_keep_the_contract_of_a_store() {
    let world = World::new().await;
    alluvium_core::contract::upload_store::all(&world.uploads, world.clock.now_micros()).await;
}

#[tokio::test]
async fn content_is_put_by_the_link_taken_read_and_removed() {
    let world = World::new().await;
    let upload = world.added("ann").await;
    assert_eq!(world.get(&upload.id).await.as_ref(), Some(&upload));
    let url = world.uploads.target(&upload, None).await.unwrap();
    for part in ["X-Amz-Expires=900", "X-Amz-SignedHeaders=host"] {
        assert!(url.contains(part), "{url}");
    }
    assert!(!url.contains("checksum") && !url.contains("ann"), "{url}");

    let content = world.put(&upload, "{\"a\": 1}\n").await;
    let queued = world.get(&upload.id).await.unwrap();
    assert_eq!((queued.state, queued.bytes), (UploadState::Queued, 9), "its content is here, and nobody has taken it");
    let listed = world.uploads.newest(Some("ann"), 9).await.unwrap();
    assert_eq!(listed.iter().map(|upload| upload.state).collect::<Vec<_>>(), [UploadState::Queued]);

    let mut held = mine(world.claim(&content, "m1").await);
    assert_eq!((held.upload.state, held.upload.bytes), (UploadState::Loading, 9));
    let file = world.uploads.open(&held);
    assert_eq!(file.read(0).await.unwrap(), "{\"a\": 1}\n");
    assert_eq!((file.read(5).await.unwrap(), file.read(9).await.unwrap().len()), (" 1}\n"[..].into(), 0));
    held.upload.accepted = 1;
    held.upload.end(world.clock.now_micros(), None);
    assert_eq!(world.uploads.keep(&mut held, None).await.unwrap(), Keeping::Kept);
    world.uploads.discard(&content).await.unwrap();
    world.uploads.discard(&content).await.unwrap();
    assert_eq!(world.get(&upload.id).await, Some(held.upload.clone()));
    assert!(matches!(world.claim(&content, "m1").await, Claim::Nobodys), "it has ended");
    assert_eq!(world.versions().await, 0);
    assert_eq!(file.read(0).await.unwrap_err().advice, alluvium_core::ports::Advice::Stop, "it is gone for good");

    world.clock.advance(KEPT.as_micros() as Micros);
    assert_eq!(world.get(&upload.id).await, None, "it ended long ago");
    assert_eq!(world.uploads.newest(None, 9).await.unwrap(), []);
}

#[tokio::test]
async fn of_those_who_take_an_upload_one_has_it_and_who_lost_it_keeps_nothing() {
    let world = World::new().await;
    let upload = world.added("ann").await;
    let content = world.put(&upload, "{}").await;
    let claims = (0..6).map(|number| {
        let (uploads, content, until) =
            (world.uploads.clone(), content.clone(), world.clock.now_micros() + 60 * SECOND);
        async move { uploads.claim(&content, &format!("m{number}"), until).await }
    });
    let claims: Result<Vec<_>, PortError> = futures::future::join_all(claims).await.into_iter().collect();
    let (mine, others): (Vec<_>, Vec<_>) =
        claims.unwrap().into_iter().partition(|claim| matches!(claim, Claim::Mine(_)));
    assert_eq!((mine.len(), others.len()), (1, 5));
    let [Claim::Mine(first)] = &mine[..] else { unreachable!() };
    let mut first = first.clone();
    assert!(others.iter().all(|claim| matches!(claim, Claim::Others { by, .. } if *by == first.by)), "{others:?}");

    first.upload.position = 10;
    assert_eq!(
        world.uploads.keep(&mut first, Some(world.clock.now_micros() + 60 * SECOND)).await.unwrap(),
        Keeping::Kept
    );
    world.clock.advance(61 * SECOND);
    let Claim::Mine(second) = world.claim(&content, "other").await else { panic!("its time is over") };
    assert_eq!(second.upload.position, 10, "it goes on from there");
    assert_eq!(world.uploads.keep(&mut first, None).await.unwrap(), Keeping::Others);

    world.uploads.remove(&upload).await.unwrap();
    let mut second = *second;
    assert_eq!(world.uploads.keep(&mut second, None).await.unwrap(), Keeping::Gone, "it was taken back");
    assert_eq!(world.get(&upload.id).await, None);
    assert!(matches!(world.claim(&content, "m1").await, Claim::Nobodys));
}

#[tokio::test]
async fn an_owner_is_forgotten_with_all_that_was_put() {
    let world = World::new().await;
    let (first, of_bob) = (world.added("ann").await, world.added("bob").await);
    let mut other = world.upload("ann");
    other.dataset = "data".to_owned();
    world.uploads.add(&other).await.unwrap();
    for content in ["1", "2"] {
        world.put(&first, content).await;
    }
    let content = world.put(&other, "3").await;
    world.put(&of_bob, "4").await;
    let mut held = mine(world.claim(&content, "m1").await);
    assert_eq!(world.uploads.count_owner("ann", Some("telemetry")).await.unwrap(), 1);
    assert_eq!(world.uploads.count_owner("ann", None).await.unwrap(), 2);
    let forget = async |dataset| world.uploads.forget_once("ann", dataset).await.unwrap();
    assert_eq!(forget(Some("telemetry")).await, Forgotten { uploads: 1, contents: 2 });
    assert_eq!((world.get(&first.id).await, world.versions().await), (None, 2));
    assert_eq!(forget(None).await, Forgotten { uploads: 1, contents: 1 });
    assert_eq!(world.uploads.keep(&mut held, None).await.unwrap(), Keeping::Gone);
    assert_eq!(world.versions().await, 1);
    // What nothing is known of any more.
    world.put(&first, "5").await;
    assert_eq!((forget(None).await, world.versions().await), (Forgotten { uploads: 0, contents: 1 }, 1));
    assert_eq!(forget(None).await, Forgotten::default());
    assert_eq!(world.get(&of_bob.id).await.map(|upload| upload.state), Some(UploadState::Queued));
}

#[tokio::test]
async fn what_is_put_a_second_time_is_another_version_and_nobodys() {
    let world = World::new().await;
    let upload = world.added("ann").await;
    let first = world.put(&upload, "{\"a\": 1}").await;
    let held = mine(world.claim(&first, "m1").await);
    let second = world.put(&upload, "{\"b\": 22}").await;
    assert_ne!(first.version, second.version);
    assert!(matches!(world.claim(&second, "m2").await, Claim::Nobodys));
    assert_eq!(world.uploads.open(&held).read(0).await.unwrap(), "{\"a\": 1}", "what is loaded stays what it was");
    world.uploads.discard(&second).await.unwrap();
    assert_eq!(world.versions().await, 1);
    let elsewhere = Arrived { key: format!("content/other/{}", upload.id), ..first.clone() };
    assert!(matches!(world.claim(&elsewhere, "m3").await, Claim::Nobodys), "the key is another owner's");
}

#[tokio::test]
async fn uploads_are_listed_newest_first_and_forgotten_when_their_link_has_long_ended() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for owner in ["ann", "bob", "ann"] {
        ids.push(world.added(owner).await.id);
        world.clock.advance(SECOND);
    }
    let listed = async |owner: Option<&str>, most| {
        let found = world.uploads.newest(owner, most).await.unwrap();
        found.into_iter().map(|upload| ids.iter().position(|id| *id == upload.id).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(listed(None, 9).await, [2, 1, 0]);
    assert_eq!(listed(None, 2).await, [2, 1]);
    assert_eq!((listed(Some("ann"), 9).await, listed(Some("eve"), 9).await), (vec![2, 0], vec![]));
    for id in ["", "none", &"0".repeat(32), "../x"] {
        assert_eq!(world.get(id).await, None, "{id}");
    }
    // What began to arrive before the link ended may still be on its way.
    world.clock.advance(LINK + 3_000 * SECOND);
    assert_eq!(listed(None, 9).await, [2, 1, 0]);
    world.clock.advance(700 * SECOND);
    assert_eq!((listed(None, 9).await, world.get(&ids[0]).await), (vec![], None));
}

#[tokio::test]
async fn limits_hold_for_what_waits_and_for_what_is_stored() {
    let world = World::new().await;
    let refused = async |owner: &str| match world.uploads.add(&world.upload(owner)).await {
        Ok(()) => "added",
        Err(UploadStoreError::TooMany { limit: 2, share: Share::OfOwner }) => "too many of the owner",
        Err(UploadStoreError::TooMany { limit: 4, share: Share::OfAll }) => "too many",
        Err(UploadStoreError::Full { limit: 500, share: Share::OfOwner }) => "full of the owner",
        Err(UploadStoreError::Full { limit: 1_000, share: Share::OfAll }) => "full",
        Err(other) => panic!("{other:?}"),
    };
    let (first, second) = (world.added("ann").await, world.added("ann").await);
    assert_eq!(refused("ann").await, "too many of the owner");
    let of_bob = world.added("bob").await;
    world.added("eve").await;
    assert_eq!(refused("eve").await, "too many");
    // Their links end; content that is here counts on.
    let content = world.put(&first, &"1".repeat(499)).await;
    world.clock.advance(LINK + 61 * SECOND);
    let later = world.upload("ann");
    world.uploads.add(&later).await.unwrap();
    assert_eq!(refused("ann").await, "too many of the owner");
    world.uploads.remove(&later).await.unwrap();
    world.clock.set(world.clock.now_micros() - LINK - 61 * SECOND);
    world.put(&second, "1").await;
    world.clock.advance(LINK + 61 * SECOND);
    assert_eq!(refused("ann").await, "full of the owner");
    assert_eq!(refused("eve").await, "added");
    world.clock.set(world.clock.now_micros() - LINK - 61 * SECOND);
    world.put(&of_bob, &"2".repeat(500)).await;
    assert_eq!(refused("eve").await, "full");
    world.uploads.discard(&content).await.unwrap();
    world.clock.advance(LINK + 61 * SECOND);
    assert_eq!(refused("ann").await, "added", "there is room again");
}
