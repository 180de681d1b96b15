use alluvium_core::{ManualClock, Role};
use alluvium_query::Access;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;

use super::*;
use crate::settings::Auth;

/// Tokens that another implementation made, and the key set of those who signed them.
const TOKENS: &str = include_str!("../../../query/src/authorizer/tests/tokens.json");
const NOW: i64 = 1_000_000_000_000_000;

fn of_jwks(url: &str) -> anyhow::Result<Authorizer> {
    let auth = Auth {
        jwks_url: Some(url.to_owned()),
        issuer: Some("https://issuer.example".to_owned()),
        audience: Some("alluvium".to_owned()),
        ..Auth::default()
    };
    authorizer(&Settings { auth, ..Settings::default() }, || Ok("x".repeat(32)), Arc::new(ManualClock::at(NOW)))
}

#[tokio::test]
async fn tokens_of_a_sign_in_elsewhere_are_verified_with_its_key_set_beside_our_own() {
    let tokens: Value = serde_json::from_str(TOKENS).unwrap();
    let key_set = tokens["key_set"].clone();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let routes = Router::new().route("/keys", get(async move || Json(key_set)));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let authorizer = of_jwks(&url).unwrap();
    let named = |name: &str| {
        let made = tokens["tokens"].as_array().unwrap().iter().find(|made| made["name"] == name).unwrap();
        format!("Bearer {}", made["token"].as_str().unwrap())
    };
    let check = async |token: String| authorizer.check(Some(&token), Access::Needs(Role::Read)).await;
    for name in ["RS256", "ES256"] {
        assert_eq!(check(named(name)).await.map(|caller| caller.owner().to_owned()).as_deref(), Ok("anna"), "{name}");
    }
    // Signed with a secret that is not this node's.
    assert!(check(named("HS256")).await.is_err());
    let own = alluvium_core::Caller::new("me", alluvium_core::Roles::of_text("data.read")).unwrap();
    let own = authorizer.issue(&own, std::time::Duration::from_secs(60)).unwrap();
    assert!(check(format!("Bearer {own}")).await.is_ok());
}

#[tokio::test]
async fn without_its_key_set_nobody_gets_in_and_an_address_that_anybody_could_answer_for_is_none() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    drop(listener);
    let tokens: Value = serde_json::from_str(TOKENS).unwrap();
    let made = tokens["tokens"].as_array().unwrap().iter().find(|made| made["name"] == "RS256").unwrap();
    let token = format!("Bearer {}", made["token"].as_str().unwrap());
    let refused = of_jwks(&url).unwrap().check(Some(&token), Access::Needs(Role::Read)).await.unwrap_err();
    assert!(refused.is_ours(), "{refused}");
    for url in ["http://issuer.example/keys", "ftp://127.0.0.1/keys", "keys"] {
        assert!(of_jwks(url).is_err(), "{url}");
    }
}
