"""The real program with known events in it, and a browser that looks at its console."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

sys.path.append(str(pathlib.Path(__file__).parents[1]))
from program import ALLUVIUM, ENVIRONMENT, Node, eventually  # noqa: E402

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
KILN = [round(20 + 0.5 * n, 1) for n in range(40)]
MANY = 250
HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=2</script>'
NOT_JSON = [f"{{source=a {HOSTILE}}}".encode(), b"hello", b'{"value": 1', b"\xff\xfe not UTF-8 \xf0"]
REQUIRED_MISSING = [json.dumps({"id": f"m{n}", "source": "kiln-2"}).encode() for n in range(3)]
OF_ANN = 3
#: How long the page may take over anything. It asks again every few seconds, each time once the answer before is there: a busy machine needs more
#: than Playwright's five.
PATIENCE_MS = 20_000
expect.set_options(timeout=PATIENCE_MS)


REPORTS = {
    "by_source": "-- title: Events by source and day\n-- window: 1d\nselect source, count(*) as events from telemetry "
                 "where event_time >= $from and event_time < $to group by source order by source",
    "misspelt": "-- title: Of a column that there is not\n-- window: 1d\nselect valeu from telemetry where event_time >= $from and event_time < $to",
    "wrong": "-- windw: 1d\nselect 1",
}


class Filled(Node):
    """A node with reports, and how many events it was sent."""

    def __init__(self, folder):
        (folder / "reports").mkdir()
        for name, text in REPORTS.items():
            (folder / f"reports/{name}.sql").write_text(text)
        super().__init__(folder / "node", "--reports", folder / "reports")
        self.sent = 0

    def send(self, lines, token=None):
        """Sends events, one a line, and waits until SQL shows them."""
        body = b"\n".join(lines)
        headers = {"Authorization": f"Bearer {token or self.token}", "Content-Type": "application/x-ndjson"}
        answer = requests.post(f"{self.url}/v1/telemetry", data=body, headers=headers)
        assert answer.status_code == 202 and answer.json()["accepted"] == len(lines), answer.text
        self.sent += len(lines)
        eventually(self.committed, lambda committed: committed == self.sent)

    def committed(self):
        for line in requests.get(f"{self.url}/metrics").text.splitlines():
            if line.startswith("alluvium_events_committed_total "):
                return int(line.split()[1])
        return 0


def reading(number, source, value, minutes_ago=1):
    at_ms = int(1000 * (time.time() - 60 * minutes_ago)) + 100 * number
    return json.dumps({"id": f"{source}-{number}", "source": source, "time": at_ms, "value": value, "unit": "Cel"}).encode()


@pytest.fixture(scope="session")
def node(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed; install it (apt-get install chromium), or name one in the variable CHROMIUM")
    running = Filled(tmp_path_factory.mktemp("console"))
    running.send([reading(n, "kiln-1", value) for n, value in enumerate(KILN)])
    running.send([reading(n, "many", n) for n in range(MANY)])
    running.send(NOT_JSON + REQUIRED_MISSING)
    running.send([reading(n, "of-ann", n) for n in range(OF_ANN)], token=running.token_of("ann", "data.write"))
    yield running
    running.stop()


@pytest.fixture
def start(tmp_path):
    """Starts further nodes, each for one test; they go on for as long as a tab looks at them."""
    running = []

    def start_one(name, *args):
        running.append(Node(tmp_path / name, *args))
        return running[-1]

    yield start_one
    for one in running:
        one.stop()


@pytest.fixture
def loaded(start, tmp_path):
    """A node that is sent 2000 events a second for as long as a test runs."""
    running = start("loaded")
    command = [ALLUVIUM, "generate", "--data", running.data, "--paced", "--rate", 2000, "--count", 10**7, "--devices", 200, "--batch", 100]
    with open(tmp_path / "generate.log", "w") as log:
        generating = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log, env=ENVIRONMENT)
    yield running
    said = f"it was not sent events all the time: {(tmp_path / 'generate.log').read_text()}"
    has_ended = generating.poll() is not None
    generating.kill()
    generating.wait()
    assert not has_ended, said


@pytest.fixture(scope="session")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed; install it (apt-get install chromium), or name one in the variable CHROMIUM")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


class Console:
    """One tab, and all that it complained about."""

    def __init__(self, browser, node, **settings):
        self.node = node
        self.context = browser.new_context(**settings)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.said = []
        self.refused = ()
        self.requests = []
        self.answers = []
        self.page.on("console", lambda said: said.type in ("error", "warning") and self.said.append((said.text, said.location["url"])))
        self.page.on("pageerror", lambda error: self.said.append((str(error), "")))
        self.page.on("request", lambda request: self.requests.append((request.method, request.url)))
        self.page.on("response", lambda answer: self.answers.append((answer.status, answer.request.method, answer.url)))
        self.page.goto(node.url)

    def sign_in(self, token=None):
        self.page.get_by_label("Token for").fill(token or self.node.token)
        self.page.get_by_role("button", name="Sign in").click()

    def go(self, route):
        """Opens a view, and waits until it shows something."""
        # The page's own listener was there first: when this one is called, the view before is gone.
        self.page.evaluate("""route => location.hash === route || new Promise((opened) => {
            addEventListener("hashchange", opened, { once: true });
            location.hash = route;
        }).then(() => true)""", route)
        expect(self.page.locator("h1")).to_have_count(1)
        expect(self.page.locator("[aria-busy]")).to_have_count(0)

    def violations(self):
        """What axe takes for serious or worse."""
        found = Axe().run(self.page).response["violations"]
        return [(one["id"], [place["html"][:200] for place in one["nodes"]]) for one in found if one["impact"] in ("serious", "critical")]

    def expect_refusals(self, *paths):
        """Calls of paths that begin so may be refused, or fail, in this test: each is a line of the browser's own in its console."""
        self.refused += tuple(self.node.url + path for path in paths)

    def complaints(self):
        """What the page, or the browser of it, said was wrong."""
        is_expected = lambda text, url: text.startswith("Failed to load resource") and url.startswith(self.refused)
        return [text for text, url in self.said if not is_expected(text, url)]


@pytest.fixture
def open_console(browser, node, start):
    opened = []

    def open_one(at=node, **settings):
        console = Console(browser, at, **settings)
        opened.append(console)
        return console

    yield open_one
    for console in opened:
        console.context.close()
    assert [one for console in opened for one in console.complaints()] == []


@pytest.fixture
def console(open_console):
    """A tab, signed in with every right."""
    one = open_console(viewport={"width": 1280, "height": 800})
    one.sign_in()
    one.page.get_by_role("heading", name="Overview").wait_for()
    return one
