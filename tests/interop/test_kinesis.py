"""The AWS SDK for Python and the AWS CLI put to and read from a node's Kinesis API, and the lake has what they put."""

import base64
import datetime
import hashlib
import json
import os
import pathlib
import subprocess
import sys

import boto3
import botocore.config
import botocore.exceptions
import pytest
import requests
from program import ENVIRONMENT, Node, alluvium, eventually

AWS = str(pathlib.Path(sys.executable).with_name("aws"))
SHARDS = 2


def configured(tmp_path, *kinesis, no_auth=True):
    """A node whose records without a known type are telemetry, with these settings of its Kinesis API."""
    settings = tmp_path / "settings.toml"
    lines = ["default_dataset = 'telemetry'", "[log]", f"shards = {SHARDS}", "[kinesis]", *kinesis]
    settings.write_text("\n".join(lines) + "\n")
    return Node(tmp_path / "node", "--config", settings, *(["--no-auth"] if no_auth else []))


@pytest.fixture
def stream_node(tmp_path):
    running = configured(tmp_path)
    yield running
    running.stop()


def client(node, attempts=1):
    return boto3.client(
        "kinesis", endpoint_url=node.url, region_name="eu-west-1", aws_access_key_id="any", aws_secret_access_key="any",
        config=botocore.config.Config(retries={"total_max_attempts": attempts, "mode": "standard"}),
    )


def event(number, source="boto"):
    return json.dumps({"id": f"{source}-{number}", "source": source, "value": number}).encode()


def read_all(kinesis, shard, **start):
    """Everything that a shard holds, in order."""
    start = start or {"ShardIteratorType": "TRIM_HORIZON"}
    iterator = kinesis.get_shard_iterator(StreamName="alluvium", ShardId=shard, **start)["ShardIterator"]
    records = []
    while True:
        page = kinesis.get_records(ShardIterator=iterator)
        records += page["Records"]
        iterator = page["NextShardIterator"]
        if page["MillisBehindLatest"] == 0:
            return records


def refused(call, **arguments):
    with pytest.raises(botocore.exceptions.ClientError) as refusal:
        call(**arguments)
    return refusal.value.response["Error"]


def test_boto3_puts_reads_back_and_the_lake_has_it(stream_node):
    kinesis = client(stream_node)
    one = kinesis.put_record(StreamName="alluvium", PartitionKey="first", Data=event(0))
    arn = kinesis.describe_stream_summary(StreamName="alluvium")["StreamDescriptionSummary"]["StreamARN"]
    assert arn == "arn:aws:kinesis:eu-west-1:000000000000:stream/alluvium"
    put = {(one["ShardId"], one["SequenceNumber"]): ("first", event(0))}
    for batch in range(3):
        numbers = range(1 + batch * 500, 501 + batch * 500)
        entries = [{"PartitionKey": f"key {number} é", "Data": event(number)} for number in numbers]
        answer = kinesis.put_records(StreamARN=arn, Records=entries)
        assert answer["FailedRecordCount"] == 0
        for entry, stored in zip(entries, answer["Records"]):
            put[stored["ShardId"], stored["SequenceNumber"]] = (entry["PartitionKey"], entry["Data"])
    assert len(put) == 1501

    shards = kinesis.list_shards(StreamName="alluvium", ShardFilter={"Type": "AT_LATEST"})["Shards"]
    assert len(shards) == SHARDS
    read = {}
    for shard in shards:
        keys = {name: int(key) for name, key in shard["HashKeyRange"].items()}
        records = read_all(kinesis, shard["ShardId"])
        numbers = [int(record["SequenceNumber"]) for record in records]
        assert numbers == sorted(set(numbers))
        for record in records:
            read[shard["ShardId"], record["SequenceNumber"]] = (record["PartitionKey"], record["Data"])
            hashed = int.from_bytes(hashlib.md5(record["PartitionKey"].encode()).digest(), "big")
            assert keys["StartingHashKey"] <= hashed <= keys["EndingHashKey"]
            age = datetime.datetime.now(datetime.timezone.utc) - record["ApproximateArrivalTimestamp"]
            assert datetime.timedelta(seconds=-1) < age < datetime.timedelta(minutes=5)
    assert read == put

    def newest():
        return requests.get(f"{stream_node.url}/v1/telemetry", params={"source": "boto", "limit": 1000}).json()

    assert len(eventually(newest, lambda page: len(page.get("records", [])) == 1000)["records"]) == 1000
    statement = "select count(*) as n, count(distinct event_id) as ids, sum(value) as total from telemetry where owner = 'anonymous'"

    def asked():
        return json.loads(alluvium("--json", "sql", "--data", stream_node.data, statement))

    expected = {"n": 1501, "ids": 1501, "total": sum(range(1501))}
    eventually(asked, lambda row: row == expected)


def test_boto3_begins_at_every_type_of_iterator(stream_node):
    kinesis = client(stream_node)
    puts = [kinesis.put_record(StreamName="alluvium", PartitionKey="k", Data=event(n)) for n in range(10)]
    shard, numbers = puts[0]["ShardId"], [put["SequenceNumber"] for put in puts]
    shown = read_all(kinesis, shard)

    def from_on(**start):
        return [record["SequenceNumber"] for record in read_all(kinesis, shard, **start)]

    begins = kinesis.list_shards(StreamName="alluvium")["Shards"][0]["SequenceNumberRange"]["StartingSequenceNumber"]
    for kind in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"):
        assert from_on(ShardIteratorType=kind, StartingSequenceNumber=begins) == numbers
    assert from_on(ShardIteratorType="AT_SEQUENCE_NUMBER", StartingSequenceNumber=numbers[4]) == numbers[4:]
    assert from_on(ShardIteratorType="AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=numbers[4]) == numbers[5:]
    assert from_on(ShardIteratorType="LATEST") == []
    at = shown[5]["ApproximateArrivalTimestamp"]
    since = [record["SequenceNumber"] for record in shown if record["ApproximateArrivalTimestamp"] >= at]
    assert from_on(ShardIteratorType="AT_TIMESTAMP", Timestamp=at) == since
    pages = kinesis.get_paginator("list_shards").paginate(StreamName="alluvium", PaginationConfig={"PageSize": 1})
    assert len([shard for page in pages for shard in page["Shards"]]) == SHARDS


def test_set_up_scripts_find_the_stream_and_mistakes_have_names(stream_node):
    kinesis = client(stream_node)
    assert refused(kinesis.create_stream, StreamName="alluvium", ShardCount=1)["Code"] == "ResourceInUseException"
    kinesis.get_waiter("stream_exists").wait(StreamName="alluvium")
    assert kinesis.list_streams()["StreamNames"] == ["alluvium"]
    assert kinesis.describe_stream(StreamName="alluvium")["StreamDescription"]["StreamStatus"] == "ACTIVE"
    with pytest.raises(kinesis.exceptions.ResourceNotFoundException, match="this one's is called \"alluvium\""):
        kinesis.put_record(StreamName="mine", PartitionKey="k", Data=b"x")
    with pytest.raises(kinesis.exceptions.InvalidArgumentException, match="is no iterator"):
        kinesis.get_records(ShardIterator="nonsense")
    assert refused(kinesis.split_shard, StreamName="alluvium", ShardToSplit="a", NewStartingHashKey="1")["Code"] == (
        "UnknownOperationException"
    )
    cbor = requests.post(
        stream_node.url, data=b"\xbf\xff",
        headers={"X-Amz-Target": "Kinesis_20131202.ListStreams", "Content-Type": "application/x-amz-cbor-1.1"},
    )
    assert cbor.status_code == 400 and b"aws.cborEnabled=false" in cbor.content


def test_limits_can_be_switched_on(tmp_path):
    node = configured(tmp_path, "shard_limits = 'service'", "stream = 'limited'")
    try:
        kinesis = client(node)
        entries = [{"PartitionKey": "k", "Data": event(n)} for n in range(500)]
        # The machine is faster than a shard of the service, by however little: soon a second's worth is used up.
        answers = (kinesis.put_records(StreamName="limited", Records=entries) for _ in range(100))
        answer = next(answer for answer in answers if answer["FailedRecordCount"])
        failed = [entry for entry in answer["Records"] if "ErrorCode" in entry]
        assert len(failed) == answer["FailedRecordCount"]
        assert {entry["ErrorCode"] for entry in failed} == {"ProvisionedThroughputExceededException"}
        # The SDK itself waits and calls again.
        client(node, attempts=10).put_record(StreamName="limited", PartitionKey="k", Data=event(0))
    finally:
        node.stop()


def test_the_aws_cli_puts_and_reads_back(stream_node, tmp_path):
    environment = {
        **{name: value for name, value in ENVIRONMENT.items() if not name.startswith("AWS_")},
        "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }

    def aws(*arguments):
        command = [AWS, "--endpoint-url", stream_node.url, "--output", "json", "kinesis", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    named = ("--stream-name", "alluvium")
    raw = tmp_path / "event.json"
    raw.write_bytes(event(1, "cli"))
    put = aws("put-record", *named, "--partition-key", "k", "--data", f"fileb://{raw}")
    (tmp_path / "records.json").write_text(
        json.dumps([{"PartitionKey": "k", "Data": event(number, "cli").decode()} for number in (2, 3)])
    )
    puts = aws("put-records", *named, "--records", "file://records.json")
    assert puts["FailedRecordCount"] == 0
    assert len(aws("list-shards", *named, "--page-size", "1")["Shards"]) == SHARDS
    iterator = aws(
        "get-shard-iterator", *named, "--shard-id", put["ShardId"], "--shard-iterator-type", "TRIM_HORIZON",
    )["ShardIterator"]
    records = aws("get-records", "--shard-iterator", iterator, "--limit", "10")["Records"]
    assert [base64.b64decode(record["Data"]) for record in records] == [event(number, "cli") for number in (1, 2, 3)]

    def shown():
        return json.loads(alluvium("--json", "records", "--url", stream_node.url, "--source", "cli"))

    page = eventually(shown, lambda page: len(page["records"]) == 3)
    assert {record["id"] for record in page["records"]} == {"cli-1", "cli-2", "cli-3"}


def access_key(node, owner, *roles):
    args = [argument for role in roles for argument in ("--role", role)]
    return json.loads(alluvium("--json", "token", "--data", node.data, "--sub", owner, *args, "--access-key"))


@pytest.fixture
def signed_node(tmp_path):
    running = configured(tmp_path, no_auth=False)
    yield running
    running.stop()


def signed(node, key):
    return boto3.client(
        "kinesis", endpoint_url=node.url, region_name="eu-west-1", aws_access_key_id=key["access_key_id"],
        aws_secret_access_key=key["secret_access_key"], config=botocore.config.Config(retries={"total_max_attempts": 1}),
    )  # fmt: skip


def test_boto3_signs_with_an_access_key_and_its_records_are_its_owners(signed_node):
    ann = signed(signed_node, access_key(signed_node, "ann", "data.write"))
    admin = signed(signed_node, access_key(signed_node, "root", "data.admin"))
    ann.put_record(StreamName="alluvium", PartitionKey="a", Data=event(1))
    entries = [{"PartitionKey": "a", "Data": event(number)} for number in range(2, 6)]
    assert ann.put_records(StreamName="alluvium", Records=entries)["FailedRecordCount"] == 0
    shards = [shard["ShardId"] for shard in admin.list_shards(StreamName="alluvium")["Shards"]]
    read = [record["Data"] for shard in shards for record in read_all(admin, shard)]
    assert sorted(read) == [event(number) for number in range(1, 6)], "records are read as they were put"
    ask = lambda: json.loads(alluvium("--json", "sql", "--data", signed_node.data, "select owner, count(*) as n from telemetry group by owner") or "{}")
    eventually(ask, lambda row: row == {"owner": "ann", "n": 5})

    key = access_key(signed_node, "ann", "data.write")
    for client, code in [
        (signed(signed_node, key | {"secret_access_key": "x" * 40}), "InvalidSignatureException"),
        (signed(signed_node, {"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "any"}), "UnrecognizedClientException"),
        (signed(signed_node, access_key(signed_node, "ann", "data.read")), "AccessDeniedException"),
    ]:
        with pytest.raises(botocore.exceptions.ClientError) as refused:
            client.put_record(StreamName="alluvium", PartitionKey="a", Data=event(9))
        assert refused.value.response["Error"]["Code"] == code
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        read_all(ann, shards[0])
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
