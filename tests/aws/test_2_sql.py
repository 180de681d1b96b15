"""SQL through the API: for administrators, each theirs alone, with whole results by a link. Athena's dialect is not the emulator's, so statements
here name no table."""

import requests
from stage import until


def ask(stage, who, sql):
    answer = stage.call("POST", "/v1/queries", stage.token(who, "data.admin"), json={"sql": sql})
    assert answer.status_code == 202, answer.text
    query = answer.json()["id"]

    def ended():
        status = stage.call("GET", f"/v1/queries/{query}", stage.token(who, "data.admin")).json()
        return status if status["state"] != "running" else None

    return until(ended, "the statement ends", 60)


def test_who_reads_their_own_records_is_shown_where(stage):
    answer = stage.call("POST", "/v1/queries", stage.token("ann", "data.read"), json={"sql": "select 1 as n"})
    assert answer.status_code == 403 and "GET /v1/{dataset}" in answer.json()["detail"], answer.text


def test_a_result_is_its_owners_and_fetched_by_a_link(stage):
    status = ask(stage, "ann", "select 1 as n, 'x' as word")
    assert status["state"] == "succeeded" and status["files"]["parquet"] is None, status
    path = f"/v1/queries/{status['id']}"
    rows = stage.call("GET", f"{path}/results", stage.token("ann", "data.admin")).json()
    assert (rows["rows"], [column["name"] for column in rows["columns"]]) == ([[1, "x"]], ["n", "word"])
    for theirs in [path, f"{path}/results", f"{path}/results.csv"]:
        assert stage.call("GET", theirs, stage.token("bob", "data.admin")).status_code == 404, theirs
    assert stage.call("DELETE", path, stage.token("bob", "data.admin")).status_code == 404

    led = stage.call("GET", f"{path}/results.csv", stage.token("ann", "data.admin"), allow_redirects=False)
    assert led.status_code == 302
    s3 = stage.emulator.client("s3")
    bucket, key = requests.utils.urlparse(led.headers["location"]).path.lstrip("/").split("/", 1)
    # The emulator puts the result into a folder of the name that it says it has.
    s3.copy_object(Bucket=bucket, Key=key, CopySource={"Bucket": bucket, "Key": f"{key}/{status['id']}.csv"})
    for url in [led.headers["location"], status["files"]["csv"]]:
        saved = requests.get(url, timeout=10)
        assert saved.status_code == 200, saved.text
        assert saved.text.replace('"', "").split() == ["n,word", "1,x"]
        assert "attachment" in saved.headers["content-disposition"]
    assert stage.call("GET", f"{path}/results.parquet", stage.token("bob", "data.admin")).status_code == 404

    # The emulator runs no UNLOAD, and does not know a request again by its token, so that each look begins anew.
    answer = stage.call("GET", f"{path}/results.parquet", stage.token("ann", "data.admin"), allow_redirects=False)
    assert answer.status_code in (202, 422), answer.text
    if answer.status_code == 202:
        assert answer.headers["location"] == f"{path}/results.parquet" and int(answer.headers["retry-after"]) > 0
    athena = stage.emulator.client("athena")
    group = athena.get_query_execution(QueryExecutionId=status["id"])["QueryExecution"]["WorkGroup"]
    pages = athena.get_paginator("list_query_executions").paginate(WorkGroup=group)
    unloads = [run for page in pages for run in page["QueryExecutionIds"]
               if status["id"] in athena.get_query_execution(QueryExecutionId=run)["QueryExecution"]["Query"]]
    assert len(unloads) >= 1 and unloads[0] != status["id"]
