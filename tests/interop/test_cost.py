"""The bill of `alluvium cost`, reckoned again like a spreadsheet: from the price table and the figures, in exact fractions, to the cent.

What each cell is follows docs/cost.md; nothing is taken from the program but its table of prices and its file of figures. Every figure of
docs/cost.md is held to the program too: what is not generated has no amounts.
"""

import copy
import itertools
import json
import math
import re
import sys
from fractions import Fraction

import pytest
from program import ROOT, alluvium

sys.path.append(str(ROOT / "benches/cost"))
import render  # noqa: E402

COST = ROOT / "cli/src/cost"
EXACT = {"parse_float": Fraction, "parse_int": Fraction}
PRICES = json.loads((COST / "prices.json").read_text(), **EXACT)["prices"]
FIGURES = json.loads((COST / "figures.json").read_text(), **EXACT)
F = {name: figure["value"] for name, figure in FIGURES.items() if "value" in figure}

HOURS = Fraction(730)
SECONDS = HOURS * 3600
DAY = Fraction(86_400)
KB, MB, GB = Fraction(2**10), Fraction(2**20), Fraction(2**30)
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
DEFAULTS = {
    "sources": 10_000, "datasets": 1, "retention": "365d", "hot-retention": "24h", "fresh-within": "10s", "peak": "2",
    "ingest": "producers", "producers": 10, "events-per-request": 100, "reads-per-second": "1", "scanned-terabytes": "1",
}  # fmt: skip


def ceil(number):
    return Fraction(math.ceil(number))


def floor(number):
    return Fraction(math.floor(number))


class Sheet:
    """Amounts in cents by service; volume prices run on through the month."""

    def __init__(self):
        self.cents, self.used, self.lines = {}, {}, []

    def add(self, service, price, quantity):
        if quantity <= 0:
            return
        row, start, rest, dollars, from_ = PRICES[price], self.used.get(price, Fraction(0)), quantity, Fraction(0), Fraction(0)
        for tier in row["tiers"]:
            room = rest if "up_to" not in tier else max(Fraction(0), tier["up_to"] - max(start, from_))
            taken = min(rest, room)
            dollars += taken * tier["price"] / row["per"]
            rest, from_ = rest - taken, tier.get("up_to", from_)
        assert rest == 0
        self.used[price] = start + quantity
        cents = math.floor(dollars * 100 + Fraction(1, 2))
        self.cents[service] = self.cents.get(service, 0) + cents
        self.lines.append((price, cents))

    def total(self):
        return sum(self.cents.values())


class Workload:
    def __init__(self, asked):
        said = DEFAULTS | asked
        number = lambda name: Fraction(str(said[name]))
        span = lambda name: Fraction(said[name][:-1]) * UNITS[said[name][-1]]
        self.rate, self.bytes = number("events-per-second"), number("bytes")
        self.sources, self.datasets = number("sources"), number("datasets")
        self.retention_days, self.hot_seconds = span("retention") / DAY, span("hot-retention")
        self.within, self.peak = span("fresh-within"), number("peak")
        self.http, self.direct = said["ingest"] in ("http", "direct"), said["ingest"] == "direct"
        self.producers, self.body_events = number("producers"), number("events-per-request")
        self.reads, self.terabytes = number("reads-per-second"), number("scanned-terabytes")
        self.events = self.rate * SECONDS
        self.size = self.bytes / F["event_bytes"]


def stream_records(w, packing):
    """Events and bytes of a stream record, records a second, shards; whether it is compressed."""
    line, compressed = w.bytes + 1, False
    if packing == "body":
        parts = ceil(w.body_events * line / (2**20 - 4 * 2**10))
        events, size = w.body_events / parts, ceil(w.body_events * line / parts)
    else:
        ratio = F["zstd_ratio"] if packing == "zstd" else 1
        lanes = max(1, ceil(w.rate * w.peak * line * ratio / 10**6))
        gathered = floor(w.rate / w.producers / lanes * gathering(w)[0])
        events = Fraction(1) if packing == "single" else max(1, min(gathered, floor(F["aggregate_bytes"] / line)))
        compressed = packing == "zstd" and events >= max(2, F["least_aggregate"])
        size = w.bytes if events == 1 else ceil(events * line * (ratio if compressed else 1))
    rate = w.rate / events
    shards = max(1, ceil(rate * w.peak * size / 10**6), ceil(rate * w.peak / 1000))
    return {"events": events, "bytes": size, "rate": rate, "shards": shards, "compressed": compressed, "single": events == 1 and packing != "body"}


def kinesis(sheet, w, r, firehose_reads=True, modes=("provisioned", "on demand", "advantage")):
    """The cheapest mode that bears the peak."""
    written = r["rate"] * SECONDS * ceil(r["bytes"] / KB) * KB / GB
    read = r["rate"] * SECONDS * r["bytes"] / GB if firehose_reads else Fraction(0)
    least = 25 * MB * SECONDS / GB
    offers = {
        "provisioned": [("kinesis_shard_hour", r["shards"] * HOURS), ("kinesis_put_unit", r["rate"] * SECONDS * ceil(r["bytes"] / (25 * KB)))],
        "on demand": [("kinesis_on_demand_hour", HOURS), ("kinesis_on_demand_in", written), ("kinesis_on_demand_out", read)],
        "advantage": [("kinesis_advantage_in", max(written, least)), ("kinesis_advantage_out", max(read, least))],
    }
    fits = lambda mode: r["shards"] <= 20_000 if mode == "provisioned" else r["rate"] * r["bytes"] * w.peak <= 10**10
    possible = [mode for mode in modes if fits(mode)] or [modes[0]]

    def cents(mode):
        trial = Sheet()
        for name, quantity in offers[mode]:
            trial.add("", name, quantity)
        return trial.total()

    mode = min(possible, key=cents)
    for name, quantity in offers[mode]:
        sheet.add("Kinesis Data Streams", name, quantity)
    return mode


def gathering(w):
    """Seconds that a producer, the queue and Firehose gather."""
    linger = min(Fraction(1), max(Fraction(1, 10), w.within / 10))
    commit = min(Fraction(300), max(Fraction(1), floor(w.within / 4)))
    left = w.within - 2 - commit - (0 if w.http else linger)
    return linger, commit, min(Fraction(900), max(Fraction(1), floor(left)))


def transform_batches(w, r):
    _, commit_seconds, buffer_seconds = gathering(w)
    one_commit = ((F["commit_rounds"] + w.datasets) * F["s3_ms"] + F["commit_ms"]) / 1000
    payload = lambda mb: max(mb * MB, r["bytes"]) * Fraction(4, 3) + max(mb * MB, r["bytes"]) / r["bytes"] * F["invocation_overhead_bytes"]
    rate_with = lambda mb: min(r["rate"], r["shards"] * max(1 / buffer_seconds, r["rate"] * r["bytes"] / r["shards"] / (mb * MB)))

    def largest(wanted):
        sizes = [Fraction(s) for s in ("3", "2", "1", "0.5", "0.2")]
        return next((mb for mb in sizes if mb <= wanted and payload(mb) <= 6 * MB), sizes[-1])

    buffer = largest(1)
    if rate_with(buffer) * w.peak > F["commit_messages"] / one_commit:
        buffer = largest(3)
    rate = rate_with(buffer)
    commits = min(rate, max(1 / commit_seconds, rate / F["commit_messages"]))
    return {"buffer": buffer, "rate": rate, "events": w.rate / rate, "commits": commits, "commit_seconds": one_commit}


def chunk_bytes(rows):
    points = [tuple(point) for point in FIGURES["chunk_bytes"]["points"]]
    if rows <= points[0][0]:
        return points[0][1]
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        if rows <= x1:
            return y0 + (y1 - y0) * (rows - x0) / (x1 - x0)
    return points[-1][1] / points[-1][0] * rows


def chunks(w, b):
    buckets, rows = min(Fraction(32), w.sources), b["events"] / w.datasets
    spread = min(buckets, max(Fraction(1), rows))
    cut = ceil(chunk_bytes(rows / spread) * w.size / (396 * KB))
    rows = rows / spread / cut
    item = chunk_bytes(rows) * w.size + F["item_overhead_bytes"]
    rate = b["rate"] * w.datasets * spread * cut
    bucket_rate = w.rate / w.datasets / buckets
    looked = min(F["page_rows"] * w.sources / buckets + min(F["read_minute_rows"], bucket_rate * 60), bucket_rate * w.hot_seconds)
    return {"items": rate, "units": rate * ceil(item / KB), "index": rate, "bytes": item + F["item_overhead_bytes"],
            "page": ceil(looked * item / max(1, rows) / (4 * KB))}  # fmt: skip


def items(w):
    item = w.bytes + F["item_overhead_bytes"]
    return {"items": w.rate, "units": w.rate * ceil(item / KB), "index": Fraction(0), "bytes": item, "page": ceil(F["page_rows"] * item / (4 * KB))}


def units_on_demand(sheet, w, h):
    for name, rate in [("dynamodb_write_units", h["units"]), ("dynamodb_write_units", h["index"]), ("dynamodb_read_units", h["page"] * w.reads)]:
        sheet.add("DynamoDB", name, rate * SECONDS)


def units_provisioned(sheet, w, h, times):
    """For so many times the mean, of which a share is in use. The units, too."""
    provision = lambda rate: max(Fraction(1), ceil(rate * times / F["provisioned_use"]))
    units = [provision(h["units"]), provision(h["index"]), provision(h["page"] * w.reads)]
    for name, of in zip(("dynamodb_write_capacity_hour", "dynamodb_write_capacity_hour", "dynamodb_read_capacity_hour"), units, strict=True):
        sheet.add("DynamoDB", name, of * HOURS)
    return units


def dynamodb(sheet, w, h):
    units_on_demand(sheet, w, h)
    kept = w.hot_seconds + (F["hot_margin_hours"] + F["ttl_hours"]) * 3600
    for name in ("dynamodb_storage", "dynamodb_recovery"):
        sheet.add("DynamoDB", name, h["items"] * kept * h["bytes"] / GB)


def stack(w, slower=Fraction(1), hot="chunks", served=True):
    sheet, r = Sheet(), stream_records(w, "body" if w.http else "zstd")
    b, reads = transform_batches(w, r), w.reads if served else Fraction(0)
    kinesis(sheet, w, r)
    sheet.add("Data Firehose", "firehose_stream", r["rate"] * SECONDS * ceil(r["bytes"] / (5 * KB)) * 5 * KB / GB)

    cpu = F["transform_single_us"] if r["single"] else F["transform_aggregated_us"]
    share = lambda megabytes: megabytes / F["core_megabytes"]
    transform = (2 * F["s3_ms"] + F["queue_ms"]) / 1000 + b["events"] * cpu * slower * w.size / share(F["transform_megabytes"]) / 10**6
    requests = w.rate / w.body_events if w.http else Fraction(0)
    body = w.body_events * (w.bytes + 1) if w.http else Fraction(0)
    gateway = F["stream_ms"] / 1000 + F["gateway_us"] * body / 236_000 / share(F["gateway_megabytes"]) / 10**6
    query = (F["read_questions"] * F["dynamodb_ms"] + F["read_ms"] / share(F["query_megabytes"])) / 1000
    verdicts = min(requests, w.sources / F["authorizer_cache_seconds"]) + reads
    batches, commits = b["rate"] * SECONDS, b["commits"] * SECONDS
    rounds = max(1, min(SECONDS / F["maintenance_seconds"], batches / F["compact_files"])) * w.datasets
    compacting = w.events * F["compaction_rewrites"] * w.size * F["compaction_core_us"] / 10**6
    # The direct route has no function; schedules call theirs whatever comes.
    taken = Fraction(0) if w.direct else requests
    looks, reports = SECONDS / F["maintenance_seconds"] + SECONDS / F["retention_seconds"] + SECONDS / DAY * F["daily_looks"], SECONDS / F["report_seconds"]
    calls = [
        (batches, transform, F["transform_megabytes"]), (commits, b["commit_seconds"], F["commit_megabytes"]),
        (taken * SECONDS, gateway, F["gateway_megabytes"]), (reads * SECONDS, query, F["query_megabytes"]),
        (verdicts * SECONDS, F["authorizer_ms"] / 1000, F["authorizer_megabytes"]), (rounds, compacting / rounds, F["core_megabytes"]),
        (looks, F["look_ms"] / 1000, F["maintain_megabytes"]), (reports, F["report_ms"] / 1000, F["report_megabytes"]),
    ]  # fmt: skip
    for times, seconds, megabytes in calls:
        sheet.add("Lambda", "lambda_requests", times)
        sheet.add("Lambda", "lambda_gb_seconds", times * seconds * megabytes / 1024)

    files, backed_up = batches * w.datasets, r["rate"] * r["bytes"]
    tables = w.datasets + 1
    sheet.add("S3", "s3_puts", files)
    sheet.add("S3", "s3_puts", batches)
    sheet.add("S3", "s3_puts", commits * (tables + 2 + tables * 2 / F["checkpoint_every"]))
    merged = w.events * F["compaction_rewrites"] * F["compacted_bytes"] * w.size
    sheet.add("S3", "s3_puts", ceil(merged / F["target_file_bytes"]) * 2 + rounds * 2)
    sheet.add("S3", "s3_puts", max(SECONDS / F["backup_seconds"], backed_up * SECONDS / (F["backup_megabytes"] * MB)))
    sheet.add("S3", "s3_gets", batches + commits * 2 + files * 2 + (looks + reports) * F["look_gets"])
    row = F["compacted_bytes"] * w.size + F["key_filter_bytes"]
    gone = F["batch_file_bytes"] * w.size + (F["compaction_rewrites"] - 1) * F["compacted_bytes"] * w.size + row
    sheet.add("S3", "s3_storage", w.rate * DAY * w.retention_days * row / GB)
    sheet.add("S3", "s3_storage", w.rate * DAY * F["undelete_days"] * gone / GB)
    sheet.add("S3", "s3_storage", backed_up * (1 if r["compressed"] else F["zstd_ratio"]) * DAY * F["backup_days"] / GB)

    sheet.add("SQS", "sqs_requests", batches + 2 * ceil(batches / F["queue_batch"]) + F["polled_queues"] * SECONDS / F["poller_seconds"])
    has_hot = w.hot_seconds > 0 and hot != "none"
    if has_hot:
        dynamodb(sheet, w, items(w) if hot == "items" else chunks(w, b))
    if w.direct:
        sheet.add("API Gateway", "rest_api_requests", requests * SECONDS)
    else:
        sheet.add("API Gateway", "http_api_requests", requests * SECONDS * ceil(body / (512 * KB)))
    sheet.add("API Gateway", "http_api_requests", reads * SECONDS)
    sheet.add("Secrets Manager", "secrets", Fraction(1))
    sheet.add("KMS", "kms_keys", F["keys"])
    sheet.add("Athena", "athena_scanned", w.terabytes)
    sheet.add("Athena", "athena_scanned", Fraction(0) if has_hot else reads * SECONDS * 10 / MB)
    sheet.add("Athena", "athena_scanned", F["report_statements"] * 10 / MB)
    logged, asked = sum(times for times, _, _ in calls) * F["log_bytes"] / GB, (taken + reads) * SECONDS * F["access_log_bytes"] / GB
    sheet.add("CloudWatch", "logs_ingested", logged)
    sheet.add("CloudWatch", "access_logs_ingested", asked)
    sheet.add("CloudWatch", "logs_stored", (logged + asked) * F["log_days"] * 24 / HOURS)
    sheet.add("CloudWatch", "custom_metrics", F["metrics"] + F["metrics_a_dataset"] * w.datasets)
    sheet.add("CloudWatch", "alarms", F["alarms"])
    sheet.add("CloudWatch", "dashboards", F["dashboards"])
    traced = lambda rate: min(rate, F["traced_a_second"]) + max(Fraction(0), rate - F["traced_a_second"]) * F["traced_share"]
    rates = [b["rate"], b["commits"], taken, reads, verdicts, looks / SECONDS, reports / SECONDS]
    sheet.add("X-Ray", "xray_traces", sum(map(traced, rates)) * SECONDS)
    return sheet


def to_tables(w, way):
    """Ways to a table alone: S3 or S3 Tables, no hot index, no API."""
    sheet, r = Sheet(), stream_records(w, "single" if way == "streaming_table" else "lines")
    monthly = r["rate"] * SECONDS
    stored = w.rate * DAY * w.retention_days * F["unsorted_bytes"] * w.size / GB
    if way == "streaming_table":
        kinesis(sheet, w, r, firehose_reads=False, modes=("on demand", "advantage"))
        sheet.add("Kinesis Data Streams", "streaming_table", monthly * r["bytes"] / GB)
    else:
        kinesis(sheet, w, r)
    if way == "firehose_conversion":
        delivered = monthly * ceil(r["bytes"] / (5 * KB)) * 5 * KB / GB
        sheet.add("Data Firehose", "firehose_stream", delivered)
        sheet.add("Data Firehose", "firehose_conversion", delivered)
        sheet.add("S3", "s3_puts", max(SECONDS / 900, monthly * r["bytes"] / (128 * MB)))
        sheet.add("S3", "s3_storage", stored)
        sheet.add("S3", "s3_storage", r["rate"] * r["bytes"] * DAY * F["backup_days"] * F["zstd_ratio"] / GB)
    else:
        if way == "firehose_iceberg":
            written = w.events * F["unsorted_bytes"] * w.size
            sheet.add("Data Firehose", "firehose_iceberg", monthly * r["bytes"] / GB)
            sheet.add("S3", "s3_tables_compacted", written / GB)
            sheet.add("S3", "s3_tables_compacted_objects", max(SECONDS / 900, written / (128 * MB)))
        sheet.add("S3", "s3_tables_storage", stored)
        sheet.add("S3", "s3_tables_objects", ceil(stored * GB / F["target_file_bytes"]))
    sheet.add("Athena", "athena_scanned", w.terabytes)
    return sheet


def by_direct_route(w):
    other = copy.copy(w)
    other.direct = True
    return stack(other)


WAYS = {
    "alluvium": stack,
    "alluvium_direct_route": by_direct_route,
    "python_transform": lambda w: stack(w, slower=F["python_ratio"]),
    "item_per_event": lambda w: stack(w, hot="items"),
    "alluvium_lake_only": lambda w: stack(w, hot="none", served=False),
    "firehose_conversion": lambda w: to_tables(w, "firehose_conversion"),
    "firehose_iceberg": lambda w: to_tables(w, "firehose_iceberg"),
    "streaming_table": lambda w: to_tables(w, "streaming_table"),
}

SIZES = [dict(zip(("events-per-second", "bytes"), pair, strict=True)) for pair in itertools.product([1, 7, 1_000, 33_333, 1_000_000, 10_000_000], [40, 237, 5_000])]
CHANGES = [
    {"events-per-second": 2_500, "bytes": 237} | change
    for change in [
        {"ingest": "http"},
        {"ingest": "http", "events-per-request": 1},
        {"ingest": "http", "events-per-request": 17_000, "sources": 3},
        {"ingest": "direct"}, {"ingest": "direct", "events-per-request": 1, "events-per-second": 300_000},
        {"ingest": "direct", "events-per-request": 4_000, "hot-retention": "0s"},
        {"producers": 1}, {"producers": 700}, {"sources": 1}, {"sources": 2_000_000}, {"datasets": 7},
        {"retention": "1d"}, {"retention": "3650d", "bytes": 800}, {"hot-retention": "0s"}, {"hot-retention": "1h"}, {"hot-retention": "30d"},
        {"fresh-within": "5s"}, {"fresh-within": "7s"}, {"fresh-within": "15m"}, {"peak": "1"}, {"peak": "12.5"}, {"reads-per-second": "0"},
        {"reads-per-second": "250.5"}, {"scanned-terabytes": "0"}, {"scanned-terabytes": "37.25"}, {"bytes": 1_044_480}, {"bytes": 2},
        {"events-per-second": 100_000_000, "bytes": 1_000}, {"bytes": 300_000, "events-per-second": 40},
    ]
]  # fmt: skip


def told(asked):
    flags = [part for name, value in asked.items() for part in (f"--{name}", value)]
    return json.loads(alluvium("--json", "cost", "--compare", *flags))


@pytest.mark.parametrize("asked", SIZES + CHANGES, ids=lambda asked: ",".join(f"{k}={v}" for k, v in asked.items()))
def test_every_bill_is_reckoned_again_to_the_cent(asked):
    report, workload = told(asked), Workload(asked)
    # The direct route is another way only for requests that go to the gateway, and that would be one record.
    fits = workload.http and not workload.direct and workload.body_events * (workload.bytes + 1) <= 2**20 - 4 * 2**10
    assert [bill["way"] for bill in report["ways"]] == [way for way in WAYS if way != "alluvium_direct_route" or fits]
    for bill in report["ways"]:
        sheet = WAYS[bill["way"]](workload)
        cents = {service: round(dollars * 100) for service, dollars in bill["services"].items()}
        assert {service: amount for service, amount in cents.items() if amount} == {s: c for s, c in sheet.cents.items() if c}, bill["way"]
        assert round(bill["dollars"] * 100) == sheet.total(), bill["way"]
        assert [(line["price"], round(line["dollars"] * 100)) for line in bill["lines"]] == sheet.lines, bill["way"]
    assert report["bill"]["dollars"] == report["ways"][0]["dollars"]
    assert report["bill"]["dollars_a_million_events"] == pytest.approx(report["bill"]["dollars"] / float(workload.events) * 1e6)


@pytest.mark.parametrize("asked", SIZES + CHANGES, ids=lambda asked: ",".join(f"{k}={v}" for k, v in asked.items()))
def test_what_is_chosen_bears_the_peak(asked):
    report, w = told(asked), Workload(asked)
    limits = {(limit["service"], limit["what"]): limit for limit in report["limits"]}
    for limit in limits.values():
        assert limit["holds"] == (limit["quota"] is None or limit["needed"] <= limit["quota"]), limit
        assert limit["source"] and limit["raise"], limit
        assert limit["holds"] or not limit["kept"], limit
    r = stream_records(w, "body" if w.http else "zstd")
    settings = report["settings"]
    if settings["stream_mode"] == "provisioned":
        assert settings["stream_shards"] == r["shards"]
        assert limits["Kinesis", "bytes of a shard"]["holds"] and limits["Kinesis", "records of a shard"]["holds"]
    assert settings["buffer_seconds"] + settings["commit_seconds"] + 2 + Fraction(settings["linger_ms"] or 0) / 1000 <= w.within
    assert settings["buffer_megabytes"] == float(transform_batches(w, r)["buffer"])


@pytest.mark.parametrize("asked", SIZES + CHANGES, ids=lambda asked: ",".join(f"{k}={v}" for k, v in asked.items()))
def test_the_other_way_to_pay_for_the_hot_table_is_reckoned_again(asked):
    w, said = Workload(asked), told(asked)["hot_table"]
    if not w.hot_seconds:
        assert said is None
        return
    h = chunks(w, transform_batches(w, stream_records(w, "body" if w.http else "zstd")))
    on_demand, for_peak, following = Sheet(), Sheet(), Sheet()
    units_on_demand(on_demand, w, h)
    units = units_provisioned(for_peak, w, h, w.peak)
    units_provisioned(following, w, h, 1)
    dollars = [said[f"{name}_dollars"] for name in ("on_demand", "provisioned_for_peak", "provisioned_following")]
    assert [round(amount * 100) for amount in dollars] == [sheet.total() for sheet in (on_demand, for_peak, following)]
    assert said["provisioned"] == dict(zip(("writes", "index_writes", "reads"), units, strict=True))
    assert said["within_quotas"] == (units[0] + units[1] <= 80_000)


def test_the_metrics_that_are_charged_for_are_those_of_the_page():
    """Those of docs/metrics.md that every stage has, by its sentence; three statuses, eight reasons, and Events and Rows of dead letters."""
    page = (ROOT / "docs/metrics.md").read_text()
    rows = [line for line in page.split("\n## On AWS\n")[1].splitlines() if line.startswith("| `")]
    names = [name for row in rows for name in re.findall(r"`([A-Z][A-Za-z]+)`", row.split("|")[1])]
    # Where commits are told, and where files are put.
    everywhere = len([name for name in set(names) if name != "CommitsUntold" and not name.startswith("Upload")])
    assert f"With {everywhere} names" in page
    assert F["metrics"] == everywhere + 3 + 8 + 2
    assert f"${float((everywhere + 3 + 8 + 6) * PRICES['custom_metrics']['tiers'][0]['price']):.2f} a month" in page.replace("\n", " ")
    by_dataset = [row for row in rows if row.split("|")[2].strip() == "`Dataset`" and "`Upload" not in row]
    assert F["metrics_a_dataset"] == len(by_dataset) == 2


def test_figures_are_where_they_are_said_to_be():
    for name, figure in FIGURES.items():
        assert figure["from"] in ("measured", "stack", "documented", "assumed"), name
        if "says" in figure:
            page = (ROOT / figure["source"].split(",")[0]).read_text()
            section = re.search(r', "(.*)"$', figure["source"])
            if section:
                part = re.split(rf"^#+ {re.escape(section[1])}$", page, flags=re.MULTILINE)
                assert len(part) == 2, name
                page = re.split(r"^##? ", part[1], flags=re.MULTILINE)[0]
            for words in figure["says"]:
                assert words in page, (name, words)
        assert ("says" in figure) or figure["from"] != "measured", name


def test_the_page_says_what_the_program_says(tmp_path):
    page = (ROOT / "docs/cost.md").read_text()
    assert render.page(page, alluvium) == page, "run `make docs`"
    chart = render.chart(alluvium)
    assert (ROOT / "docs/cost.svg").read_text() == chart, "run `make docs`"
    written = render.BLOCK.sub("", page)
    assert not re.search(r"\$ ?[0-9]", written), "an amount that nothing holds to the program"
    assert f"for {len(SIZES + CHANGES)} workloads" in written


def test_what_the_page_says_of_the_means_holds():
    """The sentences that are written by hand, each by the figures that it is about."""
    def dearer(other, ours, rate, **flags):
        report = told({"events-per-second": rate, "bytes": 237} | flags)
        dollars = {bill["way"]: bill["dollars"] for bill in report["ways"]}
        return dollars[other] / dollars[ours]

    for other in ("firehose_conversion", "firehose_iceberg"):
        assert dearer(other, "alluvium_lake_only", 1_000) < 1, "small streams are cheaper elsewhere"
        assert dearer(other, "alluvium_lake_only", 1_000, **{"fresh-within": "15m"}) < 1, "even at equal freshness"
        assert dearer(other, "alluvium_lake_only", 8_000) > 1.1, "from some thousand on it is the other way round"
    assert dearer("python_transform", "alluvium", 1_000_000) < 1.02
    for events, requests in itertools.product((1, 10, 100, 1_000), (1, 3, 100, 1_000, 40_000)):
        report = told({"events-per-second": events * requests, "bytes": 237, "ingest": "http", "events-per-request": events})
        direct, gateway = (render.way(report, way)["dollars"] for way in ("alluvium_direct_route", "alluvium"))
        said = "the direct route pays where few requests come, each traced with the gateway, and for tens of billions a month"
        assert (direct < gateway) == (requests <= 3 or requests == 40_000), said
    for rate in render.SIZES:
        bill = told({"events-per-second": rate, "bytes": 237})["bill"]
        assert bill["services"]["DynamoDB"] > bill["dollars"] / 2, "docs/aws.md: the hot index is the larger part"
    table = told({"events-per-second": 100_000, "bytes": 237})["ways"][-1]
    on_demand = sum(line["dollars"] for line in table["lines"] if line["price"] == "kinesis_advantage_in")
    assert on_demand > table["dollars"] / 2, "most of a streaming table's bill is the stream on demand"
    curve, item = chunk_bytes(Fraction(9_090) / 32), Fraction("32.86") * 9_090 / 32
    assert Fraction(9, 100) < curve / item - 1 < Fraction(15, 100), "chunks weigh a seventh more"
    page_kib = told({"events-per-second": 50_000, "bytes": 237})["rates"]["hot"]["read_units_of_a_page"] * 4
    assert 0.02 < 1 - page_kib / 1_771 < 0.06, "a lookup reads a little less than was measured, in the bytes that blocks take now"
