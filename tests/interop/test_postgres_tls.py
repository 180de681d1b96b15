"""The Postgres protocol over TLS, as libpq speaks it."""

import shutil
import socket
import struct
import subprocess
import threading
import time

import program
import psycopg
import pytest
from program import ALLUVIUM, ENVIRONMENT, Node

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def certify(folder, name, days):
    """A certificate for `localhost` of the root that lies in the folder, and its key."""
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
            "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.csr")
    openssl("x509", "-req", "-in", folder / f"{name}.csr", "-CA", folder / "root.pem", "-CAkey", folder / "root.key", "-CAcreateserial",
            "-days", days, "-extfile", folder / "names", "-out", folder / f"{name}.pem")
    (folder / f"{name}.key").chmod(0o600)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A certificate of a root of our own for `localhost`, its key, and the root."""
    folder = tmp_path_factory.mktemp("tls")
    names = folder / "names"
    names.write_text("subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n")
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 2, "-subj", "/CN=root",
            "-keyout", folder / "root.key", "-out", folder / "root.pem")
    certify(folder, "node", 2)
    return folder


def serial(certificate):
    return subprocess.run(["openssl", "x509", "-noout", "-serial", "-in", certificate], check=True, capture_output=True, text=True).stdout


def served(node):
    """The serial number of the certificate that a node shows."""
    port = node.postgres.rsplit(":", 1)[1]
    shown = subprocess.run(["openssl", "s_client", "-starttls", "postgres", "-connect", f"127.0.0.1:{port}"], stdin=subprocess.DEVNULL,
                           capture_output=True, text=True)
    return subprocess.run(["openssl", "x509", "-noout", "-serial"], input=shown.stdout, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def node(tmp_path_factory, files):
    settings = pytest.MonkeyPatch()
    settings.setitem(program.ENVIRONMENT, "ALLUVIUM_POSTGRES__CERTIFICATE", str(files / "node.pem"))
    settings.setitem(program.ENVIRONMENT, "ALLUVIUM_POSTGRES__KEY", str(files / "node.key"))
    running = Node(tmp_path_factory.mktemp("node") / "node", "--postgres", "0.0.0.0:0")
    settings.undo()
    yield running
    running.stop()


def connect(node, host="localhost", token=None, **options):
    port = node.postgres.rsplit(":", 1)[1]
    return psycopg.connect(host=host, port=port, user="somebody", dbname="lake", password=token or node.token, connect_timeout=10, **options)


@pytest.mark.parametrize("negotiation", ["postgres", "direct"])
def test_a_client_knows_whom_it_speaks_to(node, files, negotiation):
    if negotiation == "direct" and psycopg.pq.version() < 170000:
        pytest.skip("libpq is older than 17")
    options = {"sslnegotiation": "direct"} if negotiation == "direct" else {}
    with connect(node, sslmode="verify-full", sslrootcert=files / "root.pem", **options) as connection:
        assert connection.pgconn.ssl_in_use
        assert connection.execute("select count(*) from telemetry").fetchone() == (0,)
        assert connection.execute("show ssl").fetchone() == ("on",)
        # More than goes into the buffers on the way.
        rows = connection.execute("select value, repeat('x', 100) from generate_series(1, 100000)").fetchall()
        assert len(rows) == 100_000
        assert connection.cancel_safe() is None


def test_another_name_or_root_is_refused_by_the_client(node, files):
    with pytest.raises(psycopg.OperationalError, match="does not match host name|certificate"):
        connect(node, host="127.0.0.1", sslmode="verify-full", sslrootcert=files / "root.pem")
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        connect(node, sslmode="verify-full", sslrootcert=files / "node.pem")


def test_nobody_comes_in_openly(node):
    with pytest.raises(psycopg.OperationalError, match="not encrypted; set sslmode=verify-full"):
        connect(node, sslmode="disable")


def test_a_running_statement_is_cancelled(node, files):
    with connect(node, sslmode="require") as connection:
        threading.Timer(1, connection.cancel_safe).start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("select count(*) from generate_series(1, 100000000000) where value % 7 = 3")


def test_what_is_sent_before_the_encryption_is_not_read_as_if_it_were_encrypted(node):
    host, port = "127.0.0.1", int(node.postgres.rsplit(":", 1)[1])
    with socket.create_connection((host, port)) as client:
        greeting = struct.pack(">I", 196608) + b"user\0a\0\0"
        client.sendall(struct.pack(">II", 8, 80877103) + struct.pack(">I", len(greeting) + 4) + greeting)
        said = b""
        while piece := client.recv(4096):
            said += piece
        assert said.startswith(b"E") and b"before the encryption began" in said


@pytest.mark.parametrize("what, expected", [
    ("open key", "chmod 600"), ("no key", "there is no such file"), ("no certificate", "cannot be read"),
    ("key of another", "cannot be used"), ("certificate is a key", "there is no certificate in it"),
])
def test_files_that_are_of_no_use_are_refused(tmp_path, files, what, expected):
    certificate, key = tmp_path / "node.pem", tmp_path / "node.key"
    shutil.copy(files / ("node.key" if what == "certificate is a key" else "node.pem"), certificate)
    shutil.copy(files / ("root.key" if what == "key of another" else "node.key"), key)
    key.chmod(0o644 if what == "open key" else 0o600)
    if what == "no key":
        key.unlink()
    if what == "no certificate":
        certificate.unlink()
    refused = subprocess.run(
        [ALLUVIUM, "up", "--listen", "127.0.0.1:0", "--data", str(tmp_path / "node"), "--postgres", "127.0.0.1:0"],
        capture_output=True, text=True, timeout=60,
        env={**ENVIRONMENT, "ALLUVIUM_POSTGRES__CERTIFICATE": str(certificate), "ALLUVIUM_POSTGRES__KEY": str(key)},
    )
    assert refused.returncode == 1 and expected in refused.stderr, refused.stderr


def test_a_renewed_certificate_is_shown_without_a_restart(files, tmp_path):
    folder = tmp_path / "tls"
    shutil.copytree(files, folder)
    settings = pytest.MonkeyPatch()
    settings.setitem(program.ENVIRONMENT, "ALLUVIUM_POSTGRES__CERTIFICATE", str(folder / "node.pem"))
    settings.setitem(program.ENVIRONMENT, "ALLUVIUM_POSTGRES__KEY", str(folder / "node.key"))
    running = Node(tmp_path / "node", "--postgres", "127.0.0.1:0")
    settings.undo()

    def shown():
        options = {"sslmode": "verify-full", "sslrootcert": folder / "root.pem", "hostaddr": "127.0.0.1"}
        with connect(running, **options) as connection:
            return connection.execute("select 1").fetchone() == (1,) and served(running)

    before = shown()
    certify(folder, "renewed", 3)
    # Half of it: the certificate without its key. The one before goes on.
    shutil.copy(folder / "renewed.pem", folder / "node.pem")
    time.sleep(11)
    assert shown() == before
    shutil.copy(folder / "renewed.key", folder / "node.key")
    after = program.eventually(shown, lambda now: now != before)
    assert after == serial(folder / "renewed.pem")
    running.stop()
