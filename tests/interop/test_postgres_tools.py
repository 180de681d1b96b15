"""What programs ask Postgres about itself, by those who ask it: psql, SQLAlchemy, JDBC, and statements of other tools."""

import os
import pathlib
import shutil
import subprocess

import program
import psycopg
import pytest
import sqlalchemy
from program import Node, eventually
from test_postgres import asked_over_http, connect, psql

TABLES = ["data", "data_raw", "dead_letters", "dead_letters_raw", "telemetry", "telemetry_raw"]
JDBC = pathlib.Path(os.environ.get("JDBC_JAR", "/usr/share/java/postgresql.jar"))


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    running = Node(tmp_path_factory.mktemp("tools") / "node", "--postgres", "127.0.0.1:0")
    session = running.session()
    for owner, values in (("ann", [21.5, 22.5]), ("bob", [1000.0])):
        events = [
            {"id": str(n), "source": f"{owner}s", "value": value, "time": f"2026-01-31T12:00:0{n}Z"}
            for n, value in enumerate(values)
        ]
        assert session.post(f"{running.url}/v1/telemetry?owner={owner}", json=events).status_code == 202
    eventually(lambda: asked_over_http(running, "select count(*) from telemetry_raw")[0][0], lambda count: count == 3)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def token(node):
    return node.token_of("ann", "data.read")


@pytest.fixture
def ann(node, token):
    with connect(node, token) as connection:
        yield connection


def said(done):
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout


def test_psql_lists_tables(node, token):
    for command in ("\\d", "\\dt", "\\dt lake.*", "\\d+", "\\dt+"):
        listed = said(psql(node, stdin=f"{command}\n", token=token))
        names = [line.split("|")[1] for line in listed.splitlines()]
        assert names == TABLES, command
    assert [line.split("|")[:3] for line in said(psql(node, stdin="\\dt tele*\n", token=token)).splitlines()] == [
        ["lake", "telemetry", "table"], ["lake", "telemetry_raw", "table"],
    ]
    of_admin = said(psql(node, stdin="\\dt\n"))
    assert "|ledger|" in of_admin
    nothing = psql(node, stdin="\\dt no_such\n", token=token)
    assert "Did not find any relation" in nothing.stderr


def test_psql_describes_a_table(node, token):
    for command in ("\\d telemetry", "\\d lake.telemetry", "\\d+ telemetry"):
        described = said(psql(node, stdin=f"{command}\n", token=token))
        columns = {line.split("|")[0]: line.split("|")[1:4] for line in described.splitlines() if "|" in line}
        assert columns["event_time"] == ["timestamp with time zone", "", "not null"], described
        assert columns["value"][0] == "double precision" and columns["value"][2] == "", described
        assert columns["extra"][0] == "text"


def test_psql_lists_everything_else(node, token):
    databases = said(psql(node, stdin="\\l\n", token=token))
    assert databases.startswith("lake|alluvium|UTF8|"), databases
    assert said(psql(node, stdin="\\dn\n", token=token)) == "lake|alluvium\n"
    roles = said(psql(node, stdin="\\du\n", token=token))
    assert [line.split("|")[0] for line in roles.splitlines()] == ["alluvium", "ann"]
    types = said(psql(node, stdin="\\dT pg_catalog.*\n", token=token))
    assert "timestamp with time zone" in types
    for command in ("\\dv", "\\dm", "\\di", "\\ds", "\\df", "\\dx", "\\dy", "\\db", "\\dp", "\\z", "\\dD", "\\dE", "\\dL", "\\dO", "\\dA",
                    "\\dRp", "\\drds", "\\ddp", "\\dC", "\\des", "\\dew", "\\conninfo", "\\encoding", "\\sf no_such", "\\dn+", "\\l+"):
        done = psql(node, stdin=f"{command}\n", token=token)
        errors = [line for line in done.stderr.splitlines() if "ERROR" in line]
        # `\\sf` of a function that is not there is an error in Postgres too.
        assert not errors or command.startswith("\\sf"), f"{command}: {done.stderr}"


def engine(node, token):
    host, port = node.postgres.rsplit(":", 1)
    url = sqlalchemy.URL.create("postgresql+psycopg", "ann", token, host, int(port), "lake")
    return sqlalchemy.create_engine(url)


def test_sqlalchemy_inspects(node, token):
    inspector = sqlalchemy.inspect(engine(node, token))
    assert inspector.default_schema_name == "lake"
    assert "lake" in inspector.get_schema_names()
    assert sorted(inspector.get_table_names()) == TABLES
    assert inspector.get_view_names() == []
    columns = {column["name"]: column for column in inspector.get_columns("telemetry")}
    assert isinstance(columns["value"]["type"], sqlalchemy.types.Double) and columns["value"]["nullable"]
    assert columns["event_time"]["type"].timezone and not columns["event_time"]["nullable"]
    assert columns["value"]["default"] is None and columns["value"].get("comment") is None
    assert inspector.get_pk_constraint("telemetry")["constrained_columns"] == []
    assert inspector.get_foreign_keys("telemetry") == []
    assert inspector.get_unique_constraints("telemetry") == []
    assert inspector.get_check_constraints("telemetry") == []
    assert inspector.get_indexes("telemetry") == []
    assert inspector.get_table_comment("telemetry") == {"text": None}
    assert inspector.has_table("telemetry") and not inspector.has_table("no_such") and not inspector.has_table("ledger")


def test_sqlalchemy_reflects_and_selects(node, token):
    known = sqlalchemy.MetaData()
    known.reflect(engine(node, token), only=["telemetry"])
    table = known.tables["telemetry"]
    with engine(node, token).connect() as connection:
        asked = sqlalchemy.select(table.c.source, sqlalchemy.func.max(table.c.value)).where(table.c.value > 21.0).group_by(table.c.source)
        assert connection.execute(asked).all() == [("anns", 22.5)]


def test_jdbc_finds_tables_and_columns(node, token):
    if shutil.which("java") is None or not JDBC.exists():
        pytest.skip("no Java, or no driver: apt-get install --no-install-recommends default-jdk-headless libpostgresql-jdbc-java")
    url = f"jdbc:postgresql://{node.postgres}/lake"
    program = pathlib.Path(__file__).parent / "jdbc/Metadata.java"
    done = subprocess.run(["java", "-cp", str(JDBC), str(program), url], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "PGPASSWORD": token})
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert "product PostgreSQL 16" in lines and "catalog lake schema lake" in lines
    assert {"catalogs lake", "schemas lake", "table lake telemetry TABLE", "table lake telemetry_raw TABLE"} <= set(lines)
    assert "column value float8 8 YES 8" in lines and "column event_time timestamptz 93 NO 4" in lines, done.stdout
    assert not any(line.split()[0] in ("key", "index", "imported", "exported", "function", "procedure") for line in lines)
    assert "privilege SELECT" in lines and "type timestamptz" in lines
    assert "name length 63 index 32" in lines
    assert "prepared text float8 timestamptz" in lines and "fetched 1000" in lines
    assert any(line.startswith("row anns 21.5") for line in lines)
    assert not any("ledger" in line for line in lines)


# As they are sent, or near it, by tools that are not here to be run.
OF_TOOLS = {
    "Grafana: tables": """
        SELECT CASE WHEN quote_ident(table_schema) IN (SELECT CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
        FROM generate_series(1, 1) AS t(i), (SELECT string_to_array(current_setting('search_path'), ',') AS s) p)
        THEN quote_ident(table_name) ELSE quote_ident(table_schema) || '.' || quote_ident(table_name) END AS "table"
        FROM information_schema.tables
        WHERE quote_ident(table_schema) NOT IN ('information_schema', 'pg_catalog', '_timescaledb_cache')""",
    "Grafana: columns": """
        SELECT quote_ident(column_name) AS "column", data_type AS "type" FROM information_schema.columns
        WHERE quote_ident(table_schema) = 'lake' AND quote_ident(table_name) = 'telemetry'""",
    "Metabase: tables": """
        SELECT n.nspname AS schema, c.relname AS name,
        CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'p' THEN 'PARTITIONED TABLE' WHEN 'v' THEN 'VIEW' ELSE NULL END AS type,
        d.description AS description, NULLIF(stat.n_live_tup, 0) AS estimated_row_count
        FROM pg_catalog.pg_class AS c INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
        LEFT JOIN pg_catalog.pg_description AS d ON c.oid = d.objoid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass
        LEFT JOIN pg_stat_user_tables AS stat ON n.nspname = stat.schemaname AND c.relname = stat.relname
        WHERE c.relnamespace = n.oid AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        AND c.relkind IN ('r', 'p', 'v', 'f', 'm') ORDER BY type ASC, schema ASC, name ASC""",
    "Metabase: privileges": """
        with table_privileges as (select NULL as role, t.schemaname as schema, t.objectname as table,
        pg_catalog.has_any_column_privilege(current_user, '"' || replace(t.schemaname, '"', '""') || '"' || '.' || '"' || replace(t.objectname, '"', '""') || '"', 'update') as update,
        pg_catalog.has_any_column_privilege(current_user, '"' || t.schemaname || '"' || '.' || '"' || t.objectname || '"', 'select') as select
        from (select schemaname, tablename as objectname from pg_catalog.pg_tables union select schemaname, viewname as objectname from pg_catalog.pg_views
        union select schemaname, matviewname as objectname from pg_catalog.pg_matviews) t
        where t.schemaname !~ '^pg_' and t.schemaname <> 'information_schema' and pg_catalog.has_schema_privilege(current_user, t.schemaname, 'usage'))
        select t.* from table_privileges t""",
    "DBeaver: databases": "SELECT db.oid, db.* FROM pg_catalog.pg_database db WHERE datallowconn AND NOT datistemplate OR db.datname = 'lake' ORDER BY db.datname",
    "DBeaver: session": "SELECT current_schema(), session_user",
    "DBeaver: schemas": """
        SELECT n.oid, n.*, d.description FROM pg_catalog.pg_namespace n
        LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = n.oid AND d.objsubid = 0 AND d.classoid = 'pg_namespace'::regclass ORDER BY nspname""",
    "DBeaver: types": """
        SELECT t.oid, t.*, c.relkind, format_type(nullif(t.typbasetype, 0), t.typtypmod) as base_type_name, d.description
        FROM pg_catalog.pg_type t LEFT OUTER JOIN pg_catalog.pg_type et ON et.oid = t.typelem
        LEFT OUTER JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
        LEFT OUTER JOIN pg_catalog.pg_description d ON t.oid = d.objoid
        WHERE t.typname IS NOT NULL AND (c.relkind IS NULL OR c.relkind = 'c') AND (et.typcategory IS NULL OR et.typcategory <> 'C')""",
    "DBeaver: tables": """
        SELECT c.oid, c.*, d.description, pg_catalog.pg_get_expr(c.relpartbound, c.oid) as partition_expr, pg_catalog.pg_get_partkeydef(c.oid) as partition_key
        FROM pg_catalog.pg_class c LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass
        WHERE c.relnamespace = 2200 AND c.relkind not in ('i', 'I', 'c')""",
    "DBeaver: columns": """
        SELECT c.relname, a.*, pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) as def_value, dsc.description, dep.objid
        FROM pg_catalog.pg_attribute a INNER JOIN pg_catalog.pg_class c ON (a.attrelid = c.oid)
        LEFT OUTER JOIN pg_catalog.pg_attrdef ad ON (a.attrelid = ad.adrelid AND a.attnum = ad.adnum)
        LEFT OUTER JOIN pg_catalog.pg_description dsc ON (c.oid = dsc.objoid AND a.attnum = dsc.objsubid)
        LEFT OUTER JOIN pg_depend dep on dep.refobjid = a.attrelid AND dep.deptype = 'i' and dep.refobjsubid = a.attnum and dep.classid = dep.refclassid
        WHERE NOT a.attisdropped AND c.relname = 'telemetry' ORDER BY a.attnum""",
    "Tableau: tables": """
        select TABLE_NAME, TABLE_SCHEMA, TABLE_TYPE from INFORMATION_SCHEMA.TABLES
        where TABLE_SCHEMA not in ('pg_catalog', 'information_schema') and TABLE_TYPE in ('BASE TABLE', 'VIEW') order by TABLE_SCHEMA, TABLE_NAME""",
    "psqlODBC: tables": """
        select relname, nspname, relkind from pg_catalog.pg_class c, pg_catalog.pg_namespace n
        where relkind in ('r', 'v', 'm', 'f', 'p') and nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'pg_temp_1')
        and n.oid = relnamespace order by nspname, relname""",
    "psqlODBC: columns": """
        select n.nspname, c.relname, a.attname, a.atttypid, t.typname, a.attnum, a.attlen, a.atttypmod, a.attnotnull, c.relhasrules, c.relkind, c.oid,
        pg_get_expr(d.adbin, d.adrelid), case t.typtype when 'd' then t.typbasetype else 0 end, t.typtypmod, 0, attidentity, c.relhassubclass
        from (((pg_catalog.pg_class c inner join pg_catalog.pg_namespace n on n.oid = c.relnamespace and c.relname = 'telemetry' and n.nspname = 'lake')
        inner join pg_catalog.pg_attribute a on (not a.attisdropped) and a.attnum > 0 and a.attrelid = c.oid)
        inner join pg_catalog.pg_type t on t.oid = a.atttypid)
        left outer join pg_attrdef d on a.atthasdef and d.adrelid = a.attrelid and d.adnum = a.attnum
        order by n.nspname, c.relname, attnum""",
    "Npgsql: types": """
        SELECT ns.nspname, t.oid, t.typname, t.typtype, t.typnotnull, t.elemtypoid
        FROM (SELECT typ.oid, typ.typnamespace, typ.typname, typ.typtype, typ.typrelid, typ.typnotnull, typ.typelem AS elemtypoid
        FROM pg_type AS typ LEFT JOIN pg_class AS cls ON (cls.oid = typ.typrelid) LEFT JOIN pg_proc AS proc ON proc.oid::text = typ.typreceive) AS t
        JOIN pg_namespace AS ns ON (ns.oid = t.typnamespace) WHERE t.typtype IN ('b', 'r', 'm', 'e', 'd') ORDER BY ns.nspname""",
}


@pytest.mark.parametrize("tool", OF_TOOLS)
def test_statements_of_tools_are_answered(ann, tool):
    assert ann.execute(OF_TOOLS[tool]).fetchall(), tool


def test_a_statement_of_a_tool_that_fails_can_be_seen(tmp_path, monkeypatch, capfd):
    monkeypatch.setitem(program.ENVIRONMENT, "ALLUVIUM_VERBOSITY", "warn,postgres=debug")
    watched = Node(tmp_path / "node", "--postgres", "127.0.0.1:0")
    try:
        with connect(watched) as connection, pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("select 'seen' from pg_catalog.pg_no_such")
    finally:
        watched.stop()
    log = capfd.readouterr().err
    assert "pg_no_such" in log and "42P01" in log
