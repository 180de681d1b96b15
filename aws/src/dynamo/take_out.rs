//! Taking rows out of chunks: the whole table is read, and a chunk that holds such rows is replaced by what is left of it.
//!
//! What is left stays where it was put, so that who polls for what is new is not told of it again. A chunk that is put again meanwhile, by a
//! batch that is delivered once more, is looked at again.

use std::collections::HashMap;

use alluvium_core::clock::Micros;
use alluvium_core::hot::{ErasableHotIndex, HotChunk, Left, Screen, TakeOut, TakenOut};
use alluvium_core::ports::{Advice, PortError};
use async_trait::async_trait;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::AttributeValue;

use super::DynamoHotIndex;
use super::item::{self, Item};
use crate::error::port_error;

/// How often a chunk that others keep putting is looked at again.
const ATTEMPTS: u32 = 10;

/// What keeps an item as it was found from being replaced after it was put again.
const AS_FOUND: &str = "attribute_exists(#pk) AND #put = :put";
/// The same for a chunk of before there were positions.
const AS_FOUND_UNPLACED: &str = "attribute_exists(#pk) AND attribute_not_exists(#put)";

#[async_trait]
impl ErasableHotIndex for DynamoHotIndex {
    /// It reads the whole table, at the price of strongly consistent reads. What waits for the table is not its to look at.
    async fn take_out(&self, mode: TakeOut, _: Micros, screen: &Screen<'_>) -> Result<TakenOut, PortError> {
        let mut items =
            self.client.scan().table_name(&self.table).consistent_read(true).into_paginator().items().send();
        let mut taken = TakenOut::default();
        while let Some(found) = items.next().await {
            let found = found.map_err(|error| port_error(format!("looking through {self}"), error))?;
            taken.add(&self.take_out_of(mode, found, screen).await?);
        }
        Ok(taken)
    }
}

impl DynamoHotIndex {
    /// The rows that left one chunk.
    async fn take_out_of(&self, mode: TakeOut, mut found: Item, screen: &Screen<'_>) -> Result<Vec<u64>, PortError> {
        for _ in 0..ATTEMPTS {
            let Some((dataset, bucket)) = item::place(&found)? else { return Ok(Vec::new()) };
            let chunk = item::chunk(&dataset, bucket, found.clone())?;
            let (rows, stays) = match screen(&chunk)? {
                Left::All => return Ok(Vec::new()),
                Left::Without(rows, _) if mode == TakeOut::Count => return Ok(rows),
                Left::Without(rows, stays) => (rows, stays),
            };
            if self.replace(&found, stays).await? {
                return Ok(rows);
            }
            match self.again(&found).await? {
                Some(now) => found = now,
                // It has expired, and who else took it out has counted it.
                None => return Ok(Vec::new()),
            }
        }
        let message = format!("a chunk of {self} was put again {ATTEMPTS} times while rows were taken out of it");
        Err(PortError::new(Advice::Retry, message))
    }

    /// Replaces an item, unless it was put again; says whether it did.
    async fn replace(&self, found: &Item, stays: Option<HotChunk>) -> Result<bool, PortError> {
        let put = found.get(item::PUT).cloned();
        let condition = if put.is_some() { AS_FOUND } else { AS_FOUND_UNPLACED };
        let names =
            HashMap::from([("#pk", item::PK), ("#put", item::PUT)].map(|(of, name)| (of.to_owned(), name.to_owned())));
        let values = put.map(|put| HashMap::from([(":put".to_owned(), put)]));
        let is_refused = match stays {
            Some(chunk) => {
                let put = self.client.put_item().table_name(&self.table).condition_expression(condition);
                let put = put.set_expression_attribute_names(Some(names)).set_expression_attribute_values(values);
                let put = put.set_item(Some(item::with_rows(found.clone(), &chunk))).send().await;
                self.is_refused(put.err(), |error| error.is_conditional_check_failed_exception())?
            }
            None => {
                let delete = self.client.delete_item().table_name(&self.table).condition_expression(condition);
                let delete = delete.set_expression_attribute_names(Some(names)).set_expression_attribute_values(values);
                let delete = delete.set_key(Some(key(found))).send().await;
                self.is_refused(delete.err(), |error| error.is_conditional_check_failed_exception())?
            }
        };
        Ok(!is_refused)
    }

    /// Whether a write failed for its condition.
    fn is_refused<E>(
        &self,
        failed: Option<SdkError<E, HttpResponse>>,
        is_condition: fn(&E) -> bool,
    ) -> Result<bool, PortError>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        match failed {
            None => Ok(false),
            Some(error) if error.as_service_error().is_some_and(is_condition) => Ok(true),
            Some(error) => Err(port_error(format!("taking rows out of {self}"), error)),
        }
    }

    /// An item as it is now.
    async fn again(&self, found: &Item) -> Result<Option<Item>, PortError> {
        let get = self.client.get_item().table_name(&self.table).consistent_read(true).set_key(Some(key(found)));
        let got = get.send().await.map_err(|error| port_error(format!("reading a chunk again from {self}"), error))?;
        Ok(got.item)
    }
}

fn key(item: &Item) -> HashMap<String, AttributeValue> {
    [item::PK, item::SK].iter().filter_map(|name| Some(((*name).to_owned(), item.get(*name)?.clone()))).collect()
}
