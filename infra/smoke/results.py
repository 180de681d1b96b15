"""Results, reports and commits: items 52 to 56."""

from steps import Skipped, step

NO_ATHENA = "its Athena is not AWS's"


@step(52, "A statement's result", no_emulator=NO_ATHENA)
def result(_stage):
    raise Skipped("in a browser, as the page says")


@step(53, "The workgroup's limit", no_emulator=NO_ATHENA)
def limit(_stage):
    raise Skipped("as item 22, through the API")


@step(54, "A slow read", no_emulator=NO_ATHENA)
def slow(_stage):
    raise Skipped("with another `sql_time`, as the page says")


@step(55, "Reports", no_emulator=NO_ATHENA)
def reports(_stage):
    raise Skipped("look at `GET /v1/reports` after `report_minutes`")


@step(56, "Commits told", no_emulator="the bench's own test subscribes a queue with the filter")
def told(_stage):
    raise Skipped("with `announce_commits` and a queue of yours")
