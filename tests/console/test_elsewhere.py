"""The console from a bucket, with the API that AWS has: it begins, signs in and shows records, and says what there is not."""

import time

import pytest
from conftest import Console, KILN, reading
from elsewhere import Elsewhere
from playwright.sync_api import expect


@pytest.fixture
def elsewhere(node):
    running = Elsewhere(node)
    running.token = node.token
    yield running
    running.stop()


@pytest.fixture
def away(browser, elsewhere):
    console = Console(browser, elsewhere, viewport={"width": 1280, "height": 800})
    # What AWS lacks is asked for once or twice, and the browser says so.
    console.expect_refusals("/metrics", "/v1/", "/admin/audit")
    yield console
    console.context.close()
    assert console.complaints() == []


def test_it_begins_signs_in_and_shows_records(away, elsewhere):
    page = away.page
    expect(page.get_by_label("Token for")).to_be_visible()
    away.sign_in()
    page.get_by_role("heading", name="Overview").wait_for()
    expect(page.get_by_role("main")).to_contain_text("This API shows no metrics")
    expect(page.locator("#version")).to_contain_text("Alluvium ")
    away.go("#/records?source=kiln-1&from=-1h")
    expect(page.locator("#records tbody tr")).to_have_count(len(KILN))
    assert ("GET", "/v1/telemetry") in elsewhere.asked


def test_a_token_that_the_authorizer_refuses_does_not_sign_in(away, elsewhere):
    away.sign_in(elsewhere.token[:-4] + "AAAA")
    expect(away.page.get_by_role("alert")).to_contain_text("does not take this token")
    expect(away.page.get_by_label("Token for")).to_be_visible()
    assert away.page.evaluate("sessionStorage.length") == 0


def test_a_token_that_has_gone_bad_ends_the_session(away, elsewhere):
    away.sign_in()
    away.page.get_by_role("heading", name="Overview").wait_for()
    away.page.evaluate("sessionStorage.setItem('alluvium.token', 'a.b.c')")
    away.page.evaluate("location.hash = '#/records?source=kiln-1&from=-1h'")
    expect(away.page.get_by_label("Token for")).to_be_visible()
    expect(away.page.get_by_role("alert")).to_contain_text("does not take this token")


def test_new_records_are_asked_for_where_none_are_pushed(away, elsewhere, node):
    away.sign_in()
    page = away.page
    page.get_by_role("heading", name="Overview").wait_for()
    source = f"away-{int(time.time())}"
    away.go(f"#/records?source={source}&from=-1h")
    page.get_by_role("button", name="Live").click()
    expect(page.locator("#records-said")).to_contain_text("Live: 0 new records")
    node.send([reading(n, source, n, minutes_ago=0) for n in range(3)])
    expect(page.locator("#records tbody tr")).to_have_count(3)
    assert ("GET", "/v1/telemetry/live") in elsewhere.asked
    assert page.get_by_role("alert").count() == 0


def test_what_there_is_not_is_said_and_no_error(away):
    away.sign_in()
    page = away.page
    page.get_by_role("heading", name="Overview").wait_for()
    page.get_by_role("button", name="Audit now").click()
    expect(page.locator("#audit")).to_contain_text("This API runs no audits")
    away.go("#/reports")
    expect(page.get_by_role("main")).to_contain_text("This API has no reports")
    for view in ["#/sql", "#/dead-letters", "#/datasets"]:
        away.go(view)
        assert page.get_by_role("alert").count() == 0, view
