"""Records of one source while events arrive, beside DuckDB over the same Parquet and beside a row per event in the same store.

One node, one data folder. First five million events of the minutes before now, as fast as they are taken, so that the hot index is not
young. Then, at each rate of events a second (`alluvium generate --paced`, of the same 10,000 devices), in several rounds:

- `GET /health`: what a request costs that asks nothing: the client's own time, and that of whoever waits for a core.
- `GET /v1/telemetry?source=…&limit=100` with a reader's token, by 1 and by 8 connections. The sources are *any* device, each as often as
  any other, most of which send little; and those *sending*, drawn as the events are. Of a device that has sent fewer than 101 events the
  newest 100 reach below what the hot index answers for, and the lake is asked too; *any, last minute* (`&from=-1m`) is of the hot index alone.
  Before each measurement of these the node has three seconds to make up for what it put off in the one before.
- the same lookups as a DuckDB query over the files that the lake has then, on one open connection.
- 100 live tails at once, of any sources and of the hundred that send most.

Then everything is committed, the load is over, and all lookups are measured once more, DuckDB also over the files as `alluvium compact`
leaves them. Each answer of ours must have the rows that DuckDB finds, in the same order, and each live tail must have been told as many
events as Parquet has of its source and span of arrival. At last `item_per_event` (local/examples) does the same in one process, without
HTTP, on chunks and on a row per event.

Prints tables in Markdown. Run it by `make bench-records`; `--quick` is for looking whether it works. The exit code is 1 when rows
differ or requests failed.
"""

import argparse
import json
import math
import os
import pathlib
import platform
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import duckdb
import requests
from deltalake import DeltaTable

ALLUVIUM = os.environ.get("ALLUVIUM", "target/debug/alluvium")
EXAMPLES = pathlib.Path(os.environ.get("ALLUVIUM_EXAMPLES", "target/debug/examples"))
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("ALLUVIUM_")}
DEVICES = 10_000
LIMIT = 100
TAILS = 100
# An owner has an eighth of a node's 256 tails.
TAILS_OF_ONE = 32
LAST_MINUTE = "any, last minute"
PICKED = ("any", "sending", LAST_MINUTE)
# More than are made in one measurement.
LOOKUPS = 5_000
# Between two measurements: what the node put off while DuckDB or eight connections had both cores is not part of the next.
CATCHING_UP_SECONDS = 3
# Of the lake's rows, in the names of an answer.
DATA = ["value", "unit", "battery", "status", "lat", "lon", "firmware"]
LOOKUP = (
    "select event_id, type, epoch_us(event_time), epoch_us(ingest_time), " + ", ".join(DATA) + " from telemetry "
    f"where owner = ? and source = ? {{within}} order by event_time desc, event_id limit {LIMIT}"
)


class Failed(Exception):
    """What was measured is not what should have been."""


class Node:
    """`alluvium up` on a folder of its own. It is left alone by its own maintenance, which would change the files under DuckDB."""

    def __init__(self, folder):
        self.data = folder / "node"
        # The measured client is one owner with more requests than a client of a laptop should have.
        limits = {
            "ALLUVIUM_LIMITS__REQUESTS_PER_SECOND": "100000",
            "ALLUVIUM_LIMITS__REQUESTS_PER_SECOND_OF_OWNER": "100000",
            "ALLUVIUM_MAINTAIN__EVERY": "24h",
            "ALLUVIUM_VERBOSITY": "warn",
        }
        self.log = open(folder / "node.log", "w+")
        self.process = subprocess.Popen(
            [ALLUVIUM, "--json", "up", "--listen", "127.0.0.1:0", "--data", str(self.data)],
            stdout=subprocess.PIPE, stderr=self.log, env=ENVIRONMENT | limits, text=True,
        )  # fmt: skip
        line = self.process.stdout.readline()
        if not line:
            self.log.seek(0)
            raise Failed(f"the node does not start: {self.log.read()}")
        self.url = json.loads(line)["listening"]
        self.admin = (self.data / "token").read_text().strip()

    def token(self, owner, role):
        command = [ALLUVIUM, "token", "--data", str(self.data), "--sub", owner, "--role", role]
        return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True).stdout.strip()

    def get(self, path, token=None):
        answer = requests.get(f"{self.url}{path}", headers={"Authorization": f"Bearer {token or self.admin}"}, timeout=60)
        if answer.status_code != 200:
            raise Failed(f"{path}: {answer.status_code}: {answer.text}")
        return answer

    def metric(self, name):
        found = re.findall(rf"^alluvium_{name}(?:{{.*}})? (\S+)", self.get("/metrics").text, re.M)
        return sum(map(float, found))

    def settle(self):
        """Waits until everything that was acknowledged is committed; answers how many events that are. They may be more than were
        acknowledged: a request of a load that was stopped may have been taken in when nobody waited for its answer any more."""
        deadline = time.monotonic() + 60
        while True:
            lag, committed = self.metric("commit_lag_seconds"), self.metric("events_committed_total")
            accepted = self.metric("events_accepted_total")
            if lag == 0 and committed >= accepted:
                return int(committed)
            if time.monotonic() > deadline:
                raise Failed(f"{committed:,.0f} of {accepted:,.0f} events are committed after a minute")
            time.sleep(0.1)

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_bytes(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmHWM:\s+(\d+) kB", status.read()).group(1)) * 1024

    def files(self):
        return DeltaTable(str(self.data / "lake" / "telemetry")).file_uris()

    def stop(self):
        self.process.terminate()
        try:
            code = self.process.wait(timeout=120)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        if code != 0:
            raise Failed(f"the node ended with {code}")


def generate(node, seed, rate, count, *more):
    """The command that sends made-up events of the same devices to a node."""
    sizes = ["--devices", str(DEVICES), "--rate", str(rate), "--count", str(count), "--seed", str(seed)]
    return [ALLUVIUM, "--json", "generate", "--data", str(node.data), *sizes, *more]


class Load:
    """Events that arrive at a rate until it is over, and what that came to."""

    def __init__(self, node, seed, rate):
        self.node, self.rate = node, rate
        # As many as last longer than anything here; it is stopped.
        batch = str(max(10, min(1_000, rate // 50)))
        command = generate(node, seed, rate, rate * 3_600, "--paced", "--batch", batch)
        self.process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        time.sleep(2)
        self.started, self.before, self.cpu_before = time.monotonic(), self.accepted(), node.cpu_seconds()

    def accepted(self):
        return self.node.metric("events_accepted_total")

    def stop(self):
        """Ends it; answers events a second, and the share of a core that the node took."""
        if self.process.poll() is not None:
            raise Failed(f"the generator has ended: {self.process.stderr.read().decode()}")
        took = time.monotonic() - self.started
        rate, cores = (self.accepted() - self.before) / took, (self.node.cpu_seconds() - self.cpu_before) / took
        self.kill()
        return {"events_per_second": rate, "node_cores": cores}

    def kill(self):
        self.process.kill()
        self.process.wait()


def records_load(asked):
    """What the client says that it is asked to do."""
    done = subprocess.run(
        [str(EXAMPLES / "records_load")], input=json.dumps(asked), capture_output=True, text=True, timeout=120
    )
    if done.returncode != 0:
        raise Failed(f"records_load: {done.stderr.strip()}")
    return json.loads(done.stdout)


def quantile(values, q):
    """The value that a share `q` of all does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)]


class Lake:
    """DuckDB over the files of the lake's table, on one connection."""

    def __init__(self, owner):
        self.owner = owner
        self.connection = duckdb.connect(config={"threads": os.cpu_count()})
        # What helps it most: footers and blocks stay in its memory, and files are not asked whether they have changed.
        self.connection.execute("set parquet_metadata_cache = true")
        self.connection.execute("set validate_external_file_cache = 'NO_VALIDATION'")

    def look_at(self, files):
        listed = ", ".join(f"'{file.removeprefix('file://')}'" for file in files)
        self.connection.execute(f"create or replace view telemetry as select * from read_parquet([{listed}])")
        self.files = len(files)

    def rows(self, source, first=None, end=None):
        """The newest of a source from one moment on and before another, in microseconds."""
        within, moments = "", []
        for condition, at in [("event_time >=", first), ("event_time <", end)]:
            if at is not None:
                within += f"and {condition} make_timestamptz(?) "
                moments.append(at)
        return self.connection.execute(LOOKUP.format(within=within), [self.owner, source, *moments]).fetchall()

    def measure(self, sources, seconds, last_seconds=None):
        took, until = [], time.perf_counter() + seconds
        for number, source in enumerate(sources):
            started = time.perf_counter()
            if started > until and took:
                break
            first = last_seconds and int((time.time() - last_seconds) * 1e6)
            self.rows(source, first)
            # The first one opens files.
            if number > 0:
                took.append(int((time.perf_counter() - started) * 1e6))
        return {"requests": len(took), "per_second": len(took) / sum(took) * 1e6, "files": self.files, "took_us": took}

    def between(self, source, first, last):
        """How many events of a source arrived after the first of these moments and before the last."""
        statement = (
            "select count(*) from telemetry where owner = ? and source = ? "
            "and ingest_time > make_timestamptz(?) and ingest_time < make_timestamptz(?)"
        )
        return self.connection.execute(statement, [self.owner, source, first, last]).fetchone()[0]

    def range(self):
        return self.connection.execute("select epoch_us(min(event_time)), epoch_us(max(event_time)) from telemetry").fetchone()

    def busiest(self, count):
        statement = "select source from telemetry group by source order by count(*) desc, source limit ?"
        return [source for (source,) in self.connection.execute(statement, [count]).fetchall()]


class Sources:
    """Which sources are looked up."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def any(self, count):
        return [self.name(self.random.randrange(DEVICES)) for _ in range(count)]

    def sending(self, count):
        """As the generator draws them: groups of 1, 2, 4, … devices send alike."""
        drawn = []
        while len(drawn) < count:
            first = 1 << self.random.randrange(DEVICES.bit_length())
            rank = first + self.random.randrange(first)
            if rank <= DEVICES:
                drawn.append(self.name(rank - 1))
        return drawn

    @staticmethod
    def name(number):
        return f"device-{number:05}"


class Bench:
    """What all measurements share."""

    def __init__(self, asked, folder):
        self.asked, self.node = asked, Node(folder)
        self.wrong, self.results, self.spans = [], {}, []

    def prepare(self):
        """The events that are there before anything is measured."""
        asked = self.asked
        start = moment(int((time.time() - asked.preload / asked.preload_rate) * 1e6))
        subprocess.run(
            generate(self.node, 1, asked.preload_rate, asked.preload, "--start", start),
            env=ENVIRONMENT, stdout=subprocess.DEVNULL, check=True,
        )  # fmt: skip
        self.node.settle()
        self.owner = self.node.get("/v1/telemetry?limit=1").json()["records"][0]["owner"]
        self.reader = self.node.token(self.owner, "data.read")
        # Each tells the node apart from the others whose tails are open; an admin may follow another owner's events.
        groups = -(-TAILS // TAILS_OF_ONE)
        self.followers = [self.node.token(f"follower-{number}", "data.admin") for number in range(groups)]
        self.lake, self.sources = Lake(self.owner), Sources(self.asked.seed)
        self.lake.look_at(self.node.files())
        self.busiest = self.lake.busiest(TAILS)

    def note(self, of, what, said):
        """Keeps the figures of one measurement of one kind."""
        self.results.setdefault(of, {}).setdefault(what, []).append(said)
        if said.get("failed"):
            self.wrong.append(f"{of}, {what}: {said['failed']} of {said['requests']} requests failed: {said.get('failure')}")

    def get(self, of, what, paths, connections):
        asked = {"do": "get", "url": self.node.url, "token": self.reader, "paths": paths, "connections": connections}
        time.sleep(CATCHING_UP_SECONDS)
        self.note(of, what, records_load(asked | {"seconds": self.asked.seconds}))

    def lookups(self, of):
        """One round of everything that is looked up."""
        for connections in (1, 8):
            self.get(of, ("health", connections), ["/health"], connections)
        for picked in PICKED:
            sources, last_seconds = self.picked(picked)
            since = f"&from=-{last_seconds}s" if last_seconds else ""
            paths = [f"/v1/telemetry?source={source}&limit={LIMIT}{since}" for source in sources]
            for connections in (1, 8):
                self.get(of, (picked, connections), paths, connections)
            self.by_duckdb(of, picked)

    def by_duckdb(self, of, picked):
        self.lake.look_at(self.node.files())
        sources, last_seconds = self.picked(picked)
        self.note(of, (picked, "DuckDB"), self.lake.measure(sources, self.asked.seconds, last_seconds))

    def picked(self, how):
        """Sources, more than can be asked for in time, and of how many seconds before now they are asked for."""
        sources = self.sources.sending(LOOKUPS) if how == "sending" else self.sources.any(LOOKUPS)
        return sources, 60 if how == LAST_MINUTE else None

    def tails(self, of, picked, sources):
        """One round of live tails."""
        tails = [
            {"path": f"/v1/telemetry/live?owner={self.owner}&source={source}", "token": self.followers[at // TAILS_OF_ONE]}
            for at, source in enumerate(sources)
        ]
        asked = {"do": "follow", "url": self.node.url, "tails": tails, "seconds": self.asked.seconds}
        said = records_load(asked)
        self.spans.extend((source, span) for source, span in zip(sources, said.pop("tails")) if span["first"])
        if said["ended"]:
            self.wrong.append(f"{of}, live tails of {picked}: {said['ended']}")
        self.note(of, ("tails", picked), said)

    def under_load(self, seed, rate):
        of = f"{rate:,}"
        load = Load(self.node, seed, rate)
        try:
            for number in range(self.asked.rounds):
                self.lookups(of)
                self.tails(of, "any", list(dict.fromkeys(self.sources.any(4 * TAILS)))[:TAILS])
                self.tails(of, "most", self.busiest)
                print(f"{of} events/s, round {number + 1} of {self.asked.rounds} (load {os.getloadavg()[0]:.1f})", flush=True)
            self.note(of, "load", load.stop())
        finally:
            load.kill()

    def at_rest(self):
        events = self.node.settle()
        for _ in range(self.asked.rounds):
            self.lookups("none")
        self.lake.look_at(self.node.files())
        self.check_lookups("files as they were committed")
        self.check_tails()
        subprocess.run(
            [ALLUVIUM, "--json", "compact", "--data", str(self.node.data)], env=ENVIRONMENT, stdout=subprocess.DEVNULL, check=True
        )
        self.lake.look_at(self.node.files())
        for picked in ("any", "sending"):
            for _ in range(self.asked.rounds):
                self.by_duckdb("none, compacted", picked)
        self.check_lookups("compacted files")
        return events

    def check_lookups(self, of):
        """Ours and DuckDB's rows of the same sources and ranges of time."""
        first, last = self.lake.range()
        middle = self.sources.random.randrange(first, last)
        checked = rows = 0
        for picked in ("any", "sending"):
            for source in getattr(self.sources, picked)(self.asked.checks):
                # All of the time there is, or a part of it that ends before the newest.
                end = (last + 1, middle)[checked % 2]
                path = f"/v1/telemetry?source={source}&limit={LIMIT}&from={moment(first)}&to={moment(end)}"
                page = self.node.get(path, self.reader).json()
                ours, theirs = [flat(record) for record in page["records"]], self.lake.rows(source, first, end)
                if not page["complete"] or ours != theirs:
                    self.wrong.append(f"{source} before {moment(end)}: {len(ours)} rows of ours are not the {len(theirs)} in {of}")
                checked, rows = checked + 1, rows + len(ours)
        self.note("checked", of, {"lookups": checked, "rows": rows})

    def check_tails(self):
        """What live tails were told, and what there was to tell."""
        told = 0
        for source, span in self.spans:
            there = self.lake.between(source, span["first"], span["last"])
            if there != span["between"]:
                self.wrong.append(f"a live tail of {source} was told {span['between']} events of {there}")
            told += there
        self.note("checked", "tails", {"tails": len(self.spans), "events": told})


def moment(micros):
    """As RFC 3339 has it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(micros // 1_000_000)) + f".{micros % 1_000_000:06}Z"


def micros(text):
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    whole = int(time.mktime(time.strptime(seconds + " UTC", "%Y-%m-%dT%H:%M:%S %Z")) - time.timezone)
    return whole * 1_000_000 + int(fraction.ljust(6, "0") or 0)


def flat(record):
    """A record as DuckDB's row has it."""
    about = (record["id"], record["type"], micros(record["time"]), micros(record["ingest_time"]))
    return about + tuple(record["data"].get(name) for name in DATA)


def item_per_event(events, lookups):
    done = subprocess.run(
        [str(EXAMPLES / "item_per_event"), str(events), "50000", str(lookups)], capture_output=True, text=True, timeout=300
    )
    if done.returncode != 0:
        raise Failed(f"item_per_event: {done.stderr.strip()}")
    return json.loads(done.stdout)


def pooled(runs, q):
    """A quantile of what all rounds took together, in milliseconds."""
    took = [took for run in runs for took in run["took_us"]]
    return f"{quantile(took, q) / 1e3:,.2f}" if took else "–"


def spread(runs, key):
    """The median of the rounds, and the least and the greatest in brackets."""
    values = [run[key] for run in runs]
    middle = f"{statistics.median(values):,.0f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):,.0f}–{max(values):,.0f})"


def ratio(ours, theirs):
    """How many times as many lookups a second, round by round."""
    ratios = [mine["per_second"] / other["per_second"] for mine, other in zip(ours, theirs)]
    return f"**{statistics.median(ratios):,.2f}** ({min(ratios):,.2f}–{max(ratios):,.2f})"


def lookup_table(results):
    yield "| events/s | sources | asked by | p50 ms | p99 ms | a second | times DuckDB's |"
    yield "|---|---|---|---|---|---|---|"
    for of, runs in results.items():
        lookups = {what: said for what, said in runs.items() if what[0] in ("health", *PICKED)}
        for (picked, by), said in lookups.items():
            named = "`/health`" if picked == "health" else picked
            asked = by if by == "DuckDB" else f"HTTP, {by} connection{'s' * (by > 1)}"
            if by == "DuckDB":
                asked += f", {said[-1]['files']} files"
            against = runs.get((picked, "DuckDB"))
            times = ratio(said, against) if against and by != "DuckDB" else ""
            columns = [pooled(said, 0.5), pooled(said, 0.99), spread(said, "per_second"), times]
            yield f"| {of} | {named} | {asked} | " + " | ".join(columns) + " |"


def tail_table(results):
    yield "| events/s | 100 tails of | events told a second | lag p50 ms | lag p99 ms |"
    yield "|---|---|---|---|---|"
    for of, runs in results.items():
        for what, said in runs.items():
            if what[0] == "tails":
                columns = [spread(said, "per_second"), pooled(said, 0.5), pooled(said, 0.99)]
                yield f"| {of} | {what[1]} | " + " | ".join(columns) + " |"


def layout_table(said):
    chunks, items = said["chunks"], said["items"]
    yield "| | chunks | a row per event |"
    yield "|---|---|---|"
    for name, key, digits in [
        ("CPU, µs an event", "cpu_us_per_event", 2), ("of it making what is stored", "of_it_making_us", 2),
        ("of it storing", "of_it_storing_us", 2), ("bytes handed to the store, an event", "stored_bytes_per_event", 1),
        ("bytes written to disk, an event", "written_bytes_per_event", 1),
    ]:  # fmt: skip
        yield f"| {name} | " + " | ".join(f"{of['write'][key]:,.{digits}f}" for of in (chunks, items)) + " |"
    for picked in ("any", "sending"):
        for name, key, digits in [("lookups a second", "per_second", 0), ("p50 ms", "p50_ms", 3), ("p99 ms", "p99_ms", 3)]:
            yield f"| {picked} sources: {name} | " + " | ".join(f"{of[picked][key]:,.{digits}f}" for of in (chunks, items)) + " |"
    for picked in ("any", "sending"):
        index = chunks[picked]["index"]
        yield (
            f"| {picked} sources: of the index, a lookup | {index['questions']:.1f} questions, {index['chunks']:.0f} chunks, "
            f"{index['rows']:,.0f} rows, {index['bytes'] / 1024:,.0f} KiB, {index['ms']:.2f} ms | |"
        )


def machine():
    with open("/proc/cpuinfo") as cpuinfo:
        model = re.search(r"model name\s*:\s*(.*)", cpuinfo.read()).group(1)
    with open("/proc/meminfo") as meminfo:
        kib = int(re.search(r"MemTotal:\s+(\d+)", meminfo.read()).group(1))
    return f"{model}, {os.cpu_count()} cores, {kib / 2**20:.0f} GiB, Linux {platform.release().split('-')[0]}"


def report(bench, events, layouts):
    print(f"\n{machine()}; DuckDB {duckdb.__version__}; {events:,} events at the end\n")
    print("\n".join(lookup_table(bench.results)), "\n")
    print("\n".join(tail_table(bench.results)), "\n")
    for of, runs in bench.results.items():
        for said in runs.get("load", []):
            print(f"{of} events/s asked for: {said['events_per_second']:,.0f} arrived, the node took {said['node_cores']:.2f} cores")
    for of, said in bench.results.get("checked", {}).items():
        print(f"checked, {of}: " + ", ".join(f"{value:,} {name}" for name, value in said[-1].items()))
    print(f"the node's peak memory: {bench.peak_bytes / 2**20:.0f} MiB\n")
    if layouts:
        print("\n".join(layout_table(layouts)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rates", type=int, nargs="*", default=[50_000, 5_000], help="events a second, one after the other")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2, help="how long each measurement of a round takes")
    parser.add_argument("--preload", type=int, default=5_000_000, help="events that are there before")
    parser.add_argument("--preload-rate", type=int, default=50_000, help="how many of them lie in a second of their time")
    parser.add_argument("--checks", type=int, default=100, help="lookups whose rows are compared, of each kind")
    parser.add_argument("--items", type=int, default=2_000_000, help="events of the comparison with a row per event; 0: without it")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="little of everything: does it work?")
    parser.add_argument("--keep", action="store_true", help="leave the data folder, and say where it is")
    parser.add_argument("--json", type=pathlib.Path, help="where all figures go")
    asked = parser.parse_args()
    if asked.quick:
        quick = {"rates": [2_000], "rounds": 1, "seconds": 1, "preload": 200_000, "preload_rate": 2_000, "checks": 20, "items": 100_000}
        parser.set_defaults(**quick)
        asked = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="alluvium-records-"))
    began = time.monotonic()
    try:
        bench = Bench(asked, folder)
        try:
            bench.prepare()
            for number, rate in enumerate(asked.rates):
                bench.under_load(number + 2, rate)
            events = bench.at_rest()
            bench.peak_bytes = bench.node.peak_bytes()
        finally:
            bench.node.stop()
        layouts = item_per_event(asked.items, 200 if asked.quick else 1_000) if asked.items else None
    finally:
        if asked.keep:
            print(f"the data is in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    report(bench, events, layouts)
    print(f"\ntook {time.monotonic() - began:.0f} s")
    if asked.json:
        results = {of: {str(what): said for what, said in runs.items()} for of, runs in bench.results.items()}
        asked.json.write_text(json.dumps({"machine": machine(), "results": results, "layouts": layouts}, indent=1))
    for why in bench.wrong[:20]:
        print(f"FAILED {why}", file=sys.stderr)
    sys.exit(1 if bench.wrong else 0)


if __name__ == "__main__":
    try:
        main()
    except Failed as why:
        sys.exit(f"FAILED {why}")
