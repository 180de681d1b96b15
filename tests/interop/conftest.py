"""The real program on folders of its own, for clients that we did not write."""

import json
import os
import pathlib
import subprocess

import pytest
import requests

ROOT = pathlib.Path(__file__).parents[2]
ALLUVIUM = os.environ.get("ALLUVIUM", str(ROOT / "target/debug/alluvium"))
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("ALLUVIUM_")}


def alluvium(*args):
    """Runs the program to its end and returns what it printed."""
    done = subprocess.run([ALLUVIUM, *map(str, args)], capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Node:
    def __init__(self, data, *args):
        self.data = pathlib.Path(data)
        self.process = subprocess.Popen(
            [ALLUVIUM, "--json", "up", "--listen", "127.0.0.1:0", "--data", str(data), *map(str, args)],
            stdout=subprocess.PIPE, text=True, env=ENVIRONMENT,
        )
        self.url = json.loads(self.process.stdout.readline())["listening"]
        token = self.data / "token"
        self.token = token.read_text().strip() if token.exists() else None

    def session(self):
        """An HTTP session that shows the token which the node has left for its user."""
        session = requests.Session()
        if self.token:
            session.headers["Authorization"] = f"Bearer {self.token}"
        return session

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        assert self.process.wait(timeout=60) == 0


@pytest.fixture
def node(tmp_path):
    running = Node(tmp_path / "node")
    yield running
    running.stop()


@pytest.fixture(scope="session")
def nab(tmp_path_factory):
    """A folder into which the 31 real series were replayed, its node stopped."""
    running = Node(tmp_path_factory.mktemp("nab") / "node")
    files = sorted((ROOT / "testdata/nab").glob("*.csv"))
    assert len(files) == 31
    report = json.loads(alluvium("--json", "replay", "--data", running.data, *files))
    assert report["accepted"] == 152_965
    running.stop()
    return running.data
