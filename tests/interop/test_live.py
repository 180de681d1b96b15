"""Server-sent events of a live tail, read by a client that only knows HTTP."""

import json
import threading
import time

import pytest
import requests
from program import Node, alluvium, eventually


class Tail:
    """Reads a tail on a thread of its own, event by event."""

    def __init__(self, node, path, last=None):
        headers = dict(node.session().headers) | ({"Last-Event-ID": last} if last else {})
        self.response = requests.get(node.url + path, headers=headers, stream=True, timeout=30)
        self.events, self.ended = [], False
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        fields = {}
        try:
            for line in self.response.iter_lines(chunk_size=1, decode_unicode=True):
                if line:
                    name, _, value = line.partition(":")
                    fields[name] = value.lstrip()
                else:
                    self.events.append(fields)
                    fields = {}
        except requests.RequestException:
            pass
        self.ended = True

    def ids(self):
        return [json.loads(event["data"])["id"] for event in self.events if event.get("event") == "record"]

    def last_id(self):
        return [event["id"] for event in self.events if "id" in event][-1]


def send(node, numbers, source="s"):
    events = [{"id": str(number), "source": source, "value": number} for number in numbers]
    assert node.session().post(f"{node.url}/v1/telemetry", json=events).status_code == 202


def test_a_tail_gets_what_arrives_and_goes_on_where_it_was_broken_off(node):
    send(node, range(3))
    tail = Tail(node, "/v1/telemetry/live?source=s")
    assert tail.response.headers["Content-Type"] == "text/event-stream"
    time.sleep(0.2)
    send(node, range(3, 6))
    send(node, range(90, 95), source="other")
    send(node, range(6, 8))
    eventually(tail.ids, lambda ids: ids == ["3", "4", "5", "6", "7"])
    # As if the connection had broken here: closing it would wait for the thread that reads.
    last = tail.last_id()
    send(node, range(8, 10))
    again = Tail(node, "/v1/telemetry/live?source=s", last=last)
    eventually(again.ids, lambda ids: ids == ["8", "9"])
    # What arrived is in the tables as well.
    ask = lambda: json.loads(alluvium("--json", "sql", "--data", node.data, "select count(*) as n from telemetry"))["n"]
    eventually(ask, lambda n: n == 15)


def test_a_tail_ends_with_its_node_and_does_not_hold_it_up(tmp_path):
    node = Node(tmp_path / "node")
    tails = [Tail(node, "/v1/telemetry/live") for _ in range(5)]
    time.sleep(0.3)
    began = time.monotonic()
    node.stop()
    assert time.monotonic() - began < 10
    eventually(lambda: [tail.ended for tail in tails], lambda ended: all(ended))


def test_what_left_the_stream_is_told(node):
    send(node, range(2))
    tail = Tail(node, "/v1/telemetry/live", last="shardId-000000000000:999999")
    eventually(lambda: tail.events, lambda events: events and events[0].get("event") == "reset")
    send(node, range(2, 4))
    eventually(tail.ids, lambda ids: ids == ["2", "3"])
    bad = node.session().get(f"{node.url}/v1/telemetry/live", headers={"Last-Event-ID": "nonsense"})
    assert bad.status_code == 400 and bad.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("tails", [30])
def test_many_tails_hear_the_same(node, tails):
    following = [Tail(node, "/v1/telemetry/live") for _ in range(tails)]
    time.sleep(0.5)
    for first in range(0, 500, 100):
        send(node, range(first, first + 100))
    expected = sorted(map(str, range(500)), key=int)
    eventually(lambda: [sorted(tail.ids(), key=int) for tail in following], lambda heard: all(ids == expected for ids in heard))
