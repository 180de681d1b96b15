"""Maintenance: items 48 to 51."""

import json

from steps import Skipped, expect, step


@step(48, "A day of it", no_emulator="the bench calls the function itself")
def a_day(_stage):
    raise Skipped("look at the function's log after a day with events, as the page says")


@step(49, "Its rights", no_emulator="it judges no policies")
def rights(stage):
    asked = ["--log-group-name", f"/aws/lambda/{stage.prefix}-maintain", "--filter-pattern", "AccessDenied", "--max-items", "1"]
    denied = len(stage.aws("logs", "filter-log-events", *asked)["events"])
    return expect(denied == 0, f"lines with `AccessDenied` in the function's log: {denied}")


@step(50, "The audit", no_emulator="the bench calls the function itself")
def audit(stage):
    report = json.loads(stage.run("aws", "s3", "cp", stage.of["lake_url"] + "/_audit/last.json", "-"))
    return expect(report["balances"] is True, f"the last audit balances: {report['balances']}")


@step(51, "A failure is seen", no_emulator="it knows no destinations of asynchronous invocations", needs="disturb")
def failure(_stage):
    raise Skipped("by the call of the page, and purge the queue afterwards: an alarm is on it")
