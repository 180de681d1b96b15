//! What `alluvium cost` says, as tables.

use serde_json::Value;

use super::bill::{Bill, Service};
use super::compare::Way;
use super::limits::Limit;
use super::model::Model;
use crate::output;

/// Prints the bill, the settings, and the limits that do not hold or are near.
pub fn bill(model: &Model) {
    let bill = model.bill();
    let header = ["service", "what", "quantity", "unit", "dollars"];
    output::table(header, lines(&bill));
    let per_million = model.a_million(&bill);
    output::line(format!("{} a month, ${per_million:.4} a million events", money(bill.cents())));
    output::line("");
    output::table(["setting", "value"], settings(&model.settings()));
    output::line("");
    if let Some(instead) = model.hot_table() {
        output::line(format!(
            "The hot index's units are {} a month on demand, as the stack has it; provisioned they would be {} for the peak all the time, \
             and {} if they followed the load (docs/cost.md).",
            money(instead.on_demand_cents),
            money(instead.for_peak_cents),
            money(instead.following_cents)
        ));
        output::line("");
    }
    limits(&model.limits());
    output::line("");
    provenance(model);
}

/// Prints the same events by other means.
pub fn ways(model: &Model, ways: &[(Way, Bill)]) {
    let rows = ways.iter().map(|(way, bill)| {
        let cents = |services: &[Service]| money(services.iter().map(|service| bill.cents_of(*service)).sum());
        [
            way.name().to_owned(),
            if way.serves_records() { "SQL and records" } else { "SQL" }.to_owned(),
            cents(&[Service::Kinesis]),
            cents(&[Service::Firehose]),
            cents(&[Service::Lambda, Service::Sqs]),
            cents(&[Service::S3]),
            cents(&[Service::DynamoDb]),
            cents(&OTHER),
            money(bill.cents()),
        ]
    });
    let header = ["way", "answers", "stream", "Firehose", "functions", "S3", "DynamoDB", "other", "a month"];
    output::table(header, rows);
    output::line("");
    provenance(model);
}

/// What a table of means has no column for.
const OTHER: [Service; 6] =
    [Service::ApiGateway, Service::Athena, Service::CloudWatch, Service::XRay, Service::SecretsManager, Service::Kms];

fn lines(bill: &Bill) -> Vec<[String; 5]> {
    let mut rows = Vec::new();
    for service in Service::ALL {
        let of_service: Vec<_> = bill.lines.iter().filter(|line| line.service == service).collect();
        for line in &of_service {
            let quantity = number(line.quantity);
            rows.push([service.name().to_owned(), line.item.clone(), quantity, line.unit.clone(), money(line.cents)]);
        }
        if of_service.len() > 1 {
            let sum = money(bill.cents_of(service));
            rows.push([service.name().to_owned(), "all".to_owned(), String::new(), String::new(), sum]);
        }
    }
    rows
}

fn settings(settings: &Value) -> Vec<[String; 2]> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let said = settings.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    said.map(|(name, value)| [name.clone(), text(value)]).collect()
}

fn limits(limits: &[Limit]) {
    let near: Vec<_> =
        limits.iter().filter(|limit| !limit.kept && limit.used().is_some_and(|used| used > 0.5)).collect();
    if near.is_empty() {
        output::line("No limit is used by more than half at the peak.");
        return;
    }
    let rows = near.iter().map(|limit| {
        let quota = limit.quota.map_or_else(String::new, number);
        let state = if limit.holds { "holds" } else { "too little" };
        let what = format!("{}: {}", limit.service, limit.what);
        [what, number(limit.needed), quota, limit.unit.to_owned(), state.to_owned()]
    });
    output::table(["limit, at the peak", "needed", "there is", "unit", ""], rows);
    for limit in near.iter().filter(|limit| !limit.holds) {
        output::line(format!("{}, {}: {} ({}).", limit.service, limit.what, limit.raise, limit.source));
    }
}

/// How far it is to be believed.
fn provenance(model: &Model) {
    let table = &model.table;
    output::line(format!("Prices of {} looked up on {}, in {}.", table.region, table.date, table.currency));
    for price in table.unchecked() {
        let note = price.note.as_deref().unwrap_or_default();
        output::line(format!("Unconfirmed, {} ({}): {note}.", price.name, price.source));
    }
    output::line(format!("Assumed, not measured: {}.", model.figures.assumed().join(", ")));
    output::line(
        "Not in it: free tiers, discounts, taxes, support, data out to the internet, KMS requests, results of SQL, and what is off \
         unless it is switched on (docs/cost.md).",
    );
}

/// Dollars and cents.
pub fn money(cents: u64) -> String {
    format!("${}.{:02}", output::thousands(cents / 100), cents % 100)
}

fn number(number: f64) -> String {
    if number >= 100.0 { output::thousands(number.round() as u64) } else { format!("{number:.3}") }
}
