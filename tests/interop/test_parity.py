"""The page that compares one machine with AWS names every route and command, and none that is not there."""

import json
import re

from program import ROOT, alluvium

PAGE = (ROOT / "docs/parity.md").read_text()
#: A route; one with a parameter is left to that without.
ROUTE = re.compile(r"`([A-Z]+ /[^`? ]*)`")
COMMAND = re.compile(r"`alluvium ([a-z-]+)`")
LANDED = "these have landed: take their lines out of the comment at the end of docs/parity.md"
#: Routes that the OpenAPI document of a node leaves out.
BESIDE = {"GET /", "GET /console/{file}", "POST /"}


def rows(title):
    """The rows of the section's table, each a list of cells."""
    section = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def routes():
    """`{route: what AWS does}`."""
    return {route: aws for cell, _, aws, _ in rows("Routes") for route in ROUTE.findall(cell)}


def not_landed(what):
    """What the comment at the end of the page names."""
    comment = re.search(r"<!-- Not landed(.*?)-->", PAGE, re.DOTALL)
    return set(what.findall(comment[1])) if comment else set()


def test_the_routes_of_a_node():
    document = json.loads(alluvium("config", "--openapi"))
    methods = {"get", "post", "put", "delete"}
    served = {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in methods & set(item)}
    waiting = not_landed(ROUTE)
    assert not served & waiting, LANDED
    assert set(routes()) - waiting == served | BESIDE


def test_the_routes_of_a_stage():
    terraform = (ROOT / "infra/modules/serving/api.tf").read_text()
    tables = terraform.split("upload_routes = {")[1].split("\n  })")[0]
    deployed = set(re.findall(r'"([A-Z]+ /[^"]*)"', tables))
    assert len(deployed) > 5
    absent = ("not ", "Kinesis itself")
    assert {route for route, aws in routes().items() if not aws.startswith(absent)} == deployed


def test_the_commands():
    named = {command.split()[0] for cell, *_ in rows("Commands") for command in re.findall(r"`([^`]*)`", cell)}
    listed = re.findall(r"^  ([a-z-]+)  ", alluvium("--help").split("Commands:\n")[1].split("\nOptions:")[0], re.MULTILINE)
    waiting = not_landed(COMMAND)
    assert not set(listed) & waiting, LANDED
    assert named - waiting == set(listed) - {"help"}
