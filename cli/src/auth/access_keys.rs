//! The access keys of a node's Kinesis API: those that its authorizer issues.

use std::sync::Arc;

use alluvium_ingest::{AccessKey, AccessKeys};
use alluvium_query::Authorizer;

/// What `alluvium token --access-key` makes.
#[derive(Debug)]
pub struct IssuedKeys(pub Arc<Authorizer>);

impl AccessKeys for IssuedKeys {
    fn key(&self, access_key_id: &str) -> Option<AccessKey> {
        let issued = self.0.access_key(access_key_id);
        let refused = |refusal| tracing::debug!(%refusal, "the id of an access key was refused");
        let (key, caller) = issued.map_err(refused).ok()?;
        Some(AccessKey { secret: key.secret, caller })
    }
}
