#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use alluvium_core::{ManualClock, Role, Roles};

use super::*;
use crate::authorizer::{Access, AuthorizerSettings};

const HOUR: Duration = Duration::from_secs(3600);
const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn authorizer(settings: &AuthorizerSettings, secret: &str, now_s: i64) -> Authorizer {
    let clock = Arc::new(ManualClock::at(now_s * 1_000_000));
    Authorizer::new(settings.clone(), Some(secret), None, clock).unwrap()
}

fn settings() -> [AuthorizerSettings; 2] {
    let strict = AuthorizerSettings {
        issuer: Some("https://node.example".to_owned()),
        audience: Some("alluvium".to_owned()),
        role_claim: "https://example.com/roles".to_owned(),
    };
    [AuthorizerSettings::default(), strict]
}

fn ann() -> Caller {
    Caller::new("ann \"the\" d\u{e9}vice", Roles::of_text("data.read data.write")).unwrap()
}

fn check(authorizer: &Authorizer, token: &str, role: Role) -> Result<Caller, Refusal> {
    let header = format!("Bearer {token}");
    let checked = authorizer.check(Some(&header), Access::Needs(role));
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(checked)
}

#[test]
fn a_token_that_is_issued_is_taken_until_it_expires_and_by_nobody_with_another_secret() {
    for settings in settings() {
        let token = authorizer(&settings, SECRET, 1_000).issue(&ann(), HOUR).unwrap();
        let at = |now_s| authorizer(&settings, SECRET, now_s);
        assert_eq!(check(&at(1_000), &token, Role::Write), Ok(ann()));
        assert_eq!(check(&at(1_000 + 3600), &token, Role::Read), Ok(ann()));
        assert!(matches!(check(&at(1_000), &token, Role::Admin), Err(Refusal::Role { .. })));
        assert_eq!(check(&at(1_000 + 3631), &token, Role::Read), Err(Refusal::Expired));
        let other = authorizer(&settings, &new_secret().unwrap(), 1_000);
        assert_eq!(check(&other, &token, Role::Read), Err(Refusal::Signature));
    }
}

#[test]
fn an_access_key_says_who_it_is_and_its_secret_follows_from_ours_alone() {
    for settings in settings() {
        let key = authorizer(&settings, SECRET, 1_000).issue_access_key(&ann(), HOUR).unwrap();
        assert!(key.id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{}", key.id);
        assert_eq!(authorizer(&settings, SECRET, 1_001).access_key(&key.id), Ok((key.clone(), ann())));
        assert_eq!(authorizer(&settings, SECRET, 9_001).access_key(&key.id), Err(Refusal::Expired));
        let other = authorizer(&settings, &"x".repeat(32), 1_001);
        assert_eq!(other.access_key(&key.id), Err(Refusal::Signature));
        assert!(!format!("{key:?}").contains(&key.secret));
    }
}

#[test]
fn ids_that_nobody_issued_are_refused() {
    let authorizer = authorizer(&AuthorizerSettings::default(), SECRET, 1_000);
    let of = |json: &str| encode(json.as_bytes());
    for id in ["", "AKIAIOSFODNN7EXAMPLE", "{}", &of("[]"), &of("{}"), &of(r#"{"sub":"ann","Role":"data.admin"}"#)] {
        assert!(authorizer.access_key(id).is_err(), "{id}");
    }
    let long = Caller::new("x".repeat(1024), Roles::of_text("data.read")).unwrap();
    assert!(authorizer.issue(&long, HOUR).is_ok());
}

#[test]
fn a_secret_is_long_enough_and_never_the_same() {
    let secrets = [new_secret().unwrap(), new_secret().unwrap()];
    assert!(secrets[0] != secrets[1] && secrets.iter().all(|secret| secret.len() == 2 * SECRET_BYTES));
}
