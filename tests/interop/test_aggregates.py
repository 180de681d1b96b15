"""Aggregated records, judged by a library that is not ours: it takes apart what our producer puts together, and the other way round."""

import base64
import hashlib
import json
import random
import subprocess

import pytest
from aws_kinesis_agg.aggregator import RecordAggregator
from aws_kinesis_agg.deaggregator import deaggregate_records
from program import ALLUVIUM, ENVIRONMENT, alluvium, eventually
from test_kinesis import client, read_all, stream_node  # noqa: F401

KPL_MAGIC = bytes.fromhex("f3899ac2")
SEEDS = range(8)


def drawn(seed):
    """Events that differ in size, in what they hold, and in how many come of one source."""
    draw = random.Random(seed)
    sources = [f"source {seed} {number} ☂" for number in range(draw.choice([1, 3, 200]))]
    events = []
    for number in range(draw.choice([1, 2, 500, 2_000])):
        size = draw.choice([0, 10, 100, 100, 100, 5_000, 60_000 if draw.random() < 0.02 else 500])
        event = {"id": f"{seed}-{number}", "source": draw.choice(sources), "value": number}
        event |= {"note": "".join(draw.choices("abc \u00e9\u2602\"\\\n", k=size))} if size else {}
        events.append(event)
    return events


def hash_key(partition_key):
    return int.from_bytes(hashlib.md5(partition_key.encode()).digest(), "big")


def send(node, file, *arguments):
    """Our producer, against the endpoint of a node."""
    aws = {
        "AWS_ENDPOINT_URL": node.url, "AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_EC2_METADATA_DISABLED": "true",
    }  # fmt: skip
    command = [ALLUVIUM, "--json", "send", "--to", "kinesis:alluvium", *arguments, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT | aws)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def in_the_lake(node, seed, expected):
    statement = (
        "select count(*) as n, count(distinct event_id) as ids, coalesce(sum(value), 0) as total from telemetry_raw "
        f"where event_id like '{seed}-%'"
    )
    ask = lambda: json.loads(alluvium("--json", "sql", "--data", node.data, statement))
    total = sum(event["value"] for event in expected)
    eventually(ask, lambda row: row == {"n": len(expected), "ids": len(expected), "total": total})


@pytest.mark.parametrize("seed", SEEDS)
def test_another_library_takes_apart_what_we_aggregate(stream_node, tmp_path, seed):  # noqa: F811
    events = drawn(seed)
    file = tmp_path / "events.ndjson"
    lines = [json.dumps(event, ensure_ascii=bool(seed % 2)) for event in events]
    file.write_text("".join(line + "\n" for line in lines))
    ordered = ["--ordered"] if seed % 2 else []
    assert send(stream_node, file, *ordered)["accepted"] == len(events)

    kinesis = client(stream_node)
    found = {}
    for shard in kinesis.list_shards(StreamName="alluvium")["Shards"]:
        keys = shard["HashKeyRange"]
        first, last = int(keys["StartingHashKey"]), int(keys["EndingHashKey"])
        records = read_all(kinesis, shard["ShardId"])
        assert len(records) < len(events) / 20 or len(events) <= 2, "they travel together"
        as_to_a_function = [
            {"kinesis": {
                "data": base64.b64encode(record["Data"]), "partitionKey": record["PartitionKey"],
                "sequenceNumber": record["SequenceNumber"], "kinesisSchemaVersion": "1.0",
                "approximateArrivalTimestamp": record["ApproximateArrivalTimestamp"].timestamp(),
            }}
            for record in records
        ]  # fmt: skip
        aggregates = sum(record["Data"].startswith(KPL_MAGIC) for record in records)
        taken_apart = deaggregate_records(as_to_a_function)
        assert sum(bool(user["kinesis"].get("aggregated")) for user in taken_apart) >= 2 * aggregates, "none of one alone"
        for user in taken_apart:
            data = base64.b64decode(user["kinesis"]["data"]).decode()
            key = user["kinesis"]["partitionKey"]
            assert key == json.loads(data)["source"]
            assert first <= hash_key(key) <= last, "it lies in the shard that its own key belongs to"
            found.setdefault(key, []).append(data)
    expected = {}
    for line, event in zip(lines, events):
        expected.setdefault(event["source"], []).append(line)
    if ordered:
        assert found == expected
    assert {key: sorted(of_key) for key, of_key in found.items()} == {key: sorted(of) for key, of in expected.items()}
    in_the_lake(stream_node, seed, events)


@pytest.mark.parametrize("seed", SEEDS)
def test_we_take_apart_what_another_library_aggregates(stream_node, seed):  # noqa: F811
    events = drawn(seed)
    draw = random.Random(seed)
    largest = max(len(json.dumps(event)) for event in events)
    aggregator, aggregates = RecordAggregator(max_size=max(draw.choice([2_000, 51_200, 1_000_000]), largest + 500)), []
    for event in events:
        explicit = str(draw.getrandbits(128)) if draw.random() < 0.3 else None
        if full := aggregator.add_user_record(event["source"], json.dumps(event), explicit):
            aggregates.append(full)
    if rest := aggregator.clear_and_get():
        aggregates.append(rest)
    kinesis = client(stream_node)
    for aggregate in aggregates:
        partition_key, explicit_hash_key, data = aggregate.get_contents()
        explicit = {"ExplicitHashKey": explicit_hash_key} if explicit_hash_key else {}
        kinesis.put_record(StreamName="alluvium", PartitionKey=partition_key, Data=data, **explicit)
    in_the_lake(stream_node, seed, events)


def test_lines_under_zstd_take_fewer_bytes_and_come_apart_here(stream_node, tmp_path):  # noqa: F811
    events = [{"id": f"z-{number}", "source": f"device-{number % 50}", "value": number} for number in range(5_000)]
    file = tmp_path / "events.ndjson"
    file.write_text("".join(json.dumps(event) + "\n" for event in events))
    send(stream_node, file, "--aggregate", "ndjson-zstd")
    in_the_lake(stream_node, "z", events)
    kinesis = client(stream_node)
    shards = kinesis.list_shards(StreamName="alluvium")["Shards"]
    records = [record for shard in shards for record in read_all(kinesis, shard["ShardId"])]
    assert sum(len(record["Data"]) for record in records) < file.stat().st_size / 3
