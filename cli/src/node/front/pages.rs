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

/// Lets a request through that no web page of another origin can have sent. A page cannot leave out or make up `Host`, `Origin` and
/// `Sec-Fetch-Site`; a name that was made to lead to this machine (DNS rebinding) stands in `Host`.
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
            "the header `Host` names `{}`; expected `localhost` or a loopback address. Behind a proxy or a container's name for this machine, \
             send that, or ask for tokens",
            shown(host)
        )));
    }
    let Some(origin) = text(ORIGIN) else {
        // What a page embeds is sent without its origin. Whoever follows a link to the console navigates.
        let is_embedded = text(FETCH_SITE).is_some_and(|site| site == "cross-site" || site == "same-site")
            && text(FETCH_MODE).is_none_or(|mode| mode != "navigate");
        return if is_embedded { Err(foreign("a page of elsewhere embeds this".to_owned())) } else { Ok(()) };
    };
    let is_own = host.is_some_and(|host| origin.strip_prefix("http://") == Some(&host));
    if is_own || shared.iter().any(|shared| *shared == origin || shared == "*") {
        return Ok(());
    }
    Err(foreign(format!("a page of `{}` sent this; the setting `cors.origins` says which may", shown(&origin))))
}

/// What a browser says of who sends a request, and for what (W3C, "Fetch Metadata Request Headers").
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// Whether a host is this machine's loopback, whoever resolves its name (RFC 6761, section 6.3).
fn is_of_this_machine(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host();
    match name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => {
            let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost")
        }
    }
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
        for host in [
            "127.0.0.1:7171",
            "127.8.8.8",
            "localhost:7171",
            "LOCALHOST",
            "localhost.:7171",
            "a.localhost",
            "[::1]:7171",
            "[::ffff:127.0.0.1]:7171",
        ] {
            assert!(passes(Some(host), None, &[]), "{host}");
            assert!(passes(Some(host), Some(&format!("http://{host}")), &[]), "{host}");
        }
        assert!(passes(None, None, &[]));
    }

    #[test]
    fn what_a_page_of_elsewhere_embeds_is_refused_and_a_link_is_followed() {
        for (site, mode, passes) in [
            ("cross-site", Some("no-cors"), false),
            ("same-site", Some("no-cors"), false),
            ("cross-site", None, false),
            ("cross-site", Some("navigate"), true),
            ("same-origin", Some("no-cors"), true),
            ("none", Some("navigate"), true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static("localhost:7171"));
            headers.insert(FETCH_SITE, HeaderValue::from_static(site));
            if let Some(mode) = mode {
                headers.insert(FETCH_MODE, HeaderValue::from_static(mode));
            }
            assert_eq!(check(&headers, &[]).is_ok(), passes, "{site} {mode:?}");
        }
    }

    #[test]
    fn pages_of_elsewhere_are_refused_but_for_those_of_the_settings() {
        for host in [
            "evil.example:7171",
            "localhost.evil.example",
            "evillocalhost",
            "10.0.0.1:7171",
            "127.0.0.1.evil.example",
            "",
            "a b",
        ] {
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
