"""One emulator and one stack for all tests of a run; the tests go along the life of a stage, in the order of their files."""

import pytest

from emulator import Emulator
from stage import Stage, Terraform


@pytest.fixture(scope="session")
def emulator(tmp_path_factory):
    running = Emulator("ministack", tmp_path_factory.mktemp("ministack"))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def stage(emulator, tmp_path_factory):
    return Stage(emulator, Terraform(emulator, tmp_path_factory.mktemp("stage")))


def pytest_configure(config):
    # What comes later needs what came before: after a failure the rest says nothing.
    config.option.maxfail = 1
