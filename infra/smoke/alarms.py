"""Alarms: items 35 to 38."""

import time

from steps import Failed, Skipped, expect, step

NO_ALARMS = "it raises no alarms"


@step(35, "Mail comes", no_emulator=NO_ALARMS, needs="disturb")
def mail_comes(stage):
    alarm = f"{stage.prefix}/commits-dead"
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    stage.aws("cloudwatch", "set-alarm-state", "--alarm-name", alarm, "--state-value", "ALARM", "--state-reason", "trial")
    asked = ["--alarm-name", alarm, "--history-item-type", "Action", "--start-date", since]
    for _ in range(24):
        history = [item["HistorySummary"] for item in stage.aws("cloudwatch", "describe-alarm-history", *asked)["AlarmHistoryItems"]]
        if history:
            return expect(all("Successfully" in summary for summary in history), f"{history}; look for the mail")
        time.sleep(5)
    raise Failed(f"two minutes after {alarm} was raised its history has no action: is `alarm_emails` set?")


@step(36, "A note for what was set aside", no_emulator=NO_ALARMS)
def set_aside(_stage):
    raise Skipped("look at the alarm `set-aside` after item 15")


@step(37, "Nobody reads", no_emulator=NO_ALARMS)
def nobody_reads(_stage):
    raise Skipped("look at the alarm `stream-unread` while the transform is held up for a quarter of an hour, as in item 15")


@step(38, "DynamoDB's silence", no_emulator=NO_ALARMS)
def silence(stage):
    alarm = f"{stage.prefix}/hot-reads-throttled"
    found = stage.aws("cloudwatch", "describe-alarms", "--alarm-names", alarm)["MetricAlarms"]
    expect(found, f"there is no alarm {alarm}")
    return expect(found[0]["StateValue"] == "OK", f"{alarm} is {found[0]['StateValue']}")
