"""Files in: asked for over the API, put by the link as anybody would, loaded by the deployed function, and every event is there once."""

import gzip
import json
import urllib.error
import urllib.request

from stage import until
from test_2_stage import operate

ROWS = 3_000


def ask(stage, token, expect=201, **asked):
    answer = stage.call("POST", "/v1/uploads", token, json={"dataset": "telemetry", **asked})
    assert answer.status_code == expect, answer.text
    return answer.json()


def put(url, content):
    """The status of a plain PUT, without a token or a header that would have to be right."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=content, method="PUT"), timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code


def status(stage, token, upload):
    answer = stage.call("GET", f"/v1/uploads/{upload['id']}", token)
    return answer.json() if answer.status_code == 200 else None


def ended(stage, token, upload):
    return until(lambda: (seen := status(stage, token, upload)) and seen["state"] in ("done", "failed") and seen, "the upload ends")


def load(stage, token, content, **asked):
    upload = ask(stage, token, **asked)
    assert put(upload["url"], content) == 200
    return ended(stage, token, upload)


def delivered(stage):
    stage.deliver()
    stage.committed()


def dead_letters(stage):
    return stage.sql("select count(distinct original) as n from dead_letters")[0]["n"]


def content_of(stage):
    """Every version of what was put and is there still."""
    listed = stage.emulator.client("s3").list_object_versions(Bucket=stage.out["uploads_bucket"])
    return [version["Key"] for version in listed.get("Versions", [])]


def test_a_compressed_table_is_loaded_and_a_broken_row_is_a_dead_letter(stage):
    ann = stage.token("ann", "data.write")
    dead = dead_letters(stage)
    rows = [f"2026-01-31T12:{row // 60 % 60:02}:{row % 60:02}Z,{row}" for row in range(ROWS)]
    rows.insert(16, "2026-01-31T12:00:00Z,1,2")
    content = gzip.compress("\n".join(["time,value", *rows, ""]).encode())
    done = load(stage, ann, content, name="attic.csv.gz")
    expected = {"state": "done", "owner": "ann", "format": "csv", "accepted": ROWS + 1, "odd": 1, "lines": ROWS + 2, "bytes": len(content)}
    assert {name: done[name] for name in expected} == expected, done
    assert done["odd_lines"] == [{"line": 18, "problem": "the row has 3 cells, the header 2; expected as many. It is a dead letter"}]
    delivered(stage)
    [seen] = stage.sql("select count(*) as n, count(distinct value) as numbers, max(owner) as owner from telemetry where source = 'attic'")
    assert seen == {"n": ROWS, "numbers": ROWS, "owner": "ann"}
    assert dead_letters(stage) == dead + 1
    assert content_of(stage) == [], "a file goes when it is loaded"


def test_the_same_file_twice_makes_no_second_event(stage):
    ann = stage.token("ann", "data.write")
    lines = [json.dumps({"source": "cellar", "value": number}) for number in range(200)]
    lines[7] = '{"source": "cellar", "value": '
    content = "\n".join(lines).encode()
    dead = dead_letters(stage)
    for _ in range(2):
        done = load(stage, ann, content, format="ndjson")
        assert (done["state"], done["accepted"], done["lines"]) == ("done", 200, 200), done
    delivered(stage)
    [seen] = stage.sql("select count(*) as n, count(distinct value) as numbers from telemetry where source = 'cellar'")
    assert seen == {"n": 199, "numbers": 199}
    [raw] = stage.sql("select count(distinct event_id) as ids from telemetry_raw where source = 'cellar'")
    assert raw["ids"] == 199, "an event has one id, in whichever upload"
    assert dead_letters(stage) == dead + 1


def test_an_upload_is_its_owners_alone(stage):
    ann, bob, admin = stage.token("ann", "data.write"), stage.token("bob", "data.write"), stage.token("root", "data.admin")
    upload = ask(stage, ann, format="ndjson")
    at = f"/v1/uploads/{upload['id']}"
    assert (status(stage, ann, upload)["state"], status(stage, admin, upload)["owner"]) == ("waiting", "ann")
    for method in ["GET", "DELETE"]:
        answer = stage.call(method, at, bob)
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/unknown-upload"), answer.text
    assert stage.call("POST", "/v1/uploads", bob, params={"owner": "ann"}, json={"dataset": "telemetry", "format": "csv"}).status_code == 403
    assert stage.call("GET", "/v1/uploads", stage.token("ann", "data.read")).status_code == 403
    listed = {name: [one["id"] for one in stage.call("GET", "/v1/uploads", token).json()["uploads"]] for name, token in [("ann", ann), ("bob", bob), ("admin", admin)]}
    assert upload["id"] in listed["ann"] and upload["id"] in listed["admin"] and listed["bob"] == []
    theirs = stage.call("POST", "/v1/uploads", admin, params={"owner": "bob"}, json={"dataset": "telemetry", "format": "csv"}).json()
    assert status(stage, bob, theirs)["owner"] == "bob"
    content = stage.call("PUT", f"{at}/content", ann, data=b"{}")
    assert (content.status_code, content.json()["type"]) == (501, "/problems/content-elsewhere")
    # Taken back: what is put afterwards is nobody's, and is removed.
    for one, token in [(upload, ann), (theirs, bob)]:
        assert stage.call("DELETE", f"/v1/uploads/{one['id']}", token).status_code == 204
        assert status(stage, token, one) is None
    assert put(upload["url"], b'{"source": "nobody", "value": 1}\n') == 200
    until(lambda: not content_of(stage), "content without an upload is removed")


def test_a_link_is_good_for_its_own_upload_and_time(stage):
    ann = stage.token("ann", "data.write")
    one, other = ask(stage, ann, format="ndjson"), ask(stage, ann, format="ndjson")
    for wrong in [
        one["url"].replace(one["id"], other["id"]),
        one["url"].replace("X-Amz-Expires=900", "X-Amz-Expires=90000"),
        one["url"].partition("X-Amz-Date=")[0] + "X-Amz-Date=20260101T000000Z" + one["url"].partition("X-Amz-Date=")[2][16:],
    ]:
        assert wrong != one["url"] and put(wrong, b"{}") == 403
    with_get = urllib.request.Request(one["url"], method="GET")
    try:
        urllib.request.urlopen(with_get, timeout=60)
        raise AssertionError("a link to put lets nobody read")
    except urllib.error.HTTPError as refused:
        assert refused.code == 403
    assert {status(stage, ann, upload)["state"] for upload in (one, other)} == {"waiting"}
    for upload in (one, other):
        assert stage.call("DELETE", f"/v1/uploads/{upload['id']}", ann).status_code == 204


def test_content_that_is_none_fails_and_says_why(stage):
    ann = stage.token("ann", "data.write")
    for content, says in [(b"", "empty"), (b'[{"value": 1}]', "begins with `[`"), (gzip.compress(b'{"value": 1}\n' * 9)[:-9], "gzip")]:
        done = load(stage, ann, content, format="ndjson")
        assert done["state"] == "failed" and says in done["error"], done
    assert content_of(stage) == []
    assert stage.queue_is_empty(stage.out["uploads_dead_letter_queue_url"])


def test_an_erasure_takes_uploads_along(stage):
    carl, bob = stage.token("carl", "data.write"), stage.token("bob", "data.write")
    theirs, others = ask(stage, carl, format="ndjson"), ask(stage, bob, format="ndjson")
    would = json.loads(operate(stage, "erase", "--owner", "carl", "--dry-run").stdout)
    assert {store["store"]: store for store in would["stores"]}["uploaded files"]["files"] == 1, would
    assert status(stage, carl, theirs)["state"] == "waiting"
    report = json.loads(operate(stage, "erase", "--owner", "carl").stdout)
    stores = {store["store"]: store for store in report["stores"]}
    assert stores["uploaded files"]["files"] == 1 and stores["uploaded files"]["is_done"], report
    assert status(stage, carl, theirs) is None and status(stage, bob, others)["state"] == "waiting"
    # The link is good for a while still, and what is put by it is nobody's.
    assert put(theirs["url"], b'{"source": "carl", "value": 1}\n') == 200
    until(lambda: not content_of(stage), "content without an upload is removed")
    assert stage.call("DELETE", f"/v1/uploads/{others['id']}", bob).status_code == 204
    # What a file brought before it failed is not left for the tests that follow.
    delivered(stage)
