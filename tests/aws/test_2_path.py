"""The path of 152,965 real readings through the stack: in by HTTP and by Kinesis, out by the lake and by the API, each once."""

import collections
import datetime
import gzip
import json
import time

import pyarrow.compute as compute

import nab

REQUEST_EVENTS = 2_000
PUT_RECORDS = 500


def chunks(items, size):
    return [items[at:at + size] for at in range(0, len(items), size)]


def send_by_http(stage, token, events, expect=202):
    accepted = 0
    for number, some in enumerate(chunks(events, REQUEST_EVENTS)):
        body = "\n".join(json.dumps(event) for event in some).encode()
        headers = {"Content-Type": "application/x-ndjson"}
        if number % 2:
            body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
        answer = stage.call("POST", "/v1/telemetry", token, data=body, headers=headers)
        assert answer.status_code == expect, answer.text
        accepted += answer.json()["accepted"]
    return accepted


def send_by_kinesis(stage, source, events):
    """Ten events a record, as NDJSON; failed entries again, as a producer does."""
    kinesis = stage.emulator.client("kinesis")
    records = ["\n".join(json.dumps(event) for event in some).encode() for some in chunks(events, 10)]
    for some in chunks([{"Data": record, "PartitionKey": source} for record in records], PUT_RECORDS):
        while some:
            answered = kinesis.put_records(StreamName=stage.out["stream_name"], Records=some)["Records"]
            some = [entry for entry, verdict in zip(some, answered) if "ErrorCode" in verdict]
    return len(events)


def test_all_readings_are_acknowledged(stage):
    writer = stage.token("plant", "data.write")
    sent = 0
    for number, source in enumerate(nab.series()):
        events = nab.events(source)
        sent += send_by_http(stage, writer, events) if number % 2 else send_by_kinesis(stage, source, events)
    assert sent == nab.READINGS


def test_the_delivery_loop_hands_them_to_the_deployed_transform(stage):
    report = stage.deliver()
    assert report["records"] > 0 and report["invocations"] >= report["batches"] > 0
    assert (report["failed_records"], report["unexpected"]) == (0, 0)
    assert stage.objects(stage.out["landing_bucket"], "processing-failed/") == []
    stage.committed()


def test_the_lake_has_each_reading_once(stage):
    """As another library reads the Delta tables, reading by reading."""
    table = stage.rows("telemetry")
    assert table.num_rows == nab.READINGS
    assert compute.count_distinct(table["event_id"]).as_py() == nab.READINGS
    found = collections.defaultdict(list)
    times = table["event_time"].cast("timestamp[us]").to_pylist()
    for source, time, value in zip(table["source"].to_pylist(), times, table["value"].to_pylist()):
        found[source].append((time, value))
    for source in nab.series():
        expected = [(datetime.datetime.fromisoformat(event["time"][:-1]), event["data"]["value"]) for event in nab.events(source)]
        assert sorted(found[source]) == sorted(expected), source
    assert stage.rows("dead_letters").num_rows == 0
    by_owner = collections.Counter(table["owner"].to_pylist())
    assert set(by_owner) == {"plant", "anonymous"}, "the token's subject, and the stream's own owner"


def test_datafusion_counts_the_same(stage):
    statement = "select count(*) as n, count(distinct event_id) as ids, sum(value) as total from telemetry"
    [row] = stage.sql(statement)
    values = [event["data"]["value"] for source in nab.series() for event in nab.events(source)]
    assert (row["n"], row["ids"]) == (nab.READINGS, nab.READINGS)
    assert abs(row["total"] - sum(values)) <= 1e-9 * abs(sum(values))


def test_the_audit_matches_every_record_of_the_retained_stream(stage):
    report = stage.audit()
    assert all(check["passed"] for check in report["checks"]), report
    [telemetry] = [dataset for dataset in report["datasets"] if dataset["dataset"] == "telemetry"]
    assert (telemetry["received"], telemetry["written"]) == (nab.READINGS, nab.READINGS)


def test_the_newest_records_come_from_the_hot_index(stage):
    """A copy of some series, moved so that it ends now, read back through the API."""
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    writer, reader = stage.token("plant", "data.write"), stage.token("plant", "data.read")
    sources = ["nyc_taxi", "speed_7578", "occupancy_t4013"]
    copies = {source: nab.events(source, shift_to=now) for source in sources}
    for events in copies.values():
        send_by_http(stage, writer, events)
    stage.deliver()
    day = (now - datetime.timedelta(hours=23)).isoformat() + "Z"
    for source, events in copies.items():
        expected = [event for event in events if event["time"] >= day]
        expected.sort(key=lambda event: event["time"], reverse=True)
        assert len(expected) > 10, "the series has readings of its last day"
        answer = stage.call("GET", f"/v1/telemetry?source={source}&from={day}&limit=1000", reader)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert page["complete"] is True
        assert [record["id"] for record in page["records"]] == [event["id"] for event in expected]
        assert [record["data"]["value"] for record in page["records"]] == [event["data"]["value"] for event in expected]
        # In pages, each record once.
        walked, cursor = [], ""
        while True:
            page = stage.call("GET", f"/v1/telemetry?source={source}&from={day}&limit=7{cursor}", reader).json()
            walked += [record["id"] for record in page["records"]]
            if page["next"] is None:
                break
            cursor = f"&cursor={page['next']}"
        assert walked == [event["id"] for event in expected]
    other = stage.call("GET", f"/v1/telemetry?source=nyc_taxi&from={day}", stage.token("somebody", "data.read"))
    assert (other.status_code, other.json()["records"]) == (200, []), "a reader sees only what is theirs"
    stage.committed()


def test_a_head_is_answered_as_its_get_is(stage):
    reader, query = stage.token("me", "data.read"), "?source=nobody&from=-1m"
    answer = stage.call("HEAD", f"/v1/telemetry{query}", reader)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == stage.call("GET", f"/v1/telemetry{query}", reader).headers["content-type"]
    assert stage.call("HEAD", "/v1/telemetry").status_code == 401
    assert stage.call("HEAD", "/v1/reports", reader).status_code == 403


def test_what_is_new_is_told_in_polls(stage):
    """Of what comes in after a poll, each event of the reader is told once, and none of anybody else's."""
    now = datetime.datetime.now(datetime.timezone.utc).isoformat()
    writer, reader = stage.token("poller", "data.write"), stage.token("poller", "data.read")

    def poll(after):
        answer = stage.call("GET", f"/v1/telemetry?after={after}&source=gauge&limit=40", reader)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert page["complete"] is True
        return [record["id"] for record in page["records"]], page["next"]

    told, after = poll("newest")
    assert told == []
    ids = [f"gauge-{n}" for n in range(100)]
    theirs = {"id": "theirs", "source": "gauge", "time": now, "value": 1.0}
    send_by_http(stage, writer, [{**theirs, "id": name} for name in ids])
    send_by_http(stage, stage.token("other", "data.write"), [theirs])
    stage.deliver()
    deadline = time.monotonic() + 60
    while len(told) < len(ids) and time.monotonic() < deadline:
        some, after = poll(after)
        told += some
        time.sleep(0.5)
    assert sorted(told) == sorted(ids)
    assert poll(after)[0] == []
    stage.committed()
