"""Takes the pictures of the console in docs anew: a node under load for some minutes, then one picture of each of three views.

    ALLUVIUM=target/debug/alluvium target/console-venv/bin/python -B tests/console/screenshots.py docs

Take them on a machine that does nothing else, and look at each before it is kept. With 256 colours (Pillow's `quantize`) they are less than
half as large. Those in docs have the fonts Inter and JetBrains Mono.
"""

import datetime as dt
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import expect, sync_playwright

sys.path.append(str(Path(__file__).parents[1]))
from conftest import CHROMIUM, FLAGS, PATIENCE_MS, Console  # noqa: E402
from program import ALLUVIUM, ENVIRONMENT, Node  # noqa: E402

LOOK = {"viewport": {"width": 1280, "height": 800}}
#: What the overview shows at first.
MINUTES = 5


def overview(open_one):
    console = open_one(color_scheme="dark")
    console.page.wait_for_timeout(1000 * (60 * MINUTES + 10))
    return console


def records(open_one):
    console = open_one(color_scheme="light")
    console.go("#/records?source=device-00012&owner=anonymous&from=-5m&live=1")
    expect(console.page.locator("#records-said")).to_contain_text("the newest 200 are here")
    return console


def sql(open_one):
    console = open_one(color_scheme="light")
    since = dt.datetime.now(dt.timezone.utc) - dt.timedelta(minutes=MINUTES - 1)
    statement = ("select date_trunc('second', event_time) as second, count(*) as events, count(distinct source) as sources\n"
                 f"from telemetry where event_time >= timestamp '{since:%F %T}'\ngroup by second order by second")
    console.go(f"#/sql?q={quote(statement)}")
    expect(console.page.locator("#sql-said")).to_contain_text("rows")
    return console


def main(into):
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        node = Node(Path(folder) / "node")
        load = ["generate", "--data", node.data, "--paced", "--rate", 2000, "--count", 10**7, "--devices", 200, "--batch", 100, "--broken", 0.01]
        generating = subprocess.Popen([ALLUVIUM, *map(str, load)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)

        def open_one(**settings):
            console = Console(browser, node, **LOOK, **settings)
            console.page.set_default_timeout(3 * PATIENCE_MS)
            console.sign_in()
            console.page.get_by_role("heading", name="Overview").wait_for()
            return console

        try:
            answer = node.session().post(f"{node.url}/admin/audit")
            assert answer.status_code == 200, answer.text
            for view in (overview, records, sql):
                console = view(open_one)
                console.page.wait_for_timeout(3000)
                console.page.screenshot(path=into / f"console-{view.__name__}.png")
                assert console.complaints() == []
                console.context.close()
            assert generating.poll() is None, "the load has ended"
        finally:
            browser.close()
            generating.kill()
            generating.wait()
            node.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
