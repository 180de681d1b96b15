"""A stock HTTP client in another language sends to the gateway and reads from the API."""

import gzip
import json

from program import eventually


def test_requests_sends_and_reads_back(node):
    url = f"{node.url}/v1/telemetry"
    session = node.session()
    one = session.post(url, json={"id": "1", "source": "r", "value": 1})
    assert one.status_code == 202 and one.json()["accepted"] == 1
    many = session.post(url, json=[{"id": str(n), "source": "r", "value": n} for n in range(2, 6)])
    assert many.json()["accepted"] == 4
    lines = "\n".join(json.dumps({"id": str(n), "source": "r", "value": n}) for n in range(6, 9))
    packed = session.post(
        url, data=gzip.compress(lines.encode()),
        headers={"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"},
    )
    assert packed.json()["accepted"] == 3
    event = {"specversion": "1.0", "id": "9", "source": "r", "type": "reading", "data": {"value": 9}}
    single = session.post(url, data=json.dumps(event), headers={"Content-Type": "application/cloudevents+json"})
    assert single.json()["accepted"] == 1

    def page():
        return session.get(url, params={"source": "r", "limit": 5}).json()

    first = eventually(page, lambda page: len(page["records"]) == 5 and page["records"][0]["id"] == "9")
    assert first["complete"] is True
    second = session.get(url, params={"source": "r", "limit": 5, "cursor": first["next"]}).json()
    ids = [record["id"] for record in first["records"] + second["records"]]
    assert sorted(ids, key=int) == [str(n) for n in range(1, 10)] and len(ids) == 9


def test_errors_are_problem_documents(node):
    answer = node.session().post(f"{node.url}/v1/no_such_dataset", json={})
    assert answer.status_code == 404 and answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == 404 and "telemetry" in answer.json()["detail"]
