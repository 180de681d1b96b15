//! The model against published examples, our own measurements, and what may not be asked. Each amount, whole workloads over, is reckoned
//! again by tests/interop/test_cost.py.

use std::time::Duration;

use clap::Parser as _;

use super::batches::Slowness;
use super::bill::{Bill, Service, down, up};
use super::charges::{Parts, Reads};
use super::commits::Freshness;
use super::compare::Way;
use super::figures::Figures;
use super::hot::Hot;
use super::model::Model;
use super::prices::PriceTable;
use super::records::{Aggregation, Records};
use super::stream::{Reader, StreamMode};
use super::workload::{Asked, Workload};

#[derive(clap::Parser)]
struct Command {
    #[command(flatten)]
    asked: Asked,
}

fn asked(flags: &str) -> Asked {
    Command::try_parse_from(std::iter::once("cost").chain(flags.split_whitespace())).unwrap().asked
}

fn workload(flags: &str) -> Workload {
    asked(&format!("--events-per-second 1000 --bytes 237 {flags}")).checked().unwrap()
}

fn at(rate: u64) -> Workload {
    Workload { events_per_second: rate, ..workload("") }
}

fn refusal(flags: &str) -> String {
    crate::output::sentence(&asked(flags).checked().unwrap_err())
}

#[test]
fn nonsense_is_refused_with_what_would_be_right() {
    for (flags, flag, right) in [
        ("--events-per-second 0 --bytes 237", "--events-per-second", "at least 1"),
        ("--events-per-second 200000000 --bytes 237", "--events-per-second", "at most 100000000"),
        ("--events-per-second 1 --bytes 1", "--bytes", "2 bytes"),
        ("--events-per-second 1 --bytes 1048577", "--bytes", "1 MiB"),
        ("--events-per-second 1 --bytes 9 --sources 0", "--sources", "at least 1"),
        ("--events-per-second 1 --bytes 9 --datasets 101", "--datasets", "at most 100"),
        ("--events-per-second 1 --bytes 9 --producers 0", "--producers", "at least 1"),
        ("--events-per-second 1 --bytes 9 --retention 23h", "--retention", "at least 1d"),
        ("--events-per-second 1 --bytes 9 --retention 40000d", "--retention", "at most 36500d"),
        ("--events-per-second 1 --bytes 9 --retention 7", "--retention", "24h"),
        ("--events-per-second 1 --bytes 9 --retention 7d --hot-retention 8d", "--hot-retention", "at most 7d"),
        ("--events-per-second 1 --bytes 9 --fresh-within 4s", "--fresh-within", "at least 5s"),
        ("--events-per-second 1 --bytes 9 --peak 0.5", "--peak", "from 1 to 1000"),
        ("--events-per-second 1 --bytes 9 --peak NaN", "--peak", "from 1 to 1000"),
        ("--events-per-second 1 --bytes 9 --reads-per-second=-1", "--reads-per-second", "from 0"),
        ("--events-per-second 1 --bytes 9 --scanned-terabytes inf", "--scanned-terabytes", "from 0"),
        ("--events-per-second 1 --bytes 99999 --ingest http", "--events-per-request", "at most 41 events"),
    ] {
        let said = refusal(flags);
        assert!(said.contains(flag) && said.contains(right), "{flags}: {said}");
    }
}

#[test]
fn a_price_goes_on_where_the_lines_before_it_stopped() {
    let table = PriceTable::built_in();
    let price = &table.prices.s3_storage;
    let parts = [10_000.0, 45_000.0, 600_000.0, 1.0];
    let mut before = 0.0;
    let mut sum = 0.0;
    for part in parts {
        sum += price.dollars(before, part);
        before += part;
    }
    assert!((sum - price.dollars(0.0, before)).abs() < 1e-6);
    // 50 TB, 450 TB and what is beyond, by hand.
    let by_hand = 51_200.0 * 0.023 + 460_800.0 * 0.022 + (before - 512_000.0) * 0.021;
    assert!((sum - by_hand).abs() < 1e-6, "{sum} {by_hand}");
    let mut bill = Bill::default();
    bill.charge(Service::S3, "some", price, 51_200.0);
    bill.charge(Service::S3, "nothing", price, 0.0);
    bill.charge(Service::S3, "more", price, 100.0);
    let cents: Vec<_> = bill.lines.iter().map(|line| line.cents).collect();
    assert_eq!(cents, [117_760, 220], "the second is charged at the second step, and nothing has no line");
    assert_eq!(bill.cents_of(Service::S3), bill.cents());
}

#[test]
fn whole_numbers_stay_when_binary_fractions_do_not() {
    assert_eq!(up(0.1 + 0.2 + 0.7), 1.0);
    assert_eq!(up(1.000_000_1), 2.0);
    assert_eq!(down(0.7 * 10.0 * 3.0 / 3.0 / 7.0), 1.0);
    assert_eq!(down(0.999), 0.0);
}

#[test]
fn a_curve_goes_through_its_points_and_on() {
    let curve = Figures::built_in().chunk_bytes;
    assert_eq!([0.2, 1.0, 10.0, 1_000.0].map(|rows| curve.at(rows)), [351.0, 351.0, 832.0, 29_738.0]);
    assert_eq!(curve.at(200.0), (4_494.0 + 11_243.0) / 2.0);
    assert!((curve.at(2_000.0) - 59_476.0).abs() < 1e-9);
}

/// AWS Solutions Library, "Game Analytics Pipeline on AWS", costs of August 2025: 259.2 million records of 1 KB a month.
#[test]
fn published_examples_come_out_as_published() {
    let table = PriceTable::built_in();
    let month = 259.2e6 / super::bill::SECONDS;
    let records = Records {
        aggregation: Aggregation::None,
        events: 1.0,
        bytes: 1024.0,
        per_second: month,
        shards: 2.0,
        compressed: false,
    };
    let cents = |mode: StreamMode| {
        let mut bill = Bill::default();
        mode.charge(&mut bill, &records, Reader::Firehose, &table.prices);
        bill.cents()
    };
    assert_eq!(cents(StreamMode::OnDemand), 5_887, "$58.87");
    assert!(cents(StreamMode::Provisioned).abs_diff(2_558) < 10, "$25.58, in a month a little longer");
    // 100 records a second of 1 KB, each taken for 5 KB, with conversion: $58.90.
    let gb = 100.0 * super::bill::SECONDS * 5.0 * 1024.0 / super::bill::GB;
    let dollars = table.prices.firehose_stream.dollars(0.0, gb) + table.prices.firehose_conversion.dollars(0.0, gb);
    assert!((dollars - 58.90).abs() < 0.01, "{dollars}");
}

/// docs/performance.md, "The Firehose handler": 33,890 write units a million events, in batches of 9,000 and so.
#[test]
fn chunks_take_the_write_units_that_were_measured() {
    let model = Model::of(workload("--datasets 1"));
    let batches = super::batches::Batches { events: 9_090.0, per_second: 1.0, ..model.batches };
    let hot = Hot::chunks(&model.workload, &batches, &model.figures);
    let a_million = hot.writes_per_second / 9_090.0 * 1e6;
    assert!((33_890.0..33_890.0 * 1.2).contains(&a_million), "{a_million}: no less than measured, and not much more");
    // 2,080 KiB a lookup of any of 10,000 sources at 50,000 events a second, over 32 buckets, when an event took 38.6 bytes in a block; 32.9 now.
    let hot = Model::of(at(50_000)).hot.unwrap();
    let kib = hot.page_reads * 4.0;
    assert!((1_770.0 * 0.7..1_770.0 * 1.3).contains(&kib), "{kib}");
}

#[test]
fn producers_gather_what_the_linger_allows() {
    let figures = Figures::built_in();
    let records_of = |workload: &Workload| Records::of(workload, Freshness::of(workload), &figures);
    let records = |flags: &str| records_of(&workload(flags));
    let few = records("--producers 1000");
    assert_eq!((few.aggregation, few.events), (Aggregation::None, 1.0), "one event in a second");
    let more = records("--producers 200");
    assert_eq!((more.aggregation, more.events), (Aggregation::Ndjson, 5.0), "too few for zstd to be counted");
    let sooner = records("--producers 200 --fresh-within 5s");
    assert_eq!((sooner.aggregation, sooner.events), (Aggregation::Ndjson, 2.0), "half as long");
    let many = records("--producers 10");
    assert_eq!((many.aggregation, many.events), (Aggregation::NdjsonZstd, 100.0));
    assert_eq!(many.bytes, up(100.0 * 238.0 * 0.304));
    let full = records_of(&Workload { bytes: 100_000, producers: 1, ..at(1_000) });
    assert_eq!(full.events, 2.0, "of 256 KiB at most");
    let large = records_of(&Workload { bytes: 300_000, ..at(1_000) });
    assert_eq!((large.aggregation, large.events, large.bytes), (Aggregation::None, 1.0, 300_000.0));
}

#[test]
fn a_body_is_cut_where_a_record_ends() {
    let body = Workload { bytes: 40_000, ..workload("--ingest http") };
    let records = Records::of(&body, Freshness::of(&body), &Figures::built_in());
    assert_eq!((records.aggregation, records.events), (Aggregation::Body, 25.0), "four records of a body of 4 MB");
    assert!(records.bytes <= 1024.0 * 1024.0);
}

#[test]
fn small_records_shrink_the_buffer_to_what_an_invocation_holds() {
    let small = Workload { bytes: 100, producers: 1_000_000, ..at(100_000) };
    let model = Model::of(small);
    assert_eq!(model.records.aggregation, Aggregation::None);
    assert!(model.batches.buffer_megabytes <= 1.0);
    assert!(model.batches.full_payload_bytes <= 6.0 * 1024.0 * 1024.0);
    let tiny = Model::of(Workload { bytes: 2, producers: 1_000_000, ..at(100_000) });
    assert_eq!(tiny.batches.buffer_megabytes, 0.2);
    let limit = tiny.limits().into_iter().find(|limit| limit.what == "bytes of an invocation").unwrap();
    assert!(!limit.holds, "{limit:?}");
}

#[test]
fn a_stream_on_demand_costs_less_only_for_rare_peaks() {
    assert_eq!(Model::of(at(100_000)).stream_mode, StreamMode::Provisioned);
    assert_eq!(Model::of(Workload { peak: 60.0, ..at(1_000_000) }).stream_mode, StreamMode::OnDemandAdvantage);
    assert_eq!(Model::of(Workload { peak: 200.0, ..at(1_000) }).stream_mode, StreamMode::OnDemand);
}

#[test]
fn what_costs_more_is_not_chosen() {
    for rate in [10, 1_000, 100_000, 10_000_000] {
        let model = Model::of(at(rate));
        let chosen = model.bill().cents();
        for mode in [StreamMode::Provisioned, StreamMode::OnDemand, StreamMode::OnDemandAdvantage] {
            let other = Model { stream_mode: mode, ..Model::of(at(rate)) };
            assert!(chosen <= other.bill().cents(), "{rate} {mode:?}");
        }
    }
}

#[test]
fn what_the_hot_table_would_cost_provisioned_is_told_beside_what_it_costs() {
    let (few, many) = (Model::of(at(1_000)).hot_table().unwrap(), Model::of(at(10_000_000)).hot_table().unwrap());
    assert!(
        few.following_cents < few.for_peak_cents && few.for_peak_cents < few.on_demand_cents && few.fits,
        "{few:?}"
    );
    assert!(!many.fits, "an account has not so many: {many:?}");
    let restless = Model::of(Workload { peak: 20.0, ..at(1_000) }).hot_table().unwrap();
    assert!(restless.for_peak_cents > restless.on_demand_cents, "a peak is provisioned for all the time");
    assert!(restless.following_cents < restless.on_demand_cents, "but not where units follow the load");
    assert_eq!(Model::of(workload("--hot-retention 0s")).hot_table(), None);
}

#[test]
fn the_direct_route_takes_no_function_and_its_own_price() {
    let asked = |flags: &str| workload(&format!("--ingest {flags} --events-per-request 10"));
    let [http, direct] = ["http", "direct"].map(|way| Model::of(asked(way)).bill());
    let cents = |bill: &Bill, item: &str| -> u64 {
        bill.lines.iter().filter(|line| line.item.starts_with(item)).map(|line| line.cents).sum()
    };
    assert!(cents(&http, "gateway:") > 0 && cents(&direct, "gateway:") == 0);
    // A hundred requests a second for a month are 262.8 million: $3.50 each million.
    assert_eq!(cents(&direct, "requests: the direct route"), 91_980);
    assert_eq!(cents(&http, "requests: events"), 26_280);
    assert_eq!(http.cents_of(Service::Kinesis), direct.cents_of(Service::Kinesis), "the same records");
    let ways = |workload: &Workload| Way::of(workload).any(|way| way == Way::AlluviumDirectRoute);
    assert!(ways(&asked("http")) && !ways(&asked("direct")) && !ways(&workload("")));
    assert!(!ways(&Workload { events_per_request: 10_000, ..asked("http") }), "a body of 2 MB is no record");
    let said = refusal("--events-per-second 1 --bytes 300000 --events-per-request 4 --ingest direct");
    assert!(said.contains("at most 3 events") && said.contains("direct route"), "{said}");
}

#[test]
fn without_a_hot_index_nobody_pays_for_one() {
    let model = Model::of(workload("--hot-retention 0s"));
    let bill = model.bill();
    assert_eq!(bill.cents_of(Service::DynamoDb), 0);
    let pages = bill.lines.iter().find(|line| line.item == "scanned: pages of records").unwrap();
    assert!(pages.cents > 0, "pages come from the lake then");
    assert!(model.limits().iter().all(|limit| limit.service != "DynamoDB"));
}

#[test]
fn a_bill_grows_with_what_is_asked() {
    let cents = |changed: Workload| Model::of(changed).bill().cents();
    let base = cents(at(1_000));
    let month = Duration::from_secs(30 * 24 * 3600);
    for (more, what) in [
        (at(2_000), "rate"),
        (Workload { bytes: 400, ..at(1_000) }, "bytes"),
        (Workload { retention: month * 24, ..at(1_000) }, "retention"),
        (Workload { hot_retention: month, ..at(1_000) }, "hot retention"),
        (Workload { fresh_within: Duration::from_secs(5), ..at(1_000) }, "freshness"),
        (Workload { datasets: 3, ..at(1_000) }, "datasets"),
        (Workload { reads_per_second: 9.0, ..at(1_000) }, "reads"),
        (Workload { scanned_terabytes: 9.0, ..at(1_000) }, "statements"),
        (Workload { peak: 40.0, ..at(1_000) }, "peak"),
    ] {
        assert!(cents(more) > base, "{what}");
    }
}

#[test]
fn ways_differ_by_what_they_do_and_by_nothing_else() {
    let model = Model::of(at(10_000));
    let [ours, python, items, lake] =
        [Way::Alluvium, Way::PythonTransform, Way::ItemPerEvent, Way::AlluviumLakeOnly].map(|way| way.bill(&model));
    assert_eq!(ours, model.bill());
    for service in Service::ALL {
        assert_eq!(ours.cents_of(service) == python.cents_of(service), service != Service::Lambda, "{service:?}");
        assert_eq!(ours.cents_of(service) == items.cents_of(service), service != Service::DynamoDb, "{service:?}");
    }
    assert_eq!(lake.cents_of(Service::DynamoDb), 0);
    assert_eq!(lake.cents_of(Service::S3), ours.cents_of(Service::S3));
    assert!(lake.cents_of(Service::XRay) < ours.cents_of(Service::XRay), "reads are traced too");
    let same = model.bill_of(Parts { transform: Slowness(1.0), hot: model.hot.as_ref(), reads: Reads::Served });
    assert_eq!(same, ours);
    for way in Way::ALL {
        assert!(way.bill(&model).cents() > 0, "{way:?}");
    }
}

#[test]
fn limits_say_what_to_raise() {
    let few = Model::of(at(1_000));
    assert!(few.limits().iter().all(|limit| limit.holds), "{:?}", few.limits());
    let many = Model::of(at(10_000_000));
    let short: Vec<_> = many.limits().into_iter().filter(|limit| !limit.holds).collect();
    let whats: Vec<_> = short.iter().map(|limit| limit.what).collect();
    for what in
        ["shards of a stage", "commit messages of a table's log", "writes to the table", "writes to a partition key"]
    {
        assert!(whats.contains(&what), "{whats:?}");
    }
    assert!(short.iter().all(|limit| limit.raise.len() > 10 && !limit.source.is_empty()));
    let http = Model::of(Workload {
        events_per_request: 1,
        ..Workload { ingest: super::workload::Ingest::Http, ..at(20_000) }
    });
    let api = http.limits().into_iter().find(|limit| limit.service == "API Gateway").unwrap();
    assert!(!api.holds && api.needed > 40_000.0, "{api:?}");
}

#[test]
fn figures_and_prices_say_where_they_are_from() {
    let figures = Figures::built_in();
    assert!(figures.assumed().contains(&"dynamodb_ms") && !figures.assumed().contains(&"python_ratio"));
    let unchecked: Vec<_> = PriceTable::built_in().unchecked().iter().map(|price| price.name).collect();
    assert_eq!(unchecked, ["kinesis_advantage_out", "firehose_stream", "streaming_table"]);
}
