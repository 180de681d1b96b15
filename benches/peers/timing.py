"""What a tool's own process says of its run: versions, and wall and CPU time from opening the input to the closed output.

Imports and an engine's start come before, so that nobody is measured by how long an interpreter takes to load.
"""

import contextlib
import json
import os
import time

# What sets the tools apart is not the level of compression.
ZSTD_LEVEL = 1


@contextlib.contextmanager
def timed(**about):
    """Measures the block, and prints what it took with `about` as one line of JSON."""
    before, started = os.times(), time.perf_counter()
    yield
    seconds, after = time.perf_counter() - started, os.times()
    cpu = after.user + after.system - before.user - before.system
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu, **about}), flush=True)
