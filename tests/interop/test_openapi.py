"""Requests made up from the OpenAPI document: each answer is one that the document has, and none shows another owner's data (AU-1)."""

import base64
import hashlib
import hmac
import json
import os
import time
from urllib.parse import urlencode

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

#: How many requests are made up of what the document allows, for each operation; of what it does not, and of those that may not, a share of that.
EXAMPLES = int(os.environ.get("ALLUVIUM_OPENAPI_EXAMPLES") or 60)

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
    # A live tail has no end to wait for: test_live.py reads it, and what it may be asked for is made up below.
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
        for mode, examples in ((GenerationMode.POSITIVE, EXAMPLES), (GenerationMode.NEGATIVE, max(EXAMPLES * 25 // 60, 1))):
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

            each(known(operation, filled.statements), max(EXAMPLES * 4 // 60, 1), ask)


@st.composite
def known(draw, operation, statements):
    """A request whose path is one of something there, so that no path is refused in place of the token."""
    case = draw(operation.as_strategy())
    for name, value in (("dataset", "telemetry"), ("id", statements[0])):
        if name in (case.path_parameters or {}):
            case.path_parameters[name] = value
    return case


SHARD = "shardId-000000000000"
OTHER = "shardId-000000000007"
#: What a client may hear first once there is a new event. The stream may hold what came after an earlier place, or not any more.
AT_THE_END, BEHIND, BEYOND, REFUSED = [(200, "record")], [(200, "record"), (200, "reset")], [(200, "reset")], [(400, None)]
#: What one may come back with to a stream that holds a few events, or did.
PLACES = [
    ("", AT_THE_END),
    ("-", BEHIND),
    (f"{SHARD}:0", BEHIND),
    (f"{OTHER}:5", BEHIND),
    (f"{OTHER}:{2**64 - 1}", BEHIND),
    *((f"{SHARD}:{number}", BEYOND) for number in (999_999, 2**63 - 1, 2**63, 2**64 - 2, 2**64 - 1, 2**64, 2**128, 10**57 - 1)),
    (f"{OTHER}:{2**64 - 1},{SHARD}:{2**64 - 1}", BEYOND),
    *((text, REFUSED) for text in (
        "nonsense", ":", ":1", SHARD, f"{SHARD}:", f"{SHARD}:-1", f"{SHARD}:+1", f"{SHARD}:1.5", f"{SHARD}: 1", f"{SHARD}:1,", f"{SHARD}:{10**57}",
        f"{SHARD}:\N{ARABIC-INDIC DIGIT ONE}", "\0", f"{SHARD}:1\0", f"{SHARD}:1,".ljust(17_000, "9"),
    )),
]  # fmt: skip
#: Within this a tail answers, says what it has to say, and hears of an event that has come.
PROMPT_SECONDS = 10


@pytest.fixture
def followed(node):
    """A node with a few events, whose tails are to be followed."""
    node.asking = node.session()
    node.sent = 0
    for _ in range(3):
        send_one(node)
    return node


def send_one(node):
    node.sent += 1
    event = {"id": f"e{node.sent}", "source": "s", "value": node.sent}
    assert node.asking.post(f"{node.url}/v1/telemetry", json=event, timeout=PROMPT_SECONDS).status_code == 202


def first_of_a_tail(node, last, by):
    """How a tail of someone who comes back begins, `(status, its first event)`, where another event arrives once it is open."""
    url = f"{node.url}/v1/telemetry/live"
    asked = {"headers": {"Last-Event-ID": last.encode()}} if by == "header" else {"params": {"last_event_id": last}}
    try:
        with node.asking.get(url, **asked, stream=True, timeout=PROMPT_SECONDS) as answer:
            if answer.status_code != 200:
                return answer.status_code, {}
            assert answer.headers["Content-Type"] == "text/event-stream"
            send_one(node)
            return 200, first_event(answer)
    except requests.RequestException as error:
        return None, {"event": repr(error)}


def first_event(answer):
    event = {}
    for line in answer.iter_lines(chunk_size=1, decode_unicode=True):
        if line:
            name, _, value = line.partition(":")
            event[name] = value.lstrip()
        elif "event" in event:
            return event
    return {"event": "the end"}


def is_well(node):
    answer = requests.get(f"{node.url}/health", timeout=PROMPT_SECONDS)
    return answer.status_code == 200 and answer.json()["status"] == "ok"


@pytest.mark.parametrize("by", ["header", "parameter"])
def test_whoever_comes_back_to_a_tail_from_anywhere_is_answered(followed, by):
    wrong = []
    for last, expected in PLACES:
        status, event = first_of_a_tail(followed, last, by)
        heard = (status, event.get("event"))
        if heard not in expected:
            wrong.append((last[:80], expected, heard))
        if event.get("event") == "reset":
            # With what it is given a client goes on, and does not come back with the same for ever.
            assert 0 < int(event["id"].removeprefix(f"{SHARD}:")) <= followed.sent, event
        assert is_well(followed), last
    assert wrong == []


@pytest.mark.parametrize("by", ["header", "parameter"])
def test_whoever_comes_back_to_a_tail_with_what_is_made_up_is_answered(followed, by):
    number = st.one_of(st.integers(0, 10), st.integers(10**6, 2**64 + 10), st.integers(10**6, 10**57 - 1), st.just(2**64 - 1))
    name = st.one_of(st.sampled_from([OTHER, "direct-put", "a:b"]), st.text(st.characters(codec="ascii", categories=["L", "N", "P"], exclude_characters=","), min_size=1))

    def of_positions(positions):
        seen = positions.get(SHARD, 0)
        text = ",".join(f"{shard}:{number}" for shard, number in positions.items())
        status, event = first_of_a_tail(followed, text, by)
        assert (status, event.get("event")) in (BEYOND if seen >= 10**6 else BEHIND), repr(text)
        assert is_well(followed), repr(text)

    each(st.dictionaries(st.one_of(st.just(SHARD), name), number, min_size=1, max_size=4), EXAMPLES, of_positions)

    def of_anything(text):
        status, event = first_of_a_tail(followed, text, by)
        assert (status, event.get("event")) in BEHIND + REFUSED, repr(text)
        assert is_well(followed), repr(text)

    # A header holds no line breaks, and no space before its text or after it.
    anything = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n")).map(str.strip)
    each(st.one_of(anything, anything.map(lambda text: f"{SHARD}:{text}"), anything.map(lambda text: f"{text}:1")), EXAMPLES, of_anything)
