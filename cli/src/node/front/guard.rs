//! Who calls, and whether they may (AU-1).

use std::sync::Arc;

use alluvium_core::{Problem, Role};
use alluvium_ingest::Writer;
use alluvium_query::api::problem_response;
use alluvium_query::{Access, Authorizer, Refusal};
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{ALLOW, AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use super::Pace;

/// What a call is held to.
#[derive(Debug, Clone)]
pub struct Guard {
    /// Checks tokens; `None`: nobody needs one.
    pub authorizer: Option<Arc<Authorizer>>,
    /// How fast callers may call.
    pub pace: Arc<Pace>,
}

/// Lets a call of a route through to it, with its caller and its writer, or refuses it.
pub async fn admit(State(guard): State<Guard>, path: MatchedPath, mut request: Request, next: Next) -> Response {
    match guard.check(path.as_str(), &mut request).await {
        Ok(()) => next.run(request).await,
        Err(problem) => {
            let mut response = refuse(&problem, request.into_body()).await;
            if response.status() == StatusCode::METHOD_NOT_ALLOWED {
                response.headers_mut().insert(ALLOW, allowed(path.as_str()));
            }
            response
        }
    }
}

/// The methods that a route takes.
fn allowed(path: &str) -> HeaderValue {
    let taken = |method: &&str| Access::of(method, path) != Access::NoSuchRoute;
    let methods: Vec<_> = ["GET", "HEAD", "POST", "PUT", "DELETE"].into_iter().filter(taken).collect();
    HeaderValue::from_str(&methods.join(", ")).expect("methods are letters")
}

impl Guard {
    async fn check(&self, path: &str, request: &mut Request) -> Result<(), Problem> {
        let role = match Access::of(request.method().as_str(), path) {
            // A call of the Kinesis API: whether it is signed rightly is found out there, and how many there may be here.
            Access::Open if request.method() == Method::POST => return self.pace.admit(&self.signer(request)),
            Access::Open => return Ok(()),
            Access::Needs(role) => role,
            Access::NoSuchRoute => {
                let detail = format!("`{}` does not take {}", request.uri().path(), request.method());
                return Err(Problem::new(405, "wrong-method", detail));
            }
        };
        let Some(authorizer) = &self.authorizer else { return self.pace.admit("") };
        let header = request.headers().get(AUTHORIZATION).map(HeaderValue::to_str);
        let header = header.transpose().map_err(|_| {
            Problem::new(401, "malformed-token", "the header `Authorization` holds bytes that no token has")
        })?;
        let target = request.uri().path_and_query().map_or("", PathAndQuery::as_str);
        let by_link = match header {
            None => authorizer.check_link(request.method().as_str(), target, Access::Needs(role)),
            Some(_) => None,
        };
        let checked = match by_link {
            Some(checked) => checked,
            None => authorizer.check(header, Access::Needs(role)).await,
        };
        let caller = checked.map_err(|refusal| Self::refused(&refusal))?;
        self.pace.admit(caller.owner())?;
        if role == Role::Write {
            let writer = Writer::of(&caller, request.uri())?;
            request.extensions_mut().insert(writer);
        }
        request.extensions_mut().insert(caller);
        Ok(())
    }

    /// Counts a refusal; says what its problem is.
    pub fn refused(refusal: &Refusal) -> Problem {
        let problem = refusal.problem();
        let reason = problem.kind.rsplit('/').next().unwrap_or_default().to_owned();
        metrics::counter!("alluvium_calls_refused_total", "reason" => reason).increment(1);
        problem
    }

    /// Whose access key a call says it is signed with; empty: none that was issued here.
    fn signer(&self, request: &Request) -> String {
        let header = request.headers().get(AUTHORIZATION).and_then(|header| header.to_str().ok()).unwrap_or_default();
        let id = header.split_once("Credential=").and_then(|(_, rest)| rest.split('/').next());
        let key = id.zip(self.authorizer.as_ref()).and_then(|(id, authorizer)| authorizer.access_key(id).ok());
        key.map_or_else(String::new, |(_, caller)| caller.owner().to_owned())
    }
}

/// Answers with a problem, once what is left of the body was read, so that its sender sees the answer.
async fn refuse(problem: &Problem, body: Body) -> Response {
    alluvium_ingest::gateway::discard(body).await;
    let mut response = problem_response(problem);
    if response.status() == StatusCode::UNAUTHORIZED {
        // RFC 6750, section 3.
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}
