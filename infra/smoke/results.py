"""Results, reports and commits: items 52 to 56."""

import json
import re
import time

from stage import in_words, seconds_of
from steps import Skipped, expect, step

NO_ATHENA = "its Athena is not AWS's"
# Between two tries of a report that fails: docs/reports.md.
LONGEST_PAUSE_SECONDS = 3600


@step(52, "A statement's result", no_emulator=NO_ATHENA)
def result(stage):
    token = stage.token("data.admin", owner="smoke-admin")
    of_it, said = stage.statement("select 1 as n", token)
    expect(said["state"] == "succeeded", f"select 1: {said}")
    answer = stage.ask("GET", f"{stage.of['api_url']}/v1/queries/{of_it}/results.csv", token)
    expect(answer.status == 302, f"results.csv answered {answer.status}: {answer.text[:200]}")
    saved = stage.ask("GET", answer.headers["location"])
    named = saved.headers.get("content-disposition", "")
    expect(saved.status == 200 and f"{of_it}.csv" in named and '"1"' in saved.text, f"S3 answered {saved.status}, {named!r}: {saved.text[:200]}")
    other = stage.call("GET", f"/v1/queries/{of_it}", stage.token("data.admin", owner="smoke-other"))[0]
    expect(other == 404, f"another administrator's token: {other}")
    listed = stage.aws("s3api", "list-objects-v2", "--bucket", stage.of["results"], "--prefix", "api/", "--delimiter", "/")
    folders = [found["Prefix"].removeprefix("api/").strip("/") for found in listed.get("CommonPrefixes", [])]
    names = [folder for folder in folders if not re.fullmatch(r"[0-9a-f]{32}|records|reports", folder)]
    return expect(folders and not names, f"{len(folders)} folders, of which are called otherwise than by a hash: {names}")


@step(53, "The workgroup's limit", no_emulator=NO_ATHENA)
def limit(stage):
    group = stage.aws("athena", "get-work-group", "--work-group", f"{stage.of['workgroup']}-api")["WorkGroup"]
    most = group["Configuration"].get("BytesScannedCutoffPerQuery", 0)
    if most > 10 * 1024 * 1024:
        raise Skipped("deploy it with sql_scan_megabytes = 10, and back afterwards")
    _, said = stage.statement("select * from telemetry_raw", stage.token("data.admin"))
    if said["state"] == "succeeded" and (said["scanned_bytes"] or 0) <= most:
        raise Skipped(f"the table is smaller than the limit: {said['scanned_bytes']} bytes")
    return expect(said["state"] in ("cancelled", "failed"), f"{said}")


@step(54, "A slow read", no_emulator=NO_ATHENA)
def slow(stage):
    if stage.settings("query")[0].get("ALLUVIUM_SQL__TIME") not in ("1s", "2s", "3s"):
        raise Skipped('deploy it with sql_time = "1s", and back afterwards')
    group, token = f"{stage.of['workgroup']}-api", stage.token("data.read")
    started = lambda: stage.aws("athena", "list-query-executions", "--work-group", group, "--max-items", "50").get("QueryExecutionIds", [])
    before, asked = set(started()), 0
    where = stage.of["api_url"] + "/v1/telemetry?from=-30d&to=-25h&limit=1000"
    answer = stage.ask("GET", where, token)
    first = answer.status
    while answer.status == 202 and asked < 120:
        asked += 1
        time.sleep(1)
        where = answer.headers["location"]
        answer = stage.ask("GET", where if where.startswith("http") else stage.of["api_url"] + where, token)
    expect(answer.status == 200, f"first {first}, after {asked} times more {answer.status}: {answer.text[:200]}")
    new = [one for one in started() if one not in before]
    texts = [stage.aws("athena", "get-query-execution", "--query-execution-id", one)["QueryExecution"]["Query"] for one in new]
    expect(len(texts) == len(set(texts)), f"of {len(texts)} statements {len(texts) - len(set(texts))} were started more than once")
    if first != 202:
        raise Skipped(f"the lake answered in time: {first}")
    return f"202, and 200 after {asked} times more; {len(texts)} statements, each started once"


@step(55, "Reports", no_emulator=NO_ATHENA)
def reports(stage):
    status, text = stage.call("GET", "/v1/reports", stage.token("data.admin"))
    expect(status == 200, f"GET /v1/reports answered {status}: {text[:200]}")
    found = json.loads(text)["reports"]
    if not found:
        raise Skipped("the stage has no reports, or did not look for any yet: `report_minutes`")
    without = {report["name"]: report for report in found if not report["results"]}
    age = stage.age() if without else 0
    why = {name: report.get("broken") or (report.get("failure") or {}).get("error", "it was not tried") for name, report in without.items()}
    late = {name: why[name] for name, report in without.items() if age >= patience(report)}
    expect(not late, f"without a result: {late}")
    counted = {}
    for report in found:
        if report["results"]:
            [row] = stage.sql(f"select count(*) as n from report_{report['name']}", athena=True)
            counted[report["name"]] = row["n"]
    seen = f"rows of each report's table: {counted}"
    if without:
        until = ", ".join(f"`{name}` within {in_words(patience(report))} ({why[name][:200]})" for name, report in without.items())
        raise Skipped(f"the stage is {in_words(age)} old, and is to have a result of {until}; {seen}")
    return seen


def patience(report):
    """How old a stage is, in seconds, that has a result of it: old enough for a window, its delay, and the longest pause after a failure."""
    if report.get("broken"):
        return 0
    return seconds_of(report["window"]) + seconds_of(report["delay"]) + LONGEST_PAUSE_SECONDS


@step(56, "Commits told", no_emulator="the bench's own test subscribes a queue with the filter", needs="slow")
def told(stage):
    topics = [topic["TopicArn"] for topic in stage.aws("sns", "list-topics")["Topics"]]
    of_it = [topic for topic in topics if topic.endswith(f":{stage.prefix}-commits")]
    if not of_it:
        raise Skipped("the stage has no `announce_commits`")
    [topic], name = of_it, f"{stage.prefix}-smoke-{int(time.time())}"
    region, account = topic.split(":")[3:5]
    arn = f"{':'.join(topic.split(':')[:2])}:sqs:{region}:{account}:{name}"
    policy = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }]}  # fmt: skip
    queue = stage.aws("sqs", "create-queue", "--queue-name", name, "--attributes", json.dumps({"Policy": json.dumps(policy)}))["QueueUrl"]
    subscription = None
    try:
        wanted = {"RawMessageDelivery": "true", "FilterPolicy": json.dumps({"dataset": ["telemetry"]})}
        subscription = stage.aws("sns", "subscribe", "--topic-arn", topic, "--protocol", "sqs", "--notification-endpoint", arn,
                                 "--attributes", json.dumps(wanted), "--return-subscription-arn")["SubscriptionArn"]
        time.sleep(60)
        expect(stage.call("POST", "/v1/data", stage.token("data.write"), '{"source": "smoke-told"}')[0] == 202, "an event of `data` was not taken")
        source = stage.send("told", 5)
        expect(stage.rows_of(source, 5) == 5, "the events are not committed")
        said, deadline = [], time.monotonic() + 60
        while time.monotonic() < deadline:
            taken = stage.aws("sqs", "receive-message", "--queue-url", queue, "--wait-time-seconds", "10", "--max-number-of-messages", "10")
            said += [json.loads(message["Body"]) for message in taken.get("Messages", [])]
    finally:
        if subscription:
            stage.aws("sns", "unsubscribe", "--subscription-arn", subscription)
        stage.aws("sqs", "delete-queue", "--queue-url", queue)
    datasets = sorted({message["dataset"] for message in said})
    return expect(datasets == ["telemetry"], f"{len(said)} messages, of {datasets}")
