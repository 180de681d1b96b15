"""The usual Python producer: boto3, 500 records a call, one call after the other, and again what was refused."""

import json
import pathlib
import sys
import time

import boto3

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "peers"))
import timing  # noqa: E402

CALL_RECORDS = 500


def main(path, rate=None):
    rate = rate and float(rate)
    with open(path, "rb") as file:
        records = [line.rstrip(b"\n").split(b"\t", 1) for line in file]
    client = boto3.client("kinesis")
    latencies = []
    before, started = timing.cpu_seconds(), time.perf_counter()
    for first in range(0, len(records), CALL_RECORDS):
        entries, taken = [], []
        for number, (key, data) in enumerate(records[first : first + CALL_RECORDS], first):
            if rate and (wait := started + number // (rate / 1000) / 1000 - time.perf_counter()) > 0:
                time.sleep(wait)
            entries.append({"PartitionKey": key.decode(), "Data": data})
            taken.append(time.perf_counter())
        while entries:
            answer = client.put_records(StreamName="bench", Records=entries)
            entries = [entry for entry, said in zip(entries, answer["Records"]) if "ErrorCode" in said]
        done = time.perf_counter()
        latencies.extend(done - at for at in taken)
    said = {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": timing.cpu_seconds() - before,
        "peak_bytes": timing.peak_bytes(),
        "records": len(records),
    }
    if rate:
        latencies.sort()
        said["p50_ms"], said["p99_ms"] = (latencies[round((len(latencies) - 1) * share)] * 1e3 for share in (0.5, 0.99))
    print(json.dumps(said), flush=True)


main(*sys.argv[1:])
