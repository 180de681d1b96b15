#![allow(clippy::unwrap_used)]
#![allow(clippy::result_large_err, reason = "the error of figment's jail")]

use std::time::Duration;

use figment::Jail;
use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default, deserialize_with = "text")]
    verbosity: Option<String>,
    hot: Hot,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Hot {
    table: String,
    #[serde(with = "alluvium_core::duration::text")]
    margin: Duration,
}

fn with(variables: &[(&str, &str)], check: impl Fn(Result<Settings, String>)) {
    Jail::expect_with(|jail| {
        jail.clear_env();
        for (name, value) in variables {
            jail.set_env(name, value);
        }
        check(settings().map_err(|error| error.to_string()));
        Ok(())
    });
}

#[test]
fn settings_come_from_variables() {
    let variables = [
        ("ALLUVIUM_HOT__TABLE", "own-dev-hot"),
        ("ALLUVIUM_HOT__MARGIN", "90m"),
        ("ALLUVIUM_VERBOSITY", "info,alluvium_aws=debug"),
        ("AWS_REGION", "eu-west-1"),
    ];
    with(&variables, |settings| {
        let hot = Hot { table: "own-dev-hot".to_owned(), margin: Duration::from_secs(5400) };
        assert_eq!(settings, Ok(Settings { verbosity: Some("info,alluvium_aws=debug".to_owned()), hot }));
    });
}

#[test]
fn a_list_is_read_as_json_has_it() {
    #[derive(Debug, Deserialize)]
    struct Listed {
        api: Api,
    }
    #[derive(Debug, Deserialize)]
    struct Api {
        routes: Vec<String>,
    }
    Jail::expect_with(|jail| {
        jail.clear_env();
        jail.set_env("ALLUVIUM_API__ROUTES", r#"["GET /v1/{dataset}","POST /data"]"#);
        let Listed { api } = settings().unwrap();
        assert_eq!(api.routes, ["GET /v1/{dataset}", "POST /data"]);
        Ok(())
    });
}

#[test]
fn the_stage_is_told_to_every_function_and_a_setting_of_none() {
    let variables = [("ALLUVIUM_STAGE", "dev"), ("ALLUVIUM_HOT__TABLE", "t"), ("ALLUVIUM_HOT__MARGIN", "1h")];
    with(&variables, |settings| assert_eq!(settings.unwrap().hot.table, "t"));
    let variables = [("ALLUVIUM_STAGES", "dev"), ("ALLUVIUM_HOT__TABLE", "t"), ("ALLUVIUM_HOT__MARGIN", "1h")];
    with(&variables, |settings| assert!(settings.unwrap_err().contains("ALLUVIUM_STAGES is no setting")));
}

#[test]
fn the_stage_is_no_setting_and_local_without_the_variable() {
    let variables = [("ALLUVIUM_HOT__TABLE", "t"), ("ALLUVIUM_HOT__MARGIN", "1h"), ("ALLUVIUM_STAGE", "dev")];
    with(&variables, |settings| {
        assert!(settings.is_ok(), "{settings:?}");
        assert_eq!(stage(), "dev");
    });
    with(&variables[..2], |_| assert_eq!(stage(), "local"));
}

#[test]
fn a_text_may_look_like_a_number() {
    for value in ["69234237810729019", "0", "1a", "a b"] {
        let variables = [("ALLUVIUM_HOT__TABLE", "t"), ("ALLUVIUM_HOT__MARGIN", "1h"), ("ALLUVIUM_VERBOSITY", value)];
        with(&variables, |settings| assert_eq!(settings.unwrap().verbosity.as_deref(), Some(value)));
    }
}

#[test]
fn what_is_wrong_with_a_variable_is_said_by_its_name() {
    const TABLE: (&str, &str) = ("ALLUVIUM_HOT__TABLE", "t");
    const MARGIN: (&str, &str) = ("ALLUVIUM_HOT__MARGIN", "1h");
    type Case = (&'static [(&'static str, &'static str)], &'static [&'static str]);
    let cases: [Case; 6] = [
        (&[], &["ALLUVIUM_HOT is not set"]),
        (&[TABLE], &["ALLUVIUM_HOT__MARGIN is not set"]),
        (
            &[TABLE, MARGIN, ("ALLUVIUM_HOT__TABEL", "t")],
            &["ALLUVIUM_HOT__TABEL is no setting", "ALLUVIUM_HOT__TABLE, "],
        ),
        (&[TABLE, MARGIN, ("ALLUVIUM_HOTT", "t")], &["ALLUVIUM_HOTT is no setting", "ALLUVIUM_VERBOSITY, "]),
        (&[TABLE, ("ALLUVIUM_HOT__MARGIN", "soon")], &["ALLUVIUM_HOT__MARGIN: ", "soon"]),
        (&[("ALLUVIUM_HOT__TABLE", "[1]"), MARGIN], &["ALLUVIUM_HOT__TABLE: "]),
    ];
    for (variables, names) in cases {
        with(variables, |settings| {
            let said = settings.unwrap_err();
            assert!(names.iter().all(|name| said.contains(name)), "{said}");
        });
    }
    let said = wrong_setting("auth.jwks_url", "it is no address").to_string();
    assert_eq!(said, "the settings cannot be used: ALLUVIUM_AUTH__JWKS_URL: it is no address");
}

#[test]
fn schemas_come_from_the_package() {
    Jail::expect_with(|jail| {
        jail.clear_env();
        assert!(matches!(datasets(None), Err(StartError::NoPackage)));
        let schema = r#"{"type": "object", "properties": {"value": {"type": "number"}}}"#;
        jail.create_dir("datasets")?;
        jail.create_file("datasets/readings.json", schema)?;
        let root = jail.directory().display().to_string();
        jail.set_env("LAMBDA_TASK_ROOT", root);
        assert!(datasets(None).unwrap().names().contains(&"readings"));
        jail.create_file("datasets/wrong.json", "{")?;
        assert!(datasets(None).unwrap_err().to_string().contains("wrong"));
        Ok(())
    });
}

#[test]
fn a_verbosity_is_a_level_or_a_filter() {
    assert!(log("warn,alluvium_aws=debug").is_ok());
    let said = log("info,alluvium_aws=loudly").unwrap_err().to_string();
    assert!(said.contains("ALLUVIUM_VERBOSITY"), "{said}");
}

#[test]
fn a_caller_is_who_the_authorizer_says_and_nobody_without_it() {
    let found = caller(Some("anna"), Some("data.read data.write")).unwrap();
    assert_eq!((found.owner(), found.roles().to_string().as_str()), ("anna", "data.read data.write"));
    assert!(caller(Some("anna"), Some("")).unwrap().roles().is_empty());
    for (owner, roles) in
        [(None, Some("data.admin")), (Some("anna"), None), (None, None), (Some(""), Some("data.read"))]
    {
        assert_eq!(caller(owner, roles).unwrap_err().status, 500, "{owner:?} {roles:?}");
    }
}
