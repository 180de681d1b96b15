"""The direct route: items 41 to 44."""

import json
import time

from api import api_of
from steps import Skipped, expect, step

NO_INTEGRATION = "it has no integration of API Gateway with Kinesis"
JSON = "Content-Type: application/json"


def address(stage):
    if "direct_url" not in stage.of:
        raise Skipped("the stage has no `direct_route`")
    return stage.of["direct_url"] + "/v1/telemetry"


@step(41, "The body as it was sent", no_emulator=NO_INTEGRATION)
def body(stage):
    url, token = address(stage), stage.token("data.write")

    def dead():
        counted = "select count(*) as n from dead_letters where owner = 'smoke' and encode(original, 'hex') = 'ff0022'"
        return stage.sql(counted, athena=False)[0]["n"]

    before = dead()
    answer = stage.ask("POST", url, token, b"\xff\x00\"", ["Content-Type: application/octet-stream"])
    expect(answer.status == 202 and json.loads(answer.text).get("receipt"), f"three bytes: {answer.status} {answer.text[:200]}")
    source = f"smoke-direct-{time.time_ns()}"
    event = json.dumps({"id": source, "source": source, "value": 1.0})
    answer = stage.ask("POST", url, token, event, [f"{JSON}; charset=utf-8"])
    expect(answer.status in (202, 415), f"with a charset: {answer.status} {answer.text[:200]}")
    rows = stage.rows_of(source, 1) if answer.status == 202 else "no"
    expect(rows in (1, "no"), f"an event with a charset became {rows} rows")
    deadline = time.monotonic() + 180
    while (found := dead() - before) < 1 and time.monotonic() < deadline:
        time.sleep(5)
    return expect(found == 1, f"{found} dead letters with the three bytes; with a charset: {answer.status}, {rows} row")


@step(42, "Refusals", no_emulator=NO_INTEGRATION)
def refusals(stage):
    url, token = address(stage), stage.token("data.write")
    tried = {
        "Idempotency-Key": (url, token, "{}", [JSON, "Idempotency-Key: a"], 400, "not-on-this-route"),
        "?owner": (url + "?owner=x", token, "{}", [JSON], 400, "not-on-this-route"),
        "1.1 MiB": (url, token, json.dumps({"source": "smoke-direct", "note": "x" * 1_153_434}), [JSON], 413, "body-too-large"),
        "no body": (url, token, "", [JSON], 400, None),
        "no token": (url, None, "{}", [JSON], 401, "no-token"),
        "a bad token": (url, "x", "{}", [JSON], 403, "not-permitted"),
        "a bad token again": (url, "x", "{}", [JSON], 403, "not-permitted"),
        "a dataset that there is not": (url.replace("telemetry", "no_such_dataset"), token, "{}", [JSON], 404, "no-such-route"),
        "another type": (url, token, "{}", ["Content-Type: image/png"], 415, "unknown-media-type"),
    }
    wrong = []
    for name, (where, by, sent, headers, status, slug) in tried.items():
        answer = stage.ask("POST", where, by, sent, headers)
        problem = answer.headers.get("content-type") == "application/problem+json" and json.loads(answer.text)["type"] == f"/problems/{slug}"
        if answer.status != status or not (problem or slug is None):
            wrong.append(f"{name}: {answer.status} {answer.headers.get('content-type')} {answer.text[:120]}")
    return expect(not wrong, "; ".join(wrong) or f"{len(tried)} requests were refused, each with its problem")


@step(43, "A throttled shard", no_emulator=NO_INTEGRATION, needs="disturb")
def throttled(stage):
    address(stage)
    raise Skipped("2,000 requests a second, which no step of this makes: by `hey` or `oha`, with `requests_per_second` set to that")


@step(44, "Latency", no_emulator=NO_INTEGRATION, needs="slow")
def latency(stage):
    url, token = address(stage), stage.token("data.write")
    began = int(time.time())
    for number in range(300):
        # A token is good for ten minutes.
        token = stage.token("data.write") if number % 100 == 0 else token
        event = json.dumps({"id": f"smoke-latency-{began}-{number}", "source": "smoke-latency", "value": 1.0})
        for where in (url, stage.of["api_url"] + "/v1/telemetry"):
            status = stage.ask("POST", where, token, event, [JSON]).status
            expect(status == 202, f"{where} answered {status}")
    time.sleep(180)
    of = {"direct": {"ApiName": f"{stage.prefix}-direct", "Stage": "direct"}, "the API": {"ApiId": api_of(stage)}}
    seen = {
        name: {statistic: max(stage.metric("AWS/ApiGateway", "Latency", dimensions, statistic, int(time.time()) - began + 60, period=3600), default=None)
               for statistic in ("p50", "p99", "Maximum")}
        for name, dimensions in of.items()
    }
    return expect(all(None not in found.values() for found in seen.values()), f"one after another, in ms: {seen}")
