"""The 31 real series: their readings as events."""

import csv
import datetime
import pathlib

FOLDER = pathlib.Path(__file__).parents[2] / "testdata/nab"
READINGS = 152_965


def series():
    """The files, each by the name of its source."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.csv"))}


def events(source, shift_to=None):
    """A file's readings as events, in its order; with `shift_to` moved in time so that the newest is of then."""
    with series()[source].open() as file:
        rows = [(datetime.datetime.fromisoformat(row["timestamp"]), row["value"]) for row in csv.DictReader(file)]
    shift = shift_to - max(at for at, _ in rows) if shift_to else datetime.timedelta()
    prefix = "shifted:" if shift_to else ""
    return [
        {"id": f"{prefix}{source}:{number}", "source": source, "type": "reading",
         "time": (at + shift).isoformat(timespec="microseconds") + "Z", "data": {"value": float(value)}}
        for number, (at, value) in enumerate(rows)
    ]
