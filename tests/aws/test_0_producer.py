"""Our producer puts to Kinesis as two emulators have it, and every record is read back once."""

import base64
import json
import subprocess

import pytest
from aws_kinesis_agg.deaggregator import deaggregate_records

from emulator import Emulator
from stage import ALLUVIUM, until

EVENTS = 5_000


def read_all(kinesis, stream):
    """Every record of every shard, taken apart."""
    users = []
    for shard in kinesis.list_shards(StreamName=stream)["Shards"]:
        iterator = kinesis.get_shard_iterator(
            StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while True:
            page = kinesis.get_records(ShardIterator=iterator, Limit=10_000)
            users += deaggregate_records([
                {"kinesis": {
                    "data": base64.b64encode(record["Data"]), "partitionKey": record["PartitionKey"],
                    "sequenceNumber": record["SequenceNumber"], "kinesisSchemaVersion": "1.0",
                    "approximateArrivalTimestamp": record["ApproximateArrivalTimestamp"].timestamp(),
                }}
                for record in page["Records"]
            ])  # fmt: skip
            iterator = page.get("NextShardIterator")
            if not iterator or (not page["Records"] and not page.get("MillisBehindLatest")):
                break
    return [base64.b64decode(user["kinesis"]["data"]) for user in users]


@pytest.mark.parametrize("kind", ["ministack", "moto"])
def test_every_event_is_read_back_once(kind, tmp_path):
    emulator = Emulator(kind, tmp_path)
    try:
        kinesis = emulator.client("kinesis")
        file = tmp_path / "events.ndjson"
        with file.open("wb") as made:
            generate = [ALLUVIUM, "generate", "--count", str(EVENTS), "--seed", "7", "--start", "2026-01-01T00:00:00Z"]
            subprocess.run(generate, stdout=made, env=emulator.environment(), check=True)
        expected = sorted(file.read_bytes().splitlines())
        assert len(expected) == EVENTS
        # moto gives the records of two calls to one shard at a time one number, and keeps one of them; its source says so.
        calls = {"moto": ["--concurrency", "1"], "ministack": []}[kind]
        for stream, *how in [("kpl",), ("ordered", "--ordered"), ("single", "--aggregate", "none")]:
            kinesis.create_stream(StreamName=stream, ShardCount=3)
            active = lambda: kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]["StreamStatus"]
            until(lambda: active() == "ACTIVE", f"the stream {stream}")
            command = [ALLUVIUM, "--json", "send", "--to", f"kinesis:{stream}", *how, *calls, str(file)]
            sent = subprocess.run(command, env=emulator.environment(), capture_output=True, text=True)
            assert sent.returncode == 0, sent.stderr
            told = json.loads(sent.stdout)
            assert (told["accepted"], told["failed"]) == (EVENTS, 0)
            assert sorted(read_all(kinesis, stream)) == expected, stream
        missing = subprocess.run(
            [ALLUVIUM, "send", "--to", "kinesis:nowhere", str(file)], env=emulator.environment(), capture_output=True, text=True
        )
        assert missing.returncode == 1 and "nowhere" in missing.stderr and "denied" in missing.stderr, missing.stderr
    finally:
        emulator.stop()


def test_lines_put_to_firehose_are_what_it_writes(tmp_path):
    """moto's Firehose writes what it is put; how the service buffers and delivers is not seen here."""
    emulator = Emulator("moto", tmp_path)
    try:
        objects, firehose = emulator.client("s3"), emulator.client("firehose")
        objects.create_bucket(Bucket="landing", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        to = {"RoleARN": "arn:aws:iam::123456789012:role/firehose", "BucketARN": "arn:aws:s3:::landing"}
        firehose.create_delivery_stream(DeliveryStreamName="direct", ExtendedS3DestinationConfiguration=to)
        lines = [json.dumps({"id": str(number), "source": f"device-{number % 7}"}) for number in range(3_000)]
        file = tmp_path / "events.ndjson"
        file.write_text("".join(line + "\n" for line in lines))
        command = [ALLUVIUM, "--json", "send", "--to", "firehose:direct", "--aggregate", "ndjson", str(file)]
        sent = subprocess.run([*command, "--concurrency", "1"], env=emulator.environment(), capture_output=True, text=True)
        assert sent.returncode == 0, sent.stderr
        assert json.loads(sent.stdout)["accepted"] == len(lines)
        keys = [listed["Key"] for listed in objects.list_objects_v2(Bucket="landing")["Contents"]]
        written = "".join(objects.get_object(Bucket="landing", Key=key)["Body"].read().decode() for key in keys)
        assert sorted(written.splitlines()) == sorted(lines)
    finally:
        emulator.stop()
