//! A bill: lines of a quantity at a price, rounded to cents each, and their sum.

use std::collections::BTreeMap;

use serde::Serialize;

use super::prices::Price;

/// Hours of a month, as AWS reckons in its examples.
pub const HOURS: f64 = 730.0;
/// Seconds of such a month.
pub const SECONDS: f64 = HOURS * 3600.0;
/// Bytes of a GB as AWS bills them.
pub const GB: f64 = 1024.0 * 1024.0 * 1024.0;

/// What a line is charged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Service {
    #[serde(rename = "Kinesis Data Streams")]
    Kinesis,
    #[serde(rename = "Data Firehose")]
    Firehose,
    Lambda,
    S3,
    #[serde(rename = "SQS")]
    Sqs,
    #[serde(rename = "DynamoDB")]
    DynamoDb,
    #[serde(rename = "API Gateway")]
    ApiGateway,
    Athena,
    CloudWatch,
    #[serde(rename = "X-Ray")]
    XRay,
    #[serde(rename = "Secrets Manager")]
    SecretsManager,
    #[serde(rename = "KMS")]
    Kms,
}

impl Service {
    /// All of them, in the order of an event's path.
    pub const ALL: [Self; 12] = [
        Self::Kinesis,
        Self::Firehose,
        Self::Lambda,
        Self::S3,
        Self::Sqs,
        Self::DynamoDb,
        Self::ApiGateway,
        Self::Athena,
        Self::CloudWatch,
        Self::XRay,
        Self::SecretsManager,
        Self::Kms,
    ];

    /// Its name as AWS writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kinesis => "Kinesis Data Streams",
            Self::Firehose => "Data Firehose",
            Self::Lambda => "Lambda",
            Self::S3 => "S3",
            Self::Sqs => "SQS",
            Self::DynamoDb => "DynamoDB",
            Self::ApiGateway => "API Gateway",
            Self::Athena => "Athena",
            Self::CloudWatch => "CloudWatch",
            Self::XRay => "X-Ray",
            Self::SecretsManager => "Secrets Manager",
            Self::Kms => "KMS",
        }
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// By which service.
    pub service: Service,
    /// What for.
    pub item: String,
    /// How many units of it in the month.
    pub quantity: f64,
    /// What one unit is.
    pub unit: String,
    /// The price's name in the table.
    pub price: &'static str,
    /// The amount.
    pub cents: u64,
}

/// The lines of a month.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bill {
    /// In the order in which they were charged.
    pub lines: Vec<Line>,
    charged: BTreeMap<&'static str, f64>,
}

impl Bill {
    /// Adds a line, at the step of the price that earlier lines have left. Nothing is added for nothing.
    pub fn charge(&mut self, service: Service, item: impl Into<String>, price: &Price, quantity: f64) {
        if quantity <= 0.0 {
            return;
        }
        let before = self.charged.entry(price.name).or_default();
        let cents = to_cents(price.dollars(*before, quantity));
        *before += quantity;
        let (item, unit) = (item.into(), price.unit.clone());
        self.lines.push(Line { service, item, quantity, unit, price: price.name, cents });
    }

    /// The sum in cents.
    pub fn cents(&self) -> u64 {
        self.lines.iter().map(|line| line.cents).sum()
    }

    /// The sum of one service's lines in cents.
    pub fn cents_of(&self, service: Service) -> u64 {
        self.lines.iter().filter(|line| line.service == service).map(|line| line.cents).sum()
    }
}

/// Half a cent and more is a cent. A millionth of a cent makes up for what binary fractions lose.
fn to_cents(dollars: f64) -> u64 {
    (dollars * 100.0 + 0.5 + 1e-6).floor() as u64
}

/// The next whole number; what is whole but for the rounding of binary fractions stays.
pub fn up(number: f64) -> f64 {
    (number * (1.0 - 1e-12)).ceil()
}

/// The last whole number; what is whole but for the rounding of binary fractions stays.
pub fn down(number: f64) -> f64 {
    (number * (1.0 + 1e-12)).floor()
}
