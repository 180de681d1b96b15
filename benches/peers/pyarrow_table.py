"""pyarrow: its JSON reader with the schema given, `sort_by`, and its Parquet writer."""

import sys

import pyarrow as pa
import pyarrow.json as pj
import pyarrow.parquet as pq

from timing import ZSTD_LEVEL, timed

DATA = pa.struct(
    [
        ("value", pa.float64()),
        ("unit", pa.string()),
        ("battery", pa.float64()),
        ("status", pa.string()),
        ("lat", pa.float64()),
        ("lon", pa.float64()),
        ("firmware", pa.string()),
    ]
)
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("source", pa.string()),
        ("type", pa.string()),
        ("time", pa.timestamp("us", tz="UTC")),
        ("data", DATA),
    ]
)
NAMES = ["event_id", "source", "type", "event_time", *(field.name for field in DATA)]

events, output = sys.argv[1:]
pa.set_cpu_count(1)
pa.set_io_thread_count(1)
with timed(version=pa.__version__):
    table = pj.read_json(
        events,
        read_options=pj.ReadOptions(use_threads=False, block_size=16 << 20),
        parse_options=pj.ParseOptions(explicit_schema=SCHEMA, unexpected_field_behavior="ignore"),
    )
    table = table.flatten().rename_columns(NAMES).sort_by([("source", "ascending"), ("event_time", "ascending")])
    pq.write_table(table, output, compression="zstd", compression_level=ZSTD_LEVEL, data_page_version="2.0")
