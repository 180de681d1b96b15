"""What people put into a Lambda: orjson, a function that cleans one record, a list of dicts, pyarrow at the end."""

import datetime
import sys

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from timing import ZSTD_LEVEL, timed

STATUSES = {"ok", "warn", "fail"}
SCHEMA = pa.schema(
    [
        ("event_id", pa.string()),
        ("source", pa.string()),
        ("type", pa.string()),
        ("event_time", pa.timestamp("us", tz="UTC")),
        ("value", pa.float64()),
        ("unit", pa.string()),
        ("battery", pa.float64()),
        ("status", pa.string()),
        ("lat", pa.float64()),
        ("lon", pa.float64()),
        ("firmware", pa.string()),
    ]
)


def number(value, low=None, high=None):
    """A number or a numeric string, within bounds."""
    if value is None:
        return None
    value = float(value)
    if low is not None and not low <= value <= high:
        raise ValueError(f"{value} is not from {low} to {high}")
    return value


def text(value, longest):
    """A text without the spaces around it, or nothing if it is empty."""
    if value is None:
        return None
    value = str(value).strip()
    if len(value) > longest:
        raise ValueError("too long")
    return value or None


def clean(record):
    """The row of one event. Raises when the event cannot become one."""
    data = record["data"]
    status = text(data.get("status"), 16)
    if status is not None and status not in STATUSES:
        raise ValueError(f"unknown status {status}")
    if data.get("value") is None:
        raise ValueError("no value")
    return {
        "event_id": record["id"],
        "source": text(record["source"], 256),
        "type": record["type"],
        "event_time": datetime.datetime.fromisoformat(record["time"]),
        "value": number(data["value"]),
        "unit": text(data.get("unit"), 32),
        "battery": number(data.get("battery"), 0, 100),
        "status": status,
        "lat": number(data.get("lat"), -90, 90),
        "lon": number(data.get("lon"), -180, 180),
        "firmware": text(data.get("firmware"), 64),
    }


events, output = sys.argv[1:]
pa.set_cpu_count(1)
pa.set_io_thread_count(1)
with timed(version=f"{sys.version.split()[0]}, orjson {orjson.__version__}, pyarrow {pa.__version__}"):
    rows, failed = [], 0
    with open(events, "rb") as lines:
        for line in lines:
            try:
                rows.append(clean(orjson.loads(line)))
            except (KeyError, TypeError, ValueError):
                failed += 1
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    table = table.sort_by([("source", "ascending"), ("event_time", "ascending")])
    pq.write_table(table, output, compression="zstd", compression_level=ZSTD_LEVEL)
if failed:
    sys.exit(f"{failed} events failed")
