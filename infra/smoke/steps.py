"""What a step is: a number and a title as in docs/aws-checklist.md, and what it does. It returns what was seen, or raises one of these."""

import dataclasses
import typing


class Failed(Exception):
    """What was expected is not so."""


class Skipped(Exception):
    """It cannot be shown here, and why."""


@dataclasses.dataclass(frozen=True)
class Step:
    number: int
    title: str
    run: typing.Callable
    # Why an emulator cannot show it; None: it can.
    no_emulator: str | None = None
    # What has to be given along for it: `slow` (takes minutes), `disturb` (the stage is held up meanwhile), `destroy`.
    needs: str | None = None


STEPS: dict[int, Step] = {}


def step(number, title, *, no_emulator=None, needs=None):
    """Makes a function of the stage the step of this number."""

    def of(function):
        assert number not in STEPS, f"there are two steps {number}"
        STEPS[number] = Step(number, title, function, no_emulator, needs)
        return function

    return of


def expect(condition, seen):
    if not condition:
        raise Failed(seen)
    return seen
