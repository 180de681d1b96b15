"""Producers of Kinesis records beside each other: the same records to the same endpoint, each producer alone on one core.

The endpoint (`kinesis_sink`) takes everything, on the other core. It takes apart what comes, and after each run its count of user records
and the sum over their hashes must be those of the file, or the run does not count. One round runs every producer once, so that a busy
machine hits all of them; medians are over the rounds, ratios within a round. One round before them is not counted.

Two kinds of run: at full load, and at a steady rate, which shows how long a record takes from being handed over to being acknowledged.
Times begin after the records are read into memory. CPU is the producer's own. Fluent Bit is measured at full load, if `FLUENT_BIT` is the
path of one (docs/performance.md says how to build it); it reads a file, so that its time and CPU begin with its process.

Run it by `make bench-producer`. The exit code is 1 when a producer failed or other records arrived.
"""

import argparse
import itertools
import json
import os
import pathlib
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
RELEASE = pathlib.Path(os.environ.get("ALLUVIUM_RELEASE", HERE.parents[1] / "target/release"))
FLUENT_BIT = os.environ.get("FLUENT_BIT")
OURS = "Alluvium, kpl"
# Has no rate to be held to, and tells nobody when a record was acknowledged.
UNPACED = "Fluent Bit"
RECORD_BYTES = 200
SOURCES = 10_000
RATE = 10_000
TIMEOUT_SECONDS = 600


def producers(wanted):
    """Name and the command that is given the file of records, and a rate if there is one."""
    ours = lambda mode: [str(RELEASE / "produce"), "{records}", mode]
    script = lambda name: [sys.executable, "-B", str(HERE / name), "{records}"]
    known = {
        OURS: ours("kpl"),
        "Alluvium, ndjson_zstd": ours("ndjson_zstd"),
        "Alluvium, no aggregation": ours("none"),
        "Rust loop over the SDK": [str(RELEASE / "naive_produce"), "{records}"],
        "boto3": script("boto3_batches.py"),
    }
    if FLUENT_BIT:
        known |= {f"{UNPACED}, {mode}": script("fluent_bit.py") + [mode] for mode in ("plain", "aggregated", "aggregated_zstd")}
    else:
        print(f"{UNPACED} is not measured: FLUENT_BIT is not set")
    return {name: command for name, command in known.items() if not wanted or name in wanted}


def printed_alike(numbers):
    """The first that is the same text for all: Fluent Bit prints what it parsed with 16 digits, 87.9 as 87.90000000000001."""
    return next(number for number in numbers if f"{number:.16g}" == repr(number))


def write_records(path, count, seed):
    """Lines of a partition key, a tab, and JSON: `RECORD_BYTES` bytes of readings that differ as those of devices do."""
    draw = random.Random(seed)
    with open(path, "w") as file:
        for number in range(count):
            source = f"device-{draw.randrange(SOURCES):05}"
            millis = 1_767_225_600_000 + number
            value = printed_alike(round(draw.gauss(21, 4), 3) for _ in itertools.count())
            battery = printed_alike(draw.randint(200, 999) / 10 for _ in itertools.count())
            data = (
                f'{{"id":"{draw.getrandbits(64):016x}","source":"{source}","type":"reading","time":{millis},'
                f'"value":{value},"unit":"Cel","battery":{battery},"note":"'
            )
            data += "".join(draw.choices("etaoin shrdlu", k=RECORD_BYTES - len(data) - 2)) + '"}'
            file.write(f"{source}\t{data}\n")


class Endpoint:
    """The endpoint in a process of its own, pinned to a core."""

    def __init__(self, records, core):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = "127.0.0.1:%d" % free.getsockname()[1]
        self.url = f"http://{self.address}"
        self.process = subprocess.Popen(
            [str(RELEASE / "kinesis_sink"), self.address, str(records)], stdout=subprocess.PIPE,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )  # fmt: skip
        assert self.process.stdout.readline() == b"listening\n"

    def reset(self):
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/reset", method="POST")).close()

    def counts(self):
        with urllib.request.urlopen(f"{self.url}/counts") as answer:
            return json.load(answer)


def run(command, endpoint, records, core, rate):
    """Runs a producer to its end. Returns its figures and the endpoint's, or `{"failed": reason}`."""
    command = [part.format(records=records) for part in command] + ([str(rate)] if rate else [])
    environment = os.environ | {
        "AWS_ENDPOINT_URL": endpoint.url, "AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_EC2_METADATA_DISABLED": "true",
    }  # fmt: skip
    endpoint.reset()
    pin = lambda: os.sched_setaffinity(0, {core})
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=pin
    )
    try:
        said, complained = process.communicate(timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return {"failed": f"took more than {TIMEOUT_SECONDS} s"}
    if process.returncode != 0:
        return {"failed": f"exit code {process.returncode}: {(complained.strip() or 'said nothing').splitlines()[-1]}"}
    counts = endpoint.counts()
    arrived, expected = ((counts[f"{of}user_records"], counts[f"{of}sum"]) for of in ("", "expected_"))
    if arrived != expected:
        return {"failed": f"{arrived[0]} user records arrived, expected {expected[0]}, or others than were sent"}
    return json.loads(said.splitlines()[-1]) | counts


def figures(of):
    """What a run at full load came to."""
    records = of["records_sent"]
    return {
        "records_per_second": records / of["seconds"],
        "records_per_cpu_second": records / of["cpu_seconds"],
        "cpu_seconds_per_million": of["cpu_seconds"] / records * 1e6,
        "requests": of["requests"],
        "stream_records": of["records"],
        "wire_bytes_per_record": of["bytes_received"] / records,
        "peak_mib": of["peak_bytes"] / 2**20,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rate-seconds", type=int, default=10)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--json", type=pathlib.Path, help="where all figures go")
    asked = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    contestants, failed = producers(asked.only), []
    results = {"full": {name: [] for name in contestants}, "rate": {name: [] for name in contestants}}
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        for kind, count, rate in [
            ("full", asked.records, None),
            ("rate", RATE * asked.rate_seconds, RATE),
        ]:
            records = pathlib.Path(folder) / f"{kind}.tsv"
            write_records(records, count, seed=1)
            endpoint = Endpoint(records, cores[0])
            try:
                for number in range(asked.rounds + 1):
                    for name, command in contestants.items():
                        if rate and name.startswith(UNPACED):
                            continue
                        of = run(command, endpoint, records, cores[-1], rate)
                        if "failed" in of:
                            failed.append(f"{name}: {of['failed']}")
                            continue
                        # The producer says `records` of what it sent, the endpoint of what a call holds.
                        of["records_sent"] = count
                        if number > 0:
                            results[kind][name].append(of)
                    print(f"{kind}, round {number} of {asked.rounds} (load {os.getloadavg()[0]:.1f})", flush=True)
            finally:
                endpoint.process.kill()
                endpoint.process.wait()
    report(results)
    if asked.json:
        asked.json.write_text(json.dumps(results, indent=1))
    for why in failed:
        print(f"FAILED {why}", file=sys.stderr)
    sys.exit(1 if failed else 0)


def report(results):
    ours = results["full"].get(OURS, [])
    for name, runs in results["full"].items():
        if not runs:
            continue
        said = [figures(of) for of in runs]
        median = {key: statistics.median(one[key] for one in said) for key in said[0]}
        line = ", ".join(f"{key} {value:,.1f}" for key, value in median.items())
        ratios = [figures(mine)["records_per_cpu_second"] / figures(of)["records_per_cpu_second"] for mine, of in zip(ours, runs)]
        ratio = f"; ours does {statistics.median(ratios):.1f} times as many records per CPU second" if ratios else ""
        print(f"{name}: {line}{ratio}")
    for name, runs in results["rate"].items():
        if runs:
            p50, p99 = (statistics.median(of[key] for of in runs) for key in ("p50_ms", "p99_ms"))
            cpu = statistics.median(of["cpu_seconds"] / of["seconds"] for of in runs)
            print(f"{name} at {RATE:,} records a second: p50 {p50:.1f} ms, p99 {p99:.1f} ms, {cpu:.1%} of a core")


main()
