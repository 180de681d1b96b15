"""The page of examples is true: every block runs against a node, and prints what stands below it."""

import os
import re
import shutil
import subprocess
import sys
import threading
from contextlib import nullcontext

import pytest
import requests
from program import ENVIRONMENT, ROOT, eventually

PAGE = ROOT / "docs/examples.md"
FENCED = re.compile(r"^```(\w*)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
#: How a language's blocks are run: the file's ending, the program that takes it, and what that needs.
LANGUAGES = {
    "bash": (".sh", ["bash", "-eu"], "curl"),
    "python": (".py", [sys.executable], sys.executable),
    "js": (".mjs", ["node"], "node"),
}


def examples():
    """`{language: (what each begins with, [(code, what it prints)])}`: a block that nothing follows is what the others begin with."""
    found = {language: ("", []) for language in LANGUAGES}
    blocks = FENCED.findall(PAGE.read_text())
    for (language, code), (kind, printed) in zip(blocks, [*blocks[1:], ("", "")]):
        if language not in LANGUAGES:
            continue
        before, done = found[language]
        if kind == "text":
            done.append((code, printed))
        else:
            assert not before and not done, f"a block in {language} is followed by nothing that it prints:\n{code}"
            found[language] = (code, done)
    return found


class Doors:
    """Sends an event of the source `door` again and again, for whoever follows what arrives."""

    def __init__(self, node):
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.send, args=[f"{node.url}/v1/telemetry", node.token_of("ann", "data.write")])

    def send(self, url, token):
        while not self.stopped.wait(0.2):
            requests.post(url, json={"source": "door", "value": 1}, headers={"Authorization": f"Bearer {token}"}, timeout=10)

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join()


def uncommitted(node):
    """How many events SQL does not show yet."""
    lines = requests.get(f"{node.url}/metrics").text.splitlines()
    count = lambda name: sum(float(line.split()[-1]) for line in lines if line.startswith(name))
    return count("alluvium_events_accepted_total") - count("alluvium_events_committed_total")


@pytest.mark.parametrize("language", LANGUAGES)
def test_examples_print_what_the_page_says(language, node, tmp_path):
    ending, command, needed = LANGUAGES[language]
    if shutil.which(needed) is None:
        pytest.skip(f"{needed} is not installed, so the examples in {language} were not run")
    before, blocks = examples()[language]
    assert len(blocks) >= 4
    token = node.token_of("ann", "data.read", "data.write")
    environment = ENVIRONMENT | {"URL": node.url, "ALLUVIUM_TOKEN": token, "PATH": os.environ["PATH"]}
    file = tmp_path / f"example{ending}"
    for code, printed in blocks:
        file.write_text(before + code)
        follows = "/live" in code or "newest" in code
        with Doors(node) if follows else nullcontext():
            done = subprocess.run([*command, file], capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=120)
        assert done.returncode == 0, f"{code}\n{done.stderr}"
        assert done.stdout.strip() == printed.strip(), code
        eventually(lambda: uncommitted(node), lambda count: count == 0)


def test_every_language_does_the_same():
    """Each section has every language, but for Arrow, which is Python's."""
    sections = PAGE.read_text().split("\n## ")[1:]
    by_title = {section.split("\n")[0]: {language for language, _ in FENCED.findall(section)} & set(LANGUAGES) for section in sections}
    assert by_title.pop("Into Polars and pandas") == {"python"}
    assert by_title and all(languages == set(LANGUAGES) for languages in by_title.values()), by_title
