//! API Gateway's question and the simple answer to it.
//!
//! Amazon API Gateway Developer Guide, "Control access to HTTP APIs with AWS Lambda authorizers": payload 2.0, simple responses.

use std::collections::HashMap;

use alluvium_query::{Access, Authorizer, Refusal};
use serde::{Deserialize, Serialize};

/// What is asked: the parts of the event that decide.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    /// The route, such as `GET /v1/{dataset}`. API Gateway remembers the answer by token and route, so that nothing finer may decide.
    route_key: String,
    #[serde(default)]
    headers: HashMap<String, String>,
}

/// What is answered.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    is_authorized: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<Context>,
}

/// What the functions behind the API are told of the caller.
#[derive(Debug, PartialEq, Serialize)]
struct Context {
    owner: String,
    /// Separated by spaces.
    roles: String,
}

/// Answers one question.
///
/// # Errors
///
/// When the keys cannot be had: then there is no answer, and API Gateway has nothing to remember.
pub async fn answer(authorizer: &Authorizer, question: &Question) -> Result<Answer, Refusal> {
    let header = question.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    let authorization = header.map(|(_, value)| value.as_str());
    match authorizer.check(authorization, Access::of_route_key(&question.route_key)).await {
        Ok(caller) => {
            let context = Context { owner: caller.owner().to_owned(), roles: caller.roles().to_string() };
            Ok(Answer { is_authorized: true, context: Some(context) })
        }
        Err(refusal) if refusal.is_ours() => Err(refusal),
        Err(refusal) => {
            tracing::info!(route = question.route_key, reason = %refusal, "a call was refused");
            Ok(Answer { is_authorized: false, context: None })
        }
    }
}

#[cfg(test)]
mod tests;
