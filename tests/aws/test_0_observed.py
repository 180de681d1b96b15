"""What the functions say of themselves: metrics, log lines, and one request's trace from its acknowledgement to its table.

The programs run by themselves, so that the test is their Lambda, their X-Ray and their Firehose; their stores are the emulator's.
"""

import base64
import json
import time

import pytest

import metrics
from emulator import Emulator
from function import Daemon, Function
from stage import ROOT

SENT = [{"source": "kitchen", "value": 21.5}, {"source": "kitchen", "value": 22.5}, {"source": "cellar"}]
REQUEST = "1-5759e988-bd862e3fe1be46a994272793"
INVOCATIONS = {"gateway": f"Root={REQUEST};Parent=53995c3f42cd8ad8;Sampled=1",
               "transform": "Root=1-69000001-0123456789abcdef01234567;Parent=00000000000000bb;Sampled=1",
               "commit": "Root=1-69000002-0123456789abcdef01234567;Parent=00000000000000cc;Sampled=1",
               "query": "Root=1-69000003-0123456789abcdef01234567;Parent=00000000000000dd;Sampled=0"}
STAGE = ("Stage", "test")


class World:
    """The stores of a stage, and its functions."""

    def __init__(self, emulator):
        self.kinesis, self.sqs = emulator.client("kinesis"), emulator.client("sqs")
        self.kinesis.create_stream(StreamName="records", ShardCount=1)
        emulator.client("s3").create_bucket(Bucket="lake", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        self.queue = self.sqs.create_queue(QueueName="commits")["QueueUrl"]
        key = lambda sort: [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]
        emulator.client("dynamodb").create_table(
            TableName="hot", BillingMode="PAY_PER_REQUEST", KeySchema=key("sk"),
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "put")],
            GlobalSecondaryIndexes=[{"IndexName": "puts", "KeySchema": key("put"), "Projection": {"ProjectionType": "KEYS_ONLY"}}],
        )
        self.daemon = Daemon()
        lake = {"ALLUVIUM_LAKE": "s3://lake/lake", "ALLUVIUM_COMMIT__QUEUE": self.queue, "ALLUVIUM_HOT__TABLE": "hot"}
        settings = {"gateway": {"ALLUVIUM_STREAM__NAME": "records"},
                    "transform": {**lake, "ALLUVIUM_DEFAULT_DATASET": "telemetry"}, "commit": lake,
                    "query": {"ALLUVIUM_HOT__TABLE": "hot", "ALLUVIUM_SQL__DATABASE": "none", "ALLUVIUM_SQL__WORKGROUP": "none"}}
        self.functions = {name: Function(name, {**emulator.environment(), **variables}, self.daemon)
                          for name, variables in settings.items()}

    def invoke(self, name, event):
        answer, request_id, lines = self.functions[name].invoke(event, INVOCATIONS[name])
        return answer, Said(name, request_id, lines, self.daemon.documents())

    def stop(self):
        for function in self.functions.values():
            function.stop()


class Said:
    """What one invocation wrote and sent."""

    def __init__(self, name, request_id, lines, documents):
        self.name, self.request_id, self.lines, self.documents = name, request_id, lines, documents
        self.log = [line for line in lines if "_aws" not in line]
        self.metrics = [line for line in lines if "_aws" in line]
        self.values = metrics.values(self.metrics)

    def steps(self):
        return [document for document in self.documents if document.get("type") == "subsegment"]

    def followed(self):
        return [document for document in self.documents if "type" not in document]


def request(method, path, body=None, query=""):
    """An event of an HTTP API, payload 2.0."""
    return {
        "version": "2.0", "routeKey": f"{method} /v1/{{dataset}}", "rawPath": path, "rawQueryString": query,
        "headers": {"content-type": "application/x-ndjson", "host": "api.execute-api.eu-west-1.amazonaws.com"},
        "requestContext": {
            "accountId": "000000000000", "apiId": "api", "domainName": "api.execute-api.eu-west-1.amazonaws.com", "domainPrefix": "api",
            "authorizer": {"lambda": {"owner": "anna", "roles": "data.read data.write"}}, "requestId": "1", "stage": "$default",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "test"},
            "routeKey": f"{method} /v1/{{dataset}}", "time": "12/Mar/2020:19:03:58 +0000", "timeEpoch": int(time.time() * 1000),
        },
        "body": body, "isBase64Encoded": False,
    }


def delivery(records):
    """An event of Firehose, of what a shard holds."""
    arrival = lambda record: int(record["ApproximateArrivalTimestamp"].timestamp() * 1000)
    return {
        "invocationId": "1", "deliveryStreamArn": "arn", "sourceKinesisStreamArn": "arn", "region": "eu-west-1",
        "records": [{
            "recordId": record["SequenceNumber"], "approximateArrivalTimestamp": arrival(record),
            "data": base64.b64encode(record["Data"]).decode(),
            "kinesisRecordMetadata": {"shardId": "shardId-000000000000", "partitionKey": record["PartitionKey"],
                                      "approximateArrivalTimestamp": arrival(record),
                                      "sequenceNumber": record["SequenceNumber"], "subsequenceNumber": 0},
        } for record in records],
    }


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    emulator = Emulator("ministack", tmp_path_factory.mktemp("ministack"))
    try:
        world = World(emulator)
        yield world
        world.stop()
    finally:
        emulator.stop()


@pytest.fixture(scope="module")
def path(world):
    """One request on its way: what each function said."""
    body = "\n".join(json.dumps(event) for event in SENT) + "\nnot json"
    answer, gateway = world.invoke("gateway", request("POST", "/v1/telemetry", body))
    assert answer["statusCode"] == 202, answer
    iterator = world.kinesis.get_shard_iterator(StreamName="records", ShardId="shardId-000000000000",
                                                ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    records = world.kinesis.get_records(ShardIterator=iterator)["Records"]
    answer, transform = world.invoke("transform", delivery(records))
    assert [record["result"] for record in answer["records"]] == ["Dropped"] * len(records)
    [message] = world.sqs.receive_message(QueueUrl=world.queue, WaitTimeSeconds=5, MessageSystemAttributeNames=["All"])["Messages"]
    event = {"Records": [{
        "messageId": message["MessageId"], "receiptHandle": message["ReceiptHandle"], "body": message["Body"],
        "attributes": message["Attributes"], "messageAttributes": {}, "md5OfBody": message["MD5OfBody"], "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-west-1:000000000000:commits", "awsRegion": "eu-west-1",
    }]}
    answer, commit = world.invoke("commit", event)
    assert answer["batchItemFailures"] == [], answer
    answer, query = world.invoke("query", request("GET", "/v1/telemetry", query="source=kitchen&from=-1h"))
    assert answer["statusCode"] == 200, answer
    path = {said.name: said for said in (gateway, transform, commit, query)}
    path["records"], path["message"], path["page"] = records, message, json.loads(answer["body"])
    return path


def functions(path):
    return [path[name] for name in INVOCATIONS]


def test_every_metric_line_is_by_the_specification(path):
    for said in functions(path):
        assert said.metrics, said.name
        for line in said.metrics:
            metrics.check(line)


def test_every_metric_is_documented(path):
    documented = (ROOT / "docs/metrics.md").read_text()
    names = {name for said in functions(path) for (name, *_) in said.values}
    assert [name for name in sorted(names) if f"`{name}`" not in documented] == []


def test_metrics_are_what_was_sent_and_became_of_it(path):
    count = lambda said, name, *dimensions: path[said].values[(name, STAGE, *dimensions)]
    assert count("gateway", "Requests", ("Status", "2xx")) == count("gateway", "Requests") == [1]
    assert count("gateway", "EventsAccepted") == [4]
    [acknowledged] = count("gateway", "AcknowledgeMilliseconds")
    assert 0 < acknowledged < 60_000
    assert count("transform", "Records") == count("transform", "BatchRecords") == [len(path["records"])]
    assert count("transform", "BatchBytes") == [sum(len(record["Data"]) for record in path["records"])]
    assert count("transform", "Events") == count("transform", "Events", ("Dataset", "telemetry")) == [4]
    assert count("transform", "Rows") == count("transform", "Rows", ("Dataset", "telemetry")) == [2]
    assert count("transform", "DeadLetters") == [2]
    assert count("transform", "DeadLetters", ("Reason", "not_json")) == [1]
    assert count("transform", "DeadLetters", ("Reason", "required_missing")) == [1]
    for name in ("LedgerDifference", "Filtered", "StorageFailures", "HotThrottled"):
        assert count("transform", name) == [0], name
    [fresh] = count("transform", "FreshnessMilliseconds")
    assert 0 <= fresh < 60_000
    assert count("commit", "EventsCommitted") == [4] and count("commit", "CommitMessages") == [1]
    assert count("commit", "CommitRefused") == count("commit", "CommitFailures") == [0]
    assert len(count("commit", "CommitLagSeconds")) == len(count("commit", "CommitMilliseconds")) == 1
    assert count("query", "Requests", ("Status", "2xx")) == [1]
    assert len(count("query", "ReadMilliseconds")) == 1
    assert count("query", "StatementsFailed") == [0]
    assert count("query", "IncompleteReads") == [int(not path["page"]["complete"])]


def test_every_line_says_whose_invocation_it_is_of(path):
    for said in functions(path):
        trace = INVOCATIONS[said.name].split(";")[0].removeprefix("Root=")
        for line in said.lines:
            assert (line.get("request_id"), line.get("trace_id")) == (said.request_id, trace), line
        for line in said.log:
            assert {"timestamp", "level", "target", "message"} <= line.keys(), line
    [stored] = [line for line in path["transform"].log if line["message"] == "stored" and line["dataset"] == "telemetry"]
    assert [stored[name] for name in ("received", "written", "filtered", "dead")] == [4, 2, 0, 2]


def test_one_request_is_followed_from_its_acknowledgement_to_its_table(path):
    [put] = path["gateway"].steps()
    assert (put["name"], put["trace_id"], put["parent_id"]) == ("put records", REQUEST, "53995c3f42cd8ad8")
    key = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01"
    assert {record["PartitionKey"] for record in path["records"]} == {key}
    [transform], [commit] = path["transform"].followed(), path["commit"].followed()
    assert [transform["name"], commit["name"]] == ["alluvium-test-transform", "alluvium-test-commit"]
    assert {transform["trace_id"], commit["trace_id"]} == {REQUEST}
    assert (transform["parent_id"], commit["parent_id"]) == ("53995c3f42cd8ad8", transform["id"])
    assert transform["annotations"]["batch"] == commit["annotations"]["batch"] in path["message"]["Body"]
    names = lambda steps: [step["name"] for step in steps]
    assert names(transform["subsegments"]) == names(path["transform"].steps())
    assert {"decode", "transform", "store file telemetry", "store hot", "store message", "enqueue"} <= set(names(transform["subsegments"]))
    assert {"commit telemetry", "commit dead_letters", "commit ledger"} <= set(names(commit["subsegments"]))
    for said in (path["transform"], path["commit"]):
        own = INVOCATIONS[said.name].split(";")
        assert {(f"Root={step['trace_id']}", f"Parent={step['parent_id']}") for step in said.steps()} == {tuple(own[:2])}
        assert said.followed()[0]["annotations"]["request_id"] == said.request_id
    # And the queue links the two invocations by itself.
    assert path["message"]["Attributes"]["AWSTraceHeader"] == INVOCATIONS["transform"]


def test_an_invocation_that_is_not_sampled_sends_nothing(path):
    assert path["query"].documents == []
