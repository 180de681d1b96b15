//! Settings that are secret, and so are not in the environment: `secret:ARN` says where in Secrets Manager they are.

use std::fmt;

use alluvium_core::ports::{Advice, PortError};
use aws_sdk_secretsmanager::Client;

use crate::error::port_error;

/// A value that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The value.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Whether a setting may hold the value itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plain {
    /// It may: what it holds is no secret to whoever can read the environment.
    Allowed,
    /// It must not.
    Refused,
}

/// Where a setting's value is.
#[derive(Debug, PartialEq, Eq)]
enum Place<'a> {
    Here(&'a str),
    SecretsManager(&'a str),
}

/// The value of a setting. `setting` is its name, for messages; `value` is what stands there: `secret:ARN`, whose secret's string
/// is taken as it stands, or the value itself where `plain` allows that.
///
/// # Errors
///
/// When `value` is refused, or the secret cannot be read or is no string. No message quotes a value.
pub async fn resolve(client: &Client, setting: &str, value: &str, plain: Plain) -> Result<Secret, PortError> {
    let arn = match place(setting, value, plain).map_err(|why| PortError::new(Advice::Stop, why))? {
        Place::Here(value) => return Ok(Secret(value.to_owned())),
        Place::SecretsManager(arn) => arn,
    };
    let read = client.get_secret_value().secret_id(arn).send().await;
    let read = read.map_err(|error| port_error(format!("cannot read {setting} from {arn}"), error))?;
    match read.secret_string {
        Some(value) => Ok(Secret(value)),
        None => {
            let message =
                format!("cannot use {arn} for {setting}: it holds bytes, not a string; store it as a secret string");
            Err(PortError::new(Advice::Stop, message))
        }
    }
}

fn place<'a>(setting: &str, value: &'a str, plain: Plain) -> Result<Place<'a>, String> {
    match value.strip_prefix("secret:") {
        Some(arn) if arn.starts_with("arn:") => Ok(Place::SecretsManager(arn)),
        Some(_) => {
            Err(format!("{setting} names no secret: `secret:` is followed by the ARN of one in Secrets Manager"))
        }
        None if value.is_empty() => Err(format!("{setting} is empty")),
        None if plain == Plain::Allowed => Ok(Place::Here(value)),
        None => Err(format!(
            "{setting} holds a value itself, where whoever reads the environment finds it: store it in Secrets Manager and set \
             `secret:` and its ARN"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:secretsmanager:eu-west-1:000000000000:secret:alluvium/dev/signing-AbCdEf";

    #[test]
    fn an_arn_says_where_the_secret_is() {
        let value = format!("secret:{ARN}");
        for plain in [Plain::Allowed, Plain::Refused] {
            assert_eq!(place("auth.secret", &value, plain), Ok(Place::SecretsManager(ARN)));
        }
    }

    #[test]
    fn a_plain_value_is_taken_only_where_it_may_be() {
        assert_eq!(place("auth.secret", "s3cret", Plain::Allowed), Ok(Place::Here("s3cret")));
        let refused = place("auth.secret", "s3cret", Plain::Refused).unwrap_err();
        assert!(refused.starts_with("auth.secret holds a value itself") && !refused.contains("s3cret"), "{refused}");
    }

    #[test]
    fn what_names_no_secret_is_refused_without_being_shown() {
        for value in ["secret:", "secret:hunter2"] {
            let refused = place("auth.secret", value, Plain::Allowed).unwrap_err();
            assert!(refused.contains("names no secret") && !refused.contains("hunter2"), "{refused}");
        }
        assert!(place("auth.secret", "", Plain::Allowed).is_err());
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", Secret("hunter2".to_owned())), "Secret(…)");
    }
}
