"""Compaction, beside DuckDB doing the same to the same files in the same run.

Ten million made-up events over 30 dates, 5% of them sent twice, are taken in by `alluvium up`, which leaves a file per batch. Then, in
turn and several times, from a copy of those files: (a) `alluvium compact`; (b) DuckDB, with as many threads as there are cores and a
memory limit: `read_parquet`, `row_number()` over the event key, `order by`, `copy` with zstd. Medians; the rows of both are compared, every
column of them. Also: files per date before and after, and the bytes that a query of one source reads before and after.

Prints a table and, with --json FILE, writes the figures. Needs the environment of `make test-interop`; run it by `make bench`.
"""

import argparse
import datetime
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
import time

import duckdb

ALLUVIUM = os.environ.get("ALLUVIUM", "target/debug/alluvium")
DATES = 30
DUPLICATES = 0.05
# What the settings of `alluvium up` and `compact` differ in: nothing is compacted before it is measured.
SETTINGS = '[maintain]\nevery = "7d"\n[log]\nretention = "1s"\nmax_bytes = 20000000000\n'
# DuckDB runs in a process of its own, so that the peak of its memory can be told.
DUCKDB = """
import duckdb, resource, sys, time
source, out, limit, spill = sys.argv[1:]
db = duckdb.connect()
db.execute(f"set memory_limit = '{limit}'")
db.execute(f"set temp_directory = '{spill}'")
db.execute("set enable_progress_bar = false")
started = time.perf_counter()
db.execute(f'''
    copy (
        select * exclude (arrival) from (
            select *, row_number() over (partition by owner, source, event_id order by ingest_time, event_time) as arrival
            from read_parquet('{source}/*.parquet')
        ) where arrival = 1 order by event_date, source, event_time
    ) to '{out}' (format parquet, compression zstd, row_group_size 131072)
''')
print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def run(arguments, **more):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ALLUVIUM_")}
    return subprocess.run(arguments, capture_output=True, text=True, check=True, env=environment, **more).stdout


def table(data):
    return os.path.join(data, "lake", "telemetry")


def made(folder, events):
    """A data folder with the events, in the files that batches leave."""
    data, config = os.path.join(folder, "made"), os.path.join(folder, "alluvium.toml")
    with open(config, "w") as settings:
        settings.write(SETTINGS)
    node = subprocess.Popen(
        [ALLUVIUM, "--config", config, "--json", "up", "--listen", "127.0.0.1:0", "--data", data],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )
    assert json.loads(node.stdout.readline())["listening"]
    start = datetime.datetime.now(datetime.timezone.utc).date() - datetime.timedelta(days=DATES)
    run([
        ALLUVIUM, "--config", config, "generate", "--data", data, "--count", str(events), "--duplicates", str(DUPLICATES),
        "--rate", str(max(1, round(events / (DATES * 86_400)))), "--start", f"{start}T00:00:00Z",
    ])
    # It delivers and commits all that it took in before it ends.
    node.terminate()
    assert node.wait(timeout=600) == 0
    shutil.rmtree(os.path.join(data, "hot"))
    return data, config


def ours(data, config, folder):
    copy = os.path.join(folder, "ours")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(data, copy)
    command = [ALLUVIUM, "--config", config, "--json", "compact", "--data", copy, "--table", "telemetry"]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    rounds = json.loads(process.stdout.read())
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    assert status == 0 and rounds
    return copy, seconds, usage.ru_maxrss * 1024, rounds


def duckdbs(data, folder, limit):
    out, spill = os.path.join(folder, "duckdb.parquet"), os.path.join(folder, "spill")
    seconds, peak = run([sys.executable, "-c", DUCKDB, table(data), out, limit, spill]).split()
    shutil.rmtree(spill, ignore_errors=True)
    return out, float(seconds), int(peak)


def active(data):
    """The active files of the table, by its own log: path and what the log says of it."""
    files = {}
    for entry in sorted(glob.glob(os.path.join(table(data), "_delta_log", "*.json"))):
        with open(entry) as lines:
            for action in map(json.loads, lines):
                if "add" in action:
                    files[action["add"]["path"]] = action["add"]
                if "remove" in action:
                    files.pop(action["remove"]["path"], None)
    return files


def files_per_date(data):
    """Of each date, how many files have rows of it: the median over the dates."""
    counts = {}
    for file in active(data).values():
        stats = json.loads(file["stats"])
        day, last = (datetime.date.fromisoformat(stats[end]["event_date"]) for end in ("minValues", "maxValues"))
        while day <= last:
            counts[day] = counts.get(day, 0) + 1
            day += datetime.timedelta(days=1)
    return statistics.median(counts.values())


def bytes_read(data, config, source):
    """What the engine of `alluvium sql` reads for the readings of one source, by its own count."""
    statement = f"explain analyze select event_time, value from telemetry_raw where source = '{source}'"
    plan = run([ALLUVIUM, "--config", config, "--json", "sql", "--data", data, statement])
    scanned = [match.groups() for match in re.finditer(r"bytes_scanned=([\d.]+) ?([KMG]?)", plan)]
    units = {"": 1, "K": 1e3, "M": 1e6, "G": 1e9}
    return sum(float(number) * units[unit] for number, unit in scanned)


def compared(data, duckdb_file):
    """The number of rows, when both have the same, in every column."""
    paths = [os.path.join(table(data), path) for path in active(data)]
    db = duckdb.connect()
    db.execute("set memory_limit = '4GB'")
    columns = [row[0] for row in db.execute(f"describe select * from read_parquet('{duckdb_file}')").fetchall()]
    row = f"hash({', '.join(columns)})"
    digests = [
        db.execute(f"select count(*), sum({row}::hugeint), bit_xor({row}) from read_parquet(?)", [files]).fetchone()
        for files in (paths, [duckdb_file])
    ]
    assert digests[0] == digests[1], f"the rows differ: {digests}"
    return digests[0][0]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--duckdb-memory", default="4GB")
    parser.add_argument("--json", metavar="FILE")
    arguments = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="alluvium-compaction-")
    try:
        data, config = made(folder, arguments.events)
        source = run([ALLUVIUM, "--json", "sql", "--data", data, "select source from telemetry_raw order by source limit 1 offset 1000"])
        source = json.loads(source)["source"]
        before = {"files": len(active(data)), "files_per_date": files_per_date(data), "query_bytes": bytes_read(data, config, source)}
        times, peaks = {"alluvium": [], "duckdb": []}, {"alluvium": 0, "duckdb": 0}
        for _ in range(arguments.rounds):
            copy, seconds, peak, rounds = ours(data, config, folder)
            times["alluvium"].append(seconds)
            peaks["alluvium"] = max(peaks["alluvium"], peak)
            out, seconds, peak = duckdbs(data, folder, arguments.duckdb_memory)
            times["duckdb"].append(seconds)
            peaks["duckdb"] = max(peaks["duckdb"], peak)
        rows = compared(copy, out)
        after = {"files": len(active(copy)), "files_per_date": files_per_date(copy), "query_bytes": bytes_read(copy, config, source)}
        medians = {name: statistics.median(seconds) for name, seconds in times.items()}
        figures = {
            "events": arguments.events,
            "rows": rows,
            "duplicates": sum(done["duplicates"] for done in rounds),
            "seconds": medians,
            "all_seconds": times,
            "ratio": medians["duckdb"] / medians["alluvium"],
            "peak_bytes": peaks,
            "bytes": {
                "before": sum(done["bytes_before"] for done in rounds),
                "after": sum(done["bytes_after"] for done in rounds),
                "duckdb": os.path.getsize(out),
            },
            "before": before,
            "after": after,
            "versions": {"duckdb": duckdb.__version__, "machine": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(figures, indent=2))
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(figures, file, indent=2)


if __name__ == "__main__":
    main()
