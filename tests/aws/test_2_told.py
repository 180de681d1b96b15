"""Who subscribes hears of commits, as far as a filter lets them: with the filter policy of docs/formats/commits.md."""

import datetime
import json
import pathlib
import re

from stage import until
from test_2_path import send_by_http

PAGE = (pathlib.Path(__file__).parents[2] / "docs/formats/commits.md").read_text()


def test_commits_are_told_to_those_whose_filter_lets_them_through(stage):
    sns, sqs = stage.emulator.client("sns"), stage.emulator.client("sqs")
    [policy] = [block for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL) if '"numeric"' in block]
    heard = {}
    for name, filters in [("all", None), ("filtered", json.loads(policy))]:
        heard[name] = sqs.create_queue(QueueName=f"hears-{name}")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=heard[name], AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        attributes = {"RawMessageDelivery": "true", **({"FilterPolicy": json.dumps(filters)} if filters else {})}
        sns.subscribe(TopicArn=stage.out["commit_topic_arn"], Protocol="sqs", Endpoint=arn, Attributes=attributes)

    now = datetime.datetime.now(datetime.timezone.utc)
    event = {"source": "teller", "type": "reading", "time": now.isoformat(), "data": {"value": 1.0}}
    old = {**event, "time": "2026-01-31T12:00:00Z"}
    writer = stage.token("plant", "data.write")
    send_by_http(stage, writer, [{**old, "id": f"old:{n}"} for n in range(5)])
    stage.deliver()
    stage.committed()
    send_by_http(stage, writer, [{**event, "id": f"new:{n}"} for n in range(7)])
    stage.deliver()
    stage.committed()

    messages = {name: [] for name in heard}

    def rows(name):
        for message in sqs.receive_message(QueueUrl=heard[name], MaxNumberOfMessages=10).get("Messages", []):
            messages[name].append(json.loads(message["Body"]))
        return sum(message["rows"] for message in messages[name])

    until(lambda: rows("all") == 12 and rows("filtered") == 7, "both hear of their commits", 60)
    assert {message["format"] for message in messages["all"]} == {"alluvium.commit"}
    versions = [message["table_version"] for message in messages["all"]]
    assert None not in versions and len(set(versions)) == len(versions)
    today = now.date().isoformat()
    assert {(message["dataset"], message["last_date"]) for message in messages["filtered"]} == {("telemetry", today)}
    for url in heard.values():
        sqs.delete_queue(QueueUrl=url)
