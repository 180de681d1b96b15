//! Invoking functions, as far as it goes without one: moto runs none without containers.

use alluvium_aws::{DeployedFunction, config};
use alluvium_core::ports::{Advice, Function};
use bytes::Bytes;

use crate::endpoint;

#[tokio::test]
async fn a_function_that_is_not_there_is_an_error_that_stops() {
    let client = config::lambda(&endpoint::config().await);
    let function = DeployedFunction::new(client, endpoint::unique("function"), "live");
    let error = function.invoke(Bytes::from_static(b"{}")).await.unwrap_err();
    assert_eq!(error.advice, Advice::Stop, "{error}");
    assert!(error.message.contains("alluvium-function") && error.message.contains("ResourceNotFound"), "{error}");
}
