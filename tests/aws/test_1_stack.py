"""The stack as Terraform makes it: whole, settled, and closed to whoever has no token."""

import pytest


def test_a_second_plan_is_empty(stage):
    # Of an alarm the emulator tells little more than the name, in the protocol that this provider speaks.
    changed = [change["address"] for change in stage.terraform.changes() if change["type"] != "aws_cloudwatch_metric_alarm"]
    assert changed == []


@pytest.mark.parametrize("method, path", [("GET", "/v1/telemetry"), ("GET", "/data"), ("POST", "/v1/telemetry"),
                                          ("POST", "/data"), ("POST", "/v1/queries"), ("GET", "/v1/queries/x")])
def test_nobody_is_let_in_without_a_good_token(stage, method, path):
    assert stage.call(method, path).status_code == 401
    other = stage.token("me", "data.read", "data.write", "data.admin", secret="another secret of thirty-two bytes")
    for token in ["x", other, stage.token("me", "data.read", "data.write", "data.admin", seconds=-120)]:
        assert stage.call(method, path, token).status_code == 403


def test_a_role_opens_its_own_routes_only(stage):
    event = {"source": "kitchen", "value": 21.5}
    assert stage.call("POST", "/v1/telemetry", stage.token("me", "data.read"), json=event).status_code == 403
    assert stage.call("GET", "/v1/telemetry", stage.token("me", "data.write")).status_code == 403
    for roles in [["data.read"], ["data.write"], ["data.read", "data.write"]]:
        assert stage.call("POST", "/v1/queries", stage.token("me", *roles), json={"sql": "select 1"}).status_code == 403


def test_the_document_has_every_route_and_each_is_there(stage):
    answer = stage.call("GET", "/openapi.json")
    assert answer.status_code == 200, answer.text
    document = answer.json()
    described = {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item}
    pages = stage.emulator.client("apigatewayv2").get_paginator("get_routes").paginate(ApiId=stage.out["api_id"])
    routes = {route["RouteKey"] for page in pages for route in page["Items"]}
    assert described == {route for route in routes if not route.startswith("HEAD ")}
    everything = stage.token("me", "data.read", "data.write", "data.admin")
    names = {"{dataset}": "telemetry", "{id}": "none", "{name}": "none", "{file}": "20260131T1200Z.csv"}
    for route in described - {"GET /health"}:
        method, path = route.split()
        for name, value in names.items():
            path = path.replace(name, value)
        operation = document["paths"][route.split()[1]][method.lower()]
        # The emulator's Athena may fail a statement, and what is asked for is not there; but each is answered by ours, as the document says.
        answer = stage.call(method, path, everything, data="" if method == "POST" else None)
        assert str(answer.status_code) in operation["responses"], (route, answer.status_code, answer.text[:300])
        assert answer.headers["x-request-id"], route
        if answer.status_code == 404:
            assert answer.headers["content-type"] == "application/problem+json", (route, answer.text[:300])


def test_the_direct_route_lets_in_whoever_may_write(stage):
    """What it makes of a body is tested by its template: the emulator has no integration with Kinesis, which a call that is let in meets."""
    writer = stage.token("me", "data.write")
    other = stage.token("me", "data.write", secret="another secret of thirty-two bytes")
    for token, dataset, status, slug in [
        (None, "telemetry", 401, "no-token"), ("x", "telemetry", 403, "not-permitted"), (other, "telemetry", 403, "not-permitted"),
        (stage.token("me", "data.read"), "telemetry", 403, "not-permitted"), (writer, "nothing", 404, "no-such-route"),
    ]:
        answer = stage.put_directly(dataset, token, data="{}")
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
        assert answer.json()["type"] == f"/problems/{slug}" and answer.json()["status"] == status
    assert stage.put_directly("telemetry", writer, data="<a/>", headers={"Content-Type": "text/html"}).status_code == 415
    assert stage.put_directly("telemetry", writer, data="{}").status_code not in (401, 403, 404, 415)


def test_wrong_requests_are_told_what_would_be_right(stage):
    both = stage.token("me", "data.read", "data.write")
    for method, path, body, status, says in [
        ("POST", "/v1/nothing", "{}", 404, "telemetry"),
        ("POST", "/v1/telemetry", "[1", 400, ""),
        ("GET", "/v1/nothing", None, 404, "telemetry"),
        ("GET", "/v1/telemetry?limit=0", None, 400, "1 to 10000"),
        ("GET", "/v1/telemetry?sauce=a", None, 400, "sauce"),
        ("GET", "/v1/telemetry?after=now", None, 400, "newest"),
        ("GET", "/v1/telemetry/live", None, 501, "after=newest"),
    ]:
        answer = stage.call(method, path, both, data=body)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), path
        assert says in answer.json()["detail"]


def test_the_secret_is_in_no_state_and_no_variable(stage):
    assert len(stage.secret) >= 32
    assert stage.secret not in (stage.terraform.folder / "terraform.tfstate").read_text()
    functions = stage.emulator.client("lambda")
    for name in stage.out["functions"].values():
        configuration = functions.get_function_configuration(FunctionName=name)
        assert stage.secret not in str(configuration.get("Environment"))
