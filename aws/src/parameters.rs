//! A stage's parameters in AWS Systems Manager, where Terraform writes what operators' commands look up.

use std::collections::BTreeMap;

use alluvium_core::ports::PortError;
use aws_sdk_ssm::Client;

use crate::error::port_error;

/// The most parameters that one call answers with. AWS Systems Manager API Reference, `GetParametersByPath`.
const PAGE: i32 = 10;

/// The parameters right under `path` (`/alluvium/dev`), by what follows it: `stream_name`. None: there are none, whoever made them.
///
/// # Errors
///
/// When they cannot be asked for: most often the right `ssm:GetParametersByPath` on the path is missing.
pub async fn under(client: &Client, path: &str) -> Result<BTreeMap<String, String>, PortError> {
    let mut pages = client.get_parameters_by_path().path(path).max_results(PAGE).into_paginator().send();
    let mut found = BTreeMap::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| port_error(format!("cannot ask for the parameters under {path}"), error))?;
        for parameter in page.parameters() {
            let name = parameter.name().and_then(|name| name.strip_prefix(path)?.strip_prefix('/'));
            if let (Some(name), Some(value)) = (name, parameter.value()) {
                found.insert(name.to_owned(), value.to_owned());
            }
        }
    }
    Ok(found)
}
