"""The direct route: items 41 to 44."""

from steps import Skipped, step

NO_INTEGRATION = "it has no integration of API Gateway with Kinesis"


@step(41, "The body as it was sent", no_emulator=NO_INTEGRATION)
def body(_stage):
    raise Skipped("with `direct_route`: send the three bytes of the page and look for their dead letter")


@step(42, "Refusals", no_emulator=NO_INTEGRATION)
def refusals(_stage):
    raise Skipped("with `direct_route`: by the calls of the page")


@step(43, "A throttled shard", no_emulator=NO_INTEGRATION, needs="disturb")
def throttled(_stage):
    raise Skipped("with `direct_route`: 2,000 requests a second, which no step of this makes")


@step(44, "Latency", no_emulator=NO_INTEGRATION, needs="slow")
def latency(_stage):
    raise Skipped("with `direct_route`: by `hey` or `oha`, as the page says")
