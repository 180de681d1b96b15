"""The contract suites of the ports, each adapter against two emulators that disagree in places."""

import os
import subprocess

import pytest

from emulator import Emulator
from stage import ROOT


@pytest.mark.parametrize("kind", ["ministack", "moto"])
def test_every_adapter_keeps_its_ports_contract(kind, tmp_path):
    emulator = Emulator(kind, tmp_path)
    try:
        # Of the whole workspace, so that nothing is compiled once more with other features.
        cargo = [os.environ.get("CARGO", "cargo"), "test", "--workspace", "--features", "alluvium-aws/emulator", "--test", "emulator"]
        done = subprocess.run(cargo, cwd=ROOT, env={**os.environ, "ALLUVIUM_TEST_ENDPOINT": emulator.endpoint},
                              capture_output=True, text=True)
    finally:
        emulator.stop()
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert " passed; 0 failed; 0 ignored" in done.stdout and "running 0 tests" not in done.stdout, done.stdout[-2000:]
