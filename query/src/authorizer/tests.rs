#![allow(clippy::unwrap_used)]

use std::sync::Mutex;

use alluvium_core::clock::Micros;
use alluvium_core::ports::{Advice, PortError};
use alluvium_core::{ManualClock, Role};
use async_trait::async_trait;
use bytes::Bytes;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

use super::*;

const SECOND: Micros = 1_000_000;
/// What the tokens' times are around.
const NOW: Micros = 1_000_000_000 * SECOND;
const READ: Access = Access::Needs(Role::Read);

/// Tokens made by another implementation: `tokens.py` says how.
#[derive(Deserialize)]
struct Tokens {
    secret: String,
    key_set: Value,
    tokens: Vec<Made>,
}

#[derive(Deserialize)]
struct Made {
    name: String,
    verdict: String,
    token: String,
}

impl Tokens {
    fn read() -> Self {
        serde_json::from_str(include_str!("tests/tokens.json")).unwrap()
    }

    /// As a header.
    fn named(&self, name: &str) -> String {
        let made = self.tokens.iter().find(|made| made.name == name).unwrap();
        format!("Bearer {}", made.token)
    }
}

/// A key source that answers what it is told to, and counts.
#[derive(Default)]
struct Source {
    answer: Mutex<Option<Value>>,
    fetches: Mutex<usize>,
}

impl Source {
    fn of(document: Value) -> Arc<Self> {
        Arc::new(Self { answer: Mutex::new(Some(document)), fetches: Mutex::default() })
    }

    fn set(&self, document: Option<Value>) {
        *self.answer.lock().unwrap() = document;
    }

    fn fetches(&self) -> usize {
        *self.fetches.lock().unwrap()
    }
}

#[async_trait]
impl KeySource for Source {
    async fn fetch(&self) -> Result<Bytes, PortError> {
        *self.fetches.lock().unwrap() += 1;
        let answer = self.answer.lock().unwrap().clone();
        answer.map(|json| json.to_string().into()).ok_or_else(|| PortError::new(Advice::Retry, "it is away"))
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

fn settings() -> AuthorizerSettings {
    AuthorizerSettings {
        issuer: Some("https://issuer.example".to_owned()),
        audience: Some("alluvium".to_owned()),
        ..AuthorizerSettings::default()
    }
}

fn authorizer(tokens: &Tokens) -> Authorizer {
    let source = Source::of(tokens.key_set.clone());
    Authorizer::new(settings(), Some(&tokens.secret), Some(source), Arc::new(ManualClock::at(NOW))).unwrap()
}

fn slug(outcome: &Result<Caller, Refusal>) -> String {
    match outcome {
        Ok(_) => "ok".to_owned(),
        Err(refusal) => refusal.problem().kind.strip_prefix("/problems/").unwrap().to_owned(),
    }
}

#[test]
fn every_token_is_judged_as_its_maker_expects_and_no_refusal_quotes_it() {
    let tokens = Tokens::read();
    let authorizer = authorizer(&tokens);
    for Made { name, verdict, token } in &tokens.tokens {
        let outcome = block_on(authorizer.check(Some(&format!("Bearer {token}")), READ));
        assert_eq!(&slug(&outcome), verdict, "{name}: {outcome:?}");
        let said = outcome.err().map(|refusal| format!("{refusal} {refusal:?}")).unwrap_or_default();
        let quoted = token.split('.').any(|part| part.len() > 1 && said.contains(part));
        assert!(!quoted, "{name}: {said}");
    }
}

#[test]
fn a_good_token_says_who_calls() {
    let tokens = Tokens::read();
    let authorizer = authorizer(&tokens);
    let caller = |name| block_on(authorizer.check(Some(&tokens.named(name)), READ)).unwrap();
    assert_eq!(caller("RS256"), Caller::new("anna", alluvium_core::Roles::of_text("data.read")).unwrap());
    assert_eq!(caller("roles among others").roles().to_string(), "data.read data.write");
    assert_eq!(caller("the longest owner").owner().len(), 1024);
}

#[test]
fn a_route_is_called_with_its_role_alone() {
    let tokens = Tokens::read();
    let authorizer = authorizer(&tokens);
    let status = |name, access| {
        let outcome = block_on(authorizer.check(Some(&tokens.named(name)), access));
        outcome.map_or_else(|refusal| refusal.problem().status, |_| 200)
    };
    let [write, admin] = [Role::Write, Role::Admin].map(Access::Needs);
    for (name, statuses) in [
        ("HS256", [200, 403, 403]),
        ("another role", [403, 200, 403]),
        ("roles among others", [200, 200, 403]),
        ("the admin role", [200, 200, 200]),
        ("expired past the leeway", [401, 401, 401]),
    ] {
        assert_eq!([READ, write, admin].map(|access| status(name, access)), statuses, "{name}");
    }
    assert_eq!(status("the admin role", Access::NoSuchRoute), 404);
}

#[test]
fn the_header_is_read_as_http_has_it() {
    let tokens = Tokens::read();
    let authorizer = authorizer(&tokens);
    let good = tokens.named("HS256");
    let token = good.strip_prefix("Bearer ").unwrap();
    for (header, verdict) in [
        (None, "no-token"),
        (Some(String::new()), "no-token"),
        (Some("  ".to_owned()), "no-token"),
        (Some("Bearer".to_owned()), "no-token"),
        (Some("Bearer  ".to_owned()), "no-token"),
        (Some(token.to_owned()), "not-a-bearer-token"),
        (Some(format!("Basic {token}")), "not-a-bearer-token"),
        (Some(format!("Bearer{token}")), "not-a-bearer-token"),
        (Some(format!("bEARER {token}")), "ok"),
        (Some(format!(" Bearer   {token} ")), "ok"),
        (Some(format!("Bearer {token} {token}")), "malformed-token"),
        (Some(format!("Bearer {}", "x".repeat(TOKEN_BYTES + 1))), "token-too-large"),
    ] {
        assert_eq!(slug(&block_on(authorizer.check(header.as_deref(), READ))), verdict, "{header:?}");
    }
}

#[test]
fn time_is_that_of_the_clock() {
    let tokens = Tokens::read();
    let clock = Arc::new(ManualClock::at(NOW));
    let authorizer = Authorizer::new(settings(), Some(&tokens.secret), None, clock.clone()).unwrap();
    let check = |name| slug(&block_on(authorizer.check(Some(&tokens.named(name)), READ)));
    // It expires a minute from now, and clocks may differ by half of one.
    clock.set(NOW + 90 * SECOND - 1);
    assert_eq!(check("HS256"), "ok");
    clock.set(NOW + 90 * SECOND);
    assert_eq!(check("HS256"), "token-expired");
    clock.set(NOW + SECOND - 1);
    assert_eq!(check("begins past the leeway"), "token-not-yet-valid");
    clock.set(NOW + SECOND);
    assert_eq!(check("begins past the leeway"), "ok");
}

#[test]
fn a_claim_that_is_not_asked_for_may_say_anything() {
    let tokens = Tokens::read();
    let clock = Arc::new(ManualClock::at(NOW));
    let with = |settings| Authorizer::new(settings, Some(&tokens.secret), None, clock.clone()).unwrap();
    let open = with(AuthorizerSettings::default());
    let other_claim = with(AuthorizerSettings { role_claim: "role".to_owned(), ..settings() });
    for (authorizer, name, verdict) in [
        (&open, "another issuer", "ok"),
        (&open, "no issuer", "ok"),
        (&open, "other audiences", "ok"),
        (&open, "no audience", "ok"),
        (&open, "no owner", "wrong-claim"),
        (&other_claim, "the role under another name", "ok"),
        (&other_claim, "HS256", "wrong-claim"),
    ] {
        assert_eq!(slug(&block_on(authorizer.check(Some(&tokens.named(name)), READ))), verdict, "{name}");
    }
}

#[test]
fn a_kind_of_key_that_is_not_set_up_verifies_nothing() {
    let tokens = Tokens::read();
    let clock = Arc::new(ManualClock::at(NOW));
    let source = Source::of(tokens.key_set.clone());
    let only_secret = Authorizer::new(settings(), Some(&tokens.secret), None, clock.clone()).unwrap();
    let only_keys = Authorizer::new(settings(), None, Some(source), clock.clone()).unwrap();
    let check = |authorizer: &Authorizer, name| slug(&block_on(authorizer.check(Some(&tokens.named(name)), READ)));
    for (name, by_secret, by_keys) in [
        ("HS256", "ok", "token-algorithm"),
        ("RS256", "token-algorithm", "ok"),
        ("ES256", "token-algorithm", "ok"),
        ("HS256 with the public key as the secret", "wrong-signature", "token-algorithm"),
        ("HS256 with the symmetric key of the key set", "wrong-signature", "token-algorithm"),
        ("RS256 that names the symmetric key", "token-algorithm", "unknown-key"),
    ] {
        assert_eq!(
            (check(&only_secret, name).as_str(), check(&only_keys, name).as_str()),
            (by_secret, by_keys),
            "{name}"
        );
    }
    let new = |settings, secret, source| Authorizer::new(settings, secret, source, clock.clone()).unwrap_err();
    assert_eq!(new(settings(), None, None), AuthorizerError::NoKeys);
    let short = "é".repeat(15);
    assert_eq!(new(settings(), Some(&short), None), AuthorizerError::ShortSecret(30));
    let empty = AuthorizerSettings { issuer: Some(String::new()), ..settings() };
    assert_eq!(new(empty, Some(&tokens.secret), None), AuthorizerError::Empty("issuer"));
}

/// An authorizer by a key set alone, with what stands behind it.
struct Keys {
    tokens: Tokens,
    source: Arc<Source>,
    clock: Arc<ManualClock>,
    authorizer: Authorizer,
}

impl Keys {
    fn new() -> Self {
        let tokens = Tokens::read();
        let source = Source::of(tokens.key_set.clone());
        let clock = Arc::new(ManualClock::at(NOW - 3600 * SECOND));
        let authorizer = Authorizer::new(settings(), None, Some(source.clone()), clock.clone()).unwrap();
        Self { tokens, source, clock, authorizer }
    }

    fn check(&self, name: &str) -> (String, usize) {
        let outcome = block_on(self.authorizer.check(Some(&self.tokens.named(name)), READ));
        (slug(&outcome), self.source.fetches())
    }

    fn later(&self, seconds: i64) -> &Self {
        self.clock.advance(seconds * SECOND);
        self
    }
}

fn seen(verdict: &str, fetches: usize) -> (String, usize) {
    (verdict.to_owned(), fetches)
}

#[test]
fn the_key_set_is_fetched_when_it_is_needed_and_kept() {
    let keys = Keys::new();
    assert_eq!(keys.source.fetches(), 0);
    assert_eq!(keys.check("RS256"), seen("ok", 1));
    assert_eq!(keys.check("ES256"), seen("ok", 1));
    assert_eq!(keys.later(599).check("RS256"), seen("ok", 1));
    // Ten minutes old it is asked for anew, and a key that was taken out is forgotten.
    keys.source.set(Some(json!({"keys": []})));
    assert_eq!(keys.later(1).check("RS256"), seen("unknown-key", 2));
}

#[test]
fn an_unknown_key_makes_it_be_fetched_anew_but_not_without_end() {
    let keys = Keys::new();
    let whole = keys.tokens.key_set.clone();
    keys.source.set(Some(json!({"keys": [], "more": 1})));
    assert_eq!(keys.check("RS256"), seen("unknown-key", 1));
    assert_eq!(keys.later(9).check("RS256"), seen("unknown-key", 1));
    keys.source.set(Some(whole));
    assert_eq!(keys.later(1).check("RS256"), seen("ok", 2), "the key was published meanwhile");
    for _ in 0..5 {
        assert_eq!(keys.check("a key that nobody published"), seen("unknown-key", 2));
    }
    assert_eq!(keys.later(10).check("a key that nobody published"), seen("unknown-key", 3));
    assert_eq!(keys.check("RS256"), seen("ok", 3), "the answer did not cost us what is known");
}

#[test]
fn without_the_key_set_nobody_is_let_in() {
    let keys = Keys::new();
    keys.source.set(None);
    assert_eq!(keys.check("RS256"), seen("keys-unavailable", 1));
    assert_eq!(keys.later(9).check("RS256"), seen("keys-unavailable", 1));
    for nonsense in [json!([]), json!([[]]), json!({"keys": {}}), json!("keys")] {
        keys.source.set(Some(nonsense));
        assert_eq!(keys.later(10).check("RS256").0, "keys-unavailable");
    }
    keys.source.set(Some(keys.tokens.key_set.clone()));
    assert_eq!(keys.later(10).check("RS256"), seen("ok", 6));
    // A source that is gone for a while is not missed; then the keys are too old to be trusted.
    keys.source.set(None);
    assert_eq!(keys.later(3599).check("RS256"), seen("ok", 7));
    assert_eq!(keys.later(10).check("RS256"), seen("keys-unavailable", 8));
    assert!(Refusal::KeysUnavailable.is_ours());
}

proptest! {
    #[test]
    fn whatever_is_sent_is_refused_and_nothing_panics(bytes in "\\PC{0,200}", parts in prop::collection::vec("[A-Za-z0-9_-]{0,40}", 0..5)) {
        let tokens = Tokens::read();
        let authorizer = authorizer(&tokens);
        for header in [bytes.clone(), format!("Bearer {bytes}"), format!("Bearer {}", parts.join("."))] {
            prop_assert!(block_on(authorizer.check(Some(&header), READ)).is_err());
        }
    }

    #[test]
    fn a_token_with_one_character_changed_is_refused(at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_.-]") {
        let tokens = Tokens::read();
        let authorizer = authorizer(&tokens);
        for name in ["HS256", "RS256", "ES256"] {
            let mut header = tokens.named(name);
            let at = "Bearer ".len() + at.index(header.len() - "Bearer ".len());
            if header[at..=at] != to {
                header.replace_range(at..=at, &to);
                prop_assert!(block_on(authorizer.check(Some(&header), READ)).is_err(), "{name} at {at}: {to}");
            }
        }
    }
}
