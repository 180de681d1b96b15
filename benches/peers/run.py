"""The conversion beside other tools: the same events from NDJSON to one sorted Parquet file, each tool on one core.

Each tool runs in a process of its own that is pinned to one core, and with one thread where it can be told so. One round runs each
tool once, so that a busy machine hits all of them; medians are over the rounds, ratios are within a round. One round before them, in
which libraries are read from disk, is not counted. Times are from opening the
input to the closed output: imports and an engine's start are not counted. Input and output are in memory (tmpfs), so that no disk is
measured. Afterwards each file is compared with ours, every row and every column, and its order is checked.

Run it by `make bench-peers`. The exit code is 1 when a tool failed or wrote other rows.
"""

import argparse
import hashlib
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import events
import rows

HERE = pathlib.Path(__file__).resolve().parent
SCHEMA = HERE.parents[1] / "datasets/telemetry.json"
RELEASE = pathlib.Path(os.environ.get("ALLUVIUM_RELEASE", HERE.parents[1] / "target/release"))
OURS = "alluvium"
TIMEOUT_SECONDS = 300


def tools():
    """Name, what it is, and the command that is given the events' file and the output's."""
    script = lambda name: [sys.executable, "-B", str(HERE / name)]
    return [
        (OURS, "validated against the schema, cleaned", [str(RELEASE / "convert"), str(SCHEMA)]),
        ("DuckDB", "SQL", script("duckdb_sql.py")),
        ("Polars", "lazy frame", script("polars_frame.py")),
        ("pyarrow", "its JSON reader", script("pyarrow_table.py")),
        ("ClickHouse", "SQL, in the process", script("chdb_sql.py")),
        ("arrow-json", "Rust, with the crate parquet", [str(RELEASE / "arrow_json")]),
        ("Python", "a Lambda's usual code", script("python_lambda.py")),
    ]


def run(command, core):
    """Runs a tool to its end. Returns its figures, or `{"failed": reason}`."""
    single = {name: "1" for name in ["OMP_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS"]}
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complained:
        started = time.perf_counter()
        try:
            process = subprocess.Popen(
                command, stdout=said, stderr=complained, env=os.environ | single,
                preexec_fn=lambda: os.sched_setaffinity(0, {core}),
            )  # fmt: skip
        except OSError as error:
            return {"failed": f"not installed: {error}"}
        signal.signal(signal.SIGALRM, lambda *_: process.kill())
        signal.alarm(TIMEOUT_SECONDS)
        _, status, used = os.wait4(process.pid, 0)
        signal.alarm(0)
        process.returncode = os.waitstatus_to_exitcode(status)
        took = time.perf_counter() - started
        said.seek(0)
        complained.seek(0)
        if process.returncode != 0:
            complaint = complained.read().decode(errors="replace").strip().splitlines() or ["said nothing"]
            missing = "not installed: " if "ModuleNotFoundError" in complaint[-1] else ""
            return {"failed": f"{missing}exit code {process.returncode}: {complaint[-1]}"}
        figures = json.loads(said.read().splitlines()[-1])
    return figures | {"process_seconds": took, "process_cpu_seconds": used.ru_utime + used.ru_stime}


def rounds(events_file, folder, count, core, wanted):
    """Runs every tool once per round; the last output of each stays. Returns the runs by tool, without those of round 0."""
    runs = {name: [] for name in wanted}
    for number in range(count + 1):
        for name, (_, command) in wanted.items():
            output = folder / f"{name}.parquet"
            output.unlink(missing_ok=True)
            figures = run([*command, str(events_file), str(output)], core)
            if "failed" not in figures:
                figures["bytes"] = output.stat().st_size
            runs[name].append(figures)
        took = {name: figures[-1].get("seconds") for name, figures in runs.items()}
        said = ", ".join(f"{name} {seconds:.3f}" if seconds else f"{name} failed" for name, seconds in took.items())
        print(f"round {number}: {said} (load {os.getloadavg()[0]:.1f})", flush=True)
    return {name: figures[1:] for name, figures in runs.items()}


def verdict(name, output, ours):
    """What is wrong with the rows of a tool's file, if anything."""
    if unsorted := rows.out_of_order(output):
        return f"{unsorted} rows out of order"
    if name != OURS and (other := rows.different(ours, output)):
        return f"{other} rows differ"
    return None


def summary(runs, ours):
    """Medians of a tool's runs and its ratios to ours, round by round."""
    median = lambda key: statistics.median(figures[key] for figures in runs)
    ratios = [theirs["seconds"] / mine["seconds"] for theirs, mine in zip(runs, ours)]
    cpu_ratios = [theirs["cpu_seconds"] / mine["cpu_seconds"] for theirs, mine in zip(runs, ours)]
    keys = ["seconds", "cpu_seconds", "process_seconds", "process_cpu_seconds", "peak_bytes", "bytes"]
    return {key: median(key) for key in keys} | {
        "version": runs[-1]["version"],
        "slowest_seconds": max(figures["seconds"] for figures in runs),
        "fastest_seconds": min(figures["seconds"] for figures in runs),
        "ratio": [statistics.median(ratios), min(ratios), max(ratios)],
        "cpu_ratio": [statistics.median(cpu_ratios), min(cpu_ratios), max(cpu_ratios)],
    }


def table(results):
    """The lines of a Markdown table."""
    yield "| tool | version | wall s (fastest–slowest) | ratio to ours (from–to) | CPU s | CPU ratio | peak MiB | file bytes | rows |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name, result in results.items():
        title = f"{name}, {result['about']}"
        if "failed" in result:
            yield f"| {title} | | **failed: {result['failed']}** | | | | | | |"
            continue
        ratio, low, high = result["ratio"]
        yield (
            f"| {title} | {result['version']} | {result['seconds']:.3f} ({result['fastest_seconds']:.3f}–{result['slowest_seconds']:.3f}) "
            f"| {ratio:.2f} ({low:.2f}–{high:.2f}) | {result['cpu_seconds']:.3f} | {result['cpu_ratio'][0]:.2f} "
            f"| {result['peak_bytes'] / 2**20:.0f} | {result['bytes']:,} | {result['wrong'] or 'equal'} |"
        )


def room(bytes_needed):
    """A new folder in memory if there is room, else on disk; and which."""
    memory = "/dev/shm"
    if os.path.isdir(memory) and shutil.disk_usage(memory).free > bytes_needed:
        return pathlib.Path(tempfile.mkdtemp(prefix="alluvium-peers-", dir=memory)), "memory"
    return pathlib.Path(tempfile.mkdtemp(prefix="alluvium-peers-")), "disk"


def machine():
    with open("/proc/cpuinfo") as cpuinfo:
        model = re.search(r"model name\s*:\s*(.*)", cpuinfo.read()).group(1)
    with open("/proc/meminfo") as meminfo:
        kib = int(re.search(r"MemTotal:\s+(\d+)", meminfo.read()).group(1))
    return f"{model}, {os.cpu_count()} cores, {kib / 2**20:.0f} GiB, Linux {platform.release().split('-')[0]}"


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--events", type=int, default=1_000_000)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--runs", type=int, default=9)
    arguments.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    arguments.add_argument("--only", help="names of tools, with commas between; ours always runs")
    arguments.add_argument("--json", help="write the figures of every run to this file")
    arguments = arguments.parse_args()
    chosen = arguments.only and {OURS, *arguments.only.split(",")}
    wanted = {name: (about, command) for name, about, command in tools() if not chosen or name in chosen}
    if chosen and chosen - set(wanted):
        sys.exit(f"no such tool: {', '.join(sorted(chosen - set(wanted)))}")
    folder, place = room(arguments.events * 1_024)
    try:
        events_file = folder / "events.ndjson"
        events.write(events_file, arguments.events, arguments.seed)
        with open(events_file, "rb") as written:
            digest = hashlib.file_digest(written, "sha256").hexdigest()
        size = events_file.stat().st_size
        print(f"{machine()}; core {arguments.core}; input and output in {place}")
        print(f"{arguments.events:,} events, {size / arguments.events:.0f} bytes each, seed {arguments.seed}, SHA-256 {digest}", flush=True)
        runs = rounds(events_file, folder, arguments.runs, arguments.core, wanted)
        ours = folder / f"{OURS}.parquet"
        results = {}
        for name, (about, _) in wanted.items():
            failed = next((figures["failed"] for figures in runs[name] if "failed" in figures), None)
            if failed or "failed" in runs[OURS][-1]:
                results[name] = {"about": about, "failed": failed or "nothing of ours to compare with"}
                continue
            wrong = verdict(name, folder / f"{name}.parquet", ours)
            results[name] = {"about": about, "wrong": wrong} | summary(runs[name], runs[OURS])
        if ours.exists() and rows.count(ours) != arguments.events:
            results[OURS]["wrong"] = f"{rows.count(ours)} rows"
    finally:
        shutil.rmtree(folder)
    print("\n".join(table(results)))
    if phases := runs[OURS][-1].get("phases"):
        print("ours, last round:", ", ".join(f"{name} {seconds:.3f} s" for name, seconds in phases.items()))
    if arguments.json:
        with open(arguments.json, "w") as out:
            json.dump({"machine": machine(), "events": arguments.events, "sha256": digest, "runs": runs, "results": results}, out, indent=1)
    return int(any("failed" in result or result["wrong"] for result in results.values()))


if __name__ == "__main__":
    sys.exit(main())
