"""Reports by the deployed function, called as the schedule would, and their results through the API.

The emulator's Athena takes neither the times that a report names nor a Delta table, so every report fails there: what is told of that is looked at, and
the results that are read are put where docs/reports.md says that they are.
"""

import hashlib
import json

import requests


def invoke(stage, payload):
    function = stage.out["functions"]["report"]
    answer = stage.emulator.client("lambda").invoke(FunctionName=f"{function}:live", Payload=json.dumps(payload))
    return json.loads(answer["Payload"].read())


def test_a_report_that_fails_says_why_and_waits(stage):
    done = invoke(stage, {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}})
    failed = {window.split("/")[0] for window in done["failed"]}
    assert (done["made"], failed) == ([], {"dead_letters_per_day", "events_per_hour"})
    assert invoke(stage, {}) == {"made": [], "failed": []}, "each waits a minute before it is tried again"

    assert stage.call("GET", "/v1/reports", stage.token("ann", "data.read")).status_code == 403
    answer = stage.call("GET", "/v1/reports", stage.token("ann", "data.admin"))
    assert answer.status_code == 200, answer.text
    reports = {report["name"]: report for report in answer.json()["reports"]}
    assert reports.keys() == failed
    for report in reports.values():
        assert (report["broken"], report["waiting"], report["kept"], report["failure"]["times"]) == (None, 1, 0, 1), report
        assert report["failure"]["error"]
    assert reports["events_per_hour"]["window"] == "1h"


def test_a_result_is_listed_and_led_to(stage):
    s3, bucket = stage.emulator.client("s3"), stage.out["reports_bucket"]
    key = "results/events_per_hour/kept.json"
    kept = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    files = {"csv": b"n\r\n4711\r\n", "parquet": b"PAR1 as far as anybody looks here PAR1"}
    result = {"from": "2026-01-31T12:00:00Z", "to": "2026-01-31T13:00:00Z", "made_at": kept["seen_at"], "rows": 1}
    for ending, content in files.items():
        path = f"results/events_per_hour/{ending}/20260131T1200Z.{ending}"
        result[f"{ending}_version"] = s3.put_object(Bucket=bucket, Key=path, Body=content)["VersionId"]
        result[ending] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        # What is put since is not what is named.
        s3.put_object(Bucket=bucket, Key=path, Body=b"another")
    s3.put_object(Bucket=bucket, Key=key, Body=json.dumps({**kept, "results": [result]}))

    admin = stage.token("ann", "data.admin")
    report = stage.call("GET", "/v1/reports/events_per_hour", admin).json()
    [listed] = report["results"]
    assert (listed["window"], listed["rows"], report["next"]) == ("20260131T1200Z", 1, None)
    for ending, content in files.items():
        led = stage.call("GET", listed[ending]["url"], admin, allow_redirects=False)
        assert led.status_code == 302, led.text
        assert requests.get(led.headers["location"], timeout=10).content == content
    for path in ["/v1/reports/none", "/v1/reports/events_per_hour/20260131T1300Z.csv", "/v1/reports/events_per_hour/x.csv"]:
        assert stage.call("GET", path, admin).status_code == 404, path
