"""Makes the events that every tool is given: the same seed gives the same bytes.

An event is in structured CloudEvents form, about 236 bytes: a random version 4 UUID, one of 10,000 sources of which a few send most
(the first about one event in ten), three types, a time in milliseconds that mostly follows its neighbours', and seven fields that
fit `datasets/telemetry.json`. Every event is sound, so that all tools must end with the same rows.
"""

import bisect
import itertools
import random
import sys

SOURCES = 10_000
TYPES = ["reading"] * 13 + ["telemetry"] * 2 + ["alarm"]
STATUSES = ["ok"] * 61 + ["warn"] * 2 + ["fail"]
QUANTITIES = [("Cel", 2_100, 900), ("%", 5_500, 2_500), ("hPa", 101_300, 1_800)]
START_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
DAY_MS = 86_400_000


class Device:
    """What stays the same from one event of a source to the next."""

    def __init__(self, number, draw):
        self.source = f"device-{number:05}"
        self.unit, middle, self.spread = draw.choice(QUANTITIES)
        self.middle = middle + draw.randint(-self.spread, self.spread) // 4
        self.battery = draw.randint(200, 999)
        self.place = f'"lat":{draw.uniform(35, 60):.6f},"lon":{draw.uniform(-10, 30):.6f}'
        self.firmware = f"2.{draw.randint(0, 4)}.{draw.randint(0, 9)}"


def lines(count, seed):
    """Yields `count` events, each a line of JSON as bytes."""
    draw = random.Random(seed)
    devices = [Device(number, draw) for number in range(SOURCES)]
    # Zipf's law: the source of rank r sends in proportion to 1 / r.
    shares = list(itertools.accumulate(1 / rank for rank in range(1, SOURCES + 1)))
    for number in range(count):
        bits = draw.getrandbits(128) & ~(0xF << 76) & ~(0x3 << 62) | 0x4 << 76 | 0x2 << 62
        name = f"{bits:032x}"
        device = devices[bisect.bisect_left(shares, draw.random() * shares[-1])]
        # 1,000 events a second, each up to two seconds late.
        time = START_MS + number - min(int(draw.expovariate(1 / 300)), 2_000)
        value = device.middle + draw.randint(-device.spread, device.spread) // 2
        battery = max(device.battery - number // 100_000, 1)
        kind, state = draw.randrange(16), draw.randrange(64)
        yield (
            f'{{"id":"{name[:8]}-{name[8:12]}-{name[12:16]}-{name[16:20]}-{name[20:]}","source":"{device.source}",'
            f'"type":"{TYPES[kind]}","time":"{text_of(time)}","data":{{"value":{value / 100:.2f},"unit":"{device.unit}",'
            f'"battery":{battery / 10:.1f},"status":"{STATUSES[state]}",{device.place},"firmware":"{device.firmware}"}}}}\n'
        ).encode()


def text_of(time_ms):
    """A time of the last day of 2025 or the first of 2026, as RFC 3339 has it."""
    day = "2026-01-01" if time_ms >= START_MS else "2025-12-31"
    seconds, millis = divmod((time_ms - START_MS) % DAY_MS, 1_000)
    return f"{day}T{seconds // 3_600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{millis:03}Z"


def write(path, count, seed):
    """Writes `count` events to a file."""
    with open(path, "wb", buffering=1 << 20) as out:
        out.writelines(lines(count, seed))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: events.py FILE COUNT")
    write(sys.argv[1], int(sys.argv[2]), seed=1)
