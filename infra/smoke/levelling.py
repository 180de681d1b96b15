"""Load levelling: item 40."""

from steps import Skipped, expect, step


@step(40, "Load levelling", no_emulator="it throttles no table; the bench's own test puts a throttle before it")
def levelling(stage):
    waiting = stage.aws("sqs", "get-queue-attributes", "--queue-url", stage.of["hot_buffer"], "--attribute-names", "All")["Attributes"]
    count = sum(int(waiting[name]) for name in ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"))
    expect(count == 0, f"{count} messages wait in the buffer while nothing throttles the table")
    raise Skipped("nothing waits now; throttle the table by hand as the page says, and look again afterwards")
