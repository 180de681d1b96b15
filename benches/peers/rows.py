"""Whether two tools wrote the same rows, and whether a file is sorted as it should be."""

import duckdb
import pyarrow.compute as pc
import pyarrow.parquet as pq

COLUMNS = [
    "event_id", "source", "type", "event_time", "value", "unit", "battery", "status", "lat", "lon", "firmware",
]  # fmt: skip


def count(path):
    """The rows of a file, as its footer says."""
    return pq.read_metadata(path).num_rows


def different(one, other):
    """How many rows of either file, with how often they occur, are not in the other, all columns compared exactly."""
    connection = duckdb.connect()
    select = "select " + ", ".join("epoch_us(event_time)" if name == "event_time" else name for name in COLUMNS)
    missing = f"select count(*) from ({select} from '{{}}' except all {select} from '{{}}')"
    pairs = [(one, other), (other, one)]
    return sum(connection.execute(missing.format(*pair)).fetchone()[0] for pair in pairs)


def out_of_order(path):
    """How many rows come before the row ahead of them, by source and time."""
    table = pq.read_table(path, columns=["source", "event_time"])
    source, time = (table.column(name).combine_chunks() for name in ["source", "event_time"])
    before, after = slice(0, table.num_rows - 1), slice(1, table.num_rows)
    falls = pc.greater(source[before], source[after])
    stays = pc.equal(source[before], source[after])
    earlier = pc.greater(time[before], time[after])
    return pc.sum(pc.or_(falls, pc.and_(stays, earlier))).as_py() or 0
