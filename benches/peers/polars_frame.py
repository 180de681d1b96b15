"""Polars: a lazy frame over the file with its schema given, sorted and written by the engine that does it faster."""

import os
import sys

os.environ["POLARS_MAX_THREADS"] = "1"

import polars as pl

from timing import ZSTD_LEVEL, timed

SCHEMA = {
    "id": pl.String,
    "source": pl.String,
    "type": pl.String,
    "time": pl.String,
    "data": pl.Struct(
        {
            "value": pl.Float64,
            "unit": pl.String,
            "battery": pl.Float64,
            "status": pl.String,
            "lat": pl.Float64,
            "lon": pl.Float64,
            "firmware": pl.String,
        }
    ),
}

events, output = sys.argv[1:3]
engine = sys.argv[3] if len(sys.argv) > 3 else "streaming"
with timed(version=pl.__version__):
    (
        pl.scan_ndjson(events, schema=SCHEMA)
        .select(
            pl.col("id").alias("event_id"),
            "source",
            "type",
            pl.col("time").str.to_datetime("%Y-%m-%dT%H:%M:%S%.3fZ", time_unit="us", time_zone="UTC").alias("event_time"),
            pl.col("data").struct.unnest(),
        )
        .sort("source", "event_time")
        .sink_parquet(output, compression="zstd", compression_level=ZSTD_LEVEL, engine=engine)
    )
