//! A deployed Lambda function as a [`Function`].

use alluvium_core::ports::{Advice, Function, PortError};
use async_trait::async_trait;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use bytes::Bytes;

use crate::error::port_error;

/// The most bytes that a message quotes of what a failed function says of itself.
const QUOTED_BYTES: usize = 1024;

/// One version or alias of a function, invoked synchronously.
#[derive(Debug, Clone)]
pub struct DeployedFunction {
    client: Client,
    name: String,
    qualifier: String,
}

impl DeployedFunction {
    /// The function `name` in its version or alias `qualifier`. [`config::lambda`](crate::config::lambda) makes the client: one
    /// with shorter time-outs gives up on a function that still works.
    pub fn new(client: Client, name: impl Into<String>, qualifier: impl Into<String>) -> Self {
        Self { client, name: name.into(), qualifier: qualifier.into() }
    }
}

#[async_trait]
impl Function for DeployedFunction {
    async fn invoke(&self, payload: Bytes) -> Result<Bytes, PortError> {
        let what = || format!("the function {}:{}", self.name, self.qualifier);
        let invoke = self.client.invoke().function_name(&self.name).qualifier(&self.qualifier);
        let invoke = invoke.invocation_type(InvocationType::RequestResponse).payload(Blob::new(payload));
        let answer = invoke.send().await.map_err(|error| port_error(format!("cannot invoke {}", what()), error))?;
        let payload = answer.payload.map(Blob::into_inner).unwrap_or_default();
        match answer.function_error {
            None => Ok(payload.into()),
            Some(kind) => {
                let message = format!("{} failed ({kind}): {}", what(), quoted(&payload));
                Err(PortError::new(Advice::Retry, message))
            }
        }
    }
}

/// The beginning of what a function said, as text.
fn quoted(payload: &[u8]) -> String {
    let shown = &payload[..payload.len().min(QUOTED_BYTES)];
    let mut text = String::from_utf8_lossy(shown).into_owned();
    if shown.len() < payload.len() {
        text.push_str(&format!("… ({} bytes)", payload.len()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_failure_is_cut() {
        assert_eq!(quoted(b"{\"errorType\":\"Crash\"}"), "{\"errorType\":\"Crash\"}");
        let text = quoted("ü".repeat(QUOTED_BYTES).as_bytes());
        assert!(text.ends_with("… (2048 bytes)") && text.len() < QUOTED_BYTES + 20, "{text}");
    }
}
