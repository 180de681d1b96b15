"""Nodes for other engines and clients."""

import json
import pathlib
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1]))
from program import ROOT, Node, alluvium  # noqa: E402


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
