//! API Gateway's questions and the answers to them, of an HTTP API and of a REST API.
//!
//! Amazon API Gateway Developer Guide, "Control access to HTTP APIs with AWS Lambda authorizers": payload 2.0, simple responses.
//! "Input to an API Gateway Lambda authorizer" and "Output from an API Gateway Lambda authorizer": REST APIs, type `REQUEST`.

mod rest;

use std::collections::HashMap;

use alluvium_query::{Access, Authorizer, Refusal};
use serde::{Deserialize, Serialize};

pub use rest::{RestAnswer, RestQuestion};

/// What is asked.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Question {
    /// By an HTTP API.
    Http(HttpQuestion),
    /// By a REST API: the direct route.
    Rest(RestQuestion),
}

/// What is answered, in the form that the one who asks takes.
#[derive(Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    Http(HttpAnswer),
    Rest(RestAnswer),
}

/// The parts of the event that decide.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpQuestion {
    /// The route, such as `GET /v1/{dataset}`. API Gateway remembers the answer by token and route, so that nothing finer may decide.
    route_key: String,
    #[serde(default)]
    headers: HashMap<String, String>,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpAnswer {
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
    match question {
        Question::Http(question) => answer_http(authorizer, question).await.map(Answer::Http),
        Question::Rest(question) => rest::answer(authorizer, question).await.map(Answer::Rest),
    }
}

async fn answer_http(authorizer: &Authorizer, question: &HttpQuestion) -> Result<HttpAnswer, Refusal> {
    let access = Access::of_route_key(&question.route_key);
    match authorizer.check(authorization(&question.headers), access).await {
        Ok(caller) => {
            let context = Context { owner: caller.owner().to_owned(), roles: caller.roles().to_string() };
            Ok(HttpAnswer { is_authorized: true, context: Some(context) })
        }
        Err(refusal) if refusal.is_ours() => Err(refusal),
        Err(refusal) => {
            tracing::info!(route = question.route_key, reason = %refusal, "a call was refused");
            Ok(HttpAnswer { is_authorized: false, context: None })
        }
    }
}

fn authorization(headers: &HashMap<String, String>) -> Option<&str> {
    headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization")).map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests;
