"""Lines in CloudWatch's embedded metric format: the rules of its specification, and what CloudWatch makes of them."""

import collections
import json

import jsonschema

from stage import ROOT

SCHEMA = json.loads((ROOT / "testdata/aws/embedded-metric-format.schema.json").read_text())
LINE_BYTES = 1024 * 1024


def check(line):
    """The rules of a line that the schema cannot say stand beside it."""
    jsonschema.validate(line, SCHEMA, cls=jsonschema.Draft202012Validator)
    assert len(json.dumps(line)) < LINE_BYTES
    for directive in line["_aws"]["CloudWatchMetrics"]:
        assert directive["Namespace"] == "Alluvium"
        names = [metric["Name"] for metric in directive["Metrics"]]
        assert len(names) == len(set(names)), names
        for name in names:
            values = line[name] if isinstance(line[name], list) else [line[name]]
            assert values and all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values), line
        for dimension in {dimension for dimensions in directive["Dimensions"] for dimension in dimensions}:
            assert isinstance(line[dimension], str), line


def values(lines):
    """Every value by metric and dimensions: {("Events", ("Stage", "test"), ("Dataset", "telemetry")): [2]}."""
    found = collections.defaultdict(list)
    for line in lines:
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
            for dimensions in directive["Dimensions"]:
                of = tuple((dimension, line[dimension]) for dimension in dimensions)
                for metric in directive["Metrics"]:
                    value = line[metric["Name"]]
                    found[(metric["Name"], *of)] += value if isinstance(value, list) else [value]
    return found
