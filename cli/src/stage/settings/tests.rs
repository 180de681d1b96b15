use super::*;

fn stage(text: &str) -> StageName {
    text.parse().unwrap()
}

/// As the Terraform of this release writes them, and one of somebody else's.
fn parameters() -> BTreeMap<String, String> {
    let of = [
        ("format", "1"),
        ("api_url", "https://abc.execute-api.eu-west-1.amazonaws.com"),
        ("stream_name", "alluvium-dev-events"),
        ("delivery_stream", "alluvium-dev-delivery"),
        ("lake_url", "s3://alluvium-dev-lake/lake"),
        ("landing", "alluvium-dev-landing"),
        ("results", "alluvium-dev-results"),
        ("commit_queue", "https://sqs.eu-west-1.amazonaws.com/1/alluvium-dev-commits"),
        ("hot_table", "alluvium-dev-hot"),
        ("function_transform", "alluvium-dev-transform"),
        ("workgroup", "alluvium-dev"),
        ("database", "alluvium_dev"),
        ("owner", "anonymous"),
        ("buffer_seconds", "5"),
        ("stream_hours", "24"),
        ("raw_backup_days", "7"),
        ("undelete_days", "7"),
        ("sql_result_days", "1"),
        ("somebody_elses", "no matter"),
    ];
    of.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

#[test]
fn a_stage_is_named_alone_or_with_its_application() {
    assert_eq!(stage("dev").path(), "/alluvium/dev");
    assert_eq!(stage("shop/eu-prod").path(), "/shop/eu-prod");
    assert_eq!((stage("dev").to_string(), stage("shop/dev").to_string()), ("dev".to_owned(), "shop/dev".to_owned()));
    for wrong in ["", "/", "/dev", "dev/", "Dev", "1dev", "a/b/c", "dev*", "seventeen-letters", "sh-op/dev", "d\u{fc}"]
    {
        assert!(wrong.parse::<StageName>().is_err(), "{wrong}");
    }
}

#[test]
fn settings_are_what_the_parameters_say() {
    let settings = of_parameters(&stage("dev"), parameters()).unwrap();
    assert_eq!(settings.landing.to_string(), "s3://alluvium-dev-landing");
    assert_eq!(settings.transform, "alluvium-dev-transform:live".parse().unwrap());
    assert_eq!((settings.default_dataset, settings.kept.stream), (None, DAY));
    assert_eq!(settings.delivery_stream.as_deref(), Some("alluvium-dev-delivery"));
    let mut with_default = parameters();
    with_default.insert("delivery_stream".to_owned(), "none".to_owned());
    with_default.insert("default_dataset".to_owned(), "telemetry".to_owned());
    let settings = of_parameters(&stage("dev"), with_default.clone()).unwrap();
    assert_eq!(
        (settings.default_dataset.as_deref(), settings.delivery_stream, settings.uploads),
        (Some("telemetry"), None, None)
    );
    with_default.insert("uploads_table".to_owned(), "alluvium-dev-uploads".to_owned());
    assert!(of_parameters(&stage("dev"), with_default.clone()).is_err(), "a table without a bucket");
    with_default.insert("uploads_url".to_owned(), "s3://alluvium-dev-uploads-1/content".to_owned());
    let uploads = of_parameters(&stage("dev"), with_default).unwrap().uploads.unwrap();
    assert_eq!((uploads.0.prefix(), uploads.1.as_str()), ("content", "alluvium-dev-uploads"));
}

#[test]
fn each_parameter_that_is_missing_is_named_and_how_it_comes_back() {
    let optional = ["somebody_elses"];
    for key in parameters().keys().filter(|key| !optional.contains(&key.as_str())) {
        let mut some = parameters();
        some.remove(key);
        let error = of_parameters(&stage("dev"), some).unwrap_err().to_string();
        assert!(error.contains(&format!("/alluvium/dev/{key}")) && error.contains("make deploy STAGE=dev"), "{error}");
    }
}

#[test]
fn a_parameter_that_is_wrong_and_another_format_are_refused() {
    for (key, value, why) in [
        ("format", "2", "of format 2, and this program reads 1"),
        ("lake_url", "/var/lake", "/alluvium/dev/lake_url is wrong: `/var/lake`"),
        ("landing", "Bucket", "/alluvium/dev/landing is wrong"),
        ("stream_hours", "a day", "/alluvium/dev/stream_hours is wrong"),
        ("function_transform", "arn:aws:lambda", "/alluvium/dev/function_transform is wrong"),
    ] {
        let mut wrong = parameters();
        wrong.insert(key.to_owned(), value.to_owned());
        let error = of_parameters(&stage("dev"), wrong).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn terraform_writes_every_parameter_that_is_read() {
    let infra = concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/");
    let read = |file: &str| std::fs::read_to_string(format!("{infra}{file}")).unwrap();
    let written = read("main.tf") + &read("parameters.tf");
    let is_written = |key: &str| {
        written
            .lines()
            .any(|line| line.trim_start().strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('=')))
    };
    for key in parameters().keys().filter(|key| *key != "somebody_elses") {
        assert!(is_written(key), "{key}");
    }
    assert!(written.contains(&format!("format             = \"{FORMAT}\"")));
}
