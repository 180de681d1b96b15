"""Writes the tables of docs/cost.md and its chart, docs/cost.svg, from what `alluvium cost --json` says.

What stands between `<!-- cost: NAME -->` and `<!-- /cost -->` is written by this, the rest by hand. Run it by `make docs`;
tests/interop/test_cost.py holds the page and the chart to it.
"""

import functools
import json
import math
import os
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"<!-- cost: ([a-z_]+) -->\n.*?<!-- /cost -->\n", re.DOTALL)
SIZES = [1_000, 10_000, 100_000, 1_000_000, 10_000_000]
BYTES = 237
# In the order of an event's path.
SERVICES = [
    "Kinesis Data Streams", "Data Firehose", "Lambda", "S3", "SQS", "DynamoDB", "API Gateway", "Athena", "CloudWatch", "X-Ray",
    "Secrets Manager", "KMS",
]  # fmt: skip
ALLUVIUM = "alluvium"


def program(*args):
    return subprocess.run([os.environ["ALLUVIUM"], *map(str, args)], capture_output=True, text=True, check=True).stdout


class Said:
    """Asks the program once for each workload."""

    def __init__(self, ask):
        self.ask = functools.cache(lambda *flags: json.loads(ask("--json", "cost", "--compare", *flags)))

    def of(self, events, **flags):
        spelt = [part for name, value in flags.items() for part in (f"--{name.replace('_', '-')}", str(value))]
        return self.ask("--events-per-second", str(events), "--bytes", str(BYTES), *spelt)


def way(report, name):
    return next(bill for bill in report["ways"] if bill["way"] == name)


def whole(number):
    return f"{number:,.0f}"


def amount(number):
    """As many digits as there is reason to believe."""
    if number >= 10_000:
        return f"{number:,.0f}"
    return f"{number:,.2f}"


def dollars(number):
    return f"${amount(number)}"


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def sizes(said):
    reports = [said.of(size) for size in SIZES]
    assert sorted(SERVICES) == sorted(reports[0]["bill"]["services"])
    rows = [[service, *(dollars(report["bill"]["services"][service]) for report in reports)] for service in SERVICES]
    rows.append(["**all**", *(f"**{dollars(report['bill']['dollars'])}**" for report in reports)])
    rows.append(["a million events", *(f"${report['bill']['dollars_a_million_events']:.4f}" for report in reports)])
    return table(["events a second", *map(whole, SIZES)], rows)


def functions(said):
    reports = [said.of(size, ingest="http") if http else said.of(size) for size, http in [(1_000, 0), (1_000, 1), (1_000_000, 0)]]
    names = ["transform", "commit", "gateway", "query", "authorizer", "maintain", "report"]

    def cost(report, name):
        of_it = lambda item: item.split(": ")[0].split(", ")[0] == name
        return dollars(sum(line["dollars"] for line in report["bill"]["lines"] if line["service"] == "Lambda" and of_it(line["item"])))

    rows = [[f"`{name}`", *(cost(report, name) for report in reports)] for name in names]
    return table(["function", "1,000 events/s", "1,000 events/s by HTTP, 100 a body", "1,000,000 events/s"], rows)


def settings(said):
    reports = [said.of(size)["settings"] for size in SIZES]
    names = ["stream_mode", "stream_shards", "aggregation", "linger_ms", "buffer_seconds", "buffer_megabytes", "commit_seconds"]
    text = lambda value: value.replace("_", " ") if isinstance(value, str) else f"{value:,g}"
    rows = [[f"`{name}`", *(text(settings[name]) for settings in reports)] for name in names]
    return table(["events a second", *map(whole, SIZES)], rows)


def provisioned(said):
    """The hot table's units on demand, and provisioned for two peaks."""
    rows = []
    reports = [said.of(size)["hot_table"] for size in SIZES]
    rows.append(["on demand, as the stack has it", *(dollars(of["on_demand_dollars"]) for of in reports)])
    for peak in (2, 5):
        of = [said.of(size, peak=peak)["hot_table"] for size in SIZES]
        cell = lambda table: dollars(table["provisioned_for_peak_dollars"]) + ("" if table["within_quotas"] else " (quota)")
        rows.append([f"provisioned for a peak of {peak} times the mean, all the time", *map(cell, of)])
    rows.append(["provisioned, as auto scaling would have it that never lags", *(dollars(of["provisioned_following_dollars"]) for of in reports)])
    spelt = lambda of: f"{of['writes']:,} + {of['index_writes']:,} / {of['reads']:,}"
    rows.append(["units for twice the mean: write + order of puts / read", *(spelt(of["provisioned"]) for of in reports)])
    return table(["units a month", *map(whole, SIZES)], rows)


def switched_on(said):
    """What is off unless a stage's settings say otherwise."""
    def priced(name):
        return json.loads((ROOT / "cli/src/cost/prices.json").read_text())["prices"][name]["tiers"][0]["price"]

    endpoint = priced("endpoint_hours") * 730
    traces = sum(line["dollars"] for line in said.of(1_000)["bill"]["lines"] if line["price"] == "xray_traces")
    return table(["setting", "a month"], [
        ["`network_cidr`, four interface endpoints in two zones, beside what passes them", dollars(8 * endpoint)],
        ["each more of `network_endpoints`, in two zones", dollars(2 * endpoint)],
        ["`tracing = \"off\"`, of the 1,000 events a second above", f"less by {dollars(traces)}"],
        ["`alarms = \"off\"`", f"less by {dollars(figures()['alarms']['value'] * priced('alarms') + priced('kms_keys'))}"],
    ])


def rates(said):
    reports = [said.of(size)["rates"] for size in SIZES]
    of = {
        "stream records a second": lambda r: whole(r["records"]),
        "bytes of a record": lambda r: whole(r["record_bytes"]),
        "transform invocations a second": lambda r: f"{r['batches']:,.2f}",
        "events of an invocation": lambda r: whole(r["events_of_a_batch"]),
        "seconds of one": lambda r: f"{r['transform_seconds']:.2f}",
        "functions at once, at the peak": lambda r: whole(math.ceil(r["functions_at_once_at_the_peak"])),
        "commits a second": lambda r: f"{r['commits']:.2f}",
        "rows of a hot chunk": lambda r: whole(r["hot"]["rows_of_a_chunk"]),
        "write units a million events": lambda r: whole((r["hot"]["write_units"] + r["hot"]["index_write_units"]) / r["records"] / r["events_of_a_record"] * 1e6),
    }
    return table(["events a second", *map(whole, SIZES)], [[name, *map(ask, reports)] for name, ask in of.items()])


def short(number):
    if number >= 1e6:
        return f"{number / 1e6:,.1f} M"
    return whole(number) if number >= 10 else f"{number:.2f}"


def limits(said):
    reports = [{(limit["service"], limit["what"]): limit for limit in said.of(size)["limits"]} for size in SIZES]
    rows = []
    for key in dict.fromkeys(key for report in reports for key in report):
        of = [report.get(key) for report in reports]
        one = next(limit for limit in of if limit)
        if one["kept"]:
            continue
        cell = lambda limit: "" if limit is None else short(limit["needed"]) if limit["holds"] else f"**{short(limit['needed'])}**"
        quota = "none" if one["quota"] is None else short(one["quota"])
        rows.append([f"{key[0]}: {key[1]}", f"{quota} {one['unit']}", *map(cell, of), "yes" if one["adjustable"] else "", one["source"]])
    return table(["limit", "there is", *map(short, SIZES), "AWS raises it", "source"], rows)


def raising(said):
    report = said.of(SIZES[-1])
    return "\n".join(f"- {limit['service']}, {limit['what']}: {limit['raise']}." for limit in report["limits"] if not limit["holds"])


def compared(said):
    reports = [said.of(size) for size in SIZES]
    rows = []
    for bill in reports[0]["ways"]:
        name = f"**{bill['name']}**" if bill["way"].startswith(ALLUVIUM) else bill["name"]
        answers = "SQL, records" if bill["serves_records"] else "SQL"
        rows.append([name, answers, *(dollars(way(report, bill["way"])["dollars"]) for report in reports)])
    return table(["way", "answers", *map(whole, SIZES)], rows)


def ratios(said):
    reports = [said.of(size) for size in SIZES]
    pairs = [("python_transform", "alluvium"), ("item_per_event", "alluvium")]
    pairs += [(name, "alluvium_lake_only") for name in ("firehose_conversion", "firehose_iceberg", "streaming_table")]
    rows = []
    for other, ours in pairs:
        names = [way(reports[0], name)["name"] for name in (other, ours)]
        rows.append([" by ".join(names), *(f"{way(r, other)['dollars'] / way(r, ours)['dollars']:.2f}" for r in reports)])
    return table(["ratio", *map(whole, SIZES)], rows)


def shares(said):
    """Where the money of one million events a second goes, and what a transform in Python adds."""
    report = said.of(1_000_000)
    bill, lake = report["bill"], way(report, "alluvium_lake_only")
    share = lambda service: f"{bill['services'][service] / bill['dollars']:.0%}"
    transform = lambda of: sum(line["dollars"] for line in of["lines"] if line["item"].startswith("transform:"))
    python, items = way(report, "python_transform"), way(report, "item_per_event")
    stored = sum(line["dollars"] for line in lake["lines"] if line["item"].startswith("stored"))
    return "\n".join([
        f"- At a million events a second DynamoDB is {share('DynamoDB')} of the bill, S3 {share('S3')}, Firehose {share('Data Firehose')}, Kinesis",
        f"  {share('Kinesis Data Streams')} and all functions {share('Lambda')}. Without the hot index {stored / lake['dollars']:.0%} is for what lies in S3.",
        f"- The transform's time and invocations are {dollars(transform(bill))} of {dollars(bill['dollars'])}; in Python {dollars(transform(python))}. So the whole bill is",
        f"  {python['dollars'] / bill['dollars'] - 1:.1%} higher with Python, though it computes {figures()['python_ratio']['value']:g} times as long.",
        f"- An item per event makes DynamoDB {items['services']['DynamoDB'] / bill['services']['DynamoDB']:.0f} times as dear, and the whole bill {items['dollars'] / bill['dollars']:.1f} times.",
    ])


def freshness(said):
    rows = []
    for within in ("5s", "10s", "60s", "5m", "15m"):
        of = [said.of(size, fresh_within=within) for size in (1_000, 100_000)]
        settings = of[0]["settings"]
        spelt = f"{settings['linger_ms'] / 1000:g} s + {settings['buffer_seconds']} s + {settings['commit_seconds']} s"
        rows.append([within, spelt, *(dollars(way(report, name)["dollars"]) for report in of for name in ("alluvium", "alluvium_lake_only"))])
    return table(["SQL sees within", "producer + Firehose + queue", "1,000 events/s", "lake only", "100,000 events/s", "lake only"], rows)


def ingest(said):
    rows = []
    names = ["API Gateway", "Kinesis Data Streams", "Data Firehose", "Lambda", "CloudWatch", "X-Ray"]
    cells = lambda bill: [*(dollars(bill["services"][name]) for name in names), dollars(bill["dollars"])]
    rows.append(["producers, by the Kinesis API", *cells(said.of(1_000)["bill"])])
    for ingest, name in (("http", "HTTP"), ("direct", "the direct route")):
        for events in (1, 10, 100, 1_000):
            bill = said.of(1_000, ingest=ingest, events_per_request=events)["bill"]
            rows.append([f"{name}, bodies of {events:,}", *cells(bill)])
    return table(["1,000 events/s by", "API Gateway", "Kinesis", "Firehose", "Lambda", "CloudWatch", "X-Ray", "all"], rows)


def event_sizes(said):
    rows = []
    for size in (100, 237, 1_000, 10_000):
        report = said.ask("--events-per-second", "10000", "--bytes", str(size))
        of = [report["bill"]["services"][name] for name in ("Kinesis Data Streams", "Data Firehose", "S3", "DynamoDB")]
        rows.append([whole(size), *map(dollars, of), dollars(report["bill"]["dollars"])])
    return table(["bytes of an event", "Kinesis", "Firehose", "S3", "DynamoDB", "all"], rows)


def retentions(said):
    rows = []
    for days in (30, 365, 1_825):
        bill = said.of(10_000, retention=f"{days}d")["bill"]
        rows.append([f"{days:,} days", dollars(bill["services"]["S3"]), dollars(bill["dollars"])])
    for hot in ("0s", "1h", "24h", "7d"):
        bill = said.of(10_000, hot_retention=hot)["bill"]
        rows.append([f"365 days, hot {hot}", dollars(bill["services"]["S3"]), dollars(bill["dollars"])])
    return table(["10,000 events/s kept for", "S3", "all"], rows)


@functools.cache
def figures():
    return json.loads((ROOT / "cli/src/cost/figures.json").read_text())


def price_table(_):
    rows = []
    for name, price in json.loads((ROOT / "cli/src/cost/prices.json").read_text())["prices"].items():
        steps = []
        for tier in price["tiers"]:
            cost = f"${tier['price']:.10f}".rstrip("0").rstrip(".")
            cost += "" if tier["checked"] else " (?)"
            steps.append(cost + (f" to {tier['up_to']:,.0f}" if "up_to" in tier else ""))
        per = "" if price["per"] == 1 else f" a {'million' if price['per'] == 1_000_000 else 'thousand'}"
        found = "; ".join(part for part in (price["seen"], price.get("note")) if part)
        rows.append([f"`{name}`", "; ".join(steps) + per, price["unit"], price["source"], found])
    return table(["price", "dollars", "unit", "would be on", "found on"], rows)


def figure_table(_):
    rows = []
    for name, figure in figures().items():
        if "points" in figure:
            value = ", ".join(f"{x}: {y:,}" for x, y in figure["points"])
        else:
            value = f"{figure['value']:,g}" if figure["value"] < 1e5 else whole(figure["value"])
        rows.append([f"`{name}`", value, figure["unit"], figure["from"], "; ".join(filter(None, [figure["source"], figure.get("note")]))])
    return table(["figure", "value", "unit", "", "from"], rows)


BLOCKS = {
    "provisioned": provisioned, "switched_on": switched_on, "sizes": sizes, "functions": functions, "settings": settings, "rates": rates, "limits": limits, "raising": raising, "compared": compared,
    "ratios": ratios, "shares": shares, "freshness": freshness, "ingest": ingest, "event_sizes": event_sizes, "retentions": retentions,
    "prices": price_table, "figures": figure_table,
}  # fmt: skip


def page(text, ask):
    """The page with its blocks as the program has them."""
    said = Said(ask)
    fill = lambda block: f"<!-- cost: {block[1]} -->\n{BLOCKS[block[1]](said)}\n<!-- /cost -->\n"
    return BLOCK.sub(fill, text)


# The chart: dollars a million events by events a second, both logarithmic.
WIDTH, HEIGHT = 930, 545
LEFT, RIGHT, TOP, BOTTOM = 70, 660, 50, 460
LOWEST, HIGHEST = 0.01, 2.0
LABEL_GAP = 17
STYLE = """
  svg { background: #ffffff; font: 13px system-ui, sans-serif; }
  text { fill: #24292f; }
  .grid { stroke: #d0d7de; stroke-width: 1; }
  .line { fill: none; stroke-width: 2.5; stroke-linejoin: round; }
  .ours { stroke-width: 6; }
  .lake { stroke-dasharray: 7 4; }
  .c0 { stroke: #0550ae; } .c1 { stroke: #8250df; } .c2 { stroke: #cf222e; } .c3 { stroke: #0550ae; }
  .c4 { stroke: #953800; } .c5 { stroke: #116329; } .c6 { stroke: #6e7781; }
  @media (prefers-color-scheme: dark) {
    svg { background: #0d1117; }
    text { fill: #e6edf3; }
    .grid { stroke: #30363d; }
    .c0 { stroke: #58a6ff; } .c1 { stroke: #bc8cff; } .c2 { stroke: #ff7b72; } .c3 { stroke: #58a6ff; }
    .c4 { stroke: #f0883e; } .c5 { stroke: #56d364; } .c6 { stroke: #8b949e; }
  }
"""


def chart(ask):
    """The chart as SVG."""
    said = Said(ask)
    rates = [round(10 ** (half / 2)) for half in range(6, 15)]
    reports = [said.of(rate) for rate in rates]
    x = lambda rate: LEFT + (math.log10(rate) - 3) / 4 * (RIGHT - LEFT)
    y = lambda cost: BOTTOM - math.log(cost / LOWEST) / math.log(HIGHEST / LOWEST) * (BOTTOM - TOP)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="title">',
        '<title id="title">Dollars a million events, by events a second and by means</title>',
        f"<style>{STYLE}</style>",
        f'<text x="{LEFT}" y="26" font-weight="600">Dollars a million events of {BYTES} bytes, kept for a year</text>',
    ]
    for cost in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2):
        out.append(f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y(cost):.1f}" y2="{y(cost):.1f}"/>')
        out.append(f'<text x="{LEFT - 8}" y="{y(cost) + 4:.1f}" text-anchor="end">${cost:g}</text>')
    for rate, label in zip(SIZES, ("1,000", "10,000", "100,000", "1 million", "10 million"), strict=True):
        out.append(f'<line class="grid" x1="{x(rate):.1f}" x2="{x(rate):.1f}" y1="{TOP}" y2="{BOTTOM}"/>')
        out.append(f'<text x="{x(rate):.1f}" y="{BOTTOM + 20}" text-anchor="middle">{label}</text>')
    out.append(f'<text x="{(LEFT + RIGHT) / 2}" y="{BOTTOM + 44}" text-anchor="middle">events a second</text>')
    labels = []
    for at, bill in enumerate(reports[0]["ways"]):
        costs = [way(report, bill["way"])["dollars_a_million_events"] for report in reports]
        points = " ".join(f"{x(rate):.1f},{y(cost):.1f}" for rate, cost in zip(rates, costs, strict=True))
        classes = f"line c{at}" + (" ours" if bill["way"].startswith(ALLUVIUM) else "") + ("" if bill["serves_records"] else " lake")
        out.append(f'<polyline class="{classes}" points="{points}"/>')
        labels.append([y(costs[-1]), y(costs[-1]), bill["name"], classes])
    labels.sort()
    for above, label in zip(labels, labels[1:]):
        label[0] = max(label[0], above[0] + LABEL_GAP)
    for place, end, name, classes in labels:
        out.append(f'<path class="{classes}" style="stroke-width:1.5;stroke-dasharray:none" d="M{RIGHT + 3},{end:.1f} L{RIGHT + 16},{place:.1f} h10"/>')
        out.append(f'<text x="{RIGHT + 31}" y="{place + 4:.1f}">{name.replace("&", "&amp;")}</text>')
    out.append(f'<text x="{LEFT}" y="{HEIGHT - 12}" font-size="12">Solid: SQL and records of one source. Dashed: SQL alone.</text>')
    return "\n".join([*out, "</svg>", ""])


if __name__ == "__main__":
    document = ROOT / "docs/cost.md"
    document.write_text(page(document.read_text(), program))
    (ROOT / "docs/cost.svg").write_text(chart(program))
