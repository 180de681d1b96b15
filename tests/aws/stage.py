"""The real stack, applied by Terraform to an emulator, and what a client, a producer and an operator do with it."""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import secrets
import shutil
import subprocess
import time

import requests

ROOT = pathlib.Path(__file__).parents[2]
ALLUVIUM = os.environ.get("ALLUVIUM", str(ROOT / "target/debug/alluvium"))
PACKAGES = os.environ.get("ALLUVIUM_PACKAGES", str(ROOT / "target/package-local"))
# How long is waited for what happens by itself.
PATIENCE_SECONDS = 120


def until(condition, what, seconds=PATIENCE_SECONDS):
    """Asks until the answer is true, and returns it."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s; last seen {answer!r}"
        time.sleep(0.5)


class Terraform:
    def __init__(self, emulator, folder):
        self.folder = folder
        self.environment = {**emulator.environment(), "TF_DATA_DIR": str(folder / "terraform"), "CHECKPOINT_DISABLE": "1",
                            "TF_IN_AUTOMATION": "1"}
        # The functions and Terraform itself are sent there by the variable, as anybody would.
        del self.environment["AWS_ENDPOINT_URL"]
        self.variables = folder / "bench.tfvars.json"
        self.variables.write_text(json.dumps({
            "stage": "bench", "region": emulator.environment()["AWS_REGION"], "endpoint_url": emulator.endpoint,
            "architecture": "x86_64", "package_dir": PACKAGES, "delivery": "external", "on_destroy": "delete",
            "default_dataset": "telemetry", "stream_shards": 2, "commit_seconds": 1, "checkpoint_every": 10, "secret_recovery_days": 0, "announce_commits": True,
            "verbosity": "info,alluvium=debug",
            # Its log on, for the emulator answers an empty one where there is none.
            "direct_route": True, "direct_route_log": True,
            # The tests call both themselves, so that they know when they were at work: no run takes an hour.
            "report_minutes": 60,
            # The command line makes the signing secret, where there is one.
            "secret_version": 1 if shutil.which("aws") else 0,
            "maintain": {"enabled": False, "compact_files": 2},
        }))
        subprocess.run([ROOT / "infra/init.sh", "-backend=false"], env=self.environment, check=True)

    def run(self, command, *arguments, expect=(0,)):
        where = ["-input=false", "-no-color"]
        state = [f"-state={self.folder / 'terraform.tfstate'}"]
        variables = [f"-var-file={self.variables}"] if command in ("apply", "plan", "destroy") else []
        done = subprocess.run(
            ["terraform", f"-chdir={ROOT / 'infra'}", command, *(where if variables else []), *state, *variables, *arguments],
            env=self.environment, capture_output=True, text=True,
        )
        assert done.returncode in expect, f"terraform {command}: {done.stdout[-6000:]}\n{done.stderr[-6000:]}"
        return done

    def changes(self):
        """What another apply would change, as Terraform plans it."""
        plan = self.folder / "again.tfplan"
        self.run("plan", f"-out={plan}")
        shown = subprocess.run(["terraform", f"-chdir={ROOT / 'infra'}", "show", "-json", plan], env=self.environment,
                               capture_output=True, text=True, check=True)
        return [change for change in json.loads(shown.stdout)["resource_changes"] if change["change"]["actions"] not in (["no-op"], ["read"])]

    def outputs(self):
        return {name: output["value"] for name, output in json.loads(self.run("output", "-json").stdout).items()}


class Stage:
    def __init__(self, emulator, terraform):
        self.emulator = emulator
        self.terraform = terraform
        terraform.run("apply", "-auto-approve", "-parallelism=4")
        self.out = terraform.outputs()
        self.host = f"{self.out['api_id']}.execute-api.localhost"
        kept = emulator.client("secretsmanager")
        if not shutil.which("aws"):
            kept.put_secret_value(SecretId=self.out["signing_secret_arn"], SecretString=secrets.token_hex(32))
        self.secret = kept.get_secret_value(SecretId=self.out["signing_secret_arn"])["SecretString"]

    def token(self, owner, *roles, seconds=3600, secret=None):
        encode = lambda raw: base64.urlsafe_b64encode(raw).rstrip(b"=")
        head = encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
        body = encode(json.dumps({"sub": owner, "Role": list(roles), "exp": int(time.time()) + seconds}).encode())
        signature = hmac.new((secret or self.secret).encode(), head + b"." + body, hashlib.sha256).digest()
        return (head + b"." + body + b"." + encode(signature)).decode()

    def call(self, method, path, token=None, **rest):
        headers = {"Host": self.host, **rest.pop("headers", {})}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return requests.request(method, self.emulator.endpoint + path, headers=headers, timeout=60, **rest)

    def put_directly(self, dataset, token=None, **rest):
        """A write by the route without a function."""
        api = self.out["direct_url"].removeprefix("https://").partition(".")[0]
        headers = {"Host": f"{api}.execute-api.localhost", "Content-Type": "application/json", **rest.pop("headers", {})}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return requests.post(f"{self.emulator.endpoint}/direct/v1/{dataset}", headers=headers, timeout=60, **rest)

    def alluvium(self, *arguments, expect=0):
        # As the stage's transform has it, so that the audit counts alike.
        environment = {**self.emulator.environment(), "ALLUVIUM_DEFAULT_DATASET": "telemetry"}
        done = subprocess.run([ALLUVIUM, "--json", *map(str, arguments)], env=environment, capture_output=True, text=True)
        assert expect is None or done.returncode == expect, f"alluvium {arguments}: {done.stdout[-6000:]}\n{done.stderr[-6000:]}"
        return done.stdout

    def where(self):
        """The arguments by which an operator's command finds the stage."""
        return ["--stream", self.out["stream_name"], "--function", f"{self.out['functions']['transform']}:live",
                "--landing", f"s3://{self.out['landing_bucket']}"]

    def deliver(self, expect=0):
        """Hands everything that the stream holds to the deployed transform, as Firehose would."""
        return json.loads(self.alluvium("deliver", *self.where(), "--buffer", "1s", "--until-idle", "3s", "--retry-pause",
                                        "100ms", "--positions", self.terraform.folder / "positions.json", expect=expect))

    def drain(self):
        """Hands what was set aside over once more, as it was."""
        return json.loads(self.alluvium("drain", *self.where()))

    def audit(self, expect=0):
        """The ledger against every record that the stream retains; the exit code 1 says that it does not balance."""
        return json.loads(self.alluvium("audit", "--lake", self.out["lake_url"], "--stream", self.out["stream_name"], expect=expect))

    def sql(self, statement):
        """The rows of a statement that DataFusion runs over the tables on S3."""
        return [json.loads(line) for line in self.alluvium("sql", "--lake", self.out["lake_url"], statement).splitlines()]

    def table(self, name):
        """A table of the lake as the Delta library for Python reads it."""
        import deltalake

        options = {"AWS_ENDPOINT_URL": self.emulator.endpoint, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "eu-west-1",
                   "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        return deltalake.DeltaTable(f"{self.out['lake_url']}/{name}", storage_options=options)

    def rows(self, name):
        return self.table(name).to_pyarrow_table()

    def queue_is_empty(self, url):
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = self.emulator.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return all(int(attributes[name]) == 0 for name in names)

    def committed(self):
        until(lambda: self.queue_is_empty(self.out["commit_queue_url"]), "the commit queue empties")

    def objects(self, bucket, prefix):
        pages = self.emulator.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [found["Key"] for page in pages for found in page.get("Contents", [])]
