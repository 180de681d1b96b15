#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use super::*;

const AT: Micros = 1_769_860_800_123_456;

fn lines(metrics: &Metrics) -> Vec<Value> {
    let schema = include_str!("../../../testdata/aws/embedded-metric-format.schema.json");
    let schema = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
    let lines = metrics.lines(AT).into_iter().map(|line| {
        assert!(!line.contains('\n') && line.len() < 1024 * 1024, "a line of {} bytes", line.len());
        let line: Value = serde_json::from_str(&line).unwrap();
        if let Err(error) = schema.validate(&line) {
            panic!("{error} in {line}");
        }
        // What the schema cannot say: every name that the directive has is a member of the line.
        for directive in line["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
            for dimension in directive["Dimensions"].as_array().unwrap().iter().flat_map(|set| set.as_array().unwrap())
            {
                assert!(line[dimension.as_str().unwrap()].is_string(), "{dimension} in {line}");
            }
            let names: Vec<_> = directive["Metrics"]
                .as_array()
                .unwrap()
                .iter()
                .map(|metric| metric["Name"].as_str().unwrap())
                .collect();
            assert_eq!(names.len(), names.iter().collect::<BTreeSet<_>>().len(), "a name twice in {line}");
            for name in names {
                assert!(line[name].is_number() || line[name].is_array(), "{name} in {line}");
            }
        }
        line
    });
    lines.collect()
}

#[test]
fn an_invocation_is_a_line_and_one_more_for_each_part() {
    let mut metrics = Metrics::new("dev");
    metrics.count("Records", 500).count("Records", 20).bytes("BatchBytes", 4711).difference("LedgerDifference", -2);
    metrics.millis("TransformMilliseconds", Duration::from_micros(8_250));
    metrics.seconds("CommitLagSeconds", Duration::from_millis(1_500));
    metrics.with("Dataset", "telemetry").count("Events", 7).count("Rows", 6);
    metrics.with("Dataset", "data").count("Events", 3);
    metrics.with("Reason", "not_json").count("DeadLetters", 1);
    let lines = lines(&metrics);
    assert_eq!(
        lines[0],
        json!({
            "_aws": {"Timestamp": 1_769_860_800_123_i64, "CloudWatchMetrics": [{
                "Namespace": "Alluvium", "Dimensions": [["Stage"]], "Metrics": [
                    {"Name": "BatchBytes", "Unit": "Bytes"}, {"Name": "CommitLagSeconds", "Unit": "Seconds"},
                    {"Name": "DeadLetters", "Unit": "Count"}, {"Name": "Events", "Unit": "Count"},
                    {"Name": "LedgerDifference", "Unit": "Count"}, {"Name": "Records", "Unit": "Count"},
                    {"Name": "Rows", "Unit": "Count"}, {"Name": "TransformMilliseconds", "Unit": "Milliseconds"},
                ],
            }]},
            "Stage": "dev", "BatchBytes": 4711, "CommitLagSeconds": 1.5, "DeadLetters": 1, "Events": 10, "LedgerDifference": -2,
            "Records": 520, "Rows": 6, "TransformMilliseconds": 8.25,
        })
    );
    let part = |line: &Value| {
        let dimensions = line["_aws"]["CloudWatchMetrics"][0]["Dimensions"].clone();
        (dimensions, line["Dataset"].clone(), line["Reason"].clone(), line["Events"].clone())
    };
    let parts: Vec<_> = lines[1..].iter().map(part).collect();
    let by = |dimension: &str| json!([["Stage", dimension]]);
    assert_eq!(
        parts,
        [
            (by("Dataset"), json!("data"), Value::Null, json!(3)),
            (by("Dataset"), json!("telemetry"), Value::Null, json!(7)),
            (by("Reason"), Value::Null, json!("not_json"), Value::Null),
        ]
    );
}

#[test]
fn lines_say_whose_invocation_they_are_of() {
    let mut context = Context::default();
    context.request_id = "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned();
    context.xray_trace_id =
        Some("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0".to_owned());
    let mut metrics = Metrics::of("dev", &context);
    metrics.with("Status", "2xx").count("Requests", 1);
    for line in lines(&metrics) {
        assert_eq!(line["request_id"], context.request_id);
        assert_eq!(line["trace_id"], "1-5759e988-bd862e3fe1be46a994272793");
    }
    context.xray_trace_id = None;
    let mut metrics = Metrics::of("dev", &context);
    metrics.count("Requests", 1);
    assert_eq!(lines(&metrics)[0].get("trace_id"), None);
}

#[test]
fn nothing_is_no_line_and_none_is_a_zero() {
    assert_eq!(Metrics::new("dev").lines(AT), [""; 0]);
    let mut metrics = Metrics::new("dev");
    metrics.count("DeadLetters", 0);
    assert_eq!(lines(&metrics)[0]["DeadLetters"], 0);
}

#[test]
fn what_is_too_much_for_a_line_goes_into_the_next_one() {
    let mut metrics = Metrics::new("dev");
    for ms in 0..250 {
        metrics.millis("ReadMilliseconds", Duration::from_millis(ms));
    }
    let names: Vec<&'static str> = (0..150).map(|number| &*format!("Metric{number:03}").leak()).collect();
    for name in &names {
        metrics.count(name, 1);
    }
    let lines = lines(&metrics);
    let values = |line: &Value| line["ReadMilliseconds"].as_array().map_or(0, Vec::len);
    assert_eq!(lines.iter().map(values).collect::<Vec<_>>(), [0, 100, 100, 50]);
    let counted = names.iter().filter(|name| lines.iter().any(|line| line[**name] == 1)).count();
    assert_eq!(counted, 150);
    let most = lines.iter().map(|line| line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap().len()).max();
    assert_eq!(most, Some(LINE_METRICS));
}

#[test]
fn a_dimension_has_no_more_values_than_may_be_paid_for() {
    let mut metrics = Metrics::new("dev");
    for number in 0..150 {
        metrics.with("Dataset", &format!("d{number:03}")).count("Events", 1);
    }
    metrics.with("Dataset", "d000").count("Events", 1);
    metrics.with("Reason", "not_json").count("DeadLetters", 1);
    let lines = lines(&metrics);
    let of = |dataset: &str| lines.iter().find(|line| line["Dataset"] == dataset).map(|line| line["Events"].clone());
    assert_eq!(
        (of("d000"), of("d099"), of("d100"), of("other")),
        (Some(2.into()), Some(1.into()), None, Some(50.into()))
    );
    assert_eq!((lines.len(), &lines[0]["Events"]), (1 + MOST_VALUES + 1 + 1, &json!(151)));
}

#[test]
fn a_request_is_counted_by_the_class_of_its_status() {
    let mut metrics = Metrics::new("dev");
    for status in [200, 202, 304, 404, 500, 599, 99, 600] {
        metrics.request(status);
    }
    let lines = lines(&metrics);
    let of = |class: &str| lines.iter().find(|line| line["Status"] == class).map(|line| line["Requests"].clone());
    let counted: Vec<_> = ["2xx", "3xx", "4xx", "5xx", "other"].into_iter().map(of).collect();
    assert_eq!(counted, [2, 1, 1, 2, 2].map(|requests| Some(json!(requests))));
    assert_eq!(lines[0]["Requests"], 8);
}
