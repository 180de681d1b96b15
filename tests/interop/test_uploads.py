"""Files in: uploads by links and tokens, and what becomes of their lines."""

import gzip
import http.client
import json
import urllib.parse

import pyarrow
import pytest
import requests
from program import Node, alluvium, eventually

ENDED = ("done", "failed")


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def ask(node, token, **asked):
    answer = requests.post(f"{node.url}/v1/uploads", json=asked, headers=bearer(token))
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == f"/v1/uploads/{answer.json()['id']}"
    return answer.json()


def ended(node, token, upload):
    def status():
        return requests.get(f"{node.url}/v1/uploads/{upload['id']}", headers=bearer(token)).json()

    return eventually(status, lambda found: found["state"] in ENDED, 60)


def loaded(node, token, content, **asked):
    """Asks, puts by the link alone, and waits."""
    upload = ask(node, token, **asked)
    put = requests.put(node.url + upload["url"], data=content)
    assert put.status_code == 202, put.text
    assert put.json()["state"] in ("queued", "loading", "done") and put.json()["bytes"] == len(content)
    return ended(node, token, upload)


def rows(node, statement):
    printed = alluvium("--json", "sql", "--data", node.data, statement)
    return [json.loads(line) for line in printed.splitlines()]


def committed(node, statement, wanted):
    return eventually(lambda: rows(node, statement), lambda found: found == wanted, 30)


@pytest.fixture
def ann(node):
    return node.token_of("ann", "data.read", "data.write")


def test_events_of_every_kind_of_file_are_rows_of_whoever_asked(node, ann):
    lines = [{"source": "kitchen", "time": f"2026-01-31T12:00:{n:02}Z", "value": n, "owner": "mallory"} for n in range(20)]
    ndjson = "".join(json.dumps(line) + "\n" for line in lines).encode()
    files = {"plain": ndjson, "gzip": gzip.compress(ndjson), "zstd": pyarrow.compress(ndjson, codec="zstd", asbytes=True)}
    for name, content in files.items():
        status = loaded(node, ann, content, dataset="telemetry", format="ndjson", name=name)
        assert status["state"] == "done" and status["error"] is None, status
        assert (status["lines"], status["accepted"], status["odd"], status["owner"]) == (20, 20, 0, "ann")
    csv = "time,value,unit\r\n2026-01-31 12:00:00,1.5,Cel\r\n2026-01-31 12:00:01,,\r\n2026-01-31 12:00:02,007,Cel\r\n"
    status = loaded(node, ann, gzip.compress(csv.encode()), dataset="telemetry", name="attic.csv.gz")
    assert (status["state"], status["format"], status["lines"], status["accepted"]) == ("done", "csv", 4, 3)
    committed(node, "select source, owner, count(*) as n, sum(value) as v from telemetry_raw group by 1, 2 order by 1", [
        {"source": "attic", "owner": "ann", "n": 1, "v": 1.5},
        {"source": "kitchen", "owner": "ann", "n": 60, "v": 570.0},
    ])
    committed(node, "select reason, count(*) as n from dead_letters group by 1 order by 1", [
        {"reason": "required_missing", "n": 1}, {"reason": "schema_violated", "n": 1},
    ])
    listed = requests.get(f"{node.url}/v1/uploads", headers=bearer(ann)).json()["uploads"]
    assert [upload["name"] for upload in listed] == ["attic.csv.gz", "zstd", "gzip", "plain"]


def test_the_same_file_again_makes_no_second_event(node, ann):
    content = "".join(f'{{"value": {n}}}\n' for n in range(50)).encode()
    for _ in range(2):
        assert loaded(node, ann, content, dataset="telemetry", format="ndjson")["accepted"] == 50
    committed(node, "select count(*) as n from telemetry_raw", [{"n": 100}])
    committed(node, "select count(*) as n, count(distinct event_id) as ids from telemetry", [{"n": 50, "ids": 50}])


def test_lines_that_are_no_events_are_dead_letters_and_told_of(node, ann):
    long = b'{"value": 1, "note": "' + b"x" * 2_000_000 + b'"}'
    content = b'\xef\xbb\xbf{"value": 1}\n\nnot json\n' + long + b'\n{"value": 2}\n'
    status = loaded(node, ann, content, dataset="telemetry", format="ndjson")
    assert (status["state"], status["lines"], status["accepted"], status["odd"]) == ("done", 5, 3, 2), status
    assert [(odd["line"], odd["problem"].split(",")[0]) for odd in status["odd_lines"]] == [
        (3, "it is no JSON object"), (4, f"it is longer than {2**20 - 4 * 1024} bytes"),
    ]
    status = loaded(node, ann, b"unit,value\nCel,2\n1,2,3\n%,3\n", dataset="telemetry", format="csv")
    assert (status["state"], status["accepted"], status["odd"]) == ("done", 3, 1), status
    assert status["odd_lines"] == [{"line": 3, "problem": "the row has 3 cells, the header 2; expected as many. It is a dead letter"}]
    committed(node, "select reason, original from dead_letters order by original", [
        {"reason": "not_json", "original": "1,2,3"}, {"reason": "not_json", "original": "not json"},
    ])


def test_a_file_that_cannot_be_read_fails_and_says_where(node, ann):
    lines = b"".join(b'{"source": "s%d", "value": %d}\n' % (n, n) for n in range(200_000))
    broken = gzip.compress(lines)
    status = loaded(node, ann, broken[: len(broken) // 2], dataset="telemetry", format="ndjson")
    assert status["state"] == "failed" and "gzip" in status["error"], status
    assert 0 < status["accepted"] < 200_000 and str(status["lines"] + 1) in status["error"], status
    committed(node, "select count(*) as n from telemetry", [{"n": status["accepted"]}])
    for content, format, said in (
        (b'[{"value": 1}]', "ndjson", "begins with `[`"),
        (b"1,2\n3,4\n", "csv", "no names"),
        (b"a,b,a\n1,2,3\n", "csv", "`a`"),
        (b"\x1f\x8b\x00\x00", "csv", "gzip"),
        (b'value,unit\n1,"Cel\n' + b"x" * 2_000_000, "csv", "quote"),
    ):
        status = loaded(node, ann, content, dataset="telemetry", format=format)
        assert status["state"] == "failed" and said in status["error"] and status["accepted"] == 0, status


def test_an_upload_is_its_owners_and_its_content_is_put_once(node, ann):
    bob, reader = node.token_of("bob", "data.write"), node.token_of("ann", "data.read")
    admin = node.token_of("eve", "data.admin")
    upload = ask(node, ann, dataset="telemetry", format="ndjson")
    at, content = f"{node.url}/v1/uploads/{upload['id']}", b'{"value": 1}\n'
    for token, status in ((bob, 404), (reader, 403), ("x.y.z", 401)):
        for call in (requests.get, requests.delete):
            assert call(at, headers=bearer(token)).status_code == status
        assert requests.put(f"{at}/content", data=content, headers=bearer(token)).status_code == status
    assert requests.put(f"{at}/content", data=content).status_code == 401
    link = upload["url"]
    assert urllib.parse.urlsplit(link).path == f"/v1/uploads/{upload['id']}/content"
    assert requests.put(node.url + link.replace(upload["id"], "0" * 32), data=content).status_code == 401
    assert requests.get(node.url + link).status_code == 405
    assert requests.put(node.url + link, data=b"").json()["type"] == "/problems/no-event"
    assert requests.put(node.url + link, data=content, headers={"Content-Encoding": "br"}).status_code == 415
    assert requests.put(node.url + link, data=content).status_code == 202
    again = requests.put(node.url + link, data=content)
    assert (again.status_code, again.json()["type"]) == (409, "/problems/upload-has-content")
    assert ended(node, ann, upload)["state"] == "done"
    assert requests.get(f"{node.url}/v1/uploads", headers=bearer(bob)).json() == {"uploads": []}
    assert len(requests.get(f"{node.url}/v1/uploads", headers=bearer(admin)).json()["uploads"]) == 1
    assert requests.delete(at, headers=bearer(ann)).status_code == 204
    assert requests.get(at, headers=bearer(ann)).status_code == 404


def test_an_admin_asks_for_others_and_nobody_else_does(node, ann):
    admin = node.token_of("eve", "data.admin")
    asked = {"dataset": "telemetry", "format": "ndjson"}
    of_bob = f"{node.url}/v1/uploads?owner=bob"
    assert requests.post(of_bob, json=asked, headers=bearer(ann)).status_code == 403
    upload = requests.post(of_bob, json=asked, headers=bearer(admin)).json()
    assert requests.put(node.url + upload["url"], data=b'{"id": "1", "value": 1, "owner": "ann"}').status_code == 202
    assert ended(node, node.token_of("bob", "data.write"), upload)["owner"] == "bob"
    committed(node, "select owner, event_id from telemetry", [{"owner": "bob", "event_id": "1"}])


def test_what_cannot_be_asked_for_is_refused_and_says_why(node, ann):
    for asked, status, said in (
        ({"dataset": "nope", "format": "csv"}, 404, "telemetry"),
        ({"dataset": "telemetry"}, 400, "`format` is missing"),
        ({"dataset": "telemetry", "name": "x.parquet"}, 400, "`format` is missing"),
        ({"dataset": "telemetry", "format": "xml"}, 400, "xml"),
        ({"dataset": "telemetry", "format": "csv", "owner": "bob"}, 400, "owner"),
        ({"dataset": "telemetry", "format": "csv", "name": "a\nb"}, 400, "name"),
        ("x" * 20_000, 413, "16384"),
    ):
        answer = requests.post(f"{node.url}/v1/uploads", json=asked, headers=bearer(ann))
        assert answer.status_code == status and said in answer.json()["detail"], answer.text
    assert requests.get(f"{node.url}/v1/uploads", headers=bearer(ann)).json() == {"uploads": []}


def test_an_owner_has_a_share(node, ann):
    uploads = [ask(node, ann, dataset="telemetry", format="csv") for _ in range(16)]
    refused = requests.post(f"{node.url}/v1/uploads", json={"dataset": "data", "format": "csv"}, headers=bearer(ann))
    assert (refused.status_code, refused.json()["type"]) == (429, "/problems/too-many-uploads")
    assert "Retry-After" in refused.headers
    ask(node, node.token_of("bob", "data.write"), dataset="telemetry", format="csv")
    requests.delete(f"{node.url}/v1/uploads/{uploads[0]['id']}", headers=bearer(ann))
    ask(node, ann, dataset="telemetry", format="csv")


@pytest.fixture
def small(tmp_path, monkeypatch):
    config = tmp_path / "small.toml"
    config.write_text("[uploads]\nmax_bytes = 1000\nexpanded_bytes = 100000\n")
    running = Node(tmp_path / "node", "--config", config)
    yield running
    running.stop()


def test_what_is_too_large_or_breaks_off_leaves_nothing(small):
    ann = small.token_of("ann", "data.read", "data.write")
    upload = ask(small, ann, dataset="telemetry", format="ndjson")
    assert upload["max_bytes"] == 1000
    url = small.url + upload["url"]
    address = urllib.parse.urlsplit(url)
    target = f"{address.path}?{address.query}"
    # Refused by what it says that it will send.
    said = http.client.HTTPConnection(address.netloc, timeout=20)
    said.putrequest("PUT", target)
    said.putheader("Content-Length", "1001")
    said.endheaders()
    assert said.getresponse().status == 413
    # Refused on the way: nothing is said beforehand.
    assert requests.put(url, data=iter([b"x" * 600, b"x" * 600])).json()["type"] == "/problems/file-too-large"
    short = http.client.HTTPConnection(address.netloc, timeout=20)
    short.putrequest("PUT", target)
    short.putheader("Content-Length", "100")
    short.endheaders(b'{"value": 1}\n')
    short.close()
    eventually(lambda: requests.put(url, data=gzip.compress(b'{"value": 1}\n' * 20_000)).status_code, lambda status: status == 202)
    status = ended(small, ann, upload)
    assert status["state"] == "failed" and "expands to more than 100000 bytes" in status["error"], status
    assert [path.suffix for path in (small.data / "uploads").iterdir()] == [".json"]


def test_an_upload_outlives_its_node(tmp_path):
    first = Node(tmp_path / "node")
    ann = first.token_of("ann", "data.read", "data.write")
    upload = ask(first, ann, dataset="telemetry", format="ndjson")
    done = loaded(first, ann, b'{"value": 1}', dataset="telemetry", format="ndjson")
    first.stop()
    second = Node(tmp_path / "node")
    try:
        assert requests.put(second.url + upload["url"], data=b'{"value": 2}').status_code == 202
        assert ended(second, ann, upload)["state"] == "done"
        assert ended(second, ann, done) == done
    finally:
        second.stop()


def test_without_tokens_the_target_is_enough(tmp_path):
    node = Node(tmp_path / "node", "--no-auth")
    try:
        upload = requests.post(f"{node.url}/v1/uploads", json={"dataset": "telemetry", "name": "a.csv"}).json()
        assert upload["url"] == f"/v1/uploads/{upload['id']}/content"
        assert requests.put(node.url + upload["url"], data=b"value\n1\n").status_code == 202
        status = eventually(
            lambda: requests.get(f"{node.url}/v1/uploads/{upload['id']}").json(), lambda found: found["state"] in ENDED)
        assert (status["state"], status["owner"], status["accepted"]) == ("done", "anonymous", 1)
    finally:
        node.stop()


def test_an_erasure_takes_waiting_files_with_it(node, ann):
    bob = node.token_of("bob", "data.write")
    waiting = ask(node, ann, dataset="telemetry", format="csv")
    done = loaded(node, ann, b'{"value": 1}', dataset="telemetry", format="ndjson")
    of_bob = ask(node, bob, dataset="telemetry", format="csv")
    alluvium("erase", "--data", node.data, "--owner", "ann")
    for upload in (waiting, done):
        assert requests.get(f"{node.url}/v1/uploads/{upload['id']}", headers=bearer(ann)).status_code == 404
    assert requests.put(node.url + waiting["url"], data=b"value\n1\n").status_code == 404
    assert requests.get(f"{node.url}/v1/uploads/{of_bob['id']}", headers=bearer(bob)).json()["state"] == "waiting"
