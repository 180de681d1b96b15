//! Uploads in S3 and DynamoDB: [`UploadStore`] for the routes, and what the function needs that loads.
//!
//! ```text
//! <root>/<hash of the owner>/<id>     content as it was put, one version for each put, until it is loaded
//! the table, key `id`                 an item for each upload: see `item.rs`
//!     index `owners`: owner, created     its uploads, by the time at which they were asked for
//!     index `all`: shelf, created        everybody's
//! ```
//!
//! - **An item is changed only as it was read**: each change puts `revision` up by one, under the condition that it is the one that was read. So
//!   of two who load one upload at most one goes on, and one that was taken back stays gone.
//! - **Content is loaded by the version that came first to whoever loads.** What is put after that by the same link is another version, and is
//!   removed by its own notification.
//! - **That content is here** is S3's to say: an upload that waits is looked for there whenever it is asked about, for the function may have others
//!   before it. An item is kept for longer than a notification may wait ([`KEPT_FOR_CONTENT`]), so that content never finds that it is
//!   nobody's because it waited (UP-1).
//! - **Limits are looked at, and not locked**: of calls at the same time more may pass than there is room for.

mod content;
mod forget;
mod item;
mod loading;

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::clock::{Micros, micros};
use alluvium_core::ports::PortError;
use alluvium_core::upload::{Share, Upload, UploadState, UploadStore, UploadStoreError};
use alluvium_core::{Caller, Clock};
use async_trait::async_trait;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::error::port_error;
use crate::s3::{LakeUrl, signed_put};
use content::Contents;
use item::{Item, Kept, by_id};

pub use forget::{Forgotten, STOPS};
pub use loading::{Arrived, Claim, Held, Keeping};

/// How long an upload is kept that waits for its content, or for what became of it. A queue keeps a notification for 14 days at the most.
pub const KEPT_FOR_CONTENT: Duration = Duration::from_secs(15 * 86_400);

/// How much later than its link ended content may be here: S3 asks for the link when a put begins.
const ARRIVES_WITHIN: Duration = Duration::from_secs(3600);

/// How much longer than its link an upload counts as one that waits: clocks may differ by half of it.
const GRACE: Duration = Duration::from_secs(60);

/// The most pages that are read of an index to find what is to be told.
const PAGES: usize = 20;

/// What there may be of uploads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadLimits {
    /// The most uploads that wait for their content or are not loaded yet.
    pub unfinished: usize,
    /// The most of those of one owner.
    pub unfinished_of_owner: usize,
    /// The most bytes of all content that is not loaded yet, when an upload is asked for.
    pub stored_bytes: u64,
    /// The most of those of one owner.
    pub stored_bytes_of_owner: u64,
}

impl UploadLimits {
    /// None, for those who take no upload in.
    pub const NONE: Self = Self {
        unfinished: usize::MAX,
        unfinished_of_owner: usize::MAX,
        stored_bytes: u64::MAX,
        stored_bytes_of_owner: u64::MAX,
    };
}

/// Uploads under one root in a bucket that keeps versions, and in one table.
#[derive(Debug, Clone)]
pub struct S3Uploads {
    s3: aws_sdk_s3::Client,
    dynamo: aws_sdk_dynamodb::Client,
    root: LakeUrl,
    table: String,
    limits: UploadLimits,
    /// How long an upload is remembered that has ended.
    kept: Duration,
    clock: Arc<dyn Clock>,
}

impl S3Uploads {
    /// Those under `root`, kept in `table`; both are there already. [`config::s3`](crate::config::s3) makes the client. One that has ended is
    /// remembered for `kept`.
    pub fn new(
        (s3, root): (aws_sdk_s3::Client, LakeUrl),
        (dynamo, table): (aws_sdk_dynamodb::Client, impl Into<String>),
        limits: UploadLimits,
        kept: Duration,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { s3, dynamo, root, table: table.into(), limits, kept, clock }
    }

    /// What is kept of an upload, unless it has been forgotten.
    async fn read(&self, id: &str) -> Result<Option<Kept>, PortError> {
        let get = self.dynamo.get_item().table_name(&self.table).set_key(Some(by_id(id))).consistent_read(true);
        let got = get.send().await.map_err(|error| port_error(format!("cannot read {self}"), error))?;
        let kept = got.item.as_ref().map(Kept::of_item).transpose()?;
        Ok(kept.filter(|kept| kept.forget_at > self.clock.now_micros()))
    }

    /// Writes what is kept, if what is there is `seen`: of that revision, or nothing. Says whether it was.
    async fn write(&self, kept: &Kept, seen: Option<u64>) -> Result<bool, PortError> {
        let put = self.dynamo.put_item().table_name(&self.table).set_item(Some(kept.to_item()));
        let put = match seen {
            None => put.condition_expression("attribute_not_exists(id)"),
            Some(revision) => put
                .condition_expression("revision = :seen")
                .expression_attribute_values(":seen", AttributeValue::N(revision.to_string())),
        };
        match put.send().await {
            Ok(_) => Ok(true),
            Err(error)
                if matches!(error.as_service_error(), Some(PutItemError::ConditionalCheckFailedException(_))) =>
            {
                Ok(false)
            }
            Err(error) => Err(port_error(format!("cannot write {self}"), error)),
        }
    }

    /// Uploads by the time at which they were asked for, newest first, a page of them; `since` a time, if one is given.
    async fn page(
        &self,
        owner: Option<&str>,
        since: Option<Micros>,
        after: Option<Item>,
    ) -> Result<(Vec<Kept>, Option<Item>), PortError> {
        let (index, name, value) = match owner {
            Some(owner) => (item::OWNERS, item::OWNER, owner),
            None => (item::ALL, item::SHELF, item::ONLY_SHELF),
        };
        let query = self.dynamo.query().table_name(&self.table).index_name(index).scan_index_forward(false);
        let query = query
            .key_condition_expression("#of = :of and created >= :since")
            .expression_attribute_names("#of", name)
            .expression_attribute_values(":of", AttributeValue::S(value.to_owned()))
            .expression_attribute_values(":since", AttributeValue::N(since.unwrap_or(0).to_string()))
            .set_exclusive_start_key(after);
        let page = query.send().await.map_err(|error| port_error(format!("cannot list {self}"), error))?;
        let kept = page.items().iter().map(Kept::of_item).collect::<Result<_, _>>()?;
        Ok((kept, page.last_evaluated_key))
    }

    /// Refuses a new upload where there is no room for one.
    async fn check_room(&self, upload: &Upload) -> Result<(), UploadStoreError> {
        let (limits, owner) = (&self.limits, upload.owner.as_str());
        let contents = self.contents(None).await?;
        for (share, limit, bytes) in [
            (Share::OfOwner, limits.stored_bytes_of_owner, contents.bytes_of(owner)),
            (Share::OfAll, limits.stored_bytes, contents.bytes()),
        ] {
            if bytes >= limit {
                return Err(UploadStoreError::Full { limit, share });
            }
        }
        let (mut all, mut theirs) = (contents.count(), contents.count_of(owner));
        let now = self.clock.now_micros();
        let waits = |kept: &&Kept| {
            let ends = kept.upload.expires.saturating_add(micros(GRACE));
            kept.upload.state == UploadState::Waiting && now <= ends && contents.of(&kept.upload).is_none()
        };
        // What was asked for before then waits no longer.
        let since = upload.created.saturating_sub(upload.expires.saturating_sub(upload.created) + micros(GRACE));
        let mut after = None;
        for _ in 0..PAGES {
            let (page, more) = self.page(None, Some(since), after).await?;
            for kept in page.iter().filter(waits) {
                all += 1;
                theirs += usize::from(kept.upload.owner == owner);
            }
            after = more.filter(|_| all < limits.unfinished);
            if after.is_none() {
                break;
            }
        }
        for (share, limit, count) in
            [(Share::OfOwner, limits.unfinished_of_owner, theirs), (Share::OfAll, limits.unfinished, all)]
        {
            if count >= limit {
                return Err(UploadStoreError::TooMany { limit, share });
            }
        }
        Ok(())
    }

    /// What is told of an upload, given the content that there is; `None`: it is forgotten.
    fn shown(&self, kept: Kept, contents: &Contents) -> Option<Upload> {
        let mut upload = kept.upload;
        if upload.state != UploadState::Waiting {
            return Some(upload);
        }
        let now = self.clock.now_micros();
        match contents.of(&upload) {
            Some(bytes) => {
                upload.receive(bytes, now);
                Some(upload)
            }
            None => Some(upload).filter(|upload| now <= upload.expires.saturating_add(micros(ARRIVES_WITHIN))),
        }
    }

    /// When an upload is forgotten, in whole seconds, as TTL has it.
    fn forget_at(&self, upload: &Upload) -> Micros {
        const SECOND: Micros = 1_000_000;
        let at = match upload.ended {
            Some(ended) => ended.saturating_add(micros(self.kept)),
            None => self.clock.now_micros().max(upload.expires).saturating_add(micros(KEPT_FOR_CONTENT)),
        };
        at.div_euclid(SECOND).saturating_mul(SECOND)
    }
}

impl std::fmt::Display for S3Uploads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the table `{}` of uploads", self.table)
    }
}

#[async_trait]
impl UploadStore for S3Uploads {
    async fn add(&self, upload: &Upload) -> Result<(), UploadStoreError> {
        self.check_room(upload).await?;
        let kept = Kept::new(upload.clone(), self.forget_at(upload));
        // An id that is there already is this call's own, whose answer was lost: nobody makes the same one twice.
        self.write(&kept, None).await?;
        Ok(())
    }

    /// A URL of S3's, for as long as the upload waits.
    async fn target(&self, upload: &Upload, _: Option<&Caller>) -> Result<String, UploadStoreError> {
        let key = self.key(upload)?;
        let left = u64::try_from(upload.expires.saturating_sub(self.clock.now_micros())).unwrap_or_default();
        let lifetime = Duration::from_secs(left.div_ceil(1_000_000).max(1));
        Ok(signed_put(&self.s3, (self.root.bucket(), &key), lifetime).await?)
    }

    async fn get(&self, id: &str) -> Result<Option<Upload>, UploadStoreError> {
        if !item::is_id(id) {
            return Ok(None);
        }
        let Some(kept) = self.read(id).await? else { return Ok(None) };
        if kept.upload.state != UploadState::Waiting {
            return Ok(Some(kept.upload));
        }
        let contents = self.contents(Some(&kept.upload)).await?;
        if contents.count() > 0 {
            return Ok(self.shown(kept, &contents));
        }
        // Between the two questions it may have been loaded.
        Ok(self.read(id).await?.and_then(|kept| self.shown(kept, &contents)))
    }

    async fn newest(&self, owner: Option<&str>, most: usize) -> Result<Vec<Upload>, UploadStoreError> {
        let contents = self.contents(None).await?;
        let mut found = Vec::new();
        let mut after = None;
        let now = self.clock.now_micros();
        for _ in 0..PAGES {
            let (page, more) = self.page(owner, None, after).await?;
            let known = page.into_iter().filter(|kept| kept.forget_at > now);
            found.extend(known.filter_map(|kept| self.shown(kept, &contents)));
            after = more.filter(|_| found.len() < most);
            if after.is_none() {
                break;
            }
        }
        found.truncate(most);
        Ok(found)
    }

    /// The content that was put is hidden by a delete marker; its version is removed by whoever loads, or days later by the bucket.
    async fn remove(&self, upload: &Upload) -> Result<(), UploadStoreError> {
        let delete = self.dynamo.delete_item().table_name(&self.table).set_key(Some(by_id(&upload.id)));
        delete.send().await.map_err(|error| port_error(format!("cannot remove an upload from {self}"), error))?;
        Ok(self.remove_content(&self.key(upload)?, None).await?)
    }
}
