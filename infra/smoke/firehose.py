"""Firehose: items 11 to 17, and 39."""

import gzip
import json
import pathlib
import tempfile
import time

from stack import delivery_stream
from steps import Skipped, expect, step

NOT_AWS = "its Firehose calls the function once per record and knows no batches"
# How long Firehose gathers what it copies: infra/modules/transform/firehose.tf.
BACKUP_SECONDS = 300
# How far the ledger's count may lie from Firehose's: what is read and not committed yet, and metrics that are minutes late.
LATE = 0.02


@step(11, "Batches by time", no_emulator=NOT_AWS, needs="slow")
def batches_by_time(stage):
    delivery_stream(stage)
    source = f"smoke-time-{time.time_ns()}"
    token = stage.token("data.write")
    for number in range(600):
        body = json.dumps({"id": f"{source}-{number}", "source": source, "value": 1.0})
        # A token is good for ten minutes.
        token = stage.token("data.write") if number % 300 == 0 else token
        began = time.monotonic()
        expect(stage.call("POST", "/v1/telemetry", token, body)[0] == 202, f"event {number} was not taken")
        time.sleep(max(0.0, 1 - (time.monotonic() - began)))
    time.sleep(180)
    calls = stage.metric("AWS/Lambda", "Invocations", {"FunctionName": stage.function("transform")}, "Sum", 900)
    most = 300 / max(1, int(stage.of["buffer_seconds"])) * shards_of(stage)
    return expect(calls and max(calls) <= 1.5 * most, f"{calls} invocations in five minutes each, {most:.0f} expected at most")


@step(12, "All `Dropped` leaves nothing", no_emulator=NOT_AWS)
def dropped_leaves_nothing(stage):
    objects = stage.objects(stage.of["landing"], "unexpected/")
    return expect(not objects, f"{len(objects)} objects under unexpected/")


@step(13, "Payload", no_emulator=NOT_AWS, needs="slow")
def payload(stage):
    delivery_stream(stage)
    shards = shards_of(stage)
    if shards < 20:
        raise Skipped(f"it takes 20 shards, and the stream has {shards}")
    before = {found["Key"] for found in stage.objects(stage.of["landing"], "processing-failed/")}
    stage.alluvium("generate", "--count", "1200000", "--rate", "20000", "--aggregate", "none")
    time.sleep(300)
    errors = sum(stage.metric("AWS/Lambda", "Errors", {"FunctionName": stage.function("transform")}, "Sum", 900))
    failed = {found["Key"] for found in stage.objects(stage.of["landing"], "processing-failed/")} - before
    return expect(errors == 0 and not failed, f"{errors:.0f} errors, {len(failed)} objects under processing-failed/")


class HeldUp:
    """The transform with no invocation let through; always let go again."""

    def __init__(self, stage):
        self.stage = stage

    def __enter__(self):
        name = self.stage.function("transform")
        self.stage.aws("lambda", "put-function-concurrency", "--function-name", name, "--reserved-concurrent-executions", "0")

    def __exit__(self, *_):
        self.stage.aws("lambda", "delete-function-concurrency", "--function-name", self.stage.function("transform"))


@step(14, "What `invocationId` does across retries", no_emulator=NOT_AWS, needs="disturb")
def invocation_ids(stage):
    delivery_stream(stage)
    with HeldUp(stage):
        source = stage.send("invocation", 100)
        time.sleep(60)
    rows = stage.rows_of(source, 100, seconds=600)
    expect(rows == 100, f"100 events were sent while the transform was held up, and the lake has {rows}")
    raise Skipped(f"all events arrived; compare the ids in the log of {stage.function('transform')} yourself")


@step(15, "The error prefix", no_emulator=NOT_AWS, needs="disturb")
def error_prefix(stage):
    delivery_stream(stage)
    before = {found["Key"] for found in stage.objects(stage.of["landing"], "processing-failed/")}
    with HeldUp(stage):
        source = stage.send("aside", 100)
        time.sleep(15 * 60)
    aside = [found["Key"] for found in stage.objects(stage.of["landing"], "processing-failed/") if found["Key"] not in before]
    expect(aside, "after fifteen minutes nothing lies under processing-failed/")
    for line in read(stage, aside[0]).decode().splitlines():
        missing = {"attemptsMade", "errorCode", "rawData"} - json.loads(line).keys()
        expect(not missing, f"a line of {aside[0]} has no {missing}")
    drained = json.loads(stage.alluvium("drain").stdout)
    rows = stage.rows_of(source, 100, seconds=600)
    return expect(rows == 100, f"{len(aside)} objects set aside, {drained['records']} records drained, {rows} of 100 events in the lake")


@step(16, "The source backup", no_emulator=NOT_AWS)
def source_backup(stage):
    delivery_stream(stage)
    if stage.of["raw_backup_days"] == "0":
        raise Skipped("raw_backup_days is 0")
    objects = stage.objects(stage.of["landing"], "source/")
    if not objects:
        # Nothing was copied yet, or all of it has expired.
        stage.send("backup", 10)
        for _ in range((BACKUP_SECONDS + 180) // 15):
            time.sleep(15)
            objects = stage.objects(stage.of["landing"], "source/")
            if objects:
                break
    expect(objects, f"{BACKUP_SECONDS + 180} s after events were sent nothing lies under source/")
    newest = max(objects, key=lambda found: found["LastModified"])["Key"]
    raw = read(stage, newest)
    expect(raw[:2] == b"\x1f\x8b", f"{newest} is not gzip")
    plain = gzip.decompress(raw)
    kpl = plain.count(b"\xf3\x89\x9a\xc2")
    return f"{newest}: {len(plain)} bytes, {plain.count(10)} line feeds, {kpl} aggregates in it; look whether records have a delimiter"


@step(17, "KPL aggregates")
def aggregates(stage):
    source = f"smoke-kpl-{time.time_ns()}"
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "events.ndjson"
        file.write_text("".join(json.dumps({"id": f"{source}-{n}", "source": source, "value": float(n)}) + "\n" for n in range(50)))
        stage.alluvium("send", "--aggregate", "kpl", file)
    if stage.of.get("default_dataset") != "telemetry":
        raise Skipped("it takes `default_dataset = \"telemetry\"`, for a stream is told no dataset")
    rows = stage.rows_of(source, 50)
    return expect(rows == 50, f"an aggregate of 50 events became {rows} rows")


@step(39, "What Firehose has read", no_emulator="nothing counts what is read there")
def read_counts(stage):
    name = delivery_stream(stage)
    # An hour, whole minutes, ended before what is still on its way: a buffer, its commit, and the metric's own delay.
    now = int(time.time())
    end = (now - int(stage.of["buffer_seconds"]) - 600) // 60 * 60
    begin = end - 3600
    hour = {"statistic": "Sum", "seconds": 3600, "period": 60, "end": end}
    read_records = sum(stage.metric("AWS/Firehose", "DataReadFromKinesisStream.Records", {"DeliveryStreamName": name}, **hour))
    put_records = sum(stage.metric("AWS/Kinesis", "IncomingRecords", {"StreamName": stage.of["stream_name"]}, **hour))
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begin))
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end))
    counted = f"select coalesce(sum(received), 0) as n from ledger where arrival >= timestamp '{since}' and arrival < timestamp '{until}'"
    [row] = stage.sql(counted, athena=False)
    seen = f"from {since} to {until}: {put_records:.0f} records put, {read_records:.0f} read by Firehose, {row['n']} events in the ledger"
    expect(abs(put_records - read_records) <= LATE * max(put_records, 50), seen)
    # A record holds one event or more, and none without any that is told from it.
    return expect(row["n"] >= (1 - LATE) * read_records, seen)


def shards_of(stage):
    described = stage.aws("kinesis", "describe-stream-summary", "--stream-name", stage.of["stream_name"])
    return described["StreamDescriptionSummary"]["OpenShardCount"]


def read(stage, key):
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "object"
        stage.aws("s3api", "get-object", "--bucket", stage.of["landing"], "--key", key, str(file))
        return file.read_bytes()
