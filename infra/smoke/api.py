"""The API: items 7 to 10."""

import collections
import concurrent.futures
import json

from steps import Skipped, expect, step

MIB = 1024 * 1024


@step(7, "No token, no answer")
def no_token(stage):
    seen = {"none": stage.call("GET", "/v1/telemetry")[0], "a bad one": stage.call("GET", "/v1/telemetry", "x")[0]}
    expected = {"none": 401, "a bad one": 403}
    if not stage.is_emulator:
        # An emulator answers this route itself.
        seen["/health"], expected["/health"] = stage.call("GET", "/health")[0], 200
    answer = stage.ask("GET", stage.of["api_url"] + "/openapi.json")
    expect(answer.status == 200, f"GET /openapi.json answered {answer.status}: {answer.text[:200]}")
    paths = json.loads(answer.text)["paths"]
    described = {f"{method.upper()} {path}" for path, item in paths.items() for method in item}
    api = api_of(stage)
    routes = {route["RouteKey"] for route in stage.aws("apigatewayv2", "get-routes", "--api-id", api)["Items"]}
    wrong = described ^ {route for route in routes if not route.startswith("HEAD ")}
    expect(not wrong, f"described and no route, or a route and not described: {sorted(wrong)}")
    if not stage.is_emulator:
        named = {name: answer.headers.get(name) for name in ("x-request-id", "apigw-requestid")}
        expect(len(set(named.values())) == 1 and None not in named.values(), f"the request is called {named}")
        seen["HEAD"], expected["HEAD"] = stage.ask("HEAD", stage.of["api_url"] + "/openapi.json").status, 200
    return expect(seen == expected, f"{seen}; {len(described)} routes are described, and there are no others")


@step(8, "A read token does not write")
def read_token(stage):
    token = stage.token("data.read", owner="smoke-reader")
    seen = [stage.call("GET", "/v1/telemetry?from=-1m", token)[0], stage.call("POST", "/v1/telemetry", token, "{}")[0]]
    return expect(seen == [200, 403], f"GET and POST answered {seen}")


@step(9, "Large bodies")
def large_bodies(stage):
    def of(size):
        line = json.dumps({"source": "smoke-large", "value": 1.0, "note": "x" * 8_000}) + "\n"
        return stage.call("POST", "/v1/telemetry", stage.token("data.write"), line * (size // len(line)), ["Content-Type: application/x-ndjson"])[0]

    seen = {"4 MiB": of(4 * MIB), "5 MiB": of(5 * MIB)}
    return expect(seen == {"4 MiB": 202, "5 MiB": 413}, f"{seen}")


@step(10, "Throttling", no_emulator="it takes the setting and ignores it")
def throttling(stage):
    api = api_of(stage)
    settings = stage.aws("apigatewayv2", "get-stage", "--api-id", api, "--stage-name", "$default")["DefaultRouteSettings"]
    if settings["ThrottlingBurstLimit"] > 10 or settings["ThrottlingRateLimit"] > 10:
        raise Skipped("deploy it with requests_per_second and request_burst at 5, and back afterwards")
    token = stage.token("data.read")
    with concurrent.futures.ThreadPoolExecutor(100) as many:
        statuses = many.map(lambda _: stage.call("GET", "/v1/telemetry?from=-1m&limit=1", token)[0], range(100))
        seen = collections.Counter(statuses)
    return expect(seen[429] > 0 and not any(status >= 500 for status in seen), f"{dict(seen)}")


def api_of(stage):
    """The id of the HTTP API."""
    return next(api["ApiId"] for api in stage.aws("apigatewayv2", "get-apis")["Items"] if api["ApiEndpoint"] == stage.of["api_url"])
