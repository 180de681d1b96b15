"""One emulator and one stack for all tests of a run; the tests go along the life of a stage, in the order of their files."""

import re
import warnings

import pytest

from emulator import Emulator
from stage import Stage, Terraform

# What Terraform says when it was not told that what it asked for was done, and asked again.
ASKED_AGAIN = re.compile("AlreadyExists|already exists|already has this name|ResourceConflict|EntityAlreadyExists")
BEGINNINGS = 3


@pytest.fixture(scope="session")
def stage(tmp_path_factory):
    """The stack, applied once. On a busy machine the emulator now and then does what it is asked and loses the answer; the provider
    asks again, and is refused for its own doing. Then an emulator that knows nothing yet takes its place: nothing was tested till
    then."""
    for beginning in range(1, BEGINNINGS + 1):
        emulator = Emulator("ministack", tmp_path_factory.mktemp("ministack"))
        try:
            applied = Stage(emulator, Terraform(emulator, tmp_path_factory.mktemp("stage")))
            break
        except AssertionError as refused:
            emulator.stop()
            if beginning == BEGINNINGS or not ASKED_AGAIN.search(str(refused)):
                raise
            warnings.warn(f"the emulator lost an answer, so the stack is applied to a new one: {str(refused)[-600:]}")
    yield applied
    emulator.stop()


def pytest_configure(config):
    # What comes later needs what came before: after a failure the rest says nothing.
    config.option.maxfail = 1
