"""An emulator of AWS on this machine, started for the tests and stopped after them."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import boto3
import requests

REGION = "eu-west-1"
# What every client here signs with; the emulator takes any.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION, "AWS_REGION": REGION}
START_SECONDS = 60


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def bare_environment():
    """This process's environment without what programs of AWS or of ours would take for settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "ALLUVIUM_"))}


class Emulator:
    """One running emulator: `ministack`, with functions run as they are, or `moto`."""

    def __init__(self, kind, folder):
        self.kind = kind
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.log = pathlib.Path(folder) / f"{kind}.log"
        scripts = pathlib.Path(sys.executable).parent
        # The functions inherit it, and take no setting that is not theirs.
        environment = {**bare_environment(), **CREDENTIALS, "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(self.port),
                       "MINISTACK_REGION": REGION, "S3_DATA_DIR": str(pathlib.Path(folder) / "objects"),
                       "TMPDIR": str(folder), "IOT_MTLS_ENABLED": "false", "SFTP_ENABLED": "false"}
        command, ready = {
            "ministack": ([scripts / "ministack"], "/_ministack/health"),
            "moto": ([scripts / "moto_server", "-H", "127.0.0.1", "-p", str(self.port)], "/moto-api/"),
        }[kind]
        # A session of its own, so that the functions that it starts end with it.
        self.process = subprocess.Popen(
            [str(word) for word in command], env=environment, stdout=self.log.open("w"), stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers(ready):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{kind} did not start:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.1)

    def _answers(self, path):
        try:
            return requests.get(self.endpoint + path, timeout=2).ok
        except requests.RequestException:
            return False

    def client(self, service):
        return boto3.client(service, endpoint_url=self.endpoint, region_name=REGION,
                            aws_access_key_id="test", aws_secret_access_key="test")

    def environment(self):
        """What a program needs to take this emulator for AWS."""
        return {**bare_environment(), **CREDENTIALS, "AWS_ENDPOINT_URL": self.endpoint}

    def stop(self):
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(timeout=20)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
