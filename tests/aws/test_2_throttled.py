"""DynamoDB throttled for a minute: the stream does not wait, no read says that it is complete when it is not, and nothing is lost."""

import datetime
import json
import time

import pytest

from proxy import through
from stage import until
from test_2_path import send_by_http
from test_2_stage import operate
from test_3_faults import assert_balanced, assert_there_once
from throttle import Throttle

THROTTLED_SECONDS = 60
# What one delivery takes on a busy machine; waiting for the table takes until it is throttled no longer.
DELIVERY_SECONDS = 40


@pytest.fixture
def table(stage):
    """The hot index's table as its writers see it: through a throttle."""
    throttle = Throttle(stage.emulator.endpoint, stage.out["hot_table"])
    with through(stage, throttle, ["transform", "hot-writer"], "AWS_ENDPOINT_URL_DYNAMODB"):
        yield throttle
        throttle.throttled = False


def events(source, first, count):
    now = datetime.datetime.now(datetime.timezone.utc).isoformat()
    return [{"id": f"{source}:{n}", "source": source, "type": "reading", "time": now, "data": {"value": n}}
            for n in range(first, first + count)]


class Reader:
    """Reads a source page by page, and holds each answer against what was delivered before it was asked for."""

    def __init__(self, stage, source):
        self.stage = stage
        self.source = source
        self.token = stage.token("plant", "data.read")
        self.begin = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=5)).isoformat().replace("+00:00", "Z")
        self.delivered = set()

    def read(self):
        """The ids, and whether the walk says that it is complete."""
        delivered, ids, complete, cursor = set(self.delivered), [], True, ""
        while True:
            answer = self.stage.call("GET", f"/v1/telemetry?source={self.source}&from={self.begin}&limit=1000{cursor}", self.token)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            ids += [record["id"] for record in page["records"]]
            complete &= page["complete"]
            if page["next"] is None:
                break
            cursor = f"&cursor={page['next']}"
        if complete:
            assert len(ids) == len(set(ids)), "each event once"
            assert delivered <= set(ids), f"a complete answer misses {len(delivered - set(ids))} of {len(delivered)} events"
        return set(ids), complete


def send(stage, reader, first, count):
    """Sends events and has them delivered; says how long the delivery took."""
    send_by_http(stage, stage.token("plant", "data.write"), events(reader.source, first, count))
    begun = time.monotonic()
    report = stage.deliver()
    assert (report["failed_records"], report["unexpected"]) == (0, 0), "the transform answers, throttled or not"
    reader.delivered |= {f"{reader.source}:{n}" for n in range(first, first + count)}
    return time.monotonic() - begun


def poll(stage, after, source):
    answer = stage.call("GET", f"/v1/telemetry?after={after}&source={source}&limit=1000", stage.token("plant", "data.read"))
    assert answer.status_code == 200, answer.text
    page = answer.json()
    return {record["id"] for record in page["records"]}, page["next"], page["complete"]


def test_a_minute_of_throttling_loses_nothing_and_no_read_pretends(stage, table):
    reader = Reader(stage, "levelled")
    send(stage, reader, 0, 200)
    ids, complete = reader.read()
    assert (ids, complete) == (reader.delivered, True), "nothing waits yet"
    _, after, complete = poll(stage, "newest", reader.source)
    assert complete
    told, count = set(), 200

    table.throttled = True
    end = time.monotonic() + THROTTLED_SECONDS
    while time.monotonic() < end:
        assert send(stage, reader, count, 300) < DELIVERY_SECONDS, "the stream waits for the table"
        count += 300
        ids, complete = reader.read()
        assert not complete and len(ids) == 200, "what was sent meanwhile waits, and the answer says so"
        assert not poll(stage, after, reader.source)[2]
    assert table.refused > 0

    table.throttled = False
    def drained():
        ids, complete = reader.read()
        return complete and ids == reader.delivered
    until(drained, "all that waited is in the hot index", 300)
    until(lambda: stage.queue_is_empty(stage.out["hot_buffer_url"]), "the buffer empties", 300)
    assert stage.queue_is_empty(stage.out["hot_buffer_dead_letter_queue_url"])
    notes = stage.emulator.client("dynamodb").scan(TableName=stage.out["hot_waiting_table"])["Items"]
    assert [note for note in notes if not note["pk"]["S"].endswith("#drained")] == []

    # Who had asked before is told of all of it, at the place that it got when it was put.
    def all_told():
        nonlocal after
        ids, after, _ = poll(stage, after, reader.source)
        told.update(ids)
        return reader.delivered - {f"levelled:{n}" for n in range(200)} <= told
    until(all_told, "who polls is told of what waited")

    stage.committed()
    assert_there_once(stage, reader.source, count)
    assert_balanced(stage)


def test_a_short_throttle_while_others_write_loses_nothing(stage, table):
    """On and off, so that some of a batch is taken and some of it waits, and drains meet puts."""
    reader = Reader(stage, "flickering")
    for turn in range(8):
        table.throttled = turn % 2 == 1
        send(stage, reader, turn * 100, 100)
        reader.read()
    table.throttled = False
    until(lambda: reader.read() == (reader.delivered, True), "all of it is in the hot index", 300)
    stage.committed()
    assert_there_once(stage, reader.source, 800)
    assert_balanced(stage)


def test_an_owner_who_is_erased_does_not_come_back_out_of_the_buffer(stage, table):
    """Chunks wait while the erasure is at work, and are written to the index after it."""
    leaver, stayer = stage.token("waiting-leaver", "data.write", "data.read"), stage.token("waiting-stayer", "data.write", "data.read")

    def read(token):
        answer = stage.call("GET", "/v1/telemetry?source=waited&from=-1h&limit=1000", token)
        assert answer.status_code == 200, answer.text
        return {record["id"] for record in answer.json()["records"]}, answer.json()["complete"]

    table.throttled = True
    send_by_http(stage, leaver, events("waited", 0, 200))
    send_by_http(stage, stayer, events("waited", 1_000, 200))
    stage.deliver()
    stage.committed()
    assert table.refused > 0 and read(stayer) == (set(), False), "both wait"
    tried = json.loads(operate(stage, "erase", "--owner", "waiting-leaver", "--dry-run").stdout)
    waiting = lambda report: next(store["files"] for store in report["stores"] if store["store"] == "chunks that wait for the hot index")
    assert waiting(tried) > 0
    # It waits for drains that may be under way; the command itself reaches the table.
    report = json.loads(operate(stage, "erase", "--owner", "waiting-leaver").stdout)
    assert waiting(report) == waiting(tried) and all(store["is_done"] for store in report["stores"]), report
    table.throttled = False
    until(lambda: read(stayer) == ({f"waited:{n}" for n in range(1_000, 1_200)}, True), "what waited of others is in the hot index", 300)
    until(lambda: stage.queue_is_empty(stage.out["hot_buffer_url"]), "the buffer empties", 300)
    assert read(leaver) == (set(), True)
    tried = json.loads(operate(stage, "erase", "--owner", "waiting-leaver", "--dry-run").stdout)
    assert waiting(tried) == 0 and all(not store["rows"] for store in tried["stores"]), tried
    notes = stage.emulator.client("dynamodb").scan(TableName=stage.out["hot_waiting_table"])["Items"]
    assert [note for note in notes if not note["pk"]["S"].endswith("#drained")] == []
    assert_balanced(stage)
