//! Web pages of elsewhere, which a browser lets send requests to this machine: a node that asks for no tokens must tell them from programs.

use std::net::IpAddr;
use std::sync::Arc;

use alluvium_core::Problem;
use alluvium_query::api::problem_response;
use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::Response;

use crate::settings::Cors;

/// Lets a request through that no web page of another origin can have sent. A page cannot leave out or make up `Host` and `Origin`; a name that
/// was made to lead to this machine (DNS rebinding) stands in `Host`.
pub async fn refuse_foreign(State(shared): State<Arc<Cors>>, request: Request, next: Next) -> Response {
    match check(request.headers(), &shared.origins) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem_response(&problem),
    }
}

fn check(headers: &HeaderMap, shared: &[String]) -> Result<(), Problem> {
    let text = |name: HeaderName| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let host = text(HOST);
    if let Some(host) = host.as_deref().filter(|host| !is_of_this_machine(host)) {
        return Err(foreign(format!(
            "the header `Host` names `{}`; expected `localhost` or a loopback address",
            shown(host)
        )));
    }
    let Some(origin) = text(ORIGIN) else { return Ok(()) };
    let is_own = host.is_some_and(|host| origin.strip_prefix("http://") == Some(&host));
    if is_own || shared.iter().any(|shared| *shared == origin || shared == "*") {
        return Ok(());
    }
    Err(foreign(format!("a page of `{}` sent this; the setting `cors.origins` says which may", shown(&origin))))
}

fn is_of_this_machine(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host();
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.map_or_else(|_| name.eq_ignore_ascii_case("localhost"), |address| address.is_loopback())
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

fn foreign(what: String) -> Problem {
    Problem::new(
        403,
        "foreign-page",
        format!("this node asks for no tokens, so web pages of elsewhere are kept out: {what}"),
    )
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn passes(host: Option<&str>, origin: Option<&str>, shared: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in [(HOST, host), (ORIGIN, origin)] {
            if let Some(value) = value {
                headers.insert(name, HeaderValue::from_str(value).expect("a header"));
            }
        }
        let shared: Vec<_> = shared.iter().map(|origin| (*origin).to_owned()).collect();
        check(&headers, &shared).is_ok()
    }

    #[test]
    fn programs_and_the_nodes_own_pages_pass() {
        for host in ["127.0.0.1:7171", "127.8.8.8", "localhost:7171", "LOCALHOST", "[::1]:7171"] {
            assert!(passes(Some(host), None, &[]), "{host}");
            assert!(passes(Some(host), Some(&format!("http://{host}")), &[]), "{host}");
        }
        assert!(passes(None, None, &[]));
    }

    #[test]
    fn pages_of_elsewhere_are_refused_but_for_those_of_the_settings() {
        for host in
            ["evil.example:7171", "localhost.evil.example", "10.0.0.1:7171", "127.0.0.1.evil.example", "", "a b"]
        {
            assert!(!passes(Some(host), None, &[]), "{host}");
        }
        let here = Some("127.0.0.1:7171");
        for origin in
            ["https://evil.example", "null", "http://127.0.0.1:8080", "https://127.0.0.1:7171", "http://localhost:7171"]
        {
            assert!(!passes(here, Some(origin), &[]), "{origin}");
            assert!(passes(here, Some(origin), &[origin]), "{origin}");
            assert!(passes(here, Some(origin), &["*"]), "{origin}");
        }
    }
}
