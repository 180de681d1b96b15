"""Fluent Bit's own producer (`kinesis_streams`): the records as lines of a file, read by `tail`, parsed as JSON and put by its one worker.

A record is the JSON that it prints out of what it parsed, and a newline; partition keys are its own. The records are such that this is the
line that it read. Without parsing its `log_key` puts the line escaped as within a JSON string, which is other bytes.

Peak memory and CPU are those of the whole process, what it takes to start and to read the file included. The time is until the endpoint
has every record, for it looks once a second whether it may stop.
"""

import http.client
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.parse

POLL_SECONDS = 0.02
SETTINGS = {"plain": {}, "aggregated": {"simple_aggregation": "on"}}
SETTINGS["aggregated_zstd"] = SETTINGS["aggregated"] | {"compression": "zstd"}


def config(lines, endpoint, settings):
    """YAML, of which JSON is a part."""
    tail = {
        "name": "tail", "path": str(lines), "parser": "json", "read_from_head": "on", "exit_on_eof": "on", "mem_buf_limit": "64M",
    }  # fmt: skip
    output = {
        "name": "kinesis_streams", "match": "*", "stream": "bench", "region": os.environ["AWS_REGION"],
        "endpoint": endpoint.hostname, "port": endpoint.port,
    }  # fmt: skip
    return {
        "service": {"flush": 0.1, "grace": -1, "log_level": "warn"},
        "parsers": [{"name": "json", "format": "json"}],
        "pipeline": {"inputs": [tail], "outputs": [output | settings]},
    }


def main(path, mode):
    endpoint = urllib.parse.urlsplit(os.environ["AWS_ENDPOINT_URL"])
    with tempfile.TemporaryDirectory(dir=pathlib.Path(path).parent) as folder:
        lines, settings = pathlib.Path(folder) / "lines.ndjson", pathlib.Path(folder) / "fluent-bit.yaml"
        with open(path, "rb") as records, open(lines, "wb") as file:
            for line in records:
                file.write(line.split(b"\t", 1)[1])
        settings.write_text(json.dumps(config(lines, endpoint, SETTINGS[mode])))
        counts = http.client.HTTPConnection(endpoint.netloc)
        started, seconds = time.perf_counter(), None
        process = subprocess.Popen([os.environ["FLUENT_BIT"], "--config", str(settings)], stdout=sys.stderr)
        while True:
            ended, status, used = os.wait4(process.pid, os.WNOHANG)
            counts.request("GET", "/counts")
            counted = json.load(counts.getresponse())
            if seconds is None and (ended or counted["user_records"] >= counted["expected_user_records"]):
                seconds = time.perf_counter() - started
            if ended:
                break
            time.sleep(POLL_SECONDS)
    if status:
        sys.exit(os.waitstatus_to_exitcode(status))
    said = {
        "seconds": seconds,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_bytes": used.ru_maxrss * 1024,
        "records": counted["expected_user_records"],
    }
    print(json.dumps(said), flush=True)


main(*sys.argv[1:])
