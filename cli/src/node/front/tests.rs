use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::{Caller, ManualClock, Roles};
use alluvium_ingest::Writer;
use alluvium_query::{Authorizer, AuthorizerSettings};
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post, put};
use axum::{Extension, Json, Router};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const NOW: i64 = 1_000_000_000_000_000;
const HOUR: Duration = Duration::from_secs(3600);

fn authorizer(settings: AuthorizerSettings, secret: &str, now: i64) -> Authorizer {
    Authorizer::new(settings, Some(secret), None, Arc::new(ManualClock::at(now))).unwrap()
}

fn strict() -> AuthorizerSettings {
    AuthorizerSettings {
        issuer: Some("https://here.example".to_owned()),
        audience: Some("alluvium".to_owned()),
        ..AuthorizerSettings::default()
    }
}

async fn told(caller: Option<Extension<Caller>>, writer: Option<Extension<Writer>>) -> Json<Value> {
    let caller = caller.map(|caller| caller.owner().to_owned());
    Json(json!({"caller": caller, "writer": writer.map(|writer| writer.owner().to_owned())}))
}

/// Every kind of route that a node has, each telling who it thinks calls.
fn app(guard: Guard, settings: &Settings) -> Router {
    let routes = Router::new()
        .route("/", post(told))
        .route("/health", get(told))
        .route("/metrics", get(told))
        .route("/data", get(told).post(told))
        .route("/v1/{dataset}", get(told).post(told))
        .route("/v1/queries", post(told))
        .route("/v1/queries/{id}", get(told).delete(told))
        .route("/v1/queries/{id}/results", get(told))
        .route("/v1/queries/{id}/results.csv", get(told))
        .route("/v1/uploads", get(told).post(told))
        .route("/v1/uploads/{id}", get(told).delete(told))
        .route("/v1/uploads/{id}/content", put(told))
        .route("/v1/reports", get(told))
        .route("/v1/reports/{name}", get(told))
        .route("/v1/reports/{name}/{file}", get(told))
        .route("/admin/sql", post(told))
        .route("/admin/erasures", get(told).post(told))
        .route("/forgotten", get(told));
    before(routes, guard, settings).unwrap()
}

fn strict_app() -> Router {
    let authorizer = Some(Arc::new(authorizer(strict(), SECRET, NOW)));
    let unhurried = NonZeroU32::new(1_000_000).unwrap();
    app(Guard { authorizer, pace: Arc::new(Pace::new(unhurried, unhurried)) }, &Settings::default())
}

async fn call(app: &Router, method: &str, path: &str, token: Option<&str>) -> Response {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(token) = token {
        request = request.header("authorization", token);
    }
    app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn body(response: Response) -> Value {
    serde_json::from_slice(&axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap()).unwrap()
}

/// Tokens in every state, by name.
fn tokens() -> Vec<(&'static str, Option<String>)> {
    let of = |settings: AuthorizerSettings, secret: &str, now, roles: &str| {
        let caller = Caller::new("ann", Roles::of_text(roles)).unwrap();
        Some(format!("Bearer {}", authorizer(settings, secret, now).issue(&caller, HOUR).unwrap()))
    };
    let good = |roles| of(strict(), SECRET, NOW, roles);
    let part = |text: &str| base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, text);
    let claims = r#"{"sub":"ann","exp":9999999999,"iss":"https://here.example","aud":"alluvium","Role":"data.admin"}"#;
    let unsigned = format!("Bearer {}.{}.", part(r#"{"alg":"none"}"#), part(claims));
    let other_issuer = AuthorizerSettings { issuer: Some("https://there.example".to_owned()), ..strict() };
    let other_audience = AuthorizerSettings { audience: Some("another".to_owned()), ..strict() };
    vec![
        ("read", good("data.read")),
        ("write", good("data.write")),
        ("admin", good("data.admin")),
        ("no role", good("other.role")),
        ("none", None),
        ("malformed", Some("Bearer a.b".to_owned())),
        ("basic", Some("Basic YTpi".to_owned())),
        ("expired", of(strict(), SECRET, NOW - 2 * 3_600_000_000, "data.admin")),
        ("forged", of(strict(), &SECRET.to_uppercase(), NOW, "data.admin")),
        ("unsigned", Some(unsigned)),
        ("other issuer", of(other_issuer, SECRET, NOW, "data.admin")),
        ("other audience", of(other_audience, SECRET, NOW, "data.admin")),
    ]
}

#[tokio::test]
async fn every_route_by_every_state_of_a_token() {
    let app = strict_app();
    // Who gets through, by the names above; everybody else who has a good token gets 403, and the others 401.
    let routes: [(&str, &str, &[&str]); 23] = [
        ("GET", "/v1/telemetry", &["read", "admin"]),
        ("HEAD", "/v1/telemetry", &["read", "admin"]),
        ("POST", "/v1/telemetry", &["write", "admin"]),
        ("GET", "/data", &["read", "admin"]),
        ("POST", "/data", &["write", "admin"]),
        ("POST", "/v1/queries", &["read", "admin"]),
        ("GET", "/v1/queries/1", &["read", "admin"]),
        ("DELETE", "/v1/queries/1", &["read", "admin"]),
        ("GET", "/v1/queries/1/results", &["read", "admin"]),
        ("GET", "/v1/queries/1/results.csv", &["read", "admin"]),
        ("POST", "/v1/uploads", &["write", "admin"]),
        ("GET", "/v1/uploads", &["write", "admin"]),
        ("GET", "/v1/uploads/1", &["write", "admin"]),
        ("DELETE", "/v1/uploads/1", &["write", "admin"]),
        ("PUT", "/v1/uploads/1/content", &["write", "admin"]),
        ("GET", "/v1/reports", &["admin"]),
        ("GET", "/v1/reports/live", &["admin"]),
        ("GET", "/v1/reports/hourly/20261128T1000Z.csv", &["admin"]),
        ("HEAD", "/v1/reports/hourly/20261128T1000Z.parquet", &["admin"]),
        ("POST", "/admin/sql", &["admin"]),
        ("GET", "/admin/erasures", &["admin"]),
        ("POST", "/admin/erasures", &["admin"]),
        // Routed by what it says it is, and no other route's name in disguise.
        ("GET", "/v1/%71ueries", &["read", "admin"]),
    ];
    for (method, path, let_through) in routes {
        for (name, token) in tokens() {
            let expected = match name {
                name if let_through.contains(&name) => 200,
                "read" | "write" | "admin" | "no role" => 403,
                _ => 401,
            };
            let response = call(&app, method, path, token.as_deref()).await;
            assert_eq!(response.status().as_u16(), expected, "{method} {path} {name}");
            assert_eq!(response.headers().contains_key("www-authenticate"), expected == 401, "{method} {path} {name}");
        }
    }
    for (method, path) in [("GET", "/health"), ("GET", "/metrics"), ("POST", "/")] {
        for (name, token) in tokens() {
            let response = call(&app, method, path, token.as_deref()).await;
            assert_eq!(response.status(), StatusCode::OK, "{method} {path} {name}");
        }
    }
}

#[tokio::test]
async fn a_route_that_nobody_thought_of_is_closed_to_everybody() {
    let app = strict_app();
    for (_, token) in tokens() {
        assert_eq!(call(&app, "GET", "/forgotten", token.as_deref()).await.status(), StatusCode::METHOD_NOT_ALLOWED);
    }
    let response = call(&app, "DELETE", "/v1/telemetry", None).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()["allow"], "GET, HEAD, POST");
}

#[tokio::test]
async fn a_writer_is_whom_the_token_says_and_only_an_admin_names_another() {
    let app = strict_app();
    let tokens = tokens();
    let token = |wanted: &str| tokens.iter().find(|(name, _)| *name == wanted).unwrap().1.clone().unwrap();
    for (name, path, writer) in [
        ("write", "/v1/telemetry", Some("ann")),
        ("write", "/v1/telemetry?owner=ann", Some("ann")),
        ("write", "/data?owner=bob", None),
        ("write", "/data?a=b&owner=%62ob", None),
        ("admin", "/data", Some("ann")),
        ("admin", "/data?owner=bob+%26+co", Some("bob & co")),
    ] {
        let response = call(&app, "POST", path, Some(&token(name))).await;
        match writer {
            None => assert_eq!(response.status(), StatusCode::FORBIDDEN, "{name} {path}"),
            Some(writer) => {
                assert_eq!(body(response).await, json!({"caller": "ann", "writer": writer}), "{name} {path}")
            }
        }
    }
    assert_eq!(call(&app, "POST", "/data?owner=", Some(&token("admin"))).await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn who_calls_too_often_waits_and_the_others_do_not() {
    let authorizer = authorizer(AuthorizerSettings::default(), SECRET, NOW);
    let token = |owner: &str| {
        let caller = Caller::new(owner, Roles::of_text("data.read")).unwrap();
        format!("Bearer {}", authorizer.issue(&caller, HOUR).unwrap())
    };
    let (ann, bob) = (token("ann"), token("bob"));
    let pace = Pace::new(NonZeroU32::new(4).unwrap(), NonZeroU32::new(3).unwrap());
    let app = app(Guard { authorizer: Some(Arc::new(authorizer)), pace: Arc::new(pace) }, &Settings::default());
    let mut statuses = Vec::new();
    for token in [&ann, &ann, &ann, &ann, &bob, &bob] {
        let response = call(&app, "GET", "/data", Some(token)).await;
        assert_eq!(response.headers().contains_key("retry-after"), response.status() == 429);
        statuses.push(response.status().as_u16());
    }
    // The fourth of ann is past hers; the second of bob is past what there is for all.
    assert_eq!(statuses, [200, 200, 200, 429, 200, 429]);
    assert_eq!(call(&app, "GET", "/health", None).await.status(), StatusCode::OK, "an open route is never held up");
}

#[tokio::test]
async fn every_answer_has_an_id_and_its_headers_and_other_origins_get_what_the_settings_say() {
    let open = || {
        let unhurried = NonZeroU32::new(1_000).unwrap();
        Guard { authorizer: None, pace: Arc::new(Pace::new(unhurried, unhurried)) }
    };
    let closed = app(open(), &Settings::default());
    for path in ["/data", "/nothing/there"] {
        let response = call(&closed, "GET", path, None).await;
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("x-request-id").len(), 36);
        assert!(!response.headers().contains_key("access-control-allow-origin"));
    }
    let cors = Cors { origins: vec!["https://console.example".to_owned()] };
    let shared = app(open(), &Settings { cors, ..Settings::default() });
    let asked = async |origin: &str| {
        let request = Request::builder()
            .method("OPTIONS")
            .uri("/v1/telemetry")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization");
        let response = shared.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        response.headers().get("access-control-allow-origin").map(|origin| origin.to_str().unwrap().to_owned())
    };
    assert_eq!(asked("https://console.example").await.as_deref(), Some("https://console.example"));
    assert_eq!(asked("https://other.example").await, None);
    for origin in ["console.example", "https://console.example/"] {
        let cors = Cors { origins: vec![origin.to_owned()] };
        assert!(super::cors(&cors).is_err(), "{origin}");
    }
}
