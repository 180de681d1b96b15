//! The answer to a REST API: a policy, and the seal of the records that this caller writes (AU-1).
//!
//! A REST API remembers a verdict by token alone, for all of its methods, so that the answer is the same for each: it may be asked about
//! methods only that need the role to write, and permits all of its `POST`s or nothing.

use std::collections::HashMap;

use alluvium_core::Role;
use alluvium_core::envelope::{MAX_TEXT_BYTES, OwnedRecord};
use alluvium_query::{Access, Authorizer, Refusal};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What is asked: the parts of the event that decide.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestQuestion {
    /// `arn:aws:execute-api:REGION:ACCOUNT:API/STAGE/METHOD/PATH`.
    method_arn: String,
    http_method: String,
    /// The resource as it is declared, such as `/v1/telemetry`.
    resource: String,
    /// Null when there are none.
    headers: Option<HashMap<String, String>>,
}

/// What is answered.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RestAnswer {
    principal_id: String,
    policy_document: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<Context>,
}

/// What the mapping template is told.
#[derive(Debug, PartialEq, Serialize)]
struct Context {
    owner: String,
    /// Separated by spaces.
    roles: String,
    /// What stands before the dataset and the body in each record, in base64 without padding.
    seal: String,
}

/// Answers one question.
///
/// # Errors
///
/// When the keys cannot be had.
pub(super) async fn answer(authorizer: &Authorizer, question: &RestQuestion) -> Result<RestAnswer, Refusal> {
    let refused = |reason: &dyn std::fmt::Display| {
        tracing::info!(resource = question.resource, %reason, "a call was refused");
        RestAnswer { principal_id: "nobody".to_owned(), policy_document: policy("Deny", question), context: None }
    };
    let access = Access::of(&question.http_method, &question.resource);
    if access != Access::Needs(Role::Write) {
        return Ok(refused(&"the verdict is remembered for methods that write, and this one does not"));
    }
    let authorization = question.headers.as_ref().and_then(super::authorization);
    match authorizer.check(authorization, access).await {
        Ok(caller) if caller.owner().is_empty() || caller.owner().len() > MAX_TEXT_BYTES => {
            Ok(refused(&format_args!("the token's owner must have 1 to {MAX_TEXT_BYTES} bytes")))
        }
        Ok(caller) => {
            let owner = caller.owner().to_owned();
            let seal = STANDARD.encode(OwnedRecord::seal_before_dataset(&owner));
            let context = Context { roles: caller.roles().to_string(), seal, owner };
            // API Gateway's own log takes it; the owner's name may be anything.
            let principal_id = "caller".to_owned();
            Ok(RestAnswer { principal_id, policy_document: policy("Allow", question), context: Some(context) })
        }
        Err(refusal) if refusal.is_ours() => Err(refusal),
        Err(refusal) => Ok(refused(&refusal)),
    }
}

/// A policy about all that this stage of the API takes.
fn policy(effect: &str, question: &RestQuestion) -> Value {
    let mut parts = question.method_arn.split('/');
    let (api, stage) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let resource = format!("{api}/{stage}/POST/*");
    let statement = json!({"Action": "execute-api:Invoke", "Effect": effect, "Resource": resource});
    json!({"Version": "2012-10-17", "Statement": [statement]})
}

#[cfg(test)]
mod tests;
