//! Forgetting what has expired, where no TTL does.

use alluvium_core::clock::Micros;
use alluvium_core::ports::PortError;
use aws_sdk_dynamodb::types::AttributeValue;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::DynamoHotIndex;
use super::item::{self, Item};
use crate::error::port_error;

/// How many items are removed at once.
const DELETES_AT_ONCE: usize = 16;

/// What an item has that has expired. A mark has no expiry.
const EXPIRED: &str = "#expires <= :now";

impl DynamoHotIndex {
    pub(super) async fn expire_chunks(&self, now: Micros) -> Result<usize, PortError> {
        let scan = self.client.scan().table_name(&self.table).consistent_read(true).filter_expression(EXPIRED);
        let scan = scan.expression_attribute_names("#expires", item::EXPIRES);
        let scan = scan.expression_attribute_values(":now", AttributeValue::N(now.to_string()));
        let mut pages = scan.projection_expression("pk, sk").into_paginator().send();
        let mut forgotten = 0;
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| port_error(format!("looking for what has expired in {self}"), error))?;
            let deleted = stream::iter(page.items.unwrap_or_default()).map(|item| self.forget(item, now));
            let deleted: Vec<bool> = deleted.buffer_unordered(DELETES_AT_ONCE).try_collect().await?;
            forgotten += deleted.into_iter().filter(|deleted| *deleted).count();
        }
        Ok(forgotten)
    }

    /// Removes an item if it is there and still has expired: it may have been written again since it was found.
    async fn forget(&self, item: Item, now: Micros) -> Result<bool, PortError> {
        let delete = self.client.delete_item().table_name(&self.table).set_key(Some(item));
        let delete = delete.condition_expression(EXPIRED).expression_attribute_names("#expires", item::EXPIRES);
        match delete.expression_attribute_values(":now", AttributeValue::N(now.to_string())).send().await {
            Ok(_) => Ok(true),
            Err(error)
                if error.as_service_error().is_some_and(|error| error.is_conditional_check_failed_exception()) =>
            {
                Ok(false)
            }
            Err(error) => Err(port_error(format!("forgetting what has expired in {self}"), error)),
        }
    }
}
