"""The checklist in words and as steps are one: docs/aws-checklist.md and infra/smoke."""

import argparse
import io
import pathlib
import re
import sys
import types
import unittest

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "infra/smoke"))

import run  # noqa: E402
from steps import STEPS, Failed, Skipped, Step  # noqa: E402


def items():
    """Each item's number and what stands there."""
    text = (ROOT / "docs/aws-checklist.md").read_text()
    return {int(number): " ".join(words.split()) for number, words in re.findall(r"^(\d+)\. (.*(?:\n    .*)*)", text, re.M)}


class TheChecklist(unittest.TestCase):
    def test_every_item_is_a_step_and_every_step_an_item(self):
        self.assertEqual(sorted(items()), sorted(STEPS))

    def test_a_step_is_called_what_the_item_begins_with(self):
        for number, words in items().items():
            title = re.sub(r"[*]", "", words)
            self.assertTrue(title.startswith(STEPS[number].title), f"{number}: `{STEPS[number].title}` is not how `{title[:60]}` begins")

    def test_whatever_is_left_out_is_left_out_for_a_reason(self):
        for step in STEPS.values():
            self.assertIn(step.needs, [None, *run.NEEDS])
            self.assertTrue(step.no_emulator is None or len(step.no_emulator) > 10)


def made(number, does, **more):
    def do(_stage):
        if isinstance(does, Exception):
            raise does
        return does

    return Step(number, f"step {number}", do, more.get("no_emulator"), more.get("needs"))


class TheRun(unittest.TestCase):
    def outcome(self, steps, emulator=False, given=()):
        before, said = dict(STEPS), io.StringIO()
        STEPS.clear()
        STEPS.update({step.number: step for step in steps})
        try:
            code = run.run(types.SimpleNamespace(is_emulator=emulator), set(STEPS), set(given), said)
        finally:
            STEPS.clear()
            STEPS.update(before)
        return code, said.getvalue()

    def test_the_exit_code_says_whether_any_failed(self):
        code, said = self.outcome([made(1, "seen"), made(2, Skipped("no shards"))])
        self.assertEqual(code, 0)
        self.assertIn("pass   1  step 1: seen", said)
        self.assertIn("skip   2  step 2: no shards", said)
        code, said = self.outcome([made(1, Failed("two were lost")), made(2, "seen")])
        self.assertEqual(code, 1)
        self.assertIn("FAIL   1  step 1: two were lost", said)
        self.assertIn("1 passed, 1 failed, 0 skipped", said)

    def test_an_answer_that_a_step_cannot_read_fails_it_alone(self):
        code, said = self.outcome([made(1, KeyError("Datapoints")), made(2, "seen")])
        self.assertEqual(code, 1)
        self.assertIn("FAIL   1  step 1: KeyError: 'Datapoints'", said)
        self.assertIn("pass   2", said)

    def test_what_an_emulator_cannot_show_is_skipped_there_alone(self):
        step = made(1, Failed("no such thing"), no_emulator="it has none of it")
        self.assertEqual(self.outcome([step], emulator=True), (0, "skip   1  step 1: not on an emulator: it has none of it\n0 passed, 0 failed, 1 skipped\n"))
        self.assertEqual(self.outcome([step])[0], 1)

    def test_what_takes_long_or_destroys_is_asked_for_and_what_destroys_comes_last(self):
        steps = [made(1, "gone", needs="destroy"), made(2, "seen", needs="slow")]
        code, said = self.outcome(steps)
        self.assertEqual((code, said.count("skip")), (0, 3))
        code, said = self.outcome(steps, given=["destroy", "slow"])
        self.assertLess(said.index("step 2"), said.index("step 1"))

    def test_items_are_chosen_by_number(self):
        self.assertEqual(run.numbers("5,7-9"), {5, 7, 8, 9})
        for wrong in ["x", "", "0", "1-1000"]:
            with self.assertRaises(argparse.ArgumentTypeError, msg=wrong):
                run.numbers(wrong)


if __name__ == "__main__":
    unittest.main()
