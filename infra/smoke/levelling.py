"""Load levelling: item 40."""

import time

from steps import expect, step

# A table takes a new limit within minutes, and a buffer empties at its own pace.
MINUTES = 20


@step(40, "Load levelling", no_emulator="it throttles no table; the bench's own test puts a throttle before it", needs="disturb")
def levelling(stage):
    buffer = stage.of["hot_buffer"]
    expect(stage.waiting(buffer) == 0, f"{stage.waiting(buffer)} messages wait in the buffer while nothing throttles the table")
    sources = []
    try:
        limit(stage, 5)
        for _ in range(40):
            sources.append(stage.send("levelled", 200, size=500))
            time.sleep(3)
        time.sleep(int(stage.of["buffer_seconds"]) + 30)
        levelled = sum(stage.metric("Alluvium", "HotLevelled", {"Stage": dimension(stage)}, "Sum", 900, period=60))
        errors = sum(stage.metric("AWS/Lambda", "Errors", {"FunctionName": stage.function("transform")}, "Sum", 900, period=60))
        status, text = stage.call("GET", f"/v1/telemetry?source={sources[-1]}&from=-10m&limit=10", stage.token("data.read"))
        incomplete = status == 200 and '"complete":false' in text.replace(" ", "")
    finally:
        limit(stage, -1)
    seen = f"{levelled:.0f} chunks went into the buffer, {errors:.0f} errors of the transform, reads were incomplete: {incomplete}"
    expect(levelled > 0 and errors == 0 and incomplete, seen)
    deadline = time.monotonic() + MINUTES * 60
    while stage.waiting(buffer) and time.monotonic() < deadline:
        time.sleep(15)
    expect(stage.waiting(buffer) == 0, f"{seen}; {MINUTES} minutes later {stage.waiting(buffer)} messages wait")
    read = [stage.call("GET", f"/v1/telemetry?source={source}&from=-1h&limit=1000", stage.token("data.read"))[1].count('"id"') for source in sources]
    return expect(read == [200] * len(sources), f"{seen}; afterwards {sum(read)} of {200 * len(sources)} events are read")


def limit(stage, units):
    """Lets the table take so many write units a second; -1: as many as come."""
    table = stage.of["hot_table"]
    stage.aws("dynamodb", "update-table", "--table-name", table, "--on-demand-throughput", f"MaxWriteRequestUnits={units}")
    deadline = time.monotonic() + MINUTES * 60
    while stage.aws("dynamodb", "describe-table", "--table-name", table)["Table"]["TableStatus"] != "ACTIVE":
        expect(time.monotonic() < deadline, f"the table does not take its limit of {units} units")
        time.sleep(5)


def dimension(stage):
    """The stage as its metrics name it."""
    return stage.settings("transform")[0]["ALLUVIUM_STAGE"]
