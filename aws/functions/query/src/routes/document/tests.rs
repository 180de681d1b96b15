#![allow(clippy::unwrap_used)]

use alluvium_query::Access;

use super::*;

/// The routes of the HTTP API, as Terraform has them where there are uploads.
fn deployed() -> Vec<String> {
    let terraform = include_str!("../../../../../../infra/modules/serving/api.tf");
    let (_, tables) = terraform.split_once("  upload_routes = {\n").unwrap();
    let (tables, _) = tables.split_once("\n  })").unwrap();
    let is_route = |text: &&str| {
        text.split_once(" /").is_some_and(|(method, _)| method.bytes().all(|byte| byte.is_ascii_uppercase()))
    };
    tables.split('"').filter(is_route).map(str::to_owned).collect()
}

fn described(document: &Value) -> BTreeSet<String> {
    let paths = document["paths"].as_object().unwrap().iter();
    let keys = paths.flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().keys();
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    keys.collect()
}

#[test]
fn it_has_every_route_that_is_deployed_and_no_other() {
    let deployed = deployed();
    assert!(deployed.len() > 10, "{deployed:?}");
    assert_eq!(described(&of(&deployed)), deployed.iter().cloned().collect());
    let few = ["GET /health", "HEAD /health", "POST /data"].map(str::to_owned);
    let document = of(&few);
    assert_eq!(described(&document), ["GET /health", "POST /data"].map(str::to_owned).into());
    let tags: Vec<_> = document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].clone()).collect();
    assert_eq!(tags, ["events", "node"]);
}

#[test]
fn what_is_referred_to_is_there_and_nothing_else() {
    for keys in [deployed(), vec!["GET /v1/{dataset}".to_owned()], Vec::new()] {
        let document = of(&keys);
        let there: BTreeSet<_> = document["components"]["schemas"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(there, references(&document), "{keys:?}");
    }
}

#[test]
fn it_asks_for_the_roles_that_the_stage_asks_for() {
    let document = of(&deployed());
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let key = format!("{} {path}", method.to_uppercase());
            let asked = match Access::of_route_key(&key) {
                Access::NoSuchRoute => panic!("{key} is no route"),
                Access::Open => Value::Null,
                // The function asks for more than the authorizer, see `admin_alone`.
                Access::Needs(_) if path.starts_with("/v1/queries") => Role::Admin.name().into(),
                Access::Needs(role) => role.name().into(),
            };
            assert_eq!(operation["x-role"], asked, "{key}");
            assert_eq!(operation["responses"]["401"]["content"].is_null(), asked.is_null(), "{key}");
        }
    }
    assert!(document["paths"]["/v1/{dataset}/live"]["get"]["responses"].get("200").is_none());
}
