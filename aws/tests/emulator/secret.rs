//! Settings that are secret.

use alluvium_aws::secret::{Plain, resolve};
use alluvium_core::ports::Advice;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::primitives::Blob;

use crate::endpoint;

/// What a person might choose: not ASCII, and with spaces that count.
const VALUE: &str = " schlüssel of at least thirty-two bytes \n";

#[tokio::test]
async fn a_secret_is_read_as_it_stands() {
    let client = Client::new(&endpoint::config().await);
    let created = client.create_secret().name(endpoint::unique("secret")).secret_string(VALUE).send().await.unwrap();
    let arn = created.arn().unwrap();
    let secret = resolve(&client, "auth.secret", &format!("secret:{arn}"), Plain::Refused).await.unwrap();
    assert_eq!(secret.expose(), VALUE);
    client.delete_secret().secret_id(arn).force_delete_without_recovery(true).send().await.unwrap();
    let error = resolve(&client, "auth.secret", &format!("secret:{arn}"), Plain::Refused).await.unwrap_err();
    assert_eq!(error.advice, Advice::Stop, "{error}");
    assert!(error.message.contains("auth.secret") && error.message.contains(arn), "{error}");
}

#[tokio::test]
async fn a_secret_of_bytes_is_refused() {
    let client = Client::new(&endpoint::config().await);
    let name = endpoint::unique("secret");
    let created = client.create_secret().name(name).secret_binary(Blob::new([1, 2, 3])).send().await.unwrap();
    let arn = created.arn().unwrap();
    let error = resolve(&client, "auth.secret", &format!("secret:{arn}"), Plain::Refused).await.unwrap_err();
    assert!(error.message.contains("holds bytes, not a string"), "{error}");
    client.delete_secret().secret_id(arn).force_delete_without_recovery(true).send().await.unwrap();
}

#[tokio::test]
async fn a_value_that_is_no_secret_asks_nobody() {
    let client = Client::new(&endpoint::config().await);
    let plain = resolve(&client, "owner", "acme", Plain::Allowed).await.unwrap();
    assert_eq!(plain.expose(), "acme");
}
