"""What a tool's own process says of its run: versions, peak memory, and wall and CPU time from opening the input to the closed output.

Imports and an engine's start come before, so that nobody is measured by how long an interpreter takes to load.
"""

import contextlib
import json
import resource
import time

# What sets the tools apart is not the level of compression.
ZSTD_LEVEL = 1


@contextlib.contextmanager
def timed(**about):
    """Measures the block, and prints what it took with `about` as one line of JSON."""
    before, started = cpu_seconds(), time.perf_counter()
    yield
    seconds, cpu = time.perf_counter() - started, cpu_seconds() - before
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu, "peak_bytes": peak_bytes(), **about}), flush=True)


def cpu_seconds():
    """The time that all threads of this process have spent on a core."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_bytes():
    """The most memory that this process has held, without that of the program it was forked from."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) * 1024
