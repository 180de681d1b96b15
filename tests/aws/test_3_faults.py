"""What goes wrong on a stage, and how nothing is lost by it. Each test ends with an audit that balances."""

import concurrent.futures
import io
import json
import pathlib
import re
import zipfile

from proxy import through
from stage import PACKAGES, until
from store import FailingStore, Race
from test_2_path import send_by_http, send_by_kinesis
from test_2_upkeep import lambdas, maintain


def events(word, count):
    return [{"id": f"{word}:{n}", "source": word, "type": "reading", "time": "2026-01-31T12:00:00Z", "data": {"value": n}}
            for n in range(count)]


def assert_there_once(stage, word, count):
    rows = stage.rows("telemetry").to_pylist()
    values = sorted(row["value"] for row in rows if row["source"] == word)
    assert values == [float(n) for n in range(count)]


def assert_balanced(stage):
    report = stage.audit()
    assert all(check["passed"] for check in report["checks"]), report
    return report


class Broken:
    """The transform as a deploy that went wrong: a program that ends as soon as it starts; taken back afterwards."""

    def __init__(self, stage):
        self.functions = stage.emulator.client("lambda")
        self.name = stage.out["functions"]["transform"]
        self.good = self.functions.get_alias(FunctionName=self.name, Name="live")["FunctionVersion"]

    def __enter__(self):
        zipped = io.BytesIO()
        with zipfile.ZipFile(zipped, "w") as archive:
            bootstrap = zipfile.ZipInfo("bootstrap")
            bootstrap.external_attr = 0o755 << 16
            archive.writestr(bootstrap, "#!/bin/sh\nexit 1\n")
        bad = self.functions.update_function_code(FunctionName=self.name, ZipFile=zipped.getvalue(), Publish=True)
        self.functions.update_alias(FunctionName=self.name, Name="live", FunctionVersion=bad["Version"])

    def __exit__(self, *_):
        self.functions.update_alias(FunctionName=self.name, Name="live", FunctionVersion=self.good)
        # Of what is newest the next version is made.
        self.functions.update_function_code(FunctionName=self.name, ZipFile=(pathlib.Path(PACKAGES) / "transform.zip").read_bytes())


def test_a_crashing_transform_loses_nothing(stage):
    """Retried, put aside under the error prefix, and brought in from there under its own identity."""
    landing = stage.out["landing_bucket"]
    send_by_http(stage, stage.token("plant", "data.write"), events("crash-http", 1_000))
    send_by_kinesis(stage, "crash-kinesis", events("crash-kinesis", 1_000))
    with Broken(stage):
        report = stage.deliver(expect=1)
    assert report["failed_records"] > 0
    assert report["retries"] >= 3 * report["failed_batches"] > 0
    aside = stage.objects(landing, "processing-failed/")
    assert len(aside) == report["failed_batches"]
    s3 = stage.emulator.client("s3")
    lines = [json.loads(line) for key in aside
             for line in s3.get_object(Bucket=landing, Key=key)["Body"].read().decode().splitlines()]
    assert len(lines) == report["failed_records"]
    for line in lines:
        assert set(line) == {"attemptsMade", "arrivalTimestamp", "errorCode", "errorMessage", "attemptEndingTimestamp",
                             "rawData", "lambdaArn"}
        assert line["attemptsMade"] == 4 and line["errorCode"].startswith("Lambda.")
    # Later records go on their way meanwhile, and the audit knows that what came before them in their shard is missing.
    send_by_kinesis(stage, "crash-kinesis", events("crash-after", 100))
    stage.deliver()
    stage.committed()
    problems = [problem for check in stage.audit(expect=1)["checks"] for problem in check["problems"]]
    assert any("lost" in problem for problem in problems), problems
    drained = stage.drain()
    assert (drained["records"], drained["found"], drained["left"]) == (report["failed_records"], report["failed_records"], [])
    assert stage.objects(landing, "processing-failed/") == []
    stage.committed()
    for word, count in [("crash-http", 1_000), ("crash-kinesis", 1_000), ("crash-after", 100)]:
        assert_there_once(stage, word, count)
    assert_balanced(stage)


def commit_messages(stage):
    """The paths of the commit messages of all batches within the lake, the oldest first."""
    bucket, prefix = stage.out["lake_url"].removeprefix("s3://").split("/", 1)
    pages = stage.emulator.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/_commits/")
    found = [object for page in pages for object in page.get("Contents", [])]
    return [object["Key"].removeprefix(f"{prefix}/") for object in sorted(found, key=lambda object: object["LastModified"])]


def newest_message(stage):
    """The commit message of the newest batch: its bucket, its key there, and its path within the lake."""
    bucket, prefix = stage.out["lake_url"].removeprefix("s3://").split("/", 1)
    path = commit_messages(stage)[-1]
    return bucket, f"{prefix}/{path}", path


def test_a_commit_message_delivered_five_times_counts_once(stage):
    send_by_http(stage, stage.token("plant", "data.write"), events("five", 500))
    stage.deliver()
    stage.committed()
    before = {name: stage.rows(name).num_rows for name in ["telemetry", "dead_letters", "ledger"]}
    _, _, path = newest_message(stage)
    for _ in range(5):
        stage.emulator.client("sqs").send_message(QueueUrl=stage.out["commit_queue_url"], MessageBody=path)
    stage.committed()
    assert {name: stage.rows(name).num_rows for name in before} == before
    assert_there_once(stage, "five", 500)
    assert_balanced(stage)


def unnamed_files(stage):
    """How many files of telemetry no version of the table names, as the audit has it: a retry leaves some."""
    [check] = [check for check in stage.audit(expect=None)["checks"] if check["name"] == "every data file is there with its size"]
    found = [re.match(r"`telemetry` has (\d+) data files? that no version names", note) for note in check["notes"]]
    return sum(int(one[1]) for one in found if one)


def test_a_poison_message_is_set_aside_and_recovered(stage):
    """A commit message that cannot be read ends in the dead-letter queue; once it can be read, it is sent again from there."""
    sqs, s3 = stage.emulator.client("sqs"), stage.emulator.client("s3")
    queue, dead = stage.out["commit_queue_url"], stage.out["commit_dead_letter_queue_url"]
    mappings = stage.emulator.client("lambda")
    [mapping] = mappings.list_event_source_mappings(FunctionName=stage.out["functions"]["commit"] + ":live")["EventSourceMappings"]
    unnamed = unnamed_files(stage)
    # Held back, so that the message can be spoilt before it is taken.
    mappings.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    send_by_http(stage, stage.token("plant", "data.write"), events("poison", 300))
    stage.deliver()
    bucket, key, path = newest_message(stage)
    good = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    s3.put_object(Bucket=bucket, Key=key, Body=good[: len(good) // 2])
    # A good message beside it is not held up by it.
    mappings.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)
    send_by_http(stage, stage.token("plant", "data.write"), events("unspoilt", 200))
    stage.deliver()

    def arrived():
        return int(sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]["ApproximateNumberOfMessages"])

    assert until(arrived, "the message reaches the dead-letter queue", 240) == 1
    assert_there_once(stage, "unspoilt", 200)
    assert_there_once(stage, "poison", 0)
    # Whether the audit calls its record lost or not yet committed depends on its shard; the file that waits it names in any case.
    assert unnamed_files(stage) == unnamed + 1
    # The version before is what the transform stored.
    versions = s3.list_object_versions(Bucket=bucket, Prefix=key)["Versions"]
    [spoilt] = [version for version in versions if version["IsLatest"]]
    s3.delete_object(Bucket=bucket, Key=key, VersionId=spoilt["VersionId"])
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == good
    [message] = sqs.receive_message(QueueUrl=dead, WaitTimeSeconds=2)["Messages"]
    assert message["Body"] == path
    sqs.send_message(QueueUrl=queue, MessageBody=message["Body"])
    sqs.delete_message(QueueUrl=dead, ReceiptHandle=message["ReceiptHandle"])
    stage.committed()
    assert_there_once(stage, "poison", 300)
    assert_balanced(stage)


def take_one(stage):
    """Takes the one message out of the commit queue, as a fault might."""
    sqs, queue = stage.emulator.client("sqs"), stage.out["commit_queue_url"]
    [message] = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=2)["Messages"]
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return message["Body"]


def test_a_lost_message_is_made_again_and_one_that_no_queue_has_is_enqueued_again(stage):
    mappings = stage.emulator.client("lambda")
    [mapping] = mappings.list_event_source_mappings(FunctionName=stage.out["functions"]["commit"] + ":live")["EventSourceMappings"]
    mappings.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    queue = stage.out["commit_queue_url"]
    send_by_http(stage, stage.token("plant", "data.write"), events("lost", 300))
    stage.deliver()
    bucket, key, path = newest_message(stage)
    assert take_one(stage) == path
    good = stage.emulator.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    stage.emulator.client("s3").delete_object(Bucket=bucket, Key=key)
    lake = ["--lake", stage.out["lake_url"]]

    found = json.loads(stage.alluvium("recover", *lake, "--dry-run", "--older-than", "0s", expect=1))["batches"]
    [lost] = [batch for batch in found if batch.get("message") == path]
    assert lost["outcome"] == "can_be_rebuilt", found
    # Stored, and in no queue: that is what the audit looks for.
    stored = json.loads(stage.alluvium("recover", *lake, "--older-than", "0s", expect=1))["batches"]
    assert [batch["outcome"] for batch in stored if batch.get("message") == path] == ["stored"], stored
    # All but the traces, which no data file holds.
    without_traces = lambda message: {name: value for name, value in json.loads(message).items() if name != "traces"}
    assert without_traces(stage.emulator.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()) == without_traces(good)

    mappings.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)
    audit = ["audit", *lake, "--stream", stage.out["stream_name"], "--commit-within", "0s", "--repair", "--queue", queue]
    report = json.loads(stage.alluvium(*audit, expect=1))
    assert [message["path"] for message in report["uncommitted"]] == [path]
    stage.committed()
    assert_there_once(stage, "lost", 300)
    assert_balanced(stage)


def test_a_store_that_fails_one_put_in_ten_loses_nothing_and_doubles_nothing(stage):
    failing = FailingStore(stage.emulator.endpoint)
    with through(stage, failing, ["transform", "commit", "maintain"], "AWS_ENDPOINT_URL"):
        for turn in range(14):
            sent = events("failing", (turn + 1) * 100)[turn * 100:]
            send_by_http(stage, stage.token("plant", "data.write"), sent)
            report = stage.deliver()
            assert (report["failed_records"], report["unexpected"]) == (0, 0), report
            stage.committed()
        assert maintain(stage, "compact")["left"] == []
    for kind in ("data", "_commits", "_delta_log"):
        assert failing.lost[kind] > 0, (kind, failing.puts)
    assert failing.refused["_delta_log"] > 0, failing.puts
    assert_there_once(stage, "failing", 1_400)
    assert_balanced(stage)


def delivery(paths):
    """As a queue's event source mapping hands messages over."""
    return {"Records": [{
        "messageId": path, "receiptHandle": path, "body": path, "attributes": {"ApproximateReceiveCount": "1"}, "messageAttributes": {},
        "md5OfBody": "0", "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-west-1:000000000000:commits", "awsRegion": "eu-west-1",
    } for path in paths]}


def test_two_commit_functions_that_race_for_a_version_commit_each_batch_once(stage):
    function = stage.out["functions"]["commit"] + ":live"
    client = stage.emulator.client("lambda")
    [mapping] = client.list_event_source_mappings(FunctionName=function)["EventSourceMappings"]
    client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    before = set(commit_messages(stage))
    for turn in range(3):
        send_by_http(stage, stage.token("plant", "data.write"), events("racing", (turn + 1) * 100)[turn * 100:])
        stage.deliver()
    first, both, last = [path for path in commit_messages(stage) if path not in before]

    def invoke(paths):
        answer = lambdas(stage).invoke(FunctionName=function, Payload=json.dumps(delivery(paths)))
        said = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, said
        again = {failure["itemIdentifier"] for failure in said["batchItemFailures"]}
        return set(paths) - again

    race = Race(stage.emulator.endpoint)
    with through(stage, race, ["commit"], "AWS_ENDPOINT_URL"), concurrent.futures.ThreadPoolExecutor(2) as threads:
        done = list(threads.map(invoke, [[first, both], [both, last]]))
    assert sorted(race.statuses) == [200, 412], (race.raced_for, race.come)
    assert set.union(*done) == {first, both, last}, "what one of them had to leave, the other dealt with"
    assert_there_once(stage, "racing", 300)
    # The queue hands the same messages over once more.
    client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)
    stage.committed()
    assert_there_once(stage, "racing", 300)
    assert_balanced(stage)


def test_bad_events_are_dead_letters_and_counted(stage):
    def dead():
        [telemetry] = [dataset for dataset in assert_balanced(stage)["datasets"] if dataset["dataset"] == "telemetry"]
        return telemetry["dead"]

    before = dead()
    bad = ["not json", "[]", json.dumps({"source": "bad", "value": "warm"}), json.dumps({"source": "bad"})]
    answer = stage.call("POST", "/v1/telemetry", stage.token("plant", "data.write"), data="\n".join(bad),
                        headers={"Content-Type": "application/x-ndjson"})
    assert (answer.status_code, answer.json()["accepted"]) == (202, len(bad))
    stage.deliver()
    stage.committed()
    letters = [letter for letter in stage.rows("dead_letters").to_pylist() if letter["owner"] == "plant"]
    assert len(letters) == len(bad)
    assert sorted(letter["reason"] for letter in letters) == ["not_an_object", "not_json", "required_missing", "schema_violated"]
    assert dead() == before + len(bad)


def test_destroy_leaves_nothing(stage):
    stage.terraform.run("destroy", "-auto-approve")
    client = stage.emulator.client
    left = {
        "buckets": client("s3").list_buckets()["Buckets"],
        "tables": client("dynamodb").list_tables()["TableNames"],
        "topics": client("sns").list_topics()["Topics"],
        "queues": client("sqs").list_queues().get("QueueUrls", []),
        "schedules": client("scheduler").list_schedules()["Schedules"],
        "streams": client("kinesis").list_streams()["StreamNames"],
        "functions": client("lambda").list_functions()["Functions"],
        "apis": client("apigatewayv2").get_apis()["Items"],
        "databases": client("glue").get_databases()["DatabaseList"],
        "workgroups": [group for group in client("athena").list_work_groups()["WorkGroups"] if group["Name"] != "primary"],
        "secrets": client("secretsmanager").list_secrets()["SecretList"],
        "roles": [role for role in client("iam").list_roles()["Roles"] if role["RoleName"].startswith("alluvium-")],
        "parameters": client("ssm").describe_parameters()["Parameters"],
        "alarms": client("cloudwatch").describe_alarms()["MetricAlarms"],
        "dashboards": client("cloudwatch").list_dashboards()["DashboardEntries"],
        "topics": client("sns").list_topics()["Topics"],
        "rules": client("events").list_rules()["Rules"],
        "log groups": client("logs").describe_log_groups()["logGroups"],
    }
    assert {kind: found for kind, found in left.items() if found} == {}
    assert json.loads(stage.terraform.run("output", "-json").stdout) == {}
