"""Maintenance: items 48 to 51."""

import datetime
import json
import re
import time

from stage import in_words, moment
from steps import Failed, Skipped, expect, step

DAY = 24 * 3600
# An audit a day, each within an hour: what the alarm audit-absent waits for.
AUDIT_HOURS = 26


@step(48, "A day of it", no_emulator="the bench calls the function itself")
def a_day(stage):
    failed = stage.waiting(stage.queue("maintain-failed"))
    compacted = stage.log("maintain", '"a table was compacted"', DAY)
    reports = [re.search(r"Duration: ([0-9.]+) ms.*Memory Size: (\d+) MB.*Max Memory Used: (\d+) MB", line)
               for line in stage.log("maintain", '"Max Memory Used"', DAY, most=500)]
    runs = [tuple(map(float, found.groups())) for found in reports if found]
    if not runs:
        raise Skipped("the function did not run in the last 24 hours")
    longest, memory, used = max(run[0] for run in runs), runs[0][1], max(run[2] for run in runs)
    seen = f"{len(runs)} runs, the longest {longest / 1000:.0f} s, {used:.0f} of {memory:.0f} MB, {len(compacted)} tables compacted, {failed} given up"
    expect(failed == 0 and used < 0.9 * memory and longest < 900_000, seen)
    if not compacted:
        raise Skipped(f"no events came that were worth a compaction: {seen}")
    return seen


@step(49, "Its rights", no_emulator="it judges no policies")
def rights(stage):
    denied = len(stage.log("maintain", "AccessDenied", 7 * DAY, most=1))
    return expect(denied == 0, f"lines with `AccessDenied` in the function's log of a week: {denied}")


@step(50, "The audit", no_emulator="the bench calls the function itself")
def audit(stage):
    bucket, _, folder = stage.of["lake_url"].removeprefix("s3://").partition("/")
    if not stage.objects(bucket, f"{folder}/_audit/last.json"):
        group = f"{stage.prefix}-maintain"
        listed = stage.aws("scheduler", "list-schedules", "--group-name", group)["Schedules"]
        made = [moment(one["CreationDate"]) for one in listed if one["Name"] == f"{stage.prefix}-audit" and one["State"] == "ENABLED"]
        if not made:
            raise Skipped("no audit was made yet, and no schedule asks for any: `maintain` of the stage's settings")
        age = time.time() - made[0]
        said = f"no audit was made yet, and their schedule is {in_words(age)} old"
        if age < AUDIT_HOURS * 3600:
            raise Skipped(f"{said}: ask again when it is {AUDIT_HOURS} hours old")
        raise Failed(said)
    report = json.loads(stage.run("aws", "s3", "cp", stage.of["lake_url"] + "/_audit/last.json", "-").stdout)
    age = datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.fromisoformat(report["at"].replace("Z", "+00:00"))
    hours = age.total_seconds() / 3600
    return expect(report["balances"] is True and hours < 26, f"the last audit, {hours:.0f} hours ago, balances: {report['balances']}")


@step(51, "A failure is seen", no_emulator="it knows no destinations of asynchronous invocations", needs="disturb")
def failure(stage):
    queue = stage.queue("maintain-failed")
    expect(stage.waiting(queue) == 0, f"{stage.waiting(queue)} notes are in the queue beforehand: see to them first")
    stage.aws("lambda", "invoke", "--invocation-type", "Event", "--function-name", stage.function("maintain") + ":live",
              "--cli-binary-format", "raw-in-base64-out", "--payload", '{"task": "tidy"}', "/dev/null")
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        taken = stage.aws("sqs", "receive-message", "--queue-url", queue, "--wait-time-seconds", "10", "--visibility-timeout", "30").get("Messages", [])
        for message in taken:
            note = json.loads(message["Body"])
            stage.aws("sqs", "delete-message", "--queue-url", queue, "--receipt-handle", message["ReceiptHandle"])
            asked, error = note.get("requestPayload"), json.dumps(note.get("responsePayload"))
            return expect(asked == {"task": "tidy"} and "tidy" in error, f"the note names {asked} and {error[:200]}, and is taken away again")
    raise Failed("ten minutes later the queue has no note of it")
