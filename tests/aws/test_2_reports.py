"""Reports by the deployed function: called by hand as the schedule would, kept once, and looked at through the API. The emulator's Athena reads no Delta
table, so a report here fails for that; what a result is, is told by one that names no table, put into the function's package."""

import io
import json
import zipfile
import pathlib

import pytest
import requests

from stage import PACKAGES

SQL = """-- title: A number by hour
-- window: 1h
-- delay: 0s
select 4711 as n, 'x' as word where cast($from as varchar) < cast($to as varchar)
"""


@pytest.fixture
def with_report(stage):
    """The function with this report in its zip; as it was afterwards."""
    functions, name = stage.emulator.client("lambda"), stage.out["functions"]["report"]
    good = functions.get_alias(FunctionName=name, Name="live")["FunctionVersion"]
    zipped = io.BytesIO((pathlib.Path(PACKAGES) / "report.zip").read_bytes())
    with zipfile.ZipFile(zipped, "a") as archive:
        archive.writestr("reports/numbers.sql", SQL)
    changed = functions.update_function_code(FunctionName=name, ZipFile=zipped.getvalue(), Publish=True)
    functions.update_alias(FunctionName=name, Name="live", FunctionVersion=changed["Version"])
    yield lambda payload: json.loads(functions.invoke(FunctionName=f"{name}:live", Payload=json.dumps(payload))["Payload"].read())
    functions.update_alias(FunctionName=name, Name="live", FunctionVersion=good)


def test_a_report_is_made_once_for_each_window_and_read_through_the_api(stage, with_report):
    first = with_report({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}})
    [made] = [window for window in first["made"] if window.startswith("numbers/")]
    assert with_report({})["made"] == []

    admin = stage.token("ann", "data.admin")
    assert stage.call("GET", "/v1/reports", stage.token("ann", "data.read")).status_code == 403
    reports = {report["name"]: report for report in stage.call("GET", "/v1/reports", admin).json()["reports"]}
    assert {"numbers", "events_per_hour", "dead_letters_per_day"} <= reports.keys()
    [result] = reports["numbers"]["results"]
    assert (f"numbers/{result['window']}", result["rows"]) == (made, 1)
    led = stage.call("GET", result["csv"]["url"], admin, allow_redirects=False)
    assert led.status_code == 302, led.text
    saved = requests.get(led.headers["location"], timeout=10)
    assert saved.text == "n,word\r\n4711,x\r\n"
    assert len(saved.content) == result["csv"]["bytes"]

    again = with_report({"report": "numbers", "window": result["window"]})
    assert again["made"] == [made]
    report = stage.call("GET", "/v1/reports/numbers", admin).json()
    assert [kept["window"] for kept in report["results"]] == [result["window"]]
    rows = stage.objects(stage.out["reports_bucket"], "results/numbers/parquet/")
    assert rows == [f"results/numbers/parquet/{result['window']}.parquet"]
