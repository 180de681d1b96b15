"""Maintenance by the deployed function, beside ingest: nothing is lost, nothing comes twice, and the audits balance."""

import collections
import concurrent.futures
import json
import threading
import time
import uuid

import boto3
from botocore.config import Config

from emulator import REGION
from stage import until
from test_2_path import send_by_http
from test_2_stage import operate

BATCHES = 6
OF = 300
AGAIN = 40


def lambdas(stage):
    """A client that waits for a function as long as it may run, and invokes once."""
    config = Config(read_timeout=900, retries={"total_max_attempts": 1})
    return boto3.client("lambda", endpoint_url=stage.emulator.endpoint, region_name=REGION, config=config,
                        aws_access_key_id="test", aws_secret_access_key="test")


def invoke(stage, event):
    """What the function answers, and whether that is an error."""
    answer = lambdas(stage).invoke(FunctionName=stage.out["functions"]["maintain"], Qualifier="live", Payload=json.dumps(event))
    return json.loads(answer["Payload"].read()), "FunctionError" in answer


def maintain(stage, task, **rest):
    answer, failed = invoke(stage, {"task": task, **rest})
    assert not failed and answer["task"] == task, answer
    return answer


def events(first, count):
    return [{"id": f"upkeep:{n}", "source": f"upkeep-{n % 5}", "type": "reading",
             "time": f"2026-02-{n % 9 + 1:02}T12:00:00Z", "data": {"value": n}} for n in range(first, first + count)]


def objects(stage, prefix):
    bucket, _, folder = stage.out["lake_url"].removeprefix("s3://").partition("/")
    return stage.objects(bucket, f"{folder}/{prefix}")


def files_of_days(stage):
    """How many files the table of telemetry has of each day."""
    return collections.Counter(uri.rsplit("/", 2)[1] for uri in stage.table("telemetry").file_uris())


def test_the_commit_function_writes_checkpoints(stage):
    """It has one thread, which waits for what is written and drives the store's connections."""
    for table in ["telemetry", "ledger"]:
        version = stage.table(table).version()
        checkpoints = [key for key in objects(stage, f"{table}/_delta_log/") if key.endswith(".checkpoint.parquet")]
        assert len(checkpoints) >= version // 20 > 0, f"of {version} versions every tenth, but for those where two raced"


def last_audit(stage):
    bucket, _, folder = stage.out["lake_url"].removeprefix("s3://").partition("/")
    found = stage.emulator.client("s3").get_object(Bucket=bucket, Key=f"{folder}/_audit/last.json")
    return json.loads(found["Body"].read())


def test_a_backlog_is_compacted_and_every_reading_is_still_there(stage):
    before, of_days = stage.rows("telemetry"), files_of_days(stage)
    answer = maintain(stage, "compact")
    assert answer["left"] == []
    rounds = [round for round in answer["done"] if round["table"] == "telemetry"]
    taken = sum(round["files_before"] for round in rounds)
    after, files = stage.rows("telemetry"), files_of_days(stage)
    # A day that has few files has nothing to gain, and keeps them; of what was taken a day keeps one.
    assert taken > 0 and sum(files.values()) <= sum(of_days.values()) - taken + len(of_days), (of_days, rounds, files)
    ids = lambda table: collections.Counter(zip(table["source"].to_pylist(), table["event_id"].to_pylist(), table["owner"].to_pylist()))
    assert set(ids(after)) == set(ids(before)) and max(ids(after).values()) == 1, "each event key is there once"
    assert maintain(stage, "compact")["done"] == [], "there is nothing more to gain"


def duplicates(report):
    [telemetry] = [dataset for dataset in report["datasets"] if dataset["dataset"] == "telemetry"]
    return telemetry["duplicates"]


def send_one(stage, n):
    send_by_http(stage, stage.token("plant", "data.write"), events(n, 1))
    stage.deliver()
    stage.committed()


def told_duplicates(stage, n):
    """How many rows of telemetry compaction removed, by the ledger, which copies what maintenance did with the next batch: that of this event."""
    send_one(stage, n)
    return duplicates(stage.audit())


def test_maintenance_beside_ingest_loses_nothing_and_doubles_nothing(stage):
    writer = stage.token("plant", "data.write")
    done, before = threading.Event(), told_duplicates(stage, BATCHES * OF)

    def ingest():
        try:
            for batch in range(BATCHES):
                # The last of the batch before are sent again, as a producer does that missed an answer.
                first = max(0, batch * OF - AGAIN)
                send_by_http(stage, writer, events(first, (batch + 1) * OF - first))
                stage.deliver()
        finally:
            done.set()

    def keep_up(tasks):
        counts = collections.Counter()
        while True:
            last = done.is_set()
            for task in tasks:
                answer = maintain(stage, task)
                counts[task] += len(answer.get("done", []))
                assert answer.get("problems", []) == [], answer
            if last:
                return counts

    with concurrent.futures.ThreadPoolExecutor(3) as threads:
        working = [threads.submit(ingest), threads.submit(keep_up, ["compact", "retain"]),
                   threads.submit(keep_up, ["compact", "vacuum", "audit"])]
        _, one, two = [work.result() for work in working]
    assert one["compact"] + two["compact"] > 0, "the tables were compacted while events came in"

    stage.committed()
    # A file by itself beside a compacted one has nothing to gain: with two more whatever is left is taken too.
    for n in (BATCHES * OF + 1, BATCHES * OF + 2):
        send_one(stage, n)
    until(lambda: maintain(stage, "compact")["done"] == [], "compaction comes to its end")
    table = stage.rows("telemetry").to_pylist()
    found = sorted((row["value"], row["source"], row["event_id"]) for row in table if row["event_id"].startswith("upkeep:"))
    assert found == sorted((float(n), f"upkeep-{n % 5}", f"upkeep:{n}") for n in range(BATCHES * OF + 3))
    assert told_duplicates(stage, BATCHES * OF + 3) == before + (BATCHES - 1) * AGAIN, "what was sent again"
    report = stage.audit()
    assert all(check["passed"] for check in report["checks"]), report


def test_the_audit_by_schedule_balances_and_is_kept(stage):
    answer = maintain(stage, "audit")
    assert (answer["balances"], answer["problems"]) == (True, [])
    kept = last_audit(stage)
    assert kept["balances"] is True and all(check["passed"] for check in kept["checks"])
    assert duplicates(kept) == duplicates(stage.audit()) > 0
    # Folders that begin with `_` are no tables.
    assert {table["table"] for table in kept["tables"]} >= {"ledger", "telemetry"}
    assert not any(table["table"].startswith("_") for table in kept["tables"])


def test_vacuum_deletes_nothing_that_is_younger_than_its_time(stage):
    before = [key for key in objects(stage, "") if not key.endswith(".index")]
    answer = maintain(stage, "vacuum")
    assert all(table["removed"]["files"] == table["orphans"]["files"] == 0 for table in answer["done"]), answer
    assert set(before) <= set(objects(stage, ""))
    # The object index is completed by it: an entry for each file, in the lake itself.
    active = {uri.rsplit("/", 1)[1] for uri in stage.table("telemetry").file_uris()}
    entries = {key.rsplit("/", 1)[1].removesuffix(".index") for key in objects(stage, "_index/telemetry/")}
    assert active <= entries


def test_open_erasures_go_on_by_the_function(stage):
    """What a batch brings back that is handed over once more leaves the hot index at the next look, and the erasure stays open for its time."""
    leaver = stage.token("scheduled-leaver", "data.write", "data.read")
    records = [{"id": f"scheduled:{n}", "source": "scheduled", "value": float(n)} for n in range(50)]
    send_by_http(stage, leaver, records)
    stage.deliver()
    stage.committed()
    hot, table = stage.emulator.client("dynamodb"), stage.out["hot_table"]
    chunks = lambda: {(item["pk"]["S"], item["sk"]["S"]): item for page in hot.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
                      for item in page["Items"]}
    hot_rows = lambda: next(store["rows"] for store in json.loads(operate(stage, "erase", "--owner", "scheduled-leaver", "--dry-run").stdout)["stores"]
                            if store["store"] == "hot index")
    before = chunks()
    report = json.loads(operate(stage, "erase", "--owner", "scheduled-leaver").stdout)
    assert hot_rows() == 0
    # As a late invocation puts them once more: the transform knows of no erasure.
    after = chunks()
    for key, item in before.items():
        if after.get(key) != item:
            hot.put_item(TableName=table, Item=item)
    assert hot_rows() == 50, "they are in the hot index again"
    answer = maintain(stage, "erasures")
    assert hot_rows() == 0 and answer["hot_rows"] == 50, answer
    assert report["id"] in answer["open"] and answer["closed"] == [] and answer["overdue_seconds"] == 0, answer
    assert answer["set_aside"] == len(stage.objects(stage.out["landing_bucket"], "processing-failed/"))
    listed = json.loads(operate(stage, "erase", "--list").stdout)
    [own] = [erasure for erasure in listed if erasure["id"] == report["id"]]
    assert own["closed_at"] is None and all(store["is_done"] for store in own["stores"] if "Firehose" not in store["store"]), own


def test_a_wrong_event_is_told_what_would_be_right(stage):
    for event, says in [({"task": "tidy"}, "retain, vacuum, audit or erasures"), ({"task": "compact", "dataset": "nothing"}, "telemetry")]:
        answer, failed = invoke(stage, event)
        assert failed and says in answer["errorMessage"], answer


def test_a_schedule_calls_the_function_with_its_task(stage):
    """As Terraform made them, but that this one comes once and now."""
    scheduler = stage.emulator.client("scheduler")
    group = f"{stage.out['functions']['maintain']}"
    made = scheduler.get_schedule(GroupName=group, Name=group.replace("maintain", "audit"))
    assert made["State"] == "DISABLED", "the tests call the function themselves"
    before = last_audit(stage)["at"]
    now = time.strftime("at(%Y-%m-%dT%H:%M:%S)", time.gmtime())
    name = f"once-{uuid.uuid4().hex[:8]}"
    scheduler.create_schedule(GroupName=group, Name=name, ScheduleExpression=now, FlexibleTimeWindow={"Mode": "OFF"},
                              Target={key: made["Target"][key] for key in ("Arn", "RoleArn", "Input")})
    try:
        until(lambda: last_audit(stage)["at"] > before, "the schedule has had the lake audited")
    finally:
        scheduler.delete_schedule(GroupName=group, Name=name)
