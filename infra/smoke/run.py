#!/usr/bin/env python3
"""Runs docs/aws-checklist.md against a stage that is deployed: `make smoke STAGE=dev`.

Prints a line for each item: pass, FAIL or skip, and what was seen or why it was skipped. The exit code is 1 when any failed. It sends a few
hundred events of the owner `smoke`; `alluvium erase --stage STAGE --owner smoke` takes them away again.
"""

import argparse
import os
import sys

import alarms  # noqa: F401 - each makes its steps.
import api  # noqa: F401
import athena  # noqa: F401
import commits  # noqa: F401
import direct  # noqa: F401
import firehose  # noqa: F401
import levelling  # noqa: F401
import maintenance  # noqa: F401
import network  # noqa: F401
import quotas  # noqa: F401
import results  # noqa: F401
import stack  # noqa: F401
import uploads  # noqa: F401
from stage import Stage
from steps import STEPS, Failed, Skipped

NEEDS = {
    "slow": "it takes minutes: give --slow (SMOKE=--slow)",
    "disturb": "it holds the stage up: give --disturb (SMOKE=--disturb)",
    "destroy": "it removes the stage: give --destroy (SMOKE=--destroy)",
}


def numbers(text):
    """`5`, `5,7` or `7-10` as a set."""
    chosen = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        try:
            chosen.update(range(int(first), int(last or first) + 1))
        except ValueError:
            raise argparse.ArgumentTypeError(f"`{part}` is no item; expected numbers such as 5,7-10") from None
    unknown = sorted(chosen - STEPS.keys())
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no item {unknown[0]}; they go from {min(STEPS)} to {max(STEPS)}")
    return chosen


def outcome_of(step, stage, given):
    """The word for what came of a step, and what it says."""
    if stage.is_emulator and step.no_emulator:
        return "skip", f"not on an emulator: {step.no_emulator}"
    if step.needs and step.needs not in given:
        return "skip", NEEDS[step.needs]
    try:
        return "pass", step.run(stage)
    except Skipped as why:
        return "skip", str(why)
    except Failed as why:
        return "FAIL", str(why)
    except Exception as error:  # What AWS answered was not what the step reads: that is its finding, and no other step's.
        return "FAIL", f"{type(error).__name__}: {error}"


def run(stage, chosen, given, out=sys.stdout):
    counts = {"pass": 0, "FAIL": 0, "skip": 0}
    # What destroys comes last anyway: the numbers are in the order in which things are done.
    for number in sorted(chosen, key=lambda number: (STEPS[number].needs == "destroy", number)):
        word, said = outcome_of(STEPS[number], stage, given)
        counts[word] += 1
        print(f"{word}  {number:>2}  {STEPS[number].title}: {said}", file=out, flush=True)
    print(f"{counts['pass']} passed, {counts['FAIL']} failed, {counts['skip']} skipped", file=out, flush=True)
    return 1 if counts["FAIL"] else 0


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--stage", required=True, help="the stage, such as dev, or NAME/dev where Terraform's name is not alluvium")
    arguments.add_argument("--alluvium", default=os.environ.get("ALLUVIUM", "alluvium"), help="the program, built with --features aws")
    arguments.add_argument("--only", type=numbers, default=set(STEPS), help="these items: 5,7-10")
    arguments.add_argument("--emulator", action="store_true", help="skip, by name, what an emulator cannot show")
    arguments.add_argument("--positions", metavar="FILE", help="deliver from there, for a stage without Firehose where no `alluvium deliver` runs")
    for need in NEEDS:
        arguments.add_argument(f"--{need}", action="store_true", help=f"also what needs it: {NEEDS[need].split(':')[0]}")
    given = arguments.parse_args()
    try:
        stage = Stage(given.stage, given.alluvium, given.emulator, given.positions)
    except Failed as why:
        sys.exit(f"smoke: {why}")
    sys.exit(run(stage, given.only, {need for need in NEEDS if getattr(given, need)}))


if __name__ == "__main__":
    main()
