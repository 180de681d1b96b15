"""What an operator does to a stage by its name while it runs: redrive and erasure by command, with the audit afterwards."""

import contextlib
import datetime
import io
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import uuid
import zipfile

import pytest

from stage import ALLUVIUM, PACKAGES, ROOT, until
from test_2_path import send_by_http, send_by_kinesis

STAGE = ["--stage", "bench"]


def operate(stage, command, *words, token=None, expect=0):
    environment = {**stage.emulator.environment(), **({"ALLUVIUM_TOKEN": token} if token else {})}
    done = subprocess.run([ALLUVIUM, "--json", command, *STAGE, *map(str, words)], env=environment, capture_output=True, text=True)
    assert expect is None or done.returncode == expect, f"alluvium {command} {words}: {done.stdout[-6000:]}\n{done.stderr[-6000:]}"
    return done


def lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def assert_balanced(stage):
    stage.committed()
    report = json.loads(operate(stage, "audit", "--deep", expect=None).stdout)
    assert report["balances"], [check for check in report["checks"] if not check["passed"]]
    return report


@contextlib.contextmanager
def running(stage):
    """The stage at work: somebody sends, and the delivery loop hands over, until the block ends; then all of it is committed."""
    positions = stage.terraform.folder / "positions.json"
    loop = subprocess.Popen([ALLUVIUM, "--json", "deliver", *STAGE, "--buffer", "1s", "--retry-pause", "100ms", "--positions", positions],
                            env=stage.emulator.environment(), stdout=subprocess.PIPE, text=True)
    stop, sent = threading.Event(), []

    def send():
        while not stop.is_set():
            now = datetime.datetime.now(datetime.timezone.utc).isoformat()
            events = [{"id": f"beside-{uuid.uuid4()}", "source": "beside", "time": now, "value": 1.0} for _ in range(20)]
            send_by_http(stage, stage.token("bystander", "data.write"), events)
            sent.extend(event["id"] for event in events)
            stop.wait(0.5)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield sent
    finally:
        stop.set()
        sender.join()
        loop.send_signal(signal.SIGTERM)
        report, _ = loop.communicate(timeout=120)
    assert json.loads(report)["failed_records"] == 0
    stage.deliver()
    stage.committed()


def assert_bystanders_kept(stage, sent):
    ours = set(sent)
    found = [row["event_id"] for row in stage.rows("telemetry").to_pylist() if row["event_id"] in ours]
    assert sorted(found) == sorted(sent), "each event of somebody else is there once"


class Narrow:
    """The transform with a schema that takes no value above 10, as a mistaken deploy would have it; put right again afterwards."""

    def __init__(self, stage):
        self.functions, self.name = stage.emulator.client("lambda"), stage.out["functions"]["transform"]
        self.good = self.functions.get_alias(FunctionName=self.name, Name="live")["FunctionVersion"]

    def __enter__(self):
        zipped = io.BytesIO()
        with zipfile.ZipFile(pathlib.Path(PACKAGES) / "transform.zip") as good, zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as narrow:
            for entry in good.infolist():
                content = good.read(entry)
                if entry.filename == "datasets/telemetry.json":
                    schema = json.loads(content)
                    schema["properties"]["value"]["maximum"] = 10
                    content = json.dumps(schema).encode()
                narrow.writestr(entry, content)
        bad = self.functions.update_function_code(FunctionName=self.name, ZipFile=zipped.getvalue(), Publish=True)
        self.functions.update_alias(FunctionName=self.name, Name="live", FunctionVersion=bad["Version"])

    def __exit__(self, *_):
        self.functions.update_alias(FunctionName=self.name, Name="live", FunctionVersion=self.good)
        # What is published next is made of this code.
        self.functions.update_function_code(FunctionName=self.name, ZipFile=(pathlib.Path(PACKAGES) / "transform.zip").read_bytes())


def test_a_stage_is_found_by_its_name(stage):
    [row] = lines(operate(stage, "sql", "select count(*) as n from telemetry"))
    assert row["n"] == stage.rows("telemetry").num_rows
    assert_balanced(stage)
    for name, why in [("nowhere", "no parameter lies under /alluvium/nowhere"), ("other/bench", "/other/bench"), ("Bench", "names no stage")]:
        done = subprocess.run([ALLUVIUM, "sql", "--stage", name, "select 1"], env=stage.emulator.environment(), capture_output=True, text=True)
        assert done.returncode != 0 and why in done.stderr, done.stderr
    both = subprocess.run([ALLUVIUM, "sql", *STAGE, "--lake", stage.out["lake_url"], "select 1"], env=stage.emulator.environment(),
                          capture_output=True, text=True)
    assert both.returncode == 2 and "cannot be used with" in both.stderr, both.stderr


def test_the_ledger_is_held_against_what_cloudwatch_counted(stage):
    """The emulator counts nothing by itself, and an hour that has settled is before the stage was made: what is told is what was put there."""
    stage.committed()
    counts = lambda report: next(check for check in report["checks"] if "services counted" in check["name"])
    report = json.loads(operate(stage, "audit", expect=None).stdout)
    assert counts(report)["passed"] and report["counted"]["put_records"] == 0, counts(report)
    assert report["counted"]["read_records"] is None, "Firehose delivers nothing here"
    window = report["counted"]
    assert window["to"] - window["from"] == 3_600_000_000 and window["from"] % 60_000_000 == 0
    metric = {"MetricName": "IncomingRecords", "Dimensions": [{"Name": "StreamName", "Value": stage.out["stream_name"]}], "Unit": "Count"}
    # A little past the window's middle, so that it is within the next minutes' window too.
    middle = datetime.datetime.fromtimestamp((window["from"] + window["to"]) / 2_000_000, datetime.timezone.utc)
    stage.emulator.client("cloudwatch").put_metric_data(Namespace="AWS/Kinesis", MetricData=[{**metric, "Timestamp": middle, "Value": 5_000}])
    report = json.loads(operate(stage, "audit", expect=1).stdout)
    [problem] = counts(report)["problems"]
    missing = 5_000 - report["counted"]["ledger_events"]
    assert report["counted"]["put_records"] == 5_000 and f"{missing} events fewer than records were put" in problem, problem
    # Taken back, so that the audits of other tests balance.
    stage.emulator.client("cloudwatch").put_metric_data(Namespace="AWS/Kinesis", MetricData=[{**metric, "Timestamp": middle, "Value": -5_000}])
    report = json.loads(operate(stage, "audit", expect=None).stdout)
    assert counts(report)["passed"], counts(report)


def test_events_are_sent_to_a_stage_and_read_from_its_api(stage, tmp_path):
    now = datetime.datetime.now(datetime.timezone.utc).isoformat()
    file = tmp_path / "events.ndjson"
    file.write_text("".join(json.dumps({"id": f"named-{n}", "source": "named", "time": now, "value": float(n)}) + "\n" for n in range(100)))
    assert json.loads(operate(stage, "send", file).stdout)["accepted"] == 100
    stage.deliver()
    # The stream's own owner.
    reader = stage.token("anonymous", "data.read")
    page = json.loads(operate(stage, "records", "--source", "named", "--since", "1h", "--limit", "200", token=reader).stdout)
    assert sorted(record["id"] for record in page["records"]) == sorted(f"named-{n}" for n in range(100))
    refused = operate(stage, "records", token=None, expect=1)
    assert "ALLUVIUM_TOKEN" in refused.stderr or "401" in refused.stderr, refused.stderr
    stage.committed()


def test_dead_letters_are_redriven_by_command_while_the_stack_runs(stage):
    """Events that a mistaken schema kept out: sent again they are rows, under the ids and the arrival of the first time."""
    source = "narrowed"
    with Narrow(stage):
        send_by_kinesis(stage, source, [{"source": source, "value": 11.0 + n} for n in range(200)])
        stage.deliver()
        stage.committed()
    letters = [row for row in stage.rows("dead_letters").to_pylist() if row["source"] == source]
    assert len(letters) == 200 and {letter["reason"] for letter in letters} == {"schema_violated"}, letters[:3]
    groups = lines(operate(stage, "dead-letters", "--where", f"source = '{source}'"))
    assert [(group["reason"], group["letters"]) for group in groups] == [("schema_violated", 200)]
    condition = ["--where", f"source = '{source}'"]
    with running(stage) as sent:
        until(lambda: sent, "somebody sends")
        tried = json.loads(operate(stage, "redrive", *condition, "--dry-run").stdout)
        assert tried["dry_run"] and [group["sent"] for group in tried["groups"]] == [200]
        done = json.loads(operate(stage, "redrive", *condition).stdout)
        assert [(group["reason"], group["sent"]) for group in done["groups"]] == [("schema_violated", 200)]
        again = json.loads(operate(stage, "redrive", *condition).stdout)
        assert again["groups"] == [], "what was sent is marked"
    rows = [row for row in stage.rows("telemetry").to_pylist() if row["source"] == source]
    assert sorted(row["value"] for row in rows) == [11.0 + n for n in range(200)]
    assert {(row["event_id"], row["ingest_time"]) for row in rows} == {(letter["event_id"], letter["ingest_time"]) for letter in letters}
    marked = [row for row in stage.rows("dead_letters").to_pylist() if row["source"] == source]
    assert len(marked) == 200 and all(row["redriven_at"] for row in marked)
    assert_bystanders_kept(stage, sent)
    assert_balanced(stage)


def test_an_owner_is_erased_by_command_while_the_stack_runs(stage):
    leaver, stayer = stage.token("leaver", "data.write", "data.read"), stage.token("stayer", "data.write", "data.read")
    now = datetime.datetime.now(datetime.timezone.utc).isoformat()
    made = lambda whose: [{"id": f"{whose}-{n}", "source": "shared", "time": now, "value": float(n)} for n in range(300)]
    send_by_http(stage, leaver, made("leaver"))
    send_by_http(stage, leaver, [{"source": "shared", "value": "warm"}] * 5)
    send_by_http(stage, stayer, made("stayer"))
    stage.deliver()
    stage.committed()
    results = stage.out["results_bucket"]
    s3 = stage.emulator.client("s3")
    s3.put_object(Bucket=results, Key="statement.csv", Body=b"leaver-1")
    # Those of statements that other tests have made as well.
    kept = s3.list_objects_v2(Bucket=results)["KeyCount"]

    def read(token):
        answer = stage.call("GET", "/v1/telemetry?source=shared&from=-1h&limit=1000", token)
        assert answer.status_code == 200, answer.text
        return sorted(record["id"] for record in answer.json()["records"])

    assert read(leaver) == sorted(f"leaver-{n}" for n in range(300))
    erase = ["--owner", "leaver"]
    with running(stage) as sent:
        until(lambda: sent, "somebody sends")
        tried = json.loads(operate(stage, "erase", *erase, "--dry-run").stdout)
        counted = {store["store"]: store["rows"] for store in tried["stores"]}
        assert tried["id"] is None and counted["table `telemetry`"] == 300 and counted["table `dead_letters`"] == 5
        assert counted["hot index"] == 300
        assert read(leaver) != [], "to try changes nothing"
        # On its way when the erasure begins.
        send_by_http(stage, leaver, [{"id": "leaver-late", "source": "shared", "time": now, "value": 1.0}])
        report = json.loads(operate(stage, "erase", *erase).stdout)
        stores = {store["store"]: store for store in report["stores"]}
        assert all(store["is_done"] for store in stores.values()), report
        assert stores["hot index"]["rows"] >= 300 and stores["results of statements"]["files"] == kept
        for copies in ["removed objects of the lake", "hot index, points in time", "stream", "source backup"]:
            assert stores[copies]["ends"] > report["requested_at"], copies
        assert "leaver" not in json.dumps(report), "the report names nobody"
        stage.committed()
        assert read(leaver) == [] and read(stayer) == sorted(f"stayer-{n}" for n in range(300))
        # What arrives later is new.
        send_by_http(stage, leaver, [{"id": "leaver-after", "source": "shared", "time": now, "value": 1.0}])
    for name in ["telemetry", "dead_letters"]:
        left = [row["event_id"] for row in stage.rows(name).to_pylist() if row["owner"] == "leaver"]
        assert left == (["leaver-after"] if name == "telemetry" else []), name
    assert read(leaver) == ["leaver-after"]
    assert stage.objects(results, "") == []
    [listed] = json.loads(operate(stage, "erase", "--list").stdout)
    assert (listed["id"], listed["closed_at"]) == (report["id"], None)
    assert read(leaver) == ["leaver-after"]
    assert_bystanders_kept(stage, sent)
    assert_balanced(stage)


def test_tables_are_compacted_and_vacuumed_by_command(stage):
    before = {name: stage.rows(name).num_rows for name in ["telemetry", "dead_letters"]}
    rounds = json.loads(operate(stage, "compact").stdout)
    assert any(compacted["table"] == "telemetry" and compacted["files_after"] < compacted["files_before"] for compacted in rounds), rounds
    assert {name: stage.rows(name).num_rows for name in before} == before
    tried = json.loads(operate(stage, "vacuum", "--dry-run").stdout)
    assert {vacuumed["table"] for vacuumed in tried["tables"]} >= {"telemetry", "dead_letters", "ledger"}
    assert json.loads(operate(stage, "recover", "--dry-run", expect=None).stdout)["batches"] == []
    assert_balanced(stage)


@pytest.mark.skipif(shutil.which("aws") is None or shutil.which("curl") is None, reason="it takes the AWS command line and curl")
def test_the_checklist_runs_as_far_as_an_emulator_goes(stage):
    """Each item passes, or is skipped with its reason."""
    smoke = [sys.executable, "-B", ROOT / "infra/smoke/run.py", "--stage", "bench", "--alluvium", ALLUVIUM, "--emulator",
             "--positions", stage.terraform.folder / "positions.json"]
    done = subprocess.run([str(word) for word in smoke], env=stage.emulator.environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    words = {int(line.split()[1]): line.split()[0] for line in done.stdout.splitlines()[:-1]}
    assert {number for number, word in words.items() if word == "pass"} >= {5, 7, 8, 9, 17, 30}, done.stdout
    stage.committed()
