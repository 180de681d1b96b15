"""Athena: items 18 to 26."""

import datetime
import json
import time

from steps import Failed, Skipped, expect, step

NO_ATHENA = "its Athena is DuckDB, and knows no Delta"


def scanned(stage, statement):
    """How many bytes a statement scans."""
    started = stage.aws("athena", "start-query-execution", "--work-group", stage.of["workgroup"], "--query-execution-context",
                        f"Database={stage.of['database']}", "--query-string", statement)["QueryExecutionId"]
    while True:
        execution = stage.aws("athena", "get-query-execution", "--query-execution-id", started)["QueryExecution"]
        if execution["Status"]["State"] not in ("QUEUED", "RUNNING"):
            break
        time.sleep(1)
    return execution["Status"], execution.get("Statistics", {}).get("DataScannedInBytes", 0)


@step(18, "Delta without columns", no_emulator=NO_ATHENA)
def delta_without_columns(stage):
    [athena] = stage.sql("select count(*) as n from telemetry_raw", athena=True)
    [here] = stage.sql("select count(*) as n from telemetry_raw", athena=False)
    # More may have been committed between the two.
    return expect(0 < athena["n"] <= here["n"], f"Athena counts {athena['n']}, the program {here['n']}")


@step(19, "An empty dataset", no_emulator=NO_ATHENA)
def empty_dataset(stage):
    if stage.objects(stage.of["lake_url"].removeprefix("s3://").split("/")[0], "lake/data/_delta_log/"):
        raise Skipped("something was sent to the dataset `data` before")
    try:
        return f"Athena answers {stage.sql('select count(*) as n from data_raw', athena=True)}"
    except Failed as refused:
        return f"Athena refuses: {refused}"


@step(20, "The views", no_emulator=NO_ATHENA)
def views(stage):
    database, name = stage.of["database"], "telemetry"
    if not stage.aws("glue", "get-tables", "--database-name", database, "--expression", f"^{name}$")["TableList"]:
        raise Skipped(f"no view `{name}` was made yet. Make it by `{making_of(stage, name)}`, and the others alike: docs/aws.md, SQL")
    body = json.dumps({"source": f"smoke-view-{time.time_ns()}", "value": 1.0})
    for _ in range(2):
        expect(stage.call("POST", "/v1/telemetry", stage.token("data.write"), body, ["Idempotency-Key: " + body[12:40].strip()])[0] == 202, "not taken")
    time.sleep(60)
    [row] = stage.sql("select count(*) as n, count(distinct event_id) as ids from telemetry", athena=True)
    return expect(row["n"] == row["ids"], f"{row['n']} rows, {row['ids']} ids")


def making_of(stage, view):
    """The command that makes a view by the statement which was deployed with the workgroup."""
    group = stage.of["workgroup"]
    for one in stage.aws("athena", "list-named-queries", "--work-group", group)["NamedQueryIds"]:
        if stage.aws("athena", "get-named-query", "--named-query-id", one)["NamedQuery"]["Name"] == f"view-{view}":
            statement = f'"$(aws athena get-named-query --named-query-id {one} --query NamedQuery.QueryString --output text)"'
            context = f"--query-execution-context Database={stage.of['database']}"
            return f"aws athena start-query-execution --work-group {group} {context} --query-string {statement}"
    raise Failed(f"the workgroup {group} has no statement `view-{view}`")


@step(21, "File skipping", no_emulator=NO_ATHENA)
def file_skipping(stage):
    [row] = stage.sql("select count(distinct event_date) as days from telemetry_raw", athena=True)
    if row["days"] < 10:
        raise Skipped(f"the table has {row['days']} days; it takes many")
    (_, all_of_it), (_, today) = (scanned(stage, "select sum(value) from telemetry_raw"),
                                  scanned(stage, "select sum(value) from telemetry_raw where event_date = current_date"))
    return expect(today < all_of_it / 2, f"{today} of {all_of_it} bytes scanned for one of {row['days']} days")


@step(22, "The scan limit", no_emulator=NO_ATHENA)
def scan_limit(stage):
    group = stage.aws("athena", "get-work-group", "--work-group", stage.of["workgroup"])["WorkGroup"]
    limit = group["Configuration"].get("BytesScannedCutoffPerQuery", 0)
    if limit > 10 * 1024 * 1024:
        raise Skipped("deploy it with sql_scan_megabytes = 10, and back afterwards")
    status, bytes_scanned = scanned(stage, "select * from telemetry_raw")
    if bytes_scanned <= limit and status["State"] == "SUCCEEDED":
        raise Skipped(f"the table is smaller than the limit: {bytes_scanned} bytes")
    return expect(status["State"] == "CANCELLED" and "limit" in status.get("StateChangeReason", ""), f"{status}")


@step(23, "Encodings", no_emulator=NO_ATHENA)
def encodings(stage):
    rows = stage.sql("select * from telemetry_raw limit 10", athena=True)
    return expect(0 < len(rows) <= 10, f"{len(rows)} rows of {len(rows[0]) if rows else 0} columns")


@step(24, "Microseconds", no_emulator=NO_ATHENA)
def microseconds(stage):
    source = f"smoke-micros-{time.time_ns()}"
    first = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=30)
    times = [(first + datetime.timedelta(microseconds=3 * number)).isoformat().replace("+00:00", "Z") for number in range(20)]
    lines = [json.dumps({"id": f"{source}-{n}", "source": source, "time": at, "value": 1.0}) for n, at in enumerate(times)]
    status, text = stage.call("POST", "/v1/telemetry", stage.token("data.write"), "\n".join(lines), ["Content-Type: application/x-ndjson"])
    expect(status == 202, f"POST answered {status}: {text[:200]}")
    expect(stage.rows_of(source, 20) == 20, "the events are not committed")
    token, walked, cursor = stage.token("data.read"), [], ""
    while cursor is not None and len(walked) < 100:
        status, text = stage.call("GET", f"/v1/telemetry?source={source}&from={times[0]}&limit=7{cursor}", token)
        expect(status == 200, f"GET answered {status}: {text[:200]}")
        page = json.loads(text)
        walked += page["records"]
        cursor = f"&cursor={page['next']}" if page["next"] else None
    once = len({record["id"] for record in walked}) == len(walked) == 20
    exact = sorted(record["time"] for record in walked) == sorted(times)
    return expect(once and exact, f"{len(walked)} records walked, each once: {once}, times as they were sent: {exact}")


@step(25, "File skipping by time", no_emulator=NO_ATHENA)
def file_skipping_by_time(stage):
    [row] = stage.sql("select count(distinct event_date) as days, cast(max(event_time) as varchar) as newest from telemetry_raw", athena=True)
    if row["days"] < 10:
        raise Skipped(f"the table has {row['days']} days; it takes many")
    newest = row["newest"].split(" UTC")[0]
    since = f"cast('{newest}000 UTC' as timestamp(6) with time zone)"
    (_, all_of_it), (_, some) = (scanned(stage, "select sum(value) from telemetry_raw"),
                                 scanned(stage, f"select sum(value) from telemetry_raw where event_time >= {since}"))
    return expect(some < all_of_it / 2, f"{some} of {all_of_it} bytes scanned for what a few files have")


@step(26, "Nested columns", no_emulator=NO_ATHENA)
def nested_columns(_stage):
    raise Skipped("it takes a dataset of your own with an object and a list, with events older than its hot_retention; see the text")
