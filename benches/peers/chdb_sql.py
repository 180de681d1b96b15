"""ClickHouse inside the process (chdb): one statement, with the columns given."""

import sys

import chdb

from timing import ZSTD_LEVEL, timed

STRUCTURE = (
    "id String, source String, type String, time DateTime64(6, ''UTC''), "
    "data Tuple(value Float64, unit String, battery Float64, status String, lat Float64, lon Float64, firmware String)"
)

events, output = sys.argv[1:]
version = str(chdb.query("select version()")).strip().strip('"')
with timed(version=f"{version} (chdb {'.'.join(chdb.chdb_version)})"):
    chdb.query(
        f"""
        select id as event_id, source, type, time as event_time, data.value as value, data.unit as unit, data.battery as battery,
            data.status as status, data.lat as lat, data.lon as lon, data.firmware as firmware
        from file('{events}', JSONEachRow, '{STRUCTURE}')
        order by source, time
        into outfile '{output}' truncate
        format Parquet
        settings max_threads = 1, max_parsing_threads = 1, date_time_input_format = 'best_effort_us',
            output_format_parquet_compression_method = 'zstd', output_format_compression_level = {ZSTD_LEVEL},
            output_format_parquet_string_as_string = 1, output_format_parquet_parallel_encoding = 0,
            input_format_parallel_parsing = 0, output_format_parallel_formatting = 0
        """
    )
