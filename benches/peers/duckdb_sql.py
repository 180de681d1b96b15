"""DuckDB: one statement, with the columns given so that nothing is guessed."""

import sys

import duckdb

from timing import ZSTD_LEVEL, timed

COLUMNS = (
    "{id: 'VARCHAR', source: 'VARCHAR', type: 'VARCHAR', time: 'TIMESTAMPTZ', "
    "data: 'STRUCT(value DOUBLE, unit VARCHAR, battery DOUBLE, status VARCHAR, lat DOUBLE, lon DOUBLE, firmware VARCHAR)'}"
)

events, output = sys.argv[1:]
connection = duckdb.connect(config={"threads": 1})
connection.execute("set preserve_insertion_order = false")
connection.execute("select 1").fetchall()
with timed(version=duckdb.__version__):
    connection.execute(
        f"""
        copy (
            select id as event_id, source, type, time as event_time, data.*
            from read_json('{events}', format = 'newline_delimited', columns = {COLUMNS})
            order by source, time
        ) to '{output}' (format parquet, compression zstd, parquet_version v2, compression_level {ZSTD_LEVEL})
        """
    )
