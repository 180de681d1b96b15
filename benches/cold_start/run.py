"""How the functions start, and what the transform needs for the largest event: `run.py FOLDER-OF-ZIPS`.

Each zip is unpacked, and its `bootstrap` started as Lambda starts it, beside a Runtime API and an AWS that answers at once, both on this
machine. *Init* is the time from before the process is made until it asks for its first event; *cold*, with the binary's file not in the
page cache. *Peak* is the most memory that the transform's process had (VmHWM) after five events of just under 6 MB in a row.

What this does not show: Lambda's own work before the process starts, its smaller share of a core, TLS, and AWS's latency.
Run it by `make bench-cold-start`. The exit code is 1 when a function does not start, a record is not `Dropped`, or an aim is missed.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import sys
import tempfile
import zipfile

from aws_stub import Aws
from deliveries import all_kinds
from lambda_host import Function

STARTS = 20
EVENTS_IN_A_ROW = 5
MOST_INIT_SECONDS = 0.050
MOST_PEAK_BYTES = 128 * 1024 * 1024
MOST_ZIP_BYTES = {"transform": 8_000_000}
# As Terraform has them by default: `memory_megabytes` in infra/variables.tf.
MEGABYTES = {"transform": 512, "commit": 1024, "gateway": 256, "query": 512, "authorizer": 128, "hot-writer": 256}


def variables(function, url):
    """A function's variables, as in the table of infra/README.md."""
    own = {
        "transform": {
            "ALLUVIUM_LAKE": "s3://bench/lake",
            "ALLUVIUM_COMMIT__QUEUE": f"{url}/000000000000/commits",
            "ALLUVIUM_HOT__TABLE": "hot",
            "ALLUVIUM_HOT__MARGIN": "1h",
            "ALLUVIUM_HOT__BUFFER": f"{url}/000000000000/hot-buffer",
            "ALLUVIUM_HOT__WAITING": "waiting",
            "ALLUVIUM_OWNER": "anonymous",
            "ALLUVIUM_DEFAULT_DATASET": "telemetry",
        },
        "commit": {
            "ALLUVIUM_LAKE": "s3://bench/lake",
            "ALLUVIUM_COMMIT__CHECKPOINT_EVERY": "100",
            "ALLUVIUM_COMMIT__QUEUE": f"{url}/000000000000/commits",
            "ALLUVIUM_HOT__TABLE": "hot",
        },
        "gateway": {"ALLUVIUM_STREAM__NAME": "events", "ALLUVIUM_LIMITS__BODY_BYTES": str(4 * 1024 * 1024)},
        "query": {
            "ALLUVIUM_HOT__TABLE": "hot",
            "ALLUVIUM_HOT__MARGIN": "1h",
            "ALLUVIUM_HOT__WAITING": "waiting",
            "ALLUVIUM_SQL__DATABASE": "bench",
            "ALLUVIUM_SQL__WORKGROUP": "bench",
            "ALLUVIUM_SQL__TIME": "20s",
        },
        "authorizer": {
            "ALLUVIUM_AUTH__SECRET": "secret:arn:aws:secretsmanager:eu-west-1:000000000000:secret:bench",
            "ALLUVIUM_AUTH__ROLE_CLAIM": "Role",
        },
        "hot-writer": {
            "ALLUVIUM_LAKE": "s3://bench/lake",
            "ALLUVIUM_HOT__TABLE": "hot",
            "ALLUVIUM_HOT__WAITING": "waiting",
            "ALLUVIUM_HOT__BUFFER": f"{url}/000000000000/hot-buffer",
            "ALLUVIUM_HOT__WRITE_UNITS_PER_SECOND": "250",
        },
    }
    return {**own[function], "ALLUVIUM_VERBOSITY": "info", "AWS_ENDPOINT_URL": url}


def forget(path):
    """Puts a file out of the page cache."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def starts(function, folder, url):
    """Starts a function over and over. Returns the figures."""
    warm, cold, cpu, peaks = [], [], [], []
    for number in range(STARTS + 1):
        with Function(folder, function, variables(function, url), MEGABYTES[function]) as started:
            peak = started.peak_bytes()
            used = started.stop()
        # The first one only fills the cache.
        if number > 0:
            warm.append(started.init_seconds)
            cpu.append(used)
            peaks.append(peak)
    for _ in range(STARTS):
        forget(folder / "bootstrap")
        with Function(folder, function, variables(function, url), MEGABYTES[function]) as started:
            cold.append(started.init_seconds)
    return {
        "init_seconds": statistics.median(warm),
        "init_slowest_seconds": max(warm),
        "cold_seconds": statistics.median(cold),
        "cold_slowest_seconds": max(cold),
        "cpu_seconds": statistics.median(cpu),
        "peak_bytes": max(peaks),
    }


def invocations(folder, aws):
    """Hands each kind of largest event to a transform of its own, several times. Yields the figures."""
    for name, event, records, events in all_kinds():
        aws.taken()
        with Function(folder, "transform", variables("transform", aws.url), MEGABYTES["transform"]) as transform:
            seconds, peaks, stored = [], [], {}
            for number in range(EVENTS_IN_A_ROW):
                took, response = transform.invoke(event)
                seconds.append(took)
                peaks.append(transform.peak_bytes())
                verdicts = [verdict["result"] for verdict in json.loads(response)["records"]]
                if verdicts != ["Dropped"] * records:
                    raise RuntimeError(f"{name}: of {records} records {verdicts.count('Dropped')} are Dropped: {response[:300]}")
                stored = aws.taken() if number == 0 else stored
        yield {
            "name": name,
            "event_bytes": len(event),
            "records": records,
            "events": events,
            "first_seconds": seconds[0],
            "later_seconds": statistics.median(seconds[1:]),
            "first_peak_bytes": peaks[0],
            "peak_bytes": peaks[-1],
            "stored": stored,
        }


def missed(functions, deliveries):
    """The aims that were not met, as sentences."""
    for name, figures in functions.items():
        if figures["init_seconds"] >= MOST_INIT_SECONDS:
            yield f"{name} starts in {figures['init_seconds'] * 1000:.1f} ms; the aim is under {MOST_INIT_SECONDS * 1000:.0f}"
        if figures["zip_bytes"] >= MOST_ZIP_BYTES.get(name, figures["zip_bytes"] + 1):
            yield f"{name}'s zip has {figures['zip_bytes']:,} bytes; the aim is under {MOST_ZIP_BYTES[name]:,}"
    for figures in deliveries:
        if figures["peak_bytes"] >= MOST_PEAK_BYTES:
            yield f"{figures['name']}: {figures['peak_bytes'] / 2**20:.0f} MiB of memory; the aim is under {MOST_PEAK_BYTES >> 20}"


def processor():
    """What the system calls the processor."""
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def show(functions, deliveries):
    ms = lambda seconds: f"{seconds * 1000:.1f}"
    mib = lambda size: f"{size / 2**20:.0f}"
    print("| function | zip, bytes | binary, bytes | init, ms (slowest) | cold, ms (slowest) | CPU, ms | memory, MiB |")
    print("|---|---|---|---|---|---|---|")
    for name, f in functions.items():
        print(
            f"| `{name}` | {f['zip_bytes']:,} | {f['binary_bytes']:,} | {ms(f['init_seconds'])} ({ms(f['init_slowest_seconds'])}) "
            f"| {ms(f['cold_seconds'])} ({ms(f['cold_slowest_seconds'])}) | {ms(f['cpu_seconds'])} | {mib(f['peak_bytes'])} |"
        )
    print("\n| delivery of 6 MB | records | events | first, ms | later, ms | peak after one, MiB | after five, MiB |")
    print("|---|---|---|---|---|---|---|")
    for f in deliveries:
        print(
            f"| {f['name']} | {f['records']:,} | {f['events']:,} | {ms(f['first_seconds'])} | {ms(f['later_seconds'])} "
            f"| {mib(f['first_peak_bytes'])} | {mib(f['peak_bytes'])} |"
        )
    for f in deliveries:
        print(f"{f['name']}: {f['event_bytes']:,} bytes; stored {f['stored']}")


def main():
    parser = argparse.ArgumentParser(description="How the functions start, and what the transform needs for 6 MB.")
    parser.add_argument("zips", type=pathlib.Path, help="the folder of <function>.zip")
    parser.add_argument("--only", choices=list(MEGABYTES), action="append", help="only this function")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures to this file too")
    arguments = parser.parse_args()
    wanted = arguments.only or list(MEGABYTES)

    print(f"{processor()}, {os.cpu_count()} cores, Linux {platform.release()}, load {os.getloadavg()[0]:.1f}", flush=True)
    aws, functions, deliveries = Aws(), {}, []
    with tempfile.TemporaryDirectory(prefix="alluvium-bench-") as unpacked:
        for name in wanted:
            folder = pathlib.Path(unpacked) / name
            package = arguments.zips / f"{name}.zip"
            with zipfile.ZipFile(package) as packed:
                packed.extractall(folder)
            binary = folder / "bootstrap"
            binary.chmod(0o755)
            sizes = {"zip_bytes": package.stat().st_size, "binary_bytes": binary.stat().st_size}
            functions[name] = {**sizes, **starts(name, folder, aws.url)}
        if "transform" in wanted:
            deliveries = list(invocations(pathlib.Path(unpacked) / "transform", aws))
    show(functions, deliveries)
    if arguments.json:
        arguments.json.write_text(json.dumps({"functions": functions, "deliveries": deliveries}, indent=1))
    complaints = list(missed(functions, deliveries))
    for sentence in complaints:
        print(f"missed: {sentence}", file=sys.stderr)
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
