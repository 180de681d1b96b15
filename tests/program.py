"""The real program, on folders of its own, for clients that we did not write."""

import json
import os
import pathlib
import subprocess
import time

import requests

ROOT = pathlib.Path(__file__).parents[1]
ALLUVIUM = os.environ.get("ALLUVIUM", str(ROOT / "target/debug/alluvium"))
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("ALLUVIUM_")}


def alluvium(*args):
    """Runs the program to its end and returns what it printed."""
    done = subprocess.run([ALLUVIUM, *map(str, args)], capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    return done.stdout


def eventually(ask, wanted, seconds=20):
    """Asks until the answer is as wanted."""
    deadline = time.monotonic() + seconds
    while True:
        answer = ask()
        if wanted(answer):
            return answer
        assert time.monotonic() < deadline, answer
        time.sleep(0.05)


class Node:
    """`alluvium up` on a folder."""

    def __init__(self, data, *args):
        self.data = pathlib.Path(data)
        self.process = subprocess.Popen(
            [ALLUVIUM, "--json", "up", "--listen", "127.0.0.1:0", "--data", str(data), *map(str, args)],
            stdout=subprocess.PIPE, text=True, env=ENVIRONMENT,
        )
        said = json.loads(self.process.stdout.readline())
        self.url = said["listening"]
        self.postgres = said.get("postgres")
        token = self.data / "token"
        self.token = token.read_text().strip() if token.exists() else None

    def session(self):
        """An HTTP session that shows the token which the node has left for its user."""
        session = requests.Session()
        if self.token:
            session.headers["Authorization"] = f"Bearer {self.token}"
        return session

    def token_of(self, owner, *roles):
        return alluvium("token", "--data", self.data, "--sub", owner, *(part for role in roles for part in ("--role", role))).strip()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(timeout=60)
        assert code == 0, f"the node ended with {code}"
