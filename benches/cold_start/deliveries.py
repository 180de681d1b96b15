"""Firehose's events of just under 6 MB, the most that an invocation takes, of the events that `benches/peers` makes up.

Times are moved to now, so that every event belongs into the hot index, which is the dearer case.
"""

import base64
import datetime
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "peers"))
import events

# Lambda's limit of a synchronous invocation is 6 MB, of 1,048,576 bytes.
MOST_BYTES = 6 * 1024 * 1024
SEED = 1


def text_of(moment):
    return datetime.datetime.fromtimestamp(moment / 1000, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment % 1000:03}Z"


def usual(now):
    """Events of about 236 bytes, in the minute before now."""
    shift = now - 60_000 - events.START_MS
    events.text_of = lambda moment: text_of(moment + shift)
    return (line.rstrip() for line in events.lines(10**6, SEED))


def small(now):
    """Events of 100 bytes, a bare reading each."""
    for number in range(10**6):
        source = f"device-{number * 7919 % 10_000:05}"
        said = f'"time":"{text_of(now - 60_000 + number)}","value":{number % 72 / 8:.3f},"unit":"Cel"'
        yield f'{{"id":"{number:06x}","source":"{source}",{said}}}'.encode()


def record(number, data, now):
    """One record as Firehose hands it over from a Kinesis stream."""
    sequence = f"4966{number:052}"
    return json.dumps({
        "recordId": f"{sequence}000000",
        "approximateArrivalTimestamp": now,
        "data": base64.b64encode(data).decode(),
        "kinesisRecordMetadata": {
            "sequenceNumber": sequence,
            "subsequenceNumber": 0,
            "partitionKey": f"{number:032x}",
            "shardId": "shardId-000000000000",
            "approximateArrivalTimestamp": now,
        },
    }, separators=(",", ":"))  # fmt: skip


def delivery(records):
    """A Firehose event of as many of these records as it holds. Returns its bytes and the number of records."""
    head = (
        '{"invocationId":"00000000-0000-0000-0000-000000000000","region":"eu-west-1",'
        '"deliveryStreamArn":"arn:aws:firehose:eu-west-1:000000000000:deliverystream/bench",'
        '"sourceKinesisStreamArn":"arn:aws:kinesis:eu-west-1:000000000000:stream/bench","records":['
    )
    kept, size = [], len(head) + 2
    for text in records:
        if size + len(text) + 1 > MOST_BYTES:
            break
        kept.append(text)
        size += len(text) + 1
    return (head + ",".join(kept) + "]}").encode(), len(kept)


def one_record(lines, now):
    """A Firehose event of one record, of as many lines as it holds."""
    kept, size = [], 0
    most = (MOST_BYTES - 1024) // 4 * 3
    for line in lines:
        if size + len(line) + 1 > most:
            break
        kept.append(line)
        size += len(line) + 1
    return *delivery([record(0, b"\n".join(kept), now)]), len(kept)


def all_kinds():
    """Name, event, number of records and of events of each delivery."""
    now = int(time.time() * 1000)
    for name, lines in [("100-byte events, a record each", small), ("usual events, a record each", usual)]:
        event, count = delivery(record(number, line, now) for number, line in enumerate(lines(now)))
        yield name, event, count, count
    for name, lines in [("100-byte events, one record", small), ("usual events, one record", usual)]:
        yield name, *one_record(lines(now), now)
