"""A stage as the steps ask it: by the AWS command line, curl, and the program."""

import base64
import collections
import datetime
import hashlib
import hmac
import json
import os
import pathlib
import re
import subprocess
import tempfile
import time
import urllib.parse

from steps import Failed

ROOT = pathlib.Path(__file__).parents[2]
# What has no answer by then has none.
COMMAND_SECONDS = 900
UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 24 * 3600}

# An answer of HTTP: its status, its body, and its headers by their names in small letters.
Answer = collections.namedtuple("Answer", "status text headers")


def moment(time_of_aws):
    """A time as AWS's command line writes it, in seconds since 1970: a number in its first version, ISO 8601 in its second."""
    if isinstance(time_of_aws, (int, float)):
        return time_of_aws
    return datetime.datetime.fromisoformat(time_of_aws.replace("Z", "+00:00")).timestamp()


def seconds_of(duration):
    """How long `10m` or `1d` is."""
    number, unit = re.fullmatch(r"(\d+)([a-z]+)", duration).groups()
    return int(number) * UNITS[unit]


def in_words(duration):
    """Seconds in words, cut off."""
    size, name = next(((size, name) for size, name in [(24 * 3600, "days"), (3600, "hours"), (60, "minutes")] if duration >= 2 * size), (1, "seconds"))
    return f"{duration // size:.0f} {name}"


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

    def age(self):
        """How many seconds ago the stage was made: its stream was, which no deploy makes anew."""
        described = self.aws("kinesis", "describe-stream-summary", "--stream-name", self.of["stream_name"])
        return time.time() - moment(described["StreamDescriptionSummary"]["StreamCreationTimestamp"])

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
        """The status of a call of the API, and its body."""
        answer = self.ask(method, self.of["api_url"] + path, token, body, headers)
        return answer.status, answer.text

    def ask(self, method, address, token=None, body=None, headers=()):
        """The answer of an address. Neither token nor body, text or bytes, stands on a command line, where others could read it."""
        url = urllib.parse.urlsplit(address)
        lines = [f'url = "{address}"', "silent", "show-error", "max-time = 60", *(f'header = "{header}"' for header in headers)]
        # Told to send a HEAD as any other, curl would wait for its body.
        lines.append("head" if method == "HEAD" else f'request = "{method}"')
        if token is not None:
            lines.append(f'header = "Authorization: Bearer {token}"')
        if url.hostname.endswith(".localhost"):
            lines.append(f'resolve = "{url.hostname}:{url.port or 80}:127.0.0.1"')
        with tempfile.TemporaryDirectory(prefix="alluvium-smoke-") as folder:
            config, sent, got, said = (pathlib.Path(folder) / name for name in ("config", "sent", "got", "said"))
            if body is not None:
                sent.write_bytes(body if isinstance(body, bytes) else body.encode())
                lines.append(f'data-binary = "@{sent}"')
            config.write_text("\n".join([*lines, f'dump-header = "{said}"', f'output = "{got}"']))
            self.run("curl", "--config", config)
            # A HEAD's headers are its output, and a body that is empty is no file.
            text = got.read_bytes().decode(errors="replace") if got.exists() and method != "HEAD" else ""
            # The last of several: that of the answer itself.
            head = said.read_text().replace("\r", "").strip().split("\n\n")[-1].splitlines()
        named = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        return Answer(int(head[0].split()[1]), text, named)

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
        """A metric's values of the seconds before `end`, which is now unless said; the statistic may be a percentile, `p99`."""
        now = end or int(time.time())
        of = [f"Name={key},Value={value}" for key, value in dimensions.items()]
        kind, where = ("--extended-statistics", "ExtendedStatistics") if statistic.startswith("p") else ("--statistics", None)
        answered = self.aws("cloudwatch", "get-metric-statistics", "--namespace", namespace, "--metric-name", name, "--dimensions", *of,
                            kind, statistic, "--period", str(period), "--start-time", str(now - seconds), "--end-time", str(now))
        return [(point[where] if where else point)[statistic] for point in answered["Datapoints"]]

    def alarm(self, name):
        """The state of an alarm; None: there is none."""
        found = self.aws("cloudwatch", "describe-alarms", "--alarm-names", f"{self.prefix}/{name}")["MetricAlarms"]
        return found[0]["StateValue"] if found else None

    def queue(self, name):
        """The address of a queue of the stage."""
        return self.aws("sqs", "get-queue-url", "--queue-name", f"{self.prefix}-{name}")["QueueUrl"]

    def waiting(self, url):
        """How many messages a queue has, those that somebody has taken included."""
        asked = self.aws("sqs", "get-queue-attributes", "--queue-url", url, "--attribute-names", "All")["Attributes"]
        return sum(int(asked[name]) for name in ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"))

    def log(self, function, pattern, seconds, most=50):
        """The lines of a function's log that a pattern finds, of the last seconds."""
        asked = ["--log-group-name", f"/aws/lambda/{self.function(function)}", "--filter-pattern", pattern, "--max-items", str(most),
                 "--start-time", str(int((time.time() - seconds) * 1000))]
        return [event["message"] for event in self.aws("logs", "filter-log-events", *asked)["events"]]

    def settings(self, function):
        """A function's variables, and the rest of how it is configured."""
        found = self.aws("lambda", "get-function-configuration", "--function-name", self.function(function))
        return found.get("Environment", {}).get("Variables", {}), found

    def statement(self, sql, token, seconds=120):
        """The id of a statement of the API that has ended, and what is said of it."""
        status, text = self.call("POST", "/v1/queries", token, json.dumps({"sql": sql}), ["Content-Type: application/json"])
        if status != 202:
            raise Failed(f"POST /v1/queries answered {status}: {text[:300]}")
        of_it, deadline = json.loads(text)["id"], time.monotonic() + seconds
        while True:
            status, text = self.call("GET", f"/v1/queries/{of_it}", token)
            if status != 200:
                raise Failed(f"GET /v1/queries/{of_it} answered {status}: {text[:300]}")
            said = json.loads(text)
            if said["state"] not in ("queued", "running"):
                return of_it, said
            if time.monotonic() > deadline:
                raise Failed(f"the statement {of_it} is {said['state']} after {seconds} s")
            time.sleep(1)

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
