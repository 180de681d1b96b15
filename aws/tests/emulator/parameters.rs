//! A stage's parameters.

use alluvium_aws::parameters::under;
use aws_sdk_ssm::Client;
use aws_sdk_ssm::types::ParameterType;

use crate::endpoint;

async fn put(client: &Client, name: &str, value: &str) {
    client.put_parameter().name(name).value(value).r#type(ParameterType::String).send().await.unwrap();
}

#[tokio::test]
async fn more_than_a_page_of_parameters_are_found_and_no_others() {
    let client = Client::new(&endpoint::config().await);
    let stage = endpoint::unique("stage");
    let path = format!("/alluvium/{stage}");
    // More than two pages of ten.
    for number in 0..23 {
        put(&client, &format!("{path}/key_{number}"), &number.to_string()).await;
    }
    put(&client, &format!("{path}-other/key_0"), "of another stage, whose name begins alike").await;
    put(&client, &format!("{path}/deeper/key_0"), "no setting").await;
    let found = under(&client, &path).await.unwrap();
    let expected = (0..23).map(|number: u32| (format!("key_{number}"), number.to_string())).collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_stage_that_is_not_there_has_none() {
    let client = Client::new(&endpoint::config().await);
    assert!(under(&client, &format!("/alluvium/{}", endpoint::unique("nowhere"))).await.unwrap().is_empty());
}
