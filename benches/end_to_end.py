"""End to end, beside DuckDB on the same events in the same run.

Throughput: the same NDJSON file goes (a) through `alluvium send` over HTTP in bodies of 1,000 events into `alluvium up`, with
fsync, transform and commit, the sender on the same cores, until every event is committed; (b) through DuckDB's
`COPY (… read_ndjson …) TO … (FORMAT parquet, COMPRESSION zstd)`. In turn, several times; medians; rows compared.

Freshness: at a steady load, an event is sent, and asked for until `GET /v1/telemetry` and SQL return it.

Prints a table and, with --json FILE, writes the figures. Needs the environment of `make test-interop`; run it by `make bench`.
"""

import argparse
import glob
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import duckdb
import requests

ALLUVIUM = os.environ.get("ALLUVIUM", "target/debug/alluvium")
COLUMNS = (
    "{id: 'VARCHAR', source: 'VARCHAR', type: 'VARCHAR', time: 'TIMESTAMPTZ', "
    "data: 'STRUCT(value DOUBLE, unit VARCHAR, battery DOUBLE, status VARCHAR, lat DOUBLE, lon DOUBLE, firmware VARCHAR)'}"
)


class Node:
    """`alluvium up` on a folder of its own."""

    def __init__(self, folder):
        self.data = os.path.join(folder, "node")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("ALLUVIUM_")}
        self.process = subprocess.Popen(
            [ALLUVIUM, "--json", "up", "--listen", "127.0.0.1:0", "--data", self.data],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True,
        )
        self.url = json.loads(self.process.stdout.readline())["listening"]
        with open(os.path.join(self.data, "token")) as token:
            self.authorization = {"Authorization": f"Bearer {token.read().strip()}"}
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def committed(self):
        text = requests.get(f"{self.url}/metrics", timeout=10).text
        found = re.search(r"^alluvium_events_committed_total (\d+)", text, re.M)
        return int(found.group(1)) if found else 0

    def peak_bytes(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmHWM:\s+(\d+) kB", status.read()).group(1)) * 1024

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.terminate()
        assert self.process.wait(timeout=120) == 0

    def files(self):
        return glob.glob(os.path.join(self.data, "lake", "telemetry", "*.parquet"))


def alluvium_run(events_file, count):
    folder = tempfile.mkdtemp(prefix="alluvium-bench-")
    try:
        node = Node(folder)
        started = time.perf_counter()
        sent = subprocess.run(
            [ALLUVIUM, "--json", "send", "--data", node.data, events_file], capture_output=True, text=True, check=True
        )
        acknowledged = time.perf_counter() - started
        while node.committed() < count:
            time.sleep(0.02)
        took = time.perf_counter() - started
        report = json.loads(sent.stdout)
        figures = {
            "seconds": took,
            "acknowledged_seconds": acknowledged,
            "ack_p50_ms": report["ack_p50_seconds"] * 1e3,
            "ack_p99_ms": report["ack_p99_seconds"] * 1e3,
            "peak_bytes": node.peak_bytes(),
            "node_cpu_seconds": node.cpu_seconds(),
        }
        node.stop()
        files = node.files()
        figures["files"] = len(files)
        figures["bytes_per_event"] = sum(map(os.path.getsize, files)) / count
        figures["rows"] = duckdb.sql(
            f"select count(*), count(distinct event_id), round(sum(value), 3), min(event_time), max(event_time) from read_parquet({files})"
        ).fetchall()[0]
        return figures
    finally:
        shutil.rmtree(folder)


def duckdb_run(events_file, count):
    folder = tempfile.mkdtemp(prefix="duckdb-bench-")
    try:
        target = os.path.join(folder, "out.parquet")
        connection = duckdb.connect(config={"threads": os.cpu_count()})
        connection.execute("set preserve_insertion_order = false")
        started = time.perf_counter()
        connection.execute(
            f"copy (select id, source, type, time, data.* from read_ndjson('{events_file}', columns = {COLUMNS})) "
            f"to '{target}' (format parquet, compression zstd)"
        )
        took = time.perf_counter() - started
        rows = connection.sql(
            f"select count(*), count(distinct id), round(sum(value), 3), min(time), max(time) from '{target}'"
        ).fetchall()[0]
        return {"seconds": took, "rows": rows, "bytes_per_event": os.path.getsize(target) / count}
    finally:
        shutil.rmtree(folder)


def freshness(rate, seconds):
    """Probes while `rate` events a second arrive: seconds from acknowledgement to readable, by records and by SQL."""
    folder = tempfile.mkdtemp(prefix="alluvium-bench-")
    try:
        node = Node(folder)
        load = subprocess.Popen(
            [ALLUVIUM, "--json", "generate", "--data", node.data, "--paced", "--rate", str(rate), "--count", str(rate * seconds), "--batch", "100"],
            stdout=subprocess.PIPE, text=True,
        )
        to_records, to_sql, session = [], [], requests.Session()
        session.headers.update(node.authorization)
        n = 0
        while load.poll() is None:
            n += 1
            event = {"id": f"p{n}", "source": "probe", "type": "reading", "data": {"value": 1}}
            assert session.post(f"{node.url}/v1/telemetry", json=event).status_code == 202
            acknowledged = time.perf_counter()
            while True:
                page = session.get(f"{node.url}/v1/telemetry", params={"source": "probe", "limit": 1}).json()
                if page["records"] and page["records"][0]["id"] == f"p{n}":
                    break
                time.sleep(0.005)
            to_records.append(time.perf_counter() - acknowledged)
            if n % 4 == 0:
                statement = f"select count(*) as n from telemetry_raw where source = 'probe' and event_id = 'p{n}'"
                while True:
                    answer = subprocess.run(
                        [ALLUVIUM, "--json", "sql", "--data", node.data, statement], capture_output=True, text=True, check=True
                    )
                    if json.loads(answer.stdout)["n"] == 1:
                        break
                    time.sleep(0.05)
                to_sql.append(time.perf_counter() - acknowledged)
            time.sleep(0.03)
        sent = json.loads(load.communicate()[0])
        peak = node.peak_bytes()
        node.stop()
        quantile = lambda values, q: sorted(values)[min(len(values) - 1, int(q * len(values)))]
        return {
            "rate": rate,
            "probes": len(to_records),
            "records_p50_s": quantile(to_records, 0.5),
            "records_p99_s": quantile(to_records, 0.99),
            "sql_probes": len(to_sql),
            "sql_p50_s": quantile(to_sql, 0.5),
            "sql_p99_s": quantile(to_sql, 0.99),
            "ack_p50_ms": sent["ack_p50_seconds"] * 1e3,
            "ack_p99_ms": sent["ack_p99_seconds"] * 1e3,
            "peak_bytes": peak,
        }
    finally:
        shutil.rmtree(folder)


def machine():
    with open("/proc/cpuinfo") as cpuinfo:
        model = re.search(r"model name\s*:\s*(.*)", cpuinfo.read()).group(1)
    with open("/proc/meminfo") as meminfo:
        kib = int(re.search(r"MemTotal:\s+(\d+)", meminfo.read()).group(1))
    return f"{model}, {os.cpu_count()} cores, {kib / 2**20:.0f} GiB, Linux {platform.release().split('-')[0]}"


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--events", type=int, default=4_000_000)
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--rate", type=int, default=5_000)
    arguments.add_argument("--seconds", type=int, default=30)
    arguments.add_argument("--json")
    arguments = arguments.parse_args()
    folder = tempfile.mkdtemp(prefix="alluvium-bench-")
    try:
        events_file = os.path.join(folder, "events.ndjson")
        with open(events_file, "w") as out:
            subprocess.run([ALLUVIUM, "generate", "--count", str(arguments.events), "--seed", "1"], stdout=out, check=True)
        size = os.path.getsize(events_file)
        print(f"{machine()}; DuckDB {duckdb.__version__}; {arguments.events} events, {size / arguments.events:.0f} bytes each", flush=True)
        ours, theirs = [], []
        for run in range(arguments.runs):
            ours.append(alluvium_run(events_file, arguments.events))
            theirs.append(duckdb_run(events_file, arguments.events))
            assert ours[-1]["rows"] == theirs[-1]["rows"], (ours[-1]["rows"], theirs[-1]["rows"])
            print(f"run {run + 1}: alluvium {ours[-1]['seconds']:.2f} s, duckdb {theirs[-1]['seconds']:.2f} s, rows equal", flush=True)
    finally:
        shutil.rmtree(folder)
    fresh = freshness(arguments.rate, arguments.seconds)
    median = lambda runs, key: statistics.median(run[key] for run in runs)
    ratio = statistics.median(b["seconds"] / a["seconds"] for a, b in zip(ours, theirs))
    rows = [
        ("end to end, alluvium", f"{arguments.events / median(ours, 'seconds'):,.0f} events/s"),
        ("NDJSON to Parquet, DuckDB", f"{arguments.events / median(theirs, 'seconds'):,.0f} events/s"),
        ("ratio of the rates, run by run", f"{ratio:.2f} (from {min(b['seconds'] / a['seconds'] for a, b in zip(ours, theirs)):.2f} to {max(b['seconds'] / a['seconds'] for a, b in zip(ours, theirs)):.2f})"),
        ("node's CPU", f"{median(ours, 'node_cpu_seconds') / arguments.events * 1e6:.2f} µs an event"),
        ("acknowledgement at full load", f"p50 {median(ours, 'ack_p50_ms'):.1f} ms, p99 {median(ours, 'ack_p99_ms'):.1f} ms"),
        ("peak memory at full load", f"{max(run['peak_bytes'] for run in ours) / 2**20:.0f} MiB"),
        ("lake", f"{median(ours, 'files'):.0f} files, {median(ours, 'bytes_per_event'):.1f} bytes an event (DuckDB: {median(theirs, 'bytes_per_event'):.1f}, unsorted)"),
        (f"acknowledgement at {arguments.rate}/s", f"p50 {fresh['ack_p50_ms']:.1f} ms, p99 {fresh['ack_p99_ms']:.1f} ms"),
        (f"to records at {arguments.rate}/s", f"p50 {fresh['records_p50_s']:.2f} s, p99 {fresh['records_p99_s']:.2f} s ({fresh['probes']} probes)"),
        (f"to SQL at {arguments.rate}/s", f"p50 {fresh['sql_p50_s']:.2f} s, p99 {fresh['sql_p99_s']:.2f} s ({fresh['sql_probes']} probes)"),
        (f"peak memory at {arguments.rate}/s, SQL included", f"{fresh['peak_bytes'] / 2**20:.0f} MiB"),
    ]
    for name, figure in rows:
        print(f"{name:44} {figure}")
    if arguments.json:
        with open(arguments.json, "w") as out:
            json.dump({"machine": machine(), "alluvium": ours, "duckdb": theirs, "freshness": fresh}, out, default=str, indent=1)


if __name__ == "__main__":
    sys.exit(main())
