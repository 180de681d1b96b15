//! The console: a page and its parts, which call the public API and beyond it the audit of a node, so that a bucket can serve them as well.
//!
//! ```text
//! GET /                the page
//! GET /console/{file}  its style and its modules
//! ```

use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::{HeaderValue, header};

use alluvium_core::Problem;

use super::problem_response;

/// What the page may load and call: what comes from where it came from.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// One file, compiled in.
struct File {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

macro_rules! files {
    ($($name:literal: $kind:ident),* $(,)?) => {
        &[$(File { name: $name, kind: $kind, bytes: include_bytes!(concat!("../../console/", $name)) }),*]
    };
}

const PAGE: &str = "index.html";

const FILES: &[File] = files! {
    "index.html": HTML,
    "api.js": JAVASCRIPT,
    "app.js": JAVASCRIPT,
    "chart.js": JAVASCRIPT,
    "datasets.js": JAVASCRIPT,
    "dead-letters.js": JAVASCRIPT,
    "dom.js": JAVASCRIPT,
    "format.js": JAVASCRIPT,
    "ledger.js": JAVASCRIPT,
    "live.js": JAVASCRIPT,
    "metrics.js": JAVASCRIPT,
    "notice.js": JAVASCRIPT,
    "overview.js": JAVASCRIPT,
    "poll.js": JAVASCRIPT,
    "prometheus.js": JAVASCRIPT,
    "queries.js": JAVASCRIPT,
    "records.js": JAVASCRIPT,
    "reports.js": JAVASCRIPT,
    "scale.js": JAVASCRIPT,
    "schema.js": JAVASCRIPT,
    "sign-in.js": JAVASCRIPT,
    "sql.js": JAVASCRIPT,
    "style.css": CSS,
    "table.js": JAVASCRIPT,
};

/// The routes of the console.
pub fn console_routes() -> Router {
    Router::new()
        .route("/", get(async || serve(PAGE)))
        .route("/console/{file}", get(async |Path(file): Path<String>| serve(&file)))
}

fn serve(name: &str) -> Response {
    let Some(File { kind, bytes, .. }) = FILES.iter().find(|file| file.name == name) else {
        let name: String = name.chars().take(80).collect();
        return problem_response(&Problem::new(404, "no-such-file", format!("the console has no file `{name}`")));
    };
    let headers = [
        (header::CONTENT_TYPE, *kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        // Asked for anew after each release, and small.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers.map(|(name, value)| (name, HeaderValue::from_static(value))), *bytes).into_response()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use axum::body::Body;
    use http::Request;
    use tower::ServiceExt as _;

    use super::*;

    async fn get(path: &str) -> Response {
        console_routes().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap()
    }

    #[test]
    fn every_file_of_the_console_is_served_and_no_other() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/console");
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let served: BTreeSet<String> = FILES.iter().map(|file| file.name.to_owned()).collect();
        assert_eq!(served, names.collect());
    }

    #[tokio::test]
    async fn the_page_and_its_parts_come_with_a_policy_and_a_type() {
        for file in FILES {
            let response = get(&format!("/console/{}", file.name)).await;
            assert_eq!(response.status().as_u16(), 200);
            assert_eq!(response.headers()["content-type"], file.kind);
            assert!(response.headers()["content-security-policy"].to_str().unwrap().contains("script-src 'self';"));
        }
        assert_eq!(get("/").await.headers()["content-type"], HTML);
        for path in ["/console/", "/console/nothing.js", "/console/%2e%2e%2fCargo.toml"] {
            assert_eq!(get(path).await.status().as_u16(), 404, "{path}");
        }
    }
}
