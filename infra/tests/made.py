"""What Terraform makes of the configuration: read from `terraform test`, whose provider is mocked, so that it takes no account."""

import functools
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

INFRA = pathlib.Path(__file__).resolve().parents[1]
TERRAFORM = shutil.which("terraform")


@functools.lru_cache(maxsize=None)
def states(file):
    """The resources that each run of a file in tests/ has at its end, by the run's name."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {"TF_DATA_DIR": folder, "CHECKPOINT_DISABLE": "1", **os.environ}
        subprocess.run([INFRA / "init.sh", "-backend=false"], env=environment, check=True, stdout=subprocess.DEVNULL)
        command = [TERRAFORM, f"-chdir={INFRA}", "test", "-json", "-verbose", f"-filter=tests/{file}"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, [message["@message"] for message in said if message["@level"] == "error"] or done.stderr
    return {message["@testrun"]: list(resources(message["test_state"]["root_module"])) for message in said if message["type"] == "test_state"}


def resources(module):
    yield from module.get("resources", [])
    for child in module.get("child_modules", []):
        yield from resources(child)


def values(file, run, kind):
    """The attributes of each resource of a kind, by its key."""
    return {resource.get("index"): resource["values"] for resource in states(file)[run] if resource["type"] == kind}
