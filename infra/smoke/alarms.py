"""Alarms: items 35 to 38."""

import time

from firehose import HeldUp
from stack import delivery_stream
from steps import Failed, expect, step

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
def set_aside(stage):
    # What was put aside a moment ago is told within five minutes.
    for attempt in range(20):
        notes, state = stage.waiting(stage.queue("set-aside")), stage.alarm("set-aside")
        if (notes > 0) == (state == "ALARM"):
            return f"{notes} notes in the queue, and the alarm is {state}"
        time.sleep(15)
    raise Failed(f"{notes} notes in the queue for five minutes, and the alarm is {state}")


@step(37, "Nobody reads", no_emulator=NO_ALARMS, needs="disturb")
def nobody_reads(stage):
    delivery_stream(stage)
    expect(stage.alarm("stream-unread") == "OK", f"stream-unread is {stage.alarm('stream-unread')} beforehand")
    began, sources = time.monotonic(), []
    with HeldUp(stage):
        while stage.alarm("stream-unread") != "ALARM":
            expect(time.monotonic() - began < 25 * 60, "25 minutes after the transform was held up stream-unread is not red")
            sources.append(stage.send("unread", 10))
            time.sleep(60)
    minutes = (time.monotonic() - began) / 60
    # What Firehose gave up meanwhile lies under its error prefix, which another item looks at.
    stage.alluvium("drain")
    missing = [source for source in sources if stage.rows_of(source, 10, seconds=900) != 10]
    return expect(not missing, f"red after {minutes:.0f} minutes; of {len(sources)} sends {len(missing)} are not in the lake")


@step(38, "DynamoDB's silence", no_emulator=NO_ALARMS)
def silence(stage):
    alarm = f"{stage.prefix}/hot-reads-throttled"
    found = stage.aws("cloudwatch", "describe-alarms", "--alarm-names", alarm)["MetricAlarms"]
    expect(found, f"there is no alarm {alarm}")
    return expect(found[0]["StateValue"] == "OK", f"{alarm} is {found[0]['StateValue']}")
