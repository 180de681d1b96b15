//! What commits brought, told by SNS to whoever subscribes.

use alluvium_core::CommitAnnouncement;
use alluvium_core::announcement::Attribute;
use alluvium_core::ports::{Advice, PortError};
use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;

use crate::error::port_error;

/// A standard topic: it delivers at least once, in no order.
#[derive(Debug, Clone)]
pub struct SnsTopic {
    client: Client,
    arn: String,
}

impl SnsTopic {
    /// The topic of this ARN.
    pub fn new(client: Client, arn: impl Into<String>) -> Self {
        Self { client, arn: arn.into() }
    }

    /// Publishes a message, with what filters go by as its attributes.
    ///
    /// # Errors
    ///
    /// When the topic did not take it; the SDK has tried again by then.
    pub async fn publish(&self, announcement: &CommitAnnouncement) -> Result<(), PortError> {
        let what = || format!("cannot publish a commit of `{}` to {}", announcement.dataset, self.arn);
        let body =
            serde_json::to_string(announcement).map_err(|error| PortError::because(Advice::Stop, what(), error))?;
        let mut publish = self.client.publish().topic_arn(&self.arn).message(body);
        for (name, value) in announcement.attributes() {
            let (kind, text) = match value {
                Attribute::Text(text) => ("String", text),
                Attribute::Number(number) => ("Number", number.to_string()),
            };
            let value = MessageAttributeValue::builder().data_type(kind).string_value(text).build();
            publish = publish
                .message_attributes(name, value.map_err(|error| PortError::because(Advice::Stop, what(), error))?);
        }
        publish.send().await.map(drop).map_err(|error| port_error(what(), error))
    }
}
