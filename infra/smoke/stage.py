"""A stage as the steps ask it: by the AWS command line, curl, and the program."""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import subprocess
import threading
import time
import urllib.parse

from steps import Failed

ROOT = pathlib.Path(__file__).parents[2]
# What has no answer by then has none.
COMMAND_SECONDS = 900


class Stage:
    def __init__(self, name, alluvium, emulator=False, positions=None):
        self.name = name
        self.program = alluvium
        self.is_emulator = emulator
        self.positions = positions
        self.application, self.stage = name.split("/") if "/" in name else ("alluvium", name)
        self.prefix = f"{self.application}-{self.stage}"
        path = f"/{self.application}/{self.stage}"
        found = self.aws("ssm", "get-parameters-by-path", "--path", path)["Parameters"]
        if not found:
            raise Failed(f"there is no stage `{name}`: no parameter lies under {path}")
        self.of = {parameter["Name"].removeprefix(path + "/"): parameter["Value"] for parameter in found}
        self._secret = None

    def run(self, *command, check=True, **more):
        """What a command prints."""
        try:
            done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=COMMAND_SECONDS, **more)
        except FileNotFoundError:
            raise Failed(f"`{command[0]}` is not installed") from None
        except subprocess.TimeoutExpired:
            raise Failed(f"`{command[0]}` did not end within {COMMAND_SECONDS} s") from None
        if check and done.returncode != 0:
            raise Failed(f"`{' '.join(map(str, command[:3]))}` ended with {done.returncode}: {(done.stderr or done.stdout)[-600:].strip()}")
        return done

    def aws(self, *words):
        """What AWS answers, as JSON."""
        # By the environment, so that no paging and no other format of somebody's own comes between.
        endpoint = os.environ.get("AWS_ENDPOINT_URL")
        # For queues the command line finds an address of its own, whatever the variable says.
        where = ["--endpoint-url", endpoint] if endpoint else []
        printed = self.run("aws", *words, *where, "--output", "json", env={**os.environ, "AWS_PAGER": ""}).stdout
        return json.loads(printed) if printed.strip() else {}

    def alluvium(self, command, *words, check=True):
        return self.run(self.program, "--json", command, "--stage", self.name, *words, check=check)

    def sql(self, statement, *, athena):
        """The rows of a statement, by Athena or by the program's own engine."""
        printed = self.alluvium("sql", *(["--athena"] if athena else []), statement).stdout
        return [json.loads(line) for line in printed.splitlines()]

    def secret(self):
        if self._secret is None:
            got = self.aws("secretsmanager", "get-secret-value", "--secret-id", self.of["signing_secret"])
            self._secret = got["SecretString"]
        return self._secret

    def token(self, *roles, owner="smoke"):
        """A token for ten minutes."""
        encode = lambda raw: base64.urlsafe_b64encode(raw).rstrip(b"=")
        head = encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
        body = encode(json.dumps({"sub": owner, "Role": list(roles), "exp": int(time.time()) + 600}).encode())
        signature = hmac.new(self.secret().encode(), head + b"." + body, hashlib.sha256).digest()
        return (head + b"." + body + b"." + encode(signature)).decode()

    def call(self, method, path, token=None, body=None, headers=()):
        """The status of a call of the API, and its body. Neither token nor body stands on a command line, where others could read it."""
        url = urllib.parse.urlsplit(self.of["api_url"])
        lines = [f'url = "{self.of["api_url"]}{path}"', f'request = "{method}"', 'write-out = "\\n%{http_code}"', "silent", "show-error",
                 "max-time = 60", *(f'header = "{header}"' for header in headers)]
        if token is not None:
            lines.append(f'header = "Authorization: Bearer {token}"')
        if url.hostname.endswith(".localhost"):
            lines.append(f'resolve = "{url.hostname}:{url.port or 80}:127.0.0.1"')
        if body is not None:
            lines.append('data-binary = "@-"')
        config = pathlib.Path(os.environ.get("TMPDIR", "/tmp")) / f"alluvium-smoke-{os.getpid()}-{threading.get_ident()}"
        config.touch(mode=0o600)
        try:
            config.write_text("\n".join(lines))
            printed = self.run("curl", "--config", config, **({"input": body} if body is not None else {})).stdout
        finally:
            config.unlink()
        text, _, status = printed.rpartition("\n")
        return int(status), text

    def send(self, word, count, size=0):
        """Sends events of a source of this run's own by the API; returns the source."""
        source = f"smoke-{word}-{time.time_ns()}"
        lines = [json.dumps({"id": f"{source}-{number}", "source": source, "value": float(number), "note": "x" * size}) for number in range(count)]
        status, text = self.call("POST", "/v1/telemetry", self.token("data.write"), "\n".join(lines), ["Content-Type: application/x-ndjson"])
        if status != 202:
            raise Failed(f"POST answered {status}: {text[:300]}")
        return source

    def deliver(self):
        """Does Firehose's part where there is none, and nobody else does: from where it is known how far that is."""
        if self.of["delivery"] == "external" and self.positions:
            self.alluvium("deliver", "--buffer", "1s", "--until-idle", "3s", "--positions", self.positions)

    def rows_of(self, source, expected, seconds=180):
        """Waits until the lake has so many rows of a source, and returns how many it has."""
        self.deliver()
        deadline = time.monotonic() + seconds
        while True:
            [row] = self.sql(f"select count(*) as n from telemetry where source = '{source}'", athena=False)
            if row["n"] >= expected or time.monotonic() > deadline:
                return row["n"]
            time.sleep(3)

    def metric(self, namespace, name, dimensions, statistic, seconds, period=300, end=None):
        """A metric's values of the seconds before `end`, which is now unless said."""
        now = end or int(time.time())
        of = [f"Name={key},Value={value}" for key, value in dimensions.items()]
        answered = self.aws("cloudwatch", "get-metric-statistics", "--namespace", namespace, "--metric-name", name, "--dimensions", *of,
                            "--statistics", statistic, "--period", str(period), "--start-time", str(now - seconds), "--end-time", str(now))
        return [point[statistic] for point in answered["Datapoints"]]

    def objects(self, bucket, prefix):
        """Up to a thousand objects."""
        listed = self.aws("s3api", "list-objects-v2", "--bucket", bucket, "--prefix", prefix, "--no-paginate")
        return listed.get("Contents") or []

    def function(self, name):
        return f"{self.prefix}-{name}"

    def functions(self):
        """The names of all of the stage's functions."""
        listed = self.aws("lambda", "list-functions")["Functions"]
        return sorted(found["FunctionName"] for found in listed if found["FunctionName"].startswith(f"{self.prefix}-"))
