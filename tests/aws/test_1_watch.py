"""What watches the stage: whoever listens is told of an alarm, and what the transform never took is noted.

Whether each alarm goes off is tested in infra/tests, for the emulator does not evaluate alarms as CloudWatch does.
"""

import json

from stage import until


def queue_of(stage, name):
    """A queue that the topic of the alarms sends to."""
    client = stage.emulator.client
    url = client("sqs").create_queue(QueueName=name)["QueueUrl"]
    arn = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    subscription = client("sns").subscribe(TopicArn=stage.out["alarm_topic_arn"], Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True)
    return url, subscription["SubscriptionArn"]


def bodies(stage, url):
    messages = stage.emulator.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", [])
    return [json.loads(message["Body"]) for message in messages]


def test_every_alarm_is_there(stage):
    pages = stage.emulator.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix="alluvium-bench/")
    alarms = {alarm["AlarmName"] for page in pages for alarm in page["MetricAlarms"]}
    assert alarms == {f"alluvium-bench/{name}" for name in stage.out["alarms"]} and len(alarms) > 30
    assert stage.emulator.client("cloudwatch").get_dashboard(DashboardName=stage.out["dashboard"])["DashboardBody"]


def test_an_alarm_tells_who_listens_when_it_goes_off_and_when_it_is_over(stage):
    url, subscription = queue_of(stage, "told")
    cloudwatch = stage.emulator.client("cloudwatch")
    try:
        for state in ["ALARM", "OK"]:
            cloudwatch.set_alarm_state(AlarmName="alluvium-bench/commits-dead", StateValue=state, StateReason="a trial")
            [told] = until(lambda: bodies(stage, url), f"the topic tells of {state}")
            message = json.loads(told["Message"])
            assert (message["AlarmName"], message["NewStateValue"]) == ("alluvium-bench/commits-dead", state)
            assert message["AlarmDescription"].endswith("docs/runbook.md#commits-dead")
            stage.emulator.client("sqs").purge_queue(QueueUrl=url)
    finally:
        stage.emulator.client("sns").unsubscribe(SubscriptionArn=subscription)
        stage.emulator.client("sqs").delete_queue(QueueUrl=url)


def test_what_is_put_aside_leaves_a_note_and_no_backup_does(stage):
    s3, notes, bucket = stage.emulator.client("s3"), stage.out["set_aside_queue_url"], stage.out["landing_bucket"]
    assert bodies(stage, notes) == []
    keys = ["processing-failed/2026/11/28/10/a", "unexpected/2026/11/28/10/b", "source/c", "drained/d"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"{}")
    found = []
    until(lambda: found.extend(bodies(stage, notes)) or len(found) >= 2, "notes arrive")
    assert sorted(note["detail"]["object"]["key"] for note in found) == keys[:2]
    for key in keys:
        s3.delete_object(Bucket=bucket, Key=key)
    stage.emulator.client("sqs").purge_queue(QueueUrl=notes)
