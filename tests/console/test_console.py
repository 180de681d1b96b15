"""The console in a real browser: what it shows is what was sent, and it is usable by keyboard, on a small screen and by listening."""

import datetime as dt
import json
import pathlib
import re
import shlex
from urllib.parse import quote

import pytest
import requests
from conftest import HOSTILE, KILN, MANY, NOT_JSON, OF_ANN, REQUIRED_MISSING, reading
from program import ROOT, alluvium, eventually
from playwright.sync_api import expect

DEAD = len(NOT_JSON) + len(REQUIRED_MISSING)
READERS_VIEWS = ["#/records?source=kiln-1&from=-1h", "#/sql?q=" + quote("select source, count(*) as events from telemetry group by source"),
                 "#/dead-letters", "#/datasets"]
VIEWS = ["#/overview", *READERS_VIEWS, "#/reports"]


def cells(table, row):
    return table.locator("tbody tr, tfoot tr").nth(row).locator("th, td").all_inner_texts()


def test_a_bad_token_is_refused_in_the_apis_words_and_a_good_one_stays_in_the_tab(open_console, node):
    console = open_console()
    page = console.page
    console.expect_refusals("/v1/dead_letters")
    console.sign_in(node.token[:-4] + "AAAA")
    expect(page.get_by_role("alert")).to_contain_text("the token's signature is wrong")
    assert page.evaluate("sessionStorage.length") == 0

    console.sign_in()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    assert page.evaluate("Object.keys(localStorage).filter((key) => key.includes('token'))") == []

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token for")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0

    # Whoever is signed out asks for nothing, so that the page which is loaded now is the first to show this token.
    page.evaluate("sessionStorage.setItem('alluvium.token', 'a.b.c')")
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("token")
    assert page.evaluate("sessionStorage.length") == 0
    console.sign_in()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")


def test_the_ledger_has_what_was_sent_and_grows_as_more_is(console, node):
    page = console.page
    before = node.sent
    expect(page.locator("#balance")).to_contain_text(f"{before} received = {before - DEAD} written + 0 filtered + {DEAD} dead ✓ balances")
    assert cells(page.locator("#ledger"), 0)[:5] == ["telemetry", str(before), str(before - DEAD), "0", str(DEAD)]
    expect(page.locator("#figure-accepted")).to_have_text(str(before))

    node.send([reading(n, "later", n) for n in range(60)])
    expect(page.locator("#figure-committed")).to_have_text(str(before + 60))
    expect(page.locator("#figure-waiting")).to_have_text("0")
    expect(page.locator("#balance")).to_contain_text(f"{before + 60} received")
    throughput = page.get_by_role("figure", name="Throughput")
    expect(throughput.locator("path.line.s1")).to_have_count(1)
    # 60 events within the 10 seconds that a rate is over: 6/s, less or more as a look falls.
    expect(throughput.locator(".chart-summary, p.unseen")).to_contain_text(re.compile(r"at most ([5-9]|\d\d)(\.\d)?/s"))

    page.get_by_role("button", name="Audit now").click()
    expect(page.locator("#audit")).to_contain_text("The audit balances.")
    expect(page.locator("#figure-audit")).to_contain_text("✓")


def refused(node):
    """How many calls the node has refused for their tokens."""
    lines = requests.get(f"{node.url}/metrics").text.splitlines()
    return sum(int(line.split()[-1]) for line in lines if line.startswith("alluvium_calls_refused_total"))


def test_a_reader_is_refused_nothing_and_told_what_needs_another_role(open_console, node):
    console = open_console()
    page = console.page
    before = refused(node)
    console.sign_in(node.token_of("ann", "data.read"))
    page.get_by_role("heading", name="Overview").wait_for()
    for view, said in [
        ("#/overview", "The ledger counts everybody's events: it needs the role data.admin."),
        ("#/records?from=-1h&live=1", "Live: 0 new records"),
        (READERS_VIEWS[1], "of-ann"),
        ("#/dead-letters", "no dead letters that you may see"),
        ("#/datasets", f"{OF_ANN} rows"),
        ("#/reports", "Reports are made of everybody's events: they need the role data.admin."),
        ("#/overview", "The ledger counts everybody's events: it needs the role data.admin."),
    ]:
        console.go(view)
        expect(page.get_by_role("main")).to_contain_text(said)
        expect(page.get_by_role("main")).not_to_contain_text("Counting…")
        if "records" in view:
            expect(page.locator("#records tbody tr")).to_have_count(OF_ANN)
        assert page.get_by_role("button", name=re.compile("Audit|Ledger")).count() == 0, view
        assert console.violations() == [], view
    # Nothing of the overview comes later than the metrics do for the second time.
    for _ in range(2):
        page.wait_for_event("response", lambda answer: answer.url.endswith("/metrics"))
    assert [answer for answer in console.answers if answer[0] >= 400] == []
    assert console.said == []
    assert refused(node) == before


def test_whoever_cannot_read_is_told_so(open_console, node):
    writer = open_console()
    writer.expect_refusals("/v1/")
    writer.sign_in(node.token_of("ann", "data.write"))
    for view in READERS_VIEWS:
        writer.go(view)
        expect(writer.page.get_by_role("alert").first).to_contain_text("needs the role `data.read`")


def test_of_roles_that_it_cannot_see_the_api_is_asked(open_console, node, start, tmp_path):
    """They stand in a claim that a setting names, or are not asked for."""
    settings = tmp_path / "alluvium.toml"
    settings.write_text('[auth]\nrole_claim = "rights"\n')
    other = start("other", "--config", settings)
    admin = open_console(at=other)
    admin.sign_in()
    expect(admin.page.locator("#balance")).to_contain_text("✓ balances")

    reader = open_console(at=other)
    reader.expect_refusals("/v1/queries", "/v1/reports", "/admin/audit")
    reader.sign_in(alluvium("token", "--config", settings, "--data", other.data, "--sub", "ann", "--role", "data.read").strip())
    expect(reader.page.get_by_role("main")).to_contain_text(re.compile("The API says: .*`ledger`"))
    reader.go("#/reports")
    expect(reader.page.get_by_role("alert")).to_contain_text("data.admin")
    reader.go("#/datasets")
    reader.page.get_by_role("button", name="Audit now").click()
    expect(reader.page.get_by_role("alert")).to_contain_text("data.admin")

    anybody = open_console(at=start("everybodys", "--no-auth"))
    anybody.sign_in(node.token_of("ann", "data.read"))
    expect(anybody.page.locator("#balance")).to_contain_text("✓ balances")


def figure(text):
    return int(text.replace(",", ""))


def test_under_load_the_charts_move_and_records_and_sql_answer(open_console, loaded):
    overview = open_console(at=loaded, viewport={"width": 1280, "height": 800})
    overview.sign_in()
    throughput = overview.page.get_by_role("figure", name="Throughput")
    rate = throughput.locator(".chart-summary, p.unseen")
    # What a node with nothing to do would not say.
    expect(rate).to_contain_text(re.compile(r"over 10 s: \d,\d{3}/s acknowledged and \d,\d{3}/s committed"))
    before = [throughput.locator("path.line.s1").get_attribute("d"), figure(overview.page.locator("#figure-accepted").inner_text())]

    asking = open_console(at=loaded, viewport={"width": 1280, "height": 800})
    asking.sign_in()
    asking.page.get_by_role("heading", name="Overview").wait_for()
    asking.go("#/records?source=device-00012&from=-5m&live=1")
    drawn = asking.page.get_by_role("figure", name="value over time").locator("path.line.s1")
    newest = asking.page.locator("#records tbody tr td.time").first
    expect(asking.page.locator("#records-said")).to_contain_text("Live: ")
    first = (drawn.get_attribute("d"), newest.inner_text())
    expect(drawn).not_to_have_attribute("d", first[0])
    expect(newest).not_to_have_text(first[1])
    assert newest.inner_text() > first[1]

    asking.go("#/records?from=-5m")
    expect(asking.page.locator("#records tbody tr")).to_have_count(100)
    asking.go("#/sql")
    counted = []
    for _ in range(2):
        asking.page.get_by_label("Statement").fill("select count(*) as n, count(distinct source) as sources from telemetry")
        asking.page.get_by_role("button", name="Run").click()
        expect(asking.page.locator("#sql-said")).to_contain_text("1 row")
        counted.append([int(text) for text in cells(asking.page.locator("#result"), 0)])
        asking.page.wait_for_timeout(4000)
    assert 0 < counted[0][0] < counted[1][0] and counted[1][1] == 200

    after = [throughput.locator("path.line.s1").get_attribute("d"), figure(overview.page.locator("#figure-accepted").inner_text())]
    assert after[0] != before[0] and after[1] > before[1] + 1000
    expect(rate).to_contain_text(re.compile(r"over 10 s: \d,\d{3}/s acknowledged"))
    expect(overview.page.locator("#balance")).to_contain_text("✓ balances")


def test_records_of_a_source_with_their_chart_and_whole(console):
    page = console.page
    console.go("#/records?source=kiln-1&from=-1h")
    expect(page.locator("#records tbody tr")).to_have_count(len(KILN))
    values = page.locator("#records tbody tr td.number").all_inner_texts()
    assert [float(value) for value in values] == KILN[::-1]
    summary = f"{len(KILN)} readings of kiln-1, from {KILN[0]:g} to {KILN[-1]:g}"
    expect(page.get_by_role("figure", name="value over time")).to_contain_text(summary)

    page.locator("#records tbody tr").first.get_by_role("button").click()
    whole = json.loads(page.locator("#records tr.detail pre").inner_text())
    assert whole["id"] == f"kiln-1-{len(KILN) - 1}" and whole["data"] == {"value": KILN[-1], "unit": "Cel"}

    page.get_by_label("Source").fill("many")
    page.get_by_label("Source").press("Enter")
    expect(page.locator("#records tbody tr")).to_have_count(100)
    page.get_by_role("button", name="100 older ones").click()
    expect(page.locator("#records tbody tr")).to_have_count(200)
    page.get_by_role("button", name="100 older ones").click()
    expect(page.locator("#records tbody tr")).to_have_count(MANY)
    expect(page.get_by_role("button", name="100 older ones")).to_have_count(0)

    page.get_by_label("Source").fill("nobody")
    page.get_by_label("Source").press("Enter")
    expect(page.get_by_role("main")).to_contain_text("No records of the source “nobody”")


def test_a_live_tail_shows_each_new_record_once(console, node):
    page = console.page
    console.go("#/records?source=tail&from=-1h")
    expect(page.get_by_role("main")).to_contain_text("No records of the source")
    page.get_by_role("button", name="Live").click()
    expect(page.locator("#records-said")).to_contain_text("Live: 0 new records")
    node.send([reading(n, "tail", n, minutes_ago=0) for n in range(3)])
    expect(page.locator("#records tbody tr")).to_have_count(3)
    node.send([reading(n, "tail", n, minutes_ago=0) for n in range(3, 5)])
    expect(page.locator("#records tbody tr")).to_have_count(5)
    assert sorted(page.locator("#records tbody td.number").all_inner_texts()) == ["0", "1", "2", "3", "4"]


def test_sql_answers_with_a_table_and_a_chart(console):
    page = console.page
    console.expect_refusals("/v1/queries")
    console.go("#/sql")
    page.get_by_label("Statement").fill("select source, count(*) as events, max(value) as high from telemetry where source in ('kiln-1', 'many') group by source order by source")
    page.get_by_label("Statement").press("Control+Enter")
    expect(page.locator("#sql-said")).to_contain_text("2 rows")
    assert [cells(page.locator("#result"), row) for row in (0, 1)] == [["kiln-1", str(len(KILN)), f"{KILN[-1]:g}"], ["many", str(MANY), str(MANY - 1)]]
    bars = page.get_by_role("figure", name="events by source")
    expect(bars.locator(".bar-value")).to_have_text([str(len(KILN)), str(MANY)])
    assert [float(bar.get_attribute("width")) for bar in bars.locator("rect.bar").all()][1] > 0

    page.get_by_label("Statement").fill("select event_time, value from telemetry where source = 'kiln-1' order by 1")
    page.get_by_label("Statement").press("Control+Enter")
    expect(page.get_by_role("figure", name="value over event_time")).to_contain_text(f"{len(KILN)} rows, from {KILN[0]:g} to {KILN[-1]:g}")
    expect(page.locator("#result tbody tr")).to_have_count(len(KILN))

    page.get_by_label("Statement").fill("select valeu from telemetry")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("alert")).to_contain_text("valeu")
    page.get_by_label("Statement").fill("drop table telemetry")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("alert")).to_contain_text("only statements that read are answered")

    page.get_by_label("Statement").fill("select a.value + 250 * b.value as n from telemetry_raw a, telemetry_raw b where a.source = 'many' and b.source = 'many' order by 1 limit 8400")
    page.get_by_role("button", name="Run").click()
    for shown in [*range(500, 8192, 500), 8192]:
        expect(page.locator("#result tbody tr")).to_have_count(shown)
        page.get_by_role("button", name="More rows").click()
    expect(page.locator("#result tbody tr")).to_have_count(8400)
    expect(page.get_by_role("button", name="More rows")).to_have_count(0)
    assert cells(page.locator("#result"), 8399) == ["8399"]


def test_a_statement_can_be_cancelled(console, node):
    page = console.page
    console.go("#/sql")
    running = {"id": "x", "state": "running", "error": None, "scanned_bytes": None, "elapsed_ms": 1500}
    page.route(re.compile(r"/v1/queries/[^/]+$"), lambda route: route.fulfill(json=running) if route.request.method == "GET" else route.continue_())
    page.get_by_label("Statement").fill("select 1 as one")
    page.get_by_role("button", name="Run").click()
    expect(page.locator("#sql-said")).to_have_text("Running for 1.5 s…")
    with page.expect_request(lambda request: request.method == "DELETE") as cancelled:
        page.get_by_role("button", name="Cancel").click()
    assert cancelled.value.response().status == 204
    expect(page.locator("#sql-said")).to_have_text("Cancelled.")
    path = cancelled.value.url.removeprefix(node.url)
    assert requests.get(node.url + path, headers={"Authorization": f"Bearer {node.token}"}).status_code == 404


def test_dead_letters_by_reason_with_their_originals_and_a_command_that_works(console, node):
    page = console.page
    console.go("#/dead-letters")
    assert [cells(page.locator("#reasons"), row)[2] for row in (0, 1)] == [str(len(NOT_JSON)), str(len(REQUIRED_MISSING))]
    page.get_by_role("button", name="not_json").click()
    originals = page.locator("pre.original")
    expect(originals).to_have_count(len(NOT_JSON))
    shown = originals.all_inner_texts()
    assert NOT_JSON[0].decode() in shown and "hello" in shown
    assert any(text.startswith("ff fe 20 6e 6f 74") for text in shown)
    # What is hostile in an event is text like any other.
    assert HOSTILE in page.locator("main").inner_text()
    assert page.locator("main img, main script").count() == 0 and page.title() == "Dead letters · Alluvium"

    command = shlex.split(page.locator("#redrive").inner_text())
    assert command[:3] == ["alluvium", "redrive", "--data"]
    would = json.loads(alluvium("--json", *[str(node.data) if part == "DIR" else part for part in command[1:]], "--dry-run"))
    assert would["dry_run"] and [(group["reason"], group["sent"]) for group in would["groups"]] == [("not_json", len(NOT_JSON))]

    page.get_by_role("button", name="required_missing").click()
    expect(originals.first).to_contain_text("kiln-2")
    expect(page.get_by_role("main")).to_contain_text("/value")


def test_datasets_with_their_columns_and_files(console, node):
    page = console.page
    console.go("#/datasets")
    telemetry = page.get_by_role("region", name="telemetry", exact=True)
    expect(telemetry).to_contain_text(f"{node.sent - DEAD} rows")
    expect(telemetry.get_by_role("row", name="value double yes")).to_have_count(1)
    page.get_by_role("button", name="Audit now").click()
    expect(page.locator("#files tbody tr")).to_have_count(4)
    rows = {row[0]: row for row in (cells(page.locator("#files"), at) for at in range(4))}
    assert rows["telemetry"][1] == str(node.sent - DEAD) and int(rows["telemetry"][2]) > 0
    assert rows["dead_letters"][1] == str(DEAD)


def window(days_ago):
    """The day that was so many days ago, as a window is called."""
    return (dt.datetime.now(dt.timezone.utc) - dt.timedelta(days=days_ago)).strftime("%Y%m%dT0000Z")


def make(node, days_ago):
    answer = node.session().post(f"{node.url}/admin/reports", json={"name": "by_source", "window": window(days_ago)})
    assert answer.status_code == 200, answer.text


def test_reports_with_their_results_to_save(console, node):
    page = console.page
    node.send([reading(n, "past", n, minutes_ago=3 * 24 * 60) for n in range(7)])
    for days_ago in range(2, 13):
        make(node, days_ago)
    page.clock.install()
    page.reload()
    page.locator("#ledger").wait_for()
    console.go("#/reports")
    report = page.get_by_role("region", name="by_source", exact=True)
    expect(report).to_contain_text("Events by source and day")
    expect(report.locator("tbody tr")).to_have_count(10)
    report.get_by_role("button", name="Older results").click()
    expect(report.locator("tbody tr")).to_have_count(12)
    expect(report.get_by_role("button", name="Older results")).to_have_count(0)
    expect(page.get_by_role("region", name="misspelt", exact=True)).to_contain_text("valeu")
    expect(page.get_by_role("region", name="wrong", exact=True).get_by_role("alert")).to_contain_text("windw")

    day = dt.datetime.strptime(window(3), "%Y%m%dT0000Z").date()
    row = report.get_by_role("row", name=f"{day} – {day + dt.timedelta(days=1)}")
    csv = row.get_by_role("link", name="CSV")
    with page.expect_download() as saved:
        csv.click()
    assert saved.value.suggested_filename == f"by_source-{window(3)}.csv"
    assert pathlib.Path(saved.value.path()).read_bytes() == b"source,events\r\npast,7\r\n"
    with page.expect_download() as saved:
        row.get_by_role("link", name="Parquet").click()
    assert pathlib.Path(saved.value.path()).read_bytes()[:4] == b"PAR1"

    # What is made anew meanwhile comes by itself, and leaves whoever is at a row there.
    expect(row.locator("td").first).to_have_text("1")
    csv.focus()
    node.send([reading(0, "past-too", 1, minutes_ago=3 * 24 * 60)])
    make(node, 3)
    page.clock.fast_forward("01:01")
    expect(row.locator("td").first).to_have_text("2")
    expect(csv).to_be_focused()


def test_a_whole_result_is_saved(console):
    page = console.page
    console.go("#/sql")
    page.get_by_label("Statement").fill("select source, count(*) as n from telemetry where source in ('kiln-1', 'many') group by source order by source")
    page.get_by_role("button", name="Run").click()
    for name, begins in [("CSV", f"source,n\r\nkiln-1,{len(KILN)}\r\nmany,{MANY}\r\n".encode()), ("Parquet", b"PAR1")]:
        with page.expect_download() as saved:
            page.get_by_role("button", name=f"Save all as {name}").click()
        assert pathlib.Path(saved.value.path()).read_bytes().startswith(begins)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_for_those_who_listen_or_see_little(open_console, scheme):
    console = open_console(color_scheme=scheme, viewport={"width": 1280, "height": 800})
    console.page.get_by_label("Token for").wait_for()
    assert console.violations() == []
    console.sign_in()
    console.page.locator("#ledger").wait_for()
    for view in VIEWS:
        console.go(view)
        console.page.locator("main table").first.wait_for(state="attached")
        assert console.page.locator("h1").count() == 1
        assert console.violations() == [], view


def test_a_small_screen_scrolls_in_one_direction(open_console):
    console = open_console(viewport={"width": 400, "height": 800})
    console.sign_in()
    console.page.locator("#ledger").wait_for()
    for view in VIEWS:
        console.go(view)
        console.page.locator("main table").first.wait_for(state="attached")
        assert console.page.evaluate("document.documentElement.scrollWidth") <= 400, view


def test_it_is_used_by_keyboard(console):
    page = console.page
    page.reload()
    page.locator("#ledger").wait_for()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()

    chart = page.get_by_role("slider", name="Freshness")
    expect(chart).to_have_attribute("aria-valuemax", re.compile(r"^([2-9]|\d\d+)$"))
    chart.focus()
    # Once one has moved, what is under the line stays there, whatever comes anew at the end.
    page.keyboard.press("ArrowLeft")
    before = chart.get_attribute("aria-valuetext")
    page.keyboard.press("ArrowLeft")
    assert chart.get_attribute("aria-valuetext") != before

    page.get_by_role("link", name="Records").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name="Records")).to_be_focused()


def test_what_goes_wrong_is_said_and_what_was_seen_stays(console):
    page = console.page
    console.expect_refusals("/metrics", "/health", "/v1/queries")
    verdict = page.locator("#verdict")
    expect(verdict).to_have_text("Nothing needs attention.")
    accepted = page.locator("#figure-accepted").inner_text()
    page.route("**/metrics", lambda route: route.abort())
    expect(verdict).to_contain_text("Nothing new since")
    expect(verdict).to_contain_text("does not answer")
    assert page.locator("#figure-accepted").inner_text() == accepted
    page.unroute("**/metrics")
    expect(verdict).to_have_text("Nothing needs attention.")

    page.route("**/health", lambda route: route.fulfill(status=503, json={"status": "failed", "version": "0", "datasets": []}))
    expect(page.locator("#node-state")).to_have_text("failed")
    expect(verdict).to_have_text("The node says of itself: failed.")
    page.route("**/v1/queries", lambda route: route.fulfill(status=503, content_type="application/problem+json", json={
        "type": "/problems/storage-unavailable", "title": "Storage unavailable", "status": 503, "detail": "the disk is full"}))
    expect(page.get_by_role("alert")).to_contain_text("the disk is full")


def test_a_hidden_tab_asks_nothing(console):
    page = console.page
    page.clock.install()
    page.reload()
    page.locator("#ledger").wait_for()
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    # What was under way may end: no part of it waits longer than a second for the next.
    eventually(lambda: asked_within(console, 3000), lambda asked: asked == [])
    page.clock.fast_forward("10:00")
    assert asked_within(console, 3000) == []
    with page.expect_request("**/metrics"):
        page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")


def asked_within(console, ms):
    before = len(console.requests)
    console.page.wait_for_timeout(ms)
    return console.requests[before:]


def test_it_asks_only_where_it_comes_from_and_is_held_to_that(console, node):
    for view in VIEWS:
        console.go(view)
    assert {url.split("/")[2] for _, url in console.requests if not url.startswith("data:")} == {node.url.split("/")[2]}
    policy = requests.get(node.url).headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    script = requests.get(f"{node.url}/console/app.js")
    assert script.status_code == 200 and script.headers["Content-Type"].startswith("text/javascript")


def test_it_calls_the_public_api_and_beyond_that_an_audit(console, node):
    page = console.page
    page.get_by_role("button", name="Audit now").click()
    expect(page.locator("#audit")).to_contain_text("The audit balances.")
    for view in [*VIEWS, "#/records?live=1"]:
        console.go(view)
        page.locator("main table").first.wait_for(state="attached")
    expect(page.locator("#records-said")).to_contain_text("Live: ")
    public = [(method.upper(), re.sub(r"\{[^}]+\}", "[^/]+", path))
              for path, operations in requests.get(f"{node.url}/openapi.json").json()["paths"].items() for method in operations]
    called = {(method, url.removeprefix(node.url).partition("?")[0]) for method, url in console.requests if url.startswith(node.url)}
    ours = {("GET", "/")} | {("GET", f"/console/{file.name}") for file in (ROOT / "query/console").iterdir()}
    beyond = {call for call in called - ours if not any(call[0] == method and re.fullmatch(path, call[1]) for method, path in public)}
    assert beyond == {("POST", "/admin/audit")}


def test_it_is_small_and_never_makes_markup_of_data():
    files = list((ROOT / "query/console").iterdir())
    assert sum(file.stat().st_size for file in files) < 132 * 1024
    for file in files:
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|https?://(?!www\.w3\.org)", file.read_text()), file
