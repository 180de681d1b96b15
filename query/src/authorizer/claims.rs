//! What a token says, once its signature is right.

use alluvium_core::clock::Micros;
use alluvium_core::{Caller, Roles};
use serde_json::{Map, Value};

use super::refusal::Refusal;
use super::{AuthorizerSettings, LEEWAY};

type Claims = Map<String, Value>;

/// Who the claims are about, if they hold now and here.
pub(super) fn caller(claims: &Claims, settings: &AuthorizerSettings, now: Micros) -> Result<Caller, Refusal> {
    in_time(claims, now)?;
    if let Some(issuer) = &settings.issuer
        && text(claims, "iss")? != issuer
    {
        return Err(Refusal::ClaimOther("iss"));
    }
    if let Some(audience) = &settings.audience
        && !texts(claims, "aud")?.contains(&audience.as_str())
    {
        return Err(Refusal::ClaimOther("aud"));
    }
    Caller::new(text(claims, "sub")?, roles(claims, &settings.role_claim)?).ok_or(Refusal::Owner)
}

/// RFC 7519, sections 4.1.4 and 4.1.5: a token holds from `nbf` on and before `exp`.
fn in_time(claims: &Claims, now: Micros) -> Result<(), Refusal> {
    // Exact: microseconds of this epoch have fewer bits than the fraction of an f64.
    let now = now as f64 / 1e6;
    let leeway = LEEWAY.as_secs_f64();
    let expires = time(claims, "exp")?.ok_or_else(|| Refusal::ClaimMissing("exp".to_owned()))?;
    if now >= expires + leeway {
        return Err(Refusal::Expired);
    }
    if time(claims, "nbf")?.is_some_and(|begins| now + leeway < begins) {
        return Err(Refusal::NotYet);
    }
    Ok(())
}

/// A claim that is a time: seconds since 1970, with a fraction or without. RFC 7519, section 2, "NumericDate".
fn time(claims: &Claims, claim: &'static str) -> Result<Option<f64>, Refusal> {
    let Some(value) = claims.get(claim) else { return Ok(None) };
    value.as_f64().filter(|seconds| seconds.is_finite()).map(Some).ok_or_else(|| kind(claim, "a number of seconds"))
}

fn text<'a>(claims: &'a Claims, claim: &'static str) -> Result<&'a str, Refusal> {
    let value = claims.get(claim).ok_or_else(|| Refusal::ClaimMissing(claim.to_owned()))?;
    value.as_str().ok_or_else(|| kind(claim, "text"))
}

/// A claim that is a text or a list of them.
fn texts<'a>(claims: &'a Claims, claim: &str) -> Result<Vec<&'a str>, Refusal> {
    let refused = || kind(claim, "text or a list of texts");
    match claims.get(claim) {
        None => Err(Refusal::ClaimMissing(claim.to_owned())),
        Some(Value::String(text)) => Ok(vec![text]),
        Some(Value::Array(values)) => values.iter().map(|value| value.as_str().ok_or_else(refused)).collect(),
        Some(_) => Err(refused()),
    }
}

fn roles(claims: &Claims, claim: &str) -> Result<Roles, Refusal> {
    let names = texts(claims, claim)?;
    Ok(Roles::of_names(names.into_iter().flat_map(str::split_whitespace)))
}

fn kind(claim: &str, expected: &'static str) -> Refusal {
    Refusal::ClaimKind { claim: claim.to_owned(), expected }
}
