"""Commit, queues, hot index: items 27 to 30."""

import json
import time

from steps import Failed, Skipped, expect, step


@step(27, "Two at a time", no_emulator="it counts no executions", needs="slow")
def two_at_a_time(stage):
    stage.alluvium("generate", "--count", "100000", "--rate", "2000")
    time.sleep(240)
    most = stage.metric("AWS/Lambda", "ConcurrentExecutions", {"FunctionName": stage.function("commit")}, "Maximum", 900, period=60)
    found = stage.aws("logs", "filter-log-events", "--log-group-name", f"/aws/lambda/{stage.function('commit')}", "--filter-pattern",
                      '"a commit did not end"', "--start-time", str(int((time.time() - 900) * 1000)), "--max-items", "5")
    return expect(most and max(most) <= 2 and not found["events"], f"{max(most, default=0):.0f} at a time, {len(found['events'])} commits did not end")


@step(28, "A poison message", needs="disturb")
def poison_message(stage):
    queue, dead = stage.of["commit_queue"], stage.of["commits_dead"]
    body = "_commits/none.json"
    began = time.monotonic()
    stage.aws("sqs", "send-message", "--queue-url", queue, "--message-body", body)
    beside = stage.send("beside", 10)
    expect(stage.rows_of(beside, 10) == 10, "what came beside it was not committed")
    while time.monotonic() - began < 600:
        received = stage.aws("sqs", "receive-message", "--queue-url", dead, "--wait-time-seconds", "5", "--visibility-timeout", "5")
        for message in received.get("Messages", []):
            if message["Body"] == body:
                stage.aws("sqs", "delete-message", "--queue-url", dead, "--receipt-handle", message["ReceiptHandle"])
                return f"in the dead-letter queue after {time.monotonic() - began:.0f} s, and taken out of it again"
    raise Failed("after ten minutes it is not in the dead-letter queue")


@step(29, "TTL")
def ttl(stage):
    described = stage.aws("dynamodb", "describe-time-to-live", "--table-name", stage.of["hot_table"])["TimeToLiveDescription"]
    expect(described.get("TimeToLiveStatus") == "ENABLED" and described.get("AttributeName") == "expires_at", f"{described}")
    # One page of at most a megabyte: what expired two days ago should be gone from any.
    old = json.dumps({":old": {"N": str(int(time.time()) - 48 * 3600)}})
    page = stage.aws("dynamodb", "scan", "--table-name", stage.of["hot_table"], "--no-paginate", "--select", "COUNT",
                     "--filter-expression", "expires_at < :old", "--expression-attribute-values", old)
    seen = f"of {page['ScannedCount']} items that were looked at {page['Count']} expired more than 48 hours ago"
    if stage.is_emulator or page["ScannedCount"] == 0:
        raise Skipped(f"it is enabled on `expires_at`; {seen}")
    return expect(page["Count"] == 0, seen)


@step(30, "Conditional puts")
def conditional_puts(stage):
    stage.deliver()
    deadline = time.monotonic() + 120
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    asked = ["--queue-url", stage.of["commit_queue"], "--attribute-names", *names]
    while any(int(count) for count in stage.aws("sqs", "get-queue-attributes", *asked)["Attributes"].values()):
        if time.monotonic() > deadline:
            raise Skipped("the commit queue does not empty; ask again when it is at rest")
        time.sleep(3)
    done = stage.alluvium("audit", check=False)
    expect(done.stdout.strip(), f"the audit could not be made: {done.stderr[-600:]}")
    report = json.loads(done.stdout)
    wrong = [problem for check in report["checks"] for problem in check["problems"]]
    return expect(done.returncode == 0, f"{report['batches']} batches; {'; '.join(wrong)[:600] if wrong else 'the audit balances'}")
