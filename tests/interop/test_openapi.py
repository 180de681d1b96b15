"""Requests made up from the OpenAPI document: each answer is one that the document has, and none shows another owner's data (AU-1)."""

import base64
import hashlib
import hmac
import json
import time

import hypothesis
import pytest
import requests
import schemathesis
from program import ROOT, eventually
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]

# What has nothing but its path that could be against the document.
PATHS_ALONE = (
    "/v1/queries/{id}", "/v1/queries/{id}/results.csv", "/v1/queries/{id}/results.parquet", "/v1/reports", "/v1/reports/{name}/{file}",
    "/v1/uploads/{id}", "/v1/uploads/{id}/content",
)  # fmt: skip

OURS = "what-ann-sent"
THEIRS = "what-nobody-but-bob-may-see"

STATEMENTS = [
    "select * from telemetry",
    "select owner, source, count(*) as n from telemetry group by owner, source",
    "select * from telemetry where owner <> ?",
    "select * from data",
    "select * from dead_letters",
    "show tables",
    "explain select * from telemetry",
    "select 1 / 0",
    "insert into telemetry select * from telemetry",
]


@schemathesis.serializer("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines")
def lines(_context, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


def signed(secret, owner, role, expires_in):
    """A token as the node makes them, of any secret and time."""
    def part(value):
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    now = int(time.time())
    claims = {"sub": owner, "iat": now, "exp": now + expires_in, "Role": [role]}
    text = ".".join(part(json.dumps(value).encode()) for value in ({"alg": "HS256", "typ": "JWT"}, claims))
    return f"{text}.{part(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"


def bearer(token):
    return {"Authorization": f"Bearer {token}"} if token else {}


@pytest.fixture
def api(node):
    """The document that the node serves; a node that is older than it is held to the copy in docs. Tokens are ours to make up."""
    served = requests.get(f"{node.url}/openapi.json")
    document = served.json() if served.status_code == 200 else json.loads((ROOT / "docs/openapi.json").read_text())
    # A live tail has no end to wait for: test_live.py reads it.
    document["paths"].pop("/v1/{dataset}/live", None)
    for path in document["paths"].values():
        for operation in path.values():
            operation.pop("security", None)
    return schemathesis.openapi.from_dict(document)


@pytest.fixture
def filled(node):
    """The node with records, dead letters and statements of Ann and Bob, and who may do what to whom."""
    node.tokens = {name: node.token_of(name, "data.read", "data.write") for name in ("ann", "bob")}
    node.statements = []
    for name, mark in (("ann", OURS), ("bob", THEIRS)):
        as_them = bearer(node.tokens[name])
        event = {"source": f"{mark}-0", "id": mark, "value": 1, "unit": mark, "note": mark}
        for dataset, body in (
            ("telemetry", [event, {**event, "source": f"{mark}-1", "value": 2}, {"source": mark, "value": mark}]),
            ("data", [{**event, "informationOne": mark, "informationTwo": mark}]),
        ):
            assert requests.post(f"{node.url}/v1/{dataset}", json=body, headers=as_them).status_code == 202

        for dataset, count in (("telemetry", 2), ("data", 1), ("dead_letters", 1)):
            def records():
                return requests.get(f"{node.url}/v1/{dataset}", headers=as_them).json()["records"]

            eventually(records, lambda found: len(found) == count)
        for sql in STATEMENTS[:5]:
            body = {"sql": sql, "parameters": ["nobody"] * sql.count("?")}
            started = requests.post(f"{node.url}/v1/queries", json=body, headers=as_them)
            node.statements.append(started.json()["id"])
    return node


@st.composite
def cases(draw, operation, statements, mode):
    """A request that the document allows, or one that it does not, in which some of what is made up is made to be of something there."""
    case = draw(operation.as_strategy(generation_mode=mode))
    often = st.sampled_from([True, True, True, False])

    def put(values, name, strategy):
        if values is not None and name in values and draw(often):
            values[name] = draw(strategy)

    put(case.path_parameters, "dataset", st.sampled_from(["telemetry", "data", "dead_letters"]))
    put(case.path_parameters, "id", st.sampled_from(statements))
    put(case.query, "source", st.sampled_from([f"{OURS}-0", f"{THEIRS}-0"]))
    put(case.query, "owner", st.sampled_from(["ann", "bob", "*"]))
    put(case.query, "from", st.sampled_from(["-1d", "0", "2020-01-31T12:00:00Z"]))
    put(case.query, "to", st.sampled_from(["now", "4102444800000"]))
    put(case.query, "fields", st.sampled_from([["id"], ["owner", "value"], ["source", "extra"], ["original"]]))
    for name in ("cursor", "page"):
        if case.query and name in case.query and draw(often):
            del case.query[name]
    if case.headers and draw(often):
        case.headers.pop("Content-Encoding", None)
    if isinstance(case.body, dict) and "sql" in case.body and draw(often):
        case.body["sql"] = draw(st.sampled_from(STATEMENTS))
    if isinstance(case.body, dict) and "dataset" in case.body and draw(often):
        case.body["dataset"] = draw(st.sampled_from(["telemetry", "data"]))
    return case


def each(strategy, examples, ask):
    """Runs `ask` with so many examples, the same ones each time."""
    settings = hypothesis.settings(
        max_examples=examples, derandomize=True, database=None, deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck), phases=[hypothesis.Phase.generate],
    )
    settings(hypothesis.given(strategy)(ask))()


def operations(api):
    """Those that ask for a role: first what reads, and what stops statements last."""
    found = [operation.ok() for operation in api.get_all_operations()]
    guarded = [operation for operation in found if "x-role" in operation.definition.raw]
    assert len(guarded) == 18
    return sorted(guarded, key=lambda operation: ["get", "post", "put", "delete"].index(operation.method))


def test_the_document_is_served(node):
    served = requests.get(f"{node.url}/openapi.json")
    assert served.status_code == 200 and served.headers["Content-Type"] == "application/json"
    assert served.json() == json.loads((ROOT / "docs/openapi.json").read_text())


def test_answers_are_those_of_the_document_and_show_nobody_elses_data(filled, api):
    seen = set()
    for operation in operations(api):
        for mode, examples in ((GenerationMode.POSITIVE, 60), (GenerationMode.NEGATIVE, 25)):
            # A path alone cannot be against the document: any text may stand in it.
            if mode == GenerationMode.NEGATIVE and operation.path in PATHS_ALONE:
                continue

            def ask(case):
                answer = case.call(base_url=filled.url, headers=bearer(filled.tokens["ann"]))
                case.validate_response(answer, checks=CHECKS)
                assert THEIRS.encode() not in without_echo(answer), answer.request.url
                if OURS.encode() in answer.content:
                    seen.add((operation.label, answer.status_code))

            each(cases(operation, filled.statements, mode), examples, ask)
    for label in ("GET /data", "GET /v1/{dataset}", "GET /v1/queries/{id}/results"):
        assert (label, 200) in seen, "no answer held anything, so that nothing was looked at"


def without_echo(answer):
    """What an answer says beside the address that it was asked for, which links and messages may repeat."""
    said = answer.content + str(dict(answer.headers)).encode()
    return said.replace(f"{THEIRS}-0".encode(), b"") if THEIRS in answer.request.url else said


def test_who_may_not_is_told_so_and_nothing_else(filled, api):
    secret = (filled.data / "secret").read_bytes().strip()
    good = signed(secret, "ann", "data.read", 60)
    assert requests.get(f"{filled.url}/data", headers=bearer(good)).status_code == 200, "the tokens below are made well"
    for operation in operations(api):
        role = operation.definition.raw["x-role"]
        other = {"data.read": "data.write", "data.write": "data.read", "data.admin": "data.read"}[role]
        tokens = {
            None: 401,
            "x.y.z": 401,
            signed(secret, "ann", role, -60): 401,
            signed(b"another secret" * 4, "ann", role, 60): 401,
            filled.token_of("ann", other): 403,
        }
        for refused, status in tokens.items():
            def ask(case):
                answer = case.call(base_url=filled.url, headers=bearer(refused))
                case.validate_response(answer, checks=CHECKS)
                assert answer.status_code == status
                assert OURS.encode() not in answer.content and THEIRS.encode() not in answer.content

            each(known(operation, filled.statements), 4, ask)


@st.composite
def known(draw, operation, statements):
    """A request whose path is one of something there, so that no path is refused in place of the token."""
    case = draw(operation.as_strategy())
    for name, value in (("dataset", "telemetry"), ("id", statements[0])):
        if name in (case.path_parameters or {}):
            case.path_parameters[name] = value
    return case
