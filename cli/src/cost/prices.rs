//! The price table: a data file, dated, each price with its unit and where it was found.

use serde::Deserialize;

const TABLE: &str = include_str!("prices.json");

/// The table, and the day on which its prices were looked up.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceTable {
    /// The day, as `2026-11-28`.
    pub date: String,
    /// The region that the prices are of.
    pub region: String,
    /// The currency's code.
    pub currency: String,
    /// The prices.
    pub prices: Prices,
}

/// One price, in steps where AWS asks less for more.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// What one unit is.
    pub unit: String,
    /// For how many units the price is.
    per: f64,
    tiers: Vec<Tier>,
    /// The public page that has it.
    pub source: String,
    /// Where it was seen; empty: nowhere.
    seen: String,
    /// How it was come by, where it was not simply read.
    pub note: Option<String>,
    /// Its name in the table.
    #[serde(skip)]
    pub name: &'static str,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tier {
    /// Up to how many units of a month; none: all that is left.
    up_to: Option<f64>,
    price: f64,
    /// Whether somebody else's page was found that says the same.
    checked: bool,
}

impl Price {
    /// Dollars for `quantity` units, when `before` units of the month were charged already.
    pub fn dollars(&self, before: f64, quantity: f64) -> f64 {
        let end = before + quantity;
        let mut from = 0.0_f64;
        let mut sum = 0.0;
        for tier in &self.tiers {
            let to = tier.up_to.unwrap_or(f64::INFINITY);
            let within = end.min(to) - before.max(from);
            if within > 0.0 {
                sum += within * tier.price / self.per;
            }
            from = to;
        }
        sum
    }

    /// Whether every step of it was found on a page of somebody's.
    pub fn checked(&self) -> bool {
        self.tiers.iter().all(|tier| tier.checked)
    }

    /// Whether it can be reckoned with: steps that go up to the last, and said where a checked one was seen.
    fn is_sound(&self) -> bool {
        let limits: Vec<_> = self.tiers.iter().map(|tier| tier.up_to.unwrap_or(f64::INFINITY)).collect();
        limits.is_sorted_by(|a, b| a < b)
            && limits.last() == Some(&f64::INFINITY)
            && self.per > 0.0
            && !(self.seen.is_empty() && self.checked())
            && (self.checked() || self.note.is_some())
    }
}

macro_rules! prices {
    ($($name:ident),* $(,)?) => {
        /// The prices by name. A name that is missing from the table, or too much in it, is a defect of the table.
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[allow(missing_docs, reason = "the table says what each is")]
        pub struct Prices {
            $(pub $name: Price),*
        }

        impl Prices {
            /// All of them.
            pub fn all(&self) -> Vec<&Price> {
                vec![$(&self.$name),*]
            }

            fn name_each(&mut self) {
                $(self.$name.name = stringify!($name);)*
            }
        }
    };
}

prices! {
    kinesis_shard_hour, kinesis_put_unit, kinesis_on_demand_hour, kinesis_on_demand_in, kinesis_on_demand_out,
    kinesis_advantage_in, kinesis_advantage_out, firehose_stream, firehose_conversion, firehose_iceberg, streaming_table,
    lambda_requests, lambda_gb_seconds, s3_puts, s3_gets, s3_storage, s3_tables_storage, s3_tables_objects,
    s3_tables_compacted, s3_tables_compacted_objects, sqs_requests, dynamodb_write_units, dynamodb_read_units,
    dynamodb_write_capacity_hour, dynamodb_read_capacity_hour, dynamodb_storage, dynamodb_recovery, http_api_requests,
    rest_api_requests, athena_scanned, logs_ingested, access_logs_ingested, logs_stored, custom_metrics, alarms, dashboards,
    xray_traces, kms_keys, endpoint_hours, secrets,
}

impl PriceTable {
    /// The table that the program was built with.
    ///
    /// # Panics
    ///
    /// When that table is no table, which a test would have found.
    pub fn built_in() -> Self {
        let mut table: Self = serde_json::from_str(TABLE).expect("the price table is part of the program");
        table.prices.name_each();
        assert!(
            table.prices.all().iter().all(|price| price.is_sound()),
            "each price goes up in steps, and says where it is from"
        );
        table
    }

    /// The prices of which a step was found nowhere.
    pub fn unchecked(&self) -> Vec<&Price> {
        self.prices.all().into_iter().filter(|price| !price.checked()).collect()
    }
}
