"""psql and psycopg, a driver in another language, ask a node over the Postgres protocol."""

import base64
import datetime
import decimal
import hashlib
import hmac
import json
import os
import pathlib
import shutil
import subprocess
import threading
import time

import psycopg
import pytest
from program import ALLUVIUM, ENVIRONMENT, Node, eventually

UTC = datetime.timezone.utc
NOON = datetime.datetime(2026, 1, 31, 12, 0, 0, 250_000, tzinfo=UTC)
VISITS = {
    "properties": {
        "place": {"type": "object", "properties": {"room": {"type": "string"}, "floor": {"type": "integer"}}},
        "tags": {"type": "array", "items": {"type": "string"}},
        "at": {"type": "string", "format": "date-time"},
    }
}
README = [
    "select source, count(*), avg(value) from telemetry group by source order by source",
    "select max(value) from telemetry",
]
# Counts until it is stopped, or its minute is over.
LONG = "select count(*) from generate_series(1, 100000000000) where value % 7 = 3"


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    folder = tmp_path_factory.mktemp("postgres")
    (folder / "datasets").mkdir()
    (folder / "datasets/visits.json").write_text(json.dumps(VISITS))
    running = Node(folder / "node", "--datasets", folder / "datasets", "--postgres", "127.0.0.1:0")
    session = running.session()
    for owner, values in (("ann", [21.5, 22.5]), ("bob", [1000.0, 0.0, 5.0])):
        events = [
            {"id": str(n), "source": f"{owner}s", "value": value, "time": f"2026-01-31T12:00:0{n}.25Z"}
            for n, value in enumerate(values)
        ]
        # The last of them is none.
        answer = session.post(f"{running.url}/v1/telemetry?owner={owner}", json=[*events, {"id": "x", "value": "none"}])
        assert answer.status_code == 202, answer.text
    visit = {"id": "1", "source": "door", "place": {"room": "a", "floor": 1}, "tags": ["x", "y"], "at": "2026-01-31T12:00:00.25Z"}
    assert session.post(f"{running.url}/v1/visits?owner=ann", json=visit).status_code == 202
    eventually(lambda: asked_over_http(running, "select count(*) from telemetry_raw")[0][0], lambda count: count == 5)
    eventually(lambda: asked_over_http(running, "select count(*) from visits")[0][0], lambda count: count == 1)
    yield running
    running.stop()


def asked_over_http(node, sql, token=None, parameters=()):
    """The rows that `POST /v1/queries` leads to."""
    session = node.session()
    if token:
        session.headers["Authorization"] = f"Bearer {token}"
    started = session.post(f"{node.url}/v1/queries", json={"sql": sql, "parameters": list(parameters)})
    assert started.status_code == 202, started.text
    results = f"{node.url}/v1/queries/{started.json()['id']}/results"
    answer = eventually(lambda: session.get(results), lambda answer: answer.status_code != 409)
    assert answer.status_code == 200, answer.text
    return answer.json()["rows"]


def connect(node, token=None, **options):
    host, port = node.postgres.rsplit(":", 1)
    options = {"user": "somebody", "dbname": "lake", "autocommit": True, "connect_timeout": 10, **options}
    return psycopg.connect(host=host, port=port, password=node.token if token is None else token, **options)


@pytest.fixture
def admin(node):
    with connect(node) as connection:
        yield connection


@pytest.fixture
def ann(node):
    with connect(node, node.token_of("ann", "data.read")) as connection:
        yield connection


def psql(node, *statements, token=None, flags=("-A", "-t"), stdin=None):
    if shutil.which("psql") is None:
        pytest.skip("psql is not installed: apt-get install --no-install-recommends postgresql-client")
    host, port = node.postgres.rsplit(":", 1)
    commands = [part for statement in statements for part in ("-c", statement)]
    environment = {**os.environ, "PGPASSWORD": token or node.token, "PGCONNECT_TIMEOUT": "10"}
    return subprocess.run(
        ["psql", "-X", "-h", host, "-p", port, "-U", "somebody", "-d", "lake", *flags, *commands],
        capture_output=True, text=True, env=environment, input=stdin, timeout=60,
    )


def test_psql_runs_what_the_readme_shows(node):
    done = psql(node, *README)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["anns|2|22", "bobs|3|335", "1000"]
    mine = psql(node, README[0], token=node.token_of("ann", "data.read"))
    assert mine.stdout.splitlines() == ["anns|2|22"]


def test_psql_shows_tables_and_where_a_statement_is_wrong(node):
    tables = psql(node, "show tables")
    assert tables.returncode == 0 and "lake|lake|telemetry|" in tables.stdout, tables.stderr
    wrong = psql(node, "select 1 frm telemetry group")
    assert wrong.returncode == 1 and "LINE 1: select 1 frm telemetry group" in wrong.stderr, wrong.stderr
    script = psql(node, flags=("-A", "-t", "-v", "VERBOSITY=verbose"), stdin="""
        select 1; select 2;
        select * from no_such;
        insert into telemetry (event_id) values ('1');
        select no_such from telemetry;
        select 1 / 0;
        \\echo still here
    """)
    assert script.stdout.split() == ["1", "2", "still", "here"]
    codes = [line.split()[1] for line in script.stderr.splitlines() if line.startswith("ERROR")]
    assert codes == ["42P01:", "25006:", "42703:", "22012:"], script.stderr


@pytest.mark.parametrize("sql", README)
def test_psycopg_gets_what_http_gets(node, admin, ann, sql):
    assert [list(row) for row in admin.execute(sql)] == asked_over_http(node, sql)
    token = node.token_of("ann", "data.read")
    assert [list(row) for row in ann.execute(sql)] == asked_over_http(node, sql, token)


TYPES = [
    ("true", True),
    ("cast(7 as tinyint)", 7),
    ("cast(-7 as smallint)", -7),
    ("cast(7 as int)", 7),
    ("9007199254740993", 9007199254740993),
    ("cast(4294967295 as int unsigned)", 4294967295),
    ("cast(18446744073709551615 as bigint unsigned)", decimal.Decimal("18446744073709551615")),
    ("cast(0.5 as real)", 0.5),
    ("cast(0.1 as double)", 0.1),
    ("cast('-12.50' as decimal(10, 2))", decimal.Decimal("-12.50")),
    ("'it''s é'", "it's é"),
    ("''", ""),
    ("arrow_cast('word', 'Dictionary(Int32, Utf8)')", "word"),
    ("cast('2026-01-31' as date)", datetime.date(2026, 1, 31)),
    ("cast('2026-01-31T12:00:00.25' as timestamp(6))", NOON.replace(tzinfo=None)),
    ("arrow_cast('2026-01-31T13:00:00.25+01:00', 'Timestamp(Microsecond, Some(\"UTC\"))')", NOON),
    ("cast('12:00:00.25' as time)", datetime.time(12, 0, 0, 250_000)),
    ("interval '3 days 4 hours'", datetime.timedelta(days=3, hours=4)),
    ("arrow_cast('ab', 'Binary')", b"ab"),
    ("make_array(1, 2)", [1, 2]),
    ("named_struct('n', 1, 'at', arrow_cast('2026-01-31T12:00:00.25Z', 'Timestamp(Microsecond, Some(\"UTC\"))'))",
     {"n": 1, "at": "2026-01-31T12:00:00.25Z"}),
    ("null", None),
]


@pytest.mark.parametrize("binary", [False, True])
def test_values_of_every_type_arrive(admin, binary):
    columns = ", ".join(f"{sql} as c{n}" for n, (sql, _) in enumerate(TYPES))
    with admin.cursor(binary=binary) as cursor:
        row = cursor.execute(f"select {columns}").fetchone()
        extended = cursor.execute(f"select {columns} where %s = 1", [1]).fetchone()
    assert list(row) == list(extended) == [value for _, value in TYPES]


@pytest.mark.parametrize("binary", [False, True])
def test_rows_of_the_lake_are_those_of_http(node, admin, binary):
    sql = "select event_time, source, owner, value, event_date, ingest_time, unit from telemetry order by owner, event_id"
    over_http = asked_over_http(node, sql)
    with admin.cursor(binary=binary) as cursor:
        rows = cursor.execute(sql).fetchall()
    plain = [[value.isoformat() if isinstance(value, datetime.date) else value for value in row] for row in rows]
    times = [0, 5]

    def same_form(row):
        return [datetime.datetime.fromisoformat(value).isoformat() if at in times else value for at, value in enumerate(row)]

    assert len(rows) == 5 and plain == [same_form(row) for row in over_http]
    with admin.cursor(binary=binary) as cursor:
        (visit,) = cursor.execute("select place, tags, at from visits")
    assert visit == ({"room": "a", "floor": 1}, ["x", "y"], NOON)
    with admin.cursor(binary=binary) as cursor:
        (letter,) = cursor.execute("select original from dead_letters where owner = 'ann'")
    assert json.loads(letter[0]) == {"id": "x", "value": "none"}


@pytest.mark.parametrize("sql, own", [
    ("select count(*) from telemetry", 2),
    ("select count(*) from telemetry_raw", 2),
    ("select count(*) from dead_letters", 1),
    ("select count(*) from telemetry where owner <> 'ann'", 0),
    ("select count(*) from telemetry where owner = 'bob' or true", 2),
    ("select count(*) from (select * from telemetry union all select * from telemetry_raw)", 4),
    ("with everybody as (select owner from alluvium.lake.telemetry) select count(distinct owner) from everybody", 1),
    ("select count(*) from telemetry a join telemetry_raw b on a.value <> b.value", 2),
    ("select (select count(*) from telemetry where value > 100)", 0),
    # Its division would fail on a row of bob's, and tell of it.
    ("select count(*) from telemetry where 1 / (cast(value as int) - 5) >= 0", 2),
    ("select count(*) from information_schema.tables where table_name = 'ledger'", 0),
])
def test_a_reader_sees_nothing_of_others(ann, sql, own):
    assert ann.execute(sql).fetchone() == (own,)
    assert ann.execute(sql, prepare=True).fetchone() == (own,)
    ann.execute("begin")
    ann.execute(f"declare c cursor for {sql}")
    assert ann.execute("fetch all from c").fetchall() == [(own,)]
    ann.execute("rollback")


@pytest.mark.parametrize("sql, code", [
    ("select * from ledger", "42501"),
    ("explain select * from telemetry", "42501"),
    ("select repeat('x', 1000000000)", "42883"),
    ("set role bob", "0A000"),
    ("set session authorization bob", "0A000"),
    ("copy telemetry to stdout", "0A000"),
    ("create table telemetry (n int)", "25006"),
    ("drop table telemetry", "25006"),
    ("delete from telemetry", "25006"),
])
def test_a_reader_is_refused(ann, sql, code):
    for prepare in (False, True):
        with pytest.raises(psycopg.Error) as refused:
            ann.execute(sql, prepare=prepare)
        assert refused.value.sqlstate == code, refused.value


def token_that_expires(node, seconds):
    """A token of ann's, signed with the node's secret, which holds for so long; up to 30 s are given to clocks that differ."""
    part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")
    claims = {"sub": "ann", "Role": "data.read", "exp": int(time.time()) + seconds}
    signed = part({"alg": "HS256"}) + b"." + part(claims)
    secret = (node.data / "secret").read_text().strip().encode()
    return (signed + b"." + base64.urlsafe_b64encode(hmac.digest(secret, signed, hashlib.sha256)).rstrip(b"=")).decode()


def test_only_a_good_token_comes_in(node):
    connect(node, token_that_expires(node, 60)).close()
    for token, word in [
        ("wrong", "not a JWT"),
        (node.token[:-4] + "AAAA", "signature is wrong"),
        (token_that_expires(node, -60), "has expired"),
        (node.token_of("ann", "data.write"), "data.read"),
        ("x" * 9000, "more than the 8192"),
    ]:
        with pytest.raises(psycopg.OperationalError, match=word) as refused:
            connect(node, token)
        assert "FATAL" in str(refused.value)
    refused = psql(node, "select 1", token="wrong")
    assert refused.returncode == 2 and "FATAL" in refused.stderr


def test_a_connection_ends_with_its_token(node):
    # It has expired 29 s ago, which is taken for a difference of clocks, and does not hold for much longer.
    with pytest.raises(psycopg.OperationalError, match="has expired"), connect(node, token_that_expires(node, -28)) as connection:
        for _ in range(100):
            assert connection.execute("select count(*) from telemetry").fetchone() == (2,)
            time.sleep(0.1)


@pytest.mark.parametrize("binary", [False, True])
def test_parameters_have_types_and_are_never_sql(admin, binary):
    mark = "%b" if binary else "%t"

    def ask(sql, *parameters):
        return admin.execute(sql.replace("%s", mark), parameters).fetchone()[0]

    assert ask("select count(*) from telemetry where value > %s", 9) == 3
    assert ask("select count(*) from telemetry where value > %s", 21.5) == 2
    assert ask("select count(*) from telemetry where value = %s", decimal.Decimal("21.5")) == 1
    assert ask("select count(*) from telemetry where source = %s", "anns") == 2
    assert ask("select count(*) from telemetry where source = %s", "' or true --") == 0
    assert ask("select count(*) from telemetry where event_date = %s", NOON.date()) == 5
    assert ask("select count(*) from telemetry where event_time >= %s", NOON + datetime.timedelta(seconds=1)) == 3
    assert ask("select count(*) from telemetry where event_time = %s", NOON.astimezone(datetime.timezone(datetime.timedelta(hours=2)))) == 2
    assert ask("select count(*) from telemetry where %s", True) == 5
    assert ask("select count(*) from telemetry where source = %s or source = %s", "bobs", "anns") == 5
    assert ask("select %s", "text") == "text"
    assert ask("select %s + 1", 9007199254740992) == 9007199254740993
    assert ask("select '$1' || ' ? ' || %s -- $2", "é") == "$1 ? é"


def test_null_is_a_parameter_too(admin):
    assert admin.execute("select %s::int, coalesce(%s, 'none')", [None, None]).fetchone() == (None, "none")
    assert admin.execute("select count(*) from telemetry where value = %s", [None]).fetchone() == (0,)


def test_a_text_becomes_what_its_place_asks_for(admin):
    # psycopg leaves it to the server what a str is: as numbers 9 comes before 21.5, as texts it does not.
    assert admin.execute("select count(*) from telemetry where value > %s", ["9"]).fetchone() == (3,)
    assert admin.execute("select count(*) from telemetry where event_time > %s", ["2026-01-31 12:00:01"]).fetchone() == (3,)


def test_a_prepared_statement_is_asked_again(admin):
    for value, count in [(0, 5), (21, 3), (5000, 0), (0, 5)]:
        cursor = admin.execute("select count(*) from telemetry where value >= %s", [value], prepare=True)
        assert cursor.fetchone() == (count,)
    with admin.pipeline():
        cursors = [admin.execute("select max(value) from telemetry where owner = %s", [owner]) for owner in ("ann", "bob")]
    assert [cursor.fetchone() for cursor in cursors] == [(22.5,), (1000.0,)]


def test_an_error_ends_a_transaction_as_it_does_in_postgres(node):
    with connect(node, autocommit=False) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("select * from no_such")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            connection.execute("select 1")
        connection.rollback()
        with pytest.raises(psycopg.errors.UndefinedColumn), connection.transaction():
            connection.execute("select no_such from telemetry")
        assert connection.execute("select 2").fetchone() == (2,)
        connection.commit()


@pytest.mark.parametrize("binary", [False, True])
def test_a_cursor_of_the_server_goes_through_its_rows(node, binary):
    with connect(node, autocommit=False) as connection:
        with connection.cursor(name="My cursor", binary=binary) as cursor:
            cursor.execute("select value as n from generate_series(1, 20000) where value > %s order by 1", [0])
            assert [column.name for column in cursor.description] == ["n"]
            assert cursor.fetchmany(3) == [(1,), (2,), (3,)]
            assert sum(n for (n,) in cursor) == 20_000 * 20_001 // 2 - 6
        with pytest.raises(psycopg.errors.InvalidCursorName):
            connection.execute('fetch 1 from "My cursor"')


def test_a_statement_is_cancelled_and_the_next_is_answered(admin):
    threading.Timer(1, admin.cancel_safe).start()
    began = time.monotonic()
    with pytest.raises(psycopg.errors.QueryCanceled):
        admin.execute(LONG)
    assert time.monotonic() - began < 10
    assert admin.execute("select 1").fetchone() == (1,)


def test_a_statement_stops_when_its_client_is_killed(node):
    if shutil.which("psql") is None:
        pytest.skip("psql is not installed")
    host, port = node.postgres.rsplit(":", 1)
    environment = {**os.environ, "PGPASSWORD": node.token}
    clients = [
        subprocess.Popen(["psql", "-X", "-h", host, "-p", port, "-U", "somebody", "-d", "lake", "-c", LONG], env=environment)
        for _ in range(4)
    ]
    time.sleep(1)
    for client in clients:
        client.kill()
        client.wait()
    # All that may run at a time ran; were one of them left, this would wait for a minute.
    began = time.monotonic()
    with connect(node) as connection:
        assert connection.execute("select count(*) from telemetry").fetchone() == (5,)
    assert time.monotonic() - began < 20


def peak_bytes(node):
    status = pathlib.Path(f"/proc/{node.process.pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))) * 1024


@pytest.mark.parametrize("binary", [False, True])
def test_a_long_answer_takes_little_memory(node, admin, binary):
    sql = "select value as n, 'row ' || value || ' ' || repeat('x', 100) as t from generate_series(1, {}) order by 1"
    with admin.cursor(binary=binary) as cursor:
        assert sum(1 for _ in cursor.stream(sql.format(10_000))) == 10_000
    before = peak_bytes(node)
    total, longest = 0, 0
    with admin.cursor(binary=binary) as cursor:
        for n, text in cursor.stream(sql.format(500_000)):
            total += n
            longest = max(longest, len(text))
    assert total == 500_000 * 500_001 // 2 and longest == 111
    # The rows have 60 MB.
    assert peak_bytes(node) - before < 40 << 20


def test_what_programs_ask_by_themselves_is_answered(admin):
    row = admin.execute("select version(), current_schema(), current_user, current_database(), pg_is_in_recovery()").fetchone()
    assert row[0].startswith("PostgreSQL 16") and "Alluvium" in row[0]
    assert row[1:] == ("lake", "anonymous", "lake", False)
    assert admin.execute("show transaction isolation level").fetchone() == ("read committed",)
    assert admin.info.encoding == "utf-8" and admin.info.server_version == 160000
    assert admin.info.parameter_status("TimeZone") == "UTC"
    admin.execute("set application_name = 'a test'; set extra_float_digits = 3; set client_encoding to 'UTF8'")
    assert admin.execute("show application_name").fetchone() == ("a test",)
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        admin.execute("set time zone 'Europe/Berlin'")
    columns = admin.execute("select column_name, data_type from information_schema.columns where table_name = %s", ["telemetry"])
    assert ("value", "double precision") in columns.fetchall()


def test_without_tokens_nobody_is_asked_for_one(tmp_path):
    node = Node(tmp_path / "open", "--no-auth", "--postgres", "127.0.0.1:0")
    try:
        with connect(node, token="") as connection:
            assert connection.execute("select count(*) from ledger").fetchone() == (0,)
    finally:
        node.stop()


def test_a_node_with_connections_stops(tmp_path):
    node = Node(tmp_path / "node", "--postgres", "127.0.0.1:0")
    with connect(node) as idle, connect(node) as busy:
        said = []

        def ask():
            with pytest.raises(psycopg.Error) as refused:
                busy.execute(LONG)
            said.append(refused.value.sqlstate)

        asking = threading.Thread(target=ask)
        asking.start()
        time.sleep(0.5)
        node.stop()
        asking.join()
        assert said == ["57P01"]
        with pytest.raises(psycopg.errors.AdminShutdown):
            idle.execute("select 1")


def test_a_node_stops_though_a_client_does_not_read_its_rows(tmp_path):
    node = Node(tmp_path / "node", "--postgres", "127.0.0.1:0")
    stalled = connect(node)
    # 40 MB, more than goes into what lies between the two.
    stalled.pgconn.send_query(b"select value, repeat('x', 100) from generate_series(1, 400000)")
    time.sleep(5)
    began = time.monotonic()
    node.stop()
    assert time.monotonic() - began < 10
    stalled.close()


def test_it_listens_on_this_machine_alone(tmp_path):
    refused = subprocess.run(
        [ALLUVIUM, "up", "--listen", "127.0.0.1:0", "--data", str(tmp_path / "node"), "--postgres", "0.0.0.0:0"],
        capture_output=True, text=True, env=ENVIRONMENT, timeout=60,
    )
    assert refused.returncode == 1 and "would not be encrypted" in refused.stderr
