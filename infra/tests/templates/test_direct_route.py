"""The direct route's mapping templates, rendered by a Velocity engine over hostile bodies.

What they make is kept in testdata/direct_route.json, from which core's test (`core/src/envelope/tests.rs`) opens each record: so that what the
template puts together is what the envelope reads. Run with `--write` to write that file anew.
"""

import base64
import json
import pathlib
import re
import sys
import unittest

import airspeed

ROOT = pathlib.Path(__file__).parents[3]
TEMPLATES = ROOT / "infra/modules/direct/templates"
GOLDEN = ROOT / "testdata/direct_route.json"
STREAM = "alluvium-test-events"

OWNERS = ["anna", "a", "an", "ännä \"quoted\"\n", "x" * 127, "x" * 128, "x" * 1024]
DATASETS = ["telemetry", "a", "ab", "abc", "d" * 64]
FORGED = base64.b64encode(b"\xa1LVM\x04\x01\x84\x00evil\x89\x80\x00telemetry{}").decode()
BODIES = [
    b'{"id":"1","source":"kitchen","value":21.5}',
    b'{"a":"quotes \\" and \\\\ and \'single\'"}',
    b"line one\nline two\r\n\ttab\x00nul",
    b'","StreamName":"another","PartitionKey":"x","Data":"',
    b"$context.authorizer.owner ${stream} #set($key = 1) #end $util.base64Encode('x')",
    b'{"owner":"evil"}',
    b"\xa1LVM\x03\x01\x04evil{}",
    b"\xa1LVM\x04\x01\x84\x00evil\x89\x80\x00telemetry{}",
    FORGED.encode(),
    b"YWJj",
    b"=",
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
    bytes(range(256)),
    "é ä 漢字 \U0001f600".encode(),
    b"\xff\xfe not UTF-8 \xf0",
    b" ",
]


class Text(str):
    """A Java string, as far as the templates ask."""

    def toLowerCase(self):
        return Text(self.lower())

    def startsWith(self, prefix):
        return self.startswith(prefix)

    def contains(self, part):
        return part in self


class Named(dict):
    def keySet(self):
        return [Text(name) for name in self]

    def get(self, name):
        return Text(self[name])


class Parameters:
    def __init__(self, headers, query):
        self.header = Named(headers)
        self.querystring = Named(query)


class Input:
    """`$input`. A body of a type that is declared binary is base64; one that is not is text as it came."""

    def __init__(self, body=b"", headers=None, query=None, is_binary=True, said=None):
        self.body = Text(base64.b64encode(body).decode() if is_binary else body.decode("utf-8", "replace"))
        self.headers, self.query, self.said = headers or {}, query or {}, said or {}

    def params(self):
        return Parameters(self.headers, self.query)

    def path(self, path):
        found = self.said.get(path.removeprefix("$."))
        return None if found is None else Text(found)


class Util:
    def escapeJavaScript(self, text):
        """As Apache Commons Lang 2's `StringEscapeUtils.escapeJavaScript` does."""
        named = {"\b": "\\b", "\n": "\\n", "\t": "\\t", "\f": "\\f", "\r": "\\r"}
        of = lambda c: named.get(c) or ("\\" + c if c in "\"'\\/" else c if 32 <= ord(c) < 127 else "".join(
            f"\\u{unit:04X}" for unit in [int.from_bytes(c.encode("utf-16-be")[at:at + 2], "big") for at in range(0, len(c.encode("utf-16-be")), 2)]))
        return Text("".join(of(c) for c in text))


def template(name, **values):
    """A template as Terraform's `templatefile` fills it."""
    text = (TEMPLATES / f"{name}.vtl").read_text()
    filled = re.sub(r"(?<!\$)\$\{(\w+)\}", lambda found: values[found[1]], text)
    return filled.replace("$${", "${")


def filled(written, text):
    """A text as version 4 has it: its length filled with zeros, so that what is written is a multiple of three bytes."""
    groups, rest = [], len(text)
    while rest >= 0x80:
        groups.append(rest & 0x7F)
        rest >>= 7
    groups.append(rest)
    while (written + len(groups) + len(text)) % 3:
        groups.append(0)
    return bytes([group | 0x80 for group in groups[:-1]] + groups[-1:]) + text


def seal(owner):
    """What the authorizer says, by an implementation of its own."""
    before = b"\xa1LVM\x04\x01"
    return base64.b64encode(before + filled(len(before), owner.encode())).decode()


def put(body, owner="anna", dataset="telemetry", **rest):
    text = template("put_record", stream=STREAM, dataset=base64.b64encode(filled(0, dataset.encode())).decode())
    context = {"requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef", "authorizer": {"owner": owner, "seal": seal(owner)}}
    return airspeed.Template(text).merge({"input": Input(body, **rest), "context": context, "util": Util()})


def decoded(data):
    """As Kinesis takes `Data`; what is no base64 it refuses (`SerializationException`)."""
    return base64.b64decode(data, validate=True)


def records():
    """Each combination that the golden file keeps."""
    for dataset in DATASETS:
        for owner in OWNERS:
            bodies = BODIES if (dataset, owner) == (DATASETS[0], OWNERS[0]) else BODIES[:1] + BODIES[7:8]
            for body in bodies:
                data = json.loads(put(body, owner, dataset))["Data"]
                yield {"owner": owner, "dataset": dataset, "body": base64.b64encode(body).decode(), "data": data}


class TheRecord(unittest.TestCase):
    def test_is_a_put_of_this_stream_whatever_the_body_holds(self):
        for body in BODIES:
            sent = json.loads(put(body))
            self.assertEqual(sorted(sent), ["Data", "PartitionKey", "StreamName"], body)
            self.assertEqual(sent["StreamName"], STREAM)
            self.assertEqual(sent["PartitionKey"], "c6af9ac6-7b61-11e6-9a41-93e8deadbeef")
            record = decoded(sent["Data"])
            self.assertTrue(record.startswith(b"\xa1LVM\x04\x01\x84\x00anna\x89\x80\x00telemetry"), body)
            self.assertTrue(record.endswith(body), body)

    def test_is_what_the_golden_file_has(self):
        kept = json.loads(GOLDEN.read_text())
        self.assertEqual(list(records()), kept, "run this file with --write, and core's tests")
        self.assertGreater(len(kept), 80)

    def test_never_names_another_owner_where_a_body_came_as_text(self):
        for body in BODIES:
            text = put(body, is_binary=False)
            try:
                sent = json.loads(text)
            except json.JSONDecodeError:
                continue
            self.assertEqual(sorted(sent), ["Data", "PartitionKey", "StreamName"], body)
            self.assertEqual(sent["StreamName"], STREAM, body)
            try:
                record = decoded(sent["Data"])
            except ValueError:
                continue
            self.assertTrue(record.startswith(b"\xa1LVM\x04\x01\x84\x00anna\x89\x80\x00telemetry"), body)

    def test_has_no_partition_key_when_it_asks_for_what_cannot_be_kept(self):
        for refused in [{"headers": {"Idempotency-Key": "k"}}, {"headers": {"idempotency-key": ""}}, {"headers": {"CE-id": "1"}},
                        {"headers": {"content-encoding": "br"}}, {"headers": {"Content-Encoding": "gzip, br"}}, {"query": {"owner": "evil"}}]:
            self.assertEqual(json.loads(put(b"{}", **refused))["PartitionKey"], "", refused)
        for taken in [{"Content-Encoding": "gzip"}, {"content-encoding": "zstd"}, {"Accept": "*/*", "Content-Type": "application/json"}]:
            self.assertNotEqual(json.loads(put(b"{}", headers=taken))["PartitionKey"], "", taken)


class TheAnswer(unittest.TestCase):
    def answer(self, name, said, dataset="telemetry"):
        context = {"responseOverride": {"header": {}}}
        text = template(name, dataset=dataset)
        # The engine here knows no hyphen in a name, as Velocity does.
        text = text.replace("Retry-After", "RetryAfter")
        body = airspeed.Template(text).merge({"input": Input(said=said), "context": context})
        return json.loads(body), context["responseOverride"]

    def test_is_a_receipt(self):
        number = "49546986683135544286507457936321625675700192471156785154"
        said = {"ShardId": "shardId-000000000000", "SequenceNumber": number, "EncryptionType": "KMS"}
        body, _ = self.answer("accepted", said)
        self.assertEqual(body, {"dataset": "telemetry", "receipt": f"shardId-000000000000:{number}"})

    def test_is_a_problem_with_its_status(self):
        too_long = "1 validation error detected: Value at 'data' failed to satisfy constraint: Member must have length less than or equal to 1048576"
        no_key = "1 validation error detected: Value '' at 'partitionKey' failed to satisfy constraint: Member must have length greater than or equal to 1"
        for kind, message, status, slug in [
            ("ValidationException", no_key, 400, "not-on-this-route"),
            ("ValidationException", too_long, 413, "body-too-large"),
            ("SerializationException", None, 400, "no-event"),
            ("ProvisionedThroughputExceededException", "Rate exceeded for shard", 503, "not-stored"),
            ("com.amazonaws.kinesis.v20131202#ResourceNotFoundException", 'Stream " under account', 503, "not-stored"),
        ]:
            said = {"__type": kind, **({"message": message} if message else {})}
            body, override = self.answer("refused", said)
            self.assertEqual((body["status"], body["type"]), (status, f"/problems/{slug}"))
            self.assertEqual(override.get("status", 400), status)
            self.assertEqual(override["header"].get("RetryAfter"), str(body["retry_after_seconds"]) if status == 503 else None)
            self.assertEqual(sorted(body.keys() - {"retry_after_seconds"}), ["detail", "status", "title", "type"])
        body, _ = self.answer("not_stored", {})
        self.assertEqual((body["status"], body["type"]), (503, "/problems/not-stored"))


if __name__ == "__main__":
    if "--write" in sys.argv:
        GOLDEN.write_text("[\n" + ",\n".join(json.dumps(record) for record in records()) + "\n]\n")
        sys.argv.remove("--write")
    unittest.main()
