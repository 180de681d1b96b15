"""Every alarm goes off when what it is about happens, stays quiet when it does not, and says when it is over.

Each alarm has a scenario here, written from what the metric means and not from the alarm: a wrong dimension, statistic, period or
threshold fails. Beside each, another stage has all the trouble there is.
"""

import collections
import json
import unittest

import made
from cloudwatch import ALARM, INSUFFICIENT, OK, Alarm, Metrics

MINUTE, HOUR = 60, 3600
START = 1_000_000 * HOUR
# How long all is well before something happens.
CALM_MINUTES = 60

# One metric's values at a minute. `own` ones come as a line of a function's log.
Datum = collections.namedtuple("Datum", "namespace name dimensions values")


def own(**metrics):
    """What functions tell of themselves, in one line."""
    return [Datum("Alluvium", name, None, values if isinstance(values, list) else [values]) for name, values in metrics.items()]


def aws(namespace, dimension, name, *values):
    key, what = dimension.split("=", 1) if dimension else (None, None)
    return [Datum(f"AWS/{namespace}", name, {key: what} if key else {}, list(values))]


def queue(name, metric, value):
    return aws("SQS", f"QueueName=alluvium-test-{name}", metric, value)


def waiting(name, messages):
    return queue(name, "ApproximateNumberOfMessagesVisible", messages)


def stream(metric, *values):
    return aws("Kinesis", "StreamName=alluvium-test-events", metric, *values)


def delivery(metric, *values):
    return aws("Firehose", "DeliveryStreamName=alluvium-test-delivery", metric, *values)


def lambdas(function, metric, *values):
    return aws("Lambda", f"FunctionName=alluvium-test-{function}", metric, *values)


def api(metric, *values):
    return aws("ApiGateway", "ApiId=api", metric, *values)


def direct(metric, *values):
    """The direct route's metrics, which have two dimensions."""
    return [Datum("AWS/ApiGateway", metric, {"ApiName": "alluvium-test-direct", "Stage": "direct"}, list(values))]


NOTHING = []

# What each minute brings: when all is well, when it is not, and what else must wake nobody. `within` so many minutes the alarm goes off.
Scenario = collections.namedtuple("Scenario", "good bad within harmless", defaults=[[]])

SCENARIOS = {
    "ledger-deficit": Scenario(own(LedgerDifference=[0, 0]), own(LedgerDifference=[0, 1, 0]), 1, [NOTHING, own(LedgerDifference=-1)]),
    "ledger-surplus": Scenario(own(LedgerDifference=[0, 0]), own(LedgerDifference=[0, -1, 0]), 1, [NOTHING, own(LedgerDifference=1)]),
    "dead-letters": Scenario(
        own(Events=1000, DeadLetters=20), own(Events=1000, DeadLetters=300), 10,
        # All of them dead, of so few that nobody need rise for it.
        [NOTHING, own(Events=1, DeadLetters=1), own(Events=10_000, DeadLetters=400)],
    ),
    "set-aside": Scenario(waiting("set-aside", 0), waiting("set-aside", 1), 1, [NOTHING]),
    "freshness": Scenario(own(FreshnessMilliseconds=[900, 6_000]), own(FreshnessMilliseconds=[900, 400_000]), 10, [NOTHING, own(FreshnessMilliseconds=300_000)]),
    "stream-unread": Scenario(
        stream("IncomingRecords", 5_000) + own(Records=5_000), stream("IncomingRecords", 5_000), 15,
        # Nobody sends; or the transform falls behind, which others tell.
        [NOTHING, stream("IncomingRecords", 5_000) + own(Records=500)],
    ),
    # One shard of three is behind.
    "stream-behind": Scenario(
        stream("GetRecords.IteratorAgeMilliseconds", 0, 2_000, 40), stream("GetRecords.IteratorAgeMilliseconds", 0, 400_000, 40), 5,
        [NOTHING, stream("GetRecords.IteratorAgeMilliseconds", 200_000, 200_000, 200_000)],
    ),
    "delivery-behind": Scenario(
        delivery("KinesisMillisBehindLatest", 0, 0), delivery("KinesisMillisBehindLatest", 0, 400_000), 5,
        [NOTHING, delivery("KinesisMillisBehindLatest", 200_000, 200_000)],
    ),
    "stream-throttled": Scenario(
        stream("WriteProvisionedThroughputExceeded", 0, 0), stream("WriteProvisionedThroughputExceeded", 0, 3), 15, [NOTHING],
    ),
    "delivery-failures": Scenario(delivery("DeliveryToS3.Success", 1, 1), delivery("DeliveryToS3.Success", 1, 0.5), 10, [NOTHING]),
    "source-backup": Scenario(delivery("BackupToS3.Success", 1, 1), delivery("BackupToS3.Success", 1, 0), 10, [NOTHING]),
    "storage-failures": Scenario(own(StorageFailures=0), own(StorageFailures=[1, 0, 3, 1]), 10, [NOTHING, own(StorageFailures=1)]),
    "commits-dead": Scenario(waiting("commits-dead", 0), waiting("commits-dead", 1), 1, [NOTHING, waiting("commits", 500)]),
    "commit-queue-age": Scenario(
        queue("commits", "ApproximateAgeOfOldestMessage", 3), queue("commits", "ApproximateAgeOfOldestMessage", 900), 5,
        [NOTHING, queue("commits", "ApproximateAgeOfOldestMessage", 200)],
    ),
    "commit-lag": Scenario(own(CommitLagSeconds=[4, 9]), own(CommitLagSeconds=[4, 900]), 10, [NOTHING, own(CommitLagSeconds=120)]),
    "commit-failures": Scenario(own(CommitFailures=0), own(CommitFailures=[0, 1]), 10, [NOTHING]),
    "commits-untold": Scenario(own(CommitsUntold=0), own(CommitsUntold=[0, 1]), 1, [NOTHING]),
    "commit-refused": Scenario(own(CommitRefused=0), own(CommitRefused=[0, 1]), 1, [NOTHING]),
    "hot-throttled": Scenario(own(HotThrottled=0), own(HotThrottled=[0, 7]), 10, [NOTHING]),
    # DynamoDB says nothing while nothing is refused.
    "hot-reads-throttled": Scenario(NOTHING, aws("DynamoDB", "TableName=alluvium-test-hot", "ReadThrottleEvents", 1, 1), 10),
    "hot-behind": Scenario(own(HotBehindSeconds=2), own(HotBehindSeconds=[2, 900, 2, 2]), 10, [NOTHING, own(HotBehindSeconds=[200, 200])]),
    "hot-buffer-age": Scenario(
        queue("hot-buffer", "ApproximateAgeOfOldestMessage", 3), queue("hot-buffer", "ApproximateAgeOfOldestMessage", 900), 5,
        [NOTHING, queue("hot-buffer", "ApproximateAgeOfOldestMessage", 200)],
    ),
    "hot-buffer-dead": Scenario(waiting("hot-buffer-dead", 0), waiting("hot-buffer-dead", 1), 1, [NOTHING, waiting("hot-buffer", 500)]),
    "uploads-dead": Scenario(waiting("uploads-dead", 0), waiting("uploads-dead", 1), 1, [NOTHING, waiting("uploads", 500)]),
    # A large file takes its time: the message that it goes on with is a new one.
    "uploads-queue-age": Scenario(
        queue("uploads", "ApproximateAgeOfOldestMessage", 900), queue("uploads", "ApproximateAgeOfOldestMessage", 7200), 10,
        [NOTHING, queue("uploads", "ApproximateAgeOfOldestMessage", 3000)],
    ),
    "api-errors": Scenario(api("5xx", 0, 0, 0), api("5xx", *[1] * 6, 0), 15, [NOTHING, api("5xx", 0, 1, 0), api("4xx", *[1] * 50)]),
    "api-latency": Scenario(api("Latency", *[80] * 200), api("Latency", *[80] * 180, *[9_000] * 20), 15, [NOTHING, api("Latency", *[80] * 995, *[9_000] * 5)]),
    "direct-errors": Scenario(
        direct("5XXError", 0, 0, 0), direct("5XXError", *[1] * 6, 0), 15,
        # The other address has trouble, which is told of there; and callers err.
        [NOTHING, direct("5XXError", 0, 1, 0), direct("4XXError", *[1] * 50), api("5xx", *[1] * 50)],
    ),
    "direct-latency": Scenario(
        direct("Latency", *[40] * 200), direct("Latency", *[40] * 180, *[9_000] * 20), 15, [NOTHING, direct("Latency", *[40] * 995, *[9_000] * 5)],
    ),
    "statements-failed": Scenario(own(StatementsFailed=[0, 0]), own(StatementsFailed=[0, 1]), 10, [NOTHING]),
    "reports-failed": Scenario(own(ReportsFailed=0), own(ReportsFailed=1), 1, [NOTHING]),
    "reports-late": Scenario(own(ReportsBehindSeconds=0), own(ReportsBehindSeconds=4_000), 1, [NOTHING, own(ReportsBehindSeconds=3_000)]),
    "reads-incomplete": Scenario(own(IncompleteReads=0), own(IncompleteReads=[0, 2]), 15, [NOTHING]),
    "concurrency": Scenario(aws("Lambda", "", "ClaimedAccountConcurrency", 40), aws("Lambda", "", "ClaimedAccountConcurrency", 900), 5, [NOTHING]),
    "maintenance-failures": Scenario(own(MaintenanceFailures=0), own(MaintenanceFailures=[0, 1]), 1, [NOTHING]),
}

SCENARIOS["maintenance-dead"] = Scenario(waiting("maintain-failed", 0), waiting("maintain-failed", 1), 1, [NOTHING])
# It is called once in a while: each failure counts.
for function in ["maintain", "report"]:
    SCENARIOS[f"{function}-errors"] = Scenario(lambdas(function, "Errors", 0), lambdas(function, "Errors", 1), 1, [NOTHING])

TIMEOUT_SECONDS = {"authorizer": 10, "commit": 60, "gateway": 29, "hot-writer": 60, "loader": None, "query": 29, "transform": 300}
for function, seconds in TIMEOUT_SECONDS.items():
    SCENARIOS[f"{function}-errors"] = Scenario(lambdas(function, "Errors", 0, 0), lambdas(function, "Errors", 0, 1), 10, [NOTHING])
    SCENARIOS[f"{function}-throttles"] = Scenario(lambdas(function, "Throttles", 0), lambdas(function, "Throttles", 0, 3), 10, [NOTHING])
    # It may take all of its time, and goes on in the next invocation.
    if seconds is None:
        continue
    SCENARIOS[f"{function}-duration"] = Scenario(
        lambdas(function, "Duration", 40, 200 * seconds), lambdas(function, "Duration", 40, 950 * seconds), 10, [NOTHING],
    )

# Those of which an hour is nothing; they have tests of their own.
DAILY = {"audit-problems", "audit-absent", "erasure-overdue", "reports-absent"}
# One minute of it is enough: it means loss, or comes once in a while only. Of all others one bad minute wakes nobody.
AT_ONCE = {"ledger-deficit", "ledger-surplus", "set-aside", "commits-dead", "commit-refused", "commits-untold", "hot-buffer-dead",
           "uploads-dead", "maintenance-failures", "maintenance-dead", "maintain-errors", "report-errors", "reports-failed", "reports-late"}


def put(metrics, at, data, stage="test"):
    lines = [datum for datum in data if datum.dimensions is None]
    for datum in lines:
        metrics.put_line(json.dumps({
            "_aws": {"Timestamp": at * 1000, "CloudWatchMetrics": [
                {"Namespace": datum.namespace, "Dimensions": [["Stage"]], "Metrics": [{"Name": datum.name}]},
            ]},
            "Stage": stage, datum.name: datum.values,
        }))
    for datum in data:
        if datum.dimensions is not None:
            # API Gateway's stage has the same name in each of ours.
            of_stage = lambda key, value: value if stage == "test" or key == "Stage" else value.replace("test", stage) + stage
            dimensions = {key: of_stage(key, value) for key, value in datum.dimensions.items()}
            # What has no dimension is the account's, and another stage's too.
            if dimensions or stage == "test":
                metrics.put(at, datum.namespace, datum.name, dimensions, *datum.values)


class Life:
    """The states of one alarm, minute by minute."""

    def __init__(self, alarm, bad=NOTHING, step=MINUTE):
        self.alarm, self.bad, self.step = alarm, bad, step
        self.metrics, self.now, self.state = Metrics(), START, INSUFFICIENT

    def passes(self, data):
        """One step, in which `data` is measured here, and elsewhere all that is bad. The state after it."""
        put(self.metrics, self.now, data)
        put(self.metrics, self.now, self.bad, stage="elsewhere")
        self.now += self.step
        self.state = self.alarm.state(self.metrics, self.now, self.state)
        return self.state

    def until(self, state, data, steps):
        """After how many steps it has the state; None: after none of so many."""
        return next((step for step in range(1, steps + 1) if self.passes(data) == state), None)


@unittest.skipUnless(made.TERRAFORM, "terraform (1.11 or newer) is not installed")
class Alarms(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.values = made.values("watch.tftest.hcl", "everything", "aws_cloudwatch_metric_alarm")
        cls.alarms = {name: Alarm(values) for name, values in cls.values.items()}

    def each(self):
        for name, scenario in SCENARIOS.items():
            with self.subTest(alarm=name):
                yield name, scenario, self.alarms[name]

    def test_there_is_a_scenario_for_each_alarm_and_an_alarm_for_each_scenario(self):
        self.assertEqual(set(SCENARIOS) | DAILY, set(self.alarms))

    def test_the_whole_stack_has_the_same_alarms(self):
        whole = made.values("watch.tftest.hcl", "stack", "aws_cloudwatch_metric_alarm")
        self.assertLessEqual({"set-aside", "stream-unread", "commits-dead", "transform-errors"}, set(whole))
        for name, values in whole.items():
            for attribute in ["alarm_name", "namespace", "metric_name", "statistic", "period", "threshold", "evaluation_periods"]:
                self.assertEqual(values[attribute], self.values[name][attribute], f"{name}: {attribute}")
            # The API's id is made up.
            if "ApiId" not in (values["dimensions"] or {}):
                self.assertEqual(values["dimensions"], self.values[name]["dimensions"], name)

    def test_a_bill_has_as_many_metrics_as_the_alarms_of_a_stage_look_at(self):
        whole = made.values("watch.tftest.hcl", "stack", "aws_cloudwatch_metric_alarm").values()
        metrics = sum(max(1, len([query for query in alarm["metric_query"] or [] if query["metric"]])) for alarm in whole)
        figures = json.loads((made.INFRA.parent / "cli/src/cost/figures.json").read_text())
        self.assertEqual(figures["alarms"]["value"], metrics, "cli/src/cost/figures.json, alarms; then `make docs`")
        self.assertIn(f"{len(whole)} alarms, $0.10 for each of the {metrics} metrics", (made.INFRA.parent / "docs/aws.md").read_text())

    def test_each_goes_off_and_says_when_it_is_over(self):
        for _, scenario, alarm in self.each():
            life = Life(alarm, scenario.bad)
            for minute in range(CALM_MINUTES):
                self.assertNotEqual(life.passes(scenario.good), ALARM, f"after {minute} good minutes")
            self.assertEqual(life.state, OK)
            took = life.until(ALARM, scenario.bad, scenario.within)
            self.assertIsNotNone(took, f"{scenario.within} bad minutes")
            for _ in range(3 * CALM_MINUTES):
                life.passes(scenario.bad)
            self.assertEqual(life.state, ALARM, "it lasts as long as its reason")
            patience = alarm.period * (alarm.periods + 2) // MINUTE
            self.assertIsNotNone(life.until(OK, scenario.good, patience), f"{patience} good minutes")
            # Most of it is not measured when there is nothing to tell of.
            life.until(None, scenario.bad, CALM_MINUTES)
            self.assertEqual(life.state, ALARM)
            self.assertIsNotNone(life.until(OK, NOTHING, patience), f"{patience} minutes in which nothing came")

    def test_what_is_harmless_wakes_nobody(self):
        for _, scenario, alarm in self.each():
            for data in [scenario.good, *scenario.harmless]:
                life = Life(alarm, scenario.bad)
                self.assertIsNone(life.until(ALARM, data, 3 * CALM_MINUTES), data)

    def test_one_bad_minute_wakes_somebody_only_where_it_means_loss(self):
        for name, scenario, alarm in self.each():
            life = Life(alarm, scenario.bad)
            life.until(None, scenario.good, CALM_MINUTES)
            went_off = life.passes(scenario.bad) == ALARM or life.until(ALARM, scenario.good, CALM_MINUTES) is not None
            self.assertEqual(went_off, name in AT_ONCE)


@unittest.skipUnless(made.TERRAFORM, "terraform (1.11 or newer) is not installed")
class Audits(unittest.TestCase):
    """An audit a day, each hour a step."""

    def life(self, name):
        alarms = made.values("watch.tftest.hcl", "everything", "aws_cloudwatch_metric_alarm")
        return Life(Alarm(alarms[name]), step=HOUR)

    def day(self, life, problems):
        """The states of a day that an audit begins."""
        return [life.passes(own(AuditProblems=problems) if hour == 0 else NOTHING) for hour in range(24)]

    def test_what_an_audit_found_holds_until_the_next(self):
        life = self.life("audit-problems")
        self.assertEqual(set(self.day(life, 0)), {OK})
        self.assertEqual(set(self.day(life, 3)), {ALARM})
        self.assertEqual(set(self.day(life, 0)), {OK})

    def test_a_day_without_an_audit_is_told(self):
        life = self.life("audit-absent")
        for problems in [0, 3, 0]:
            self.assertEqual(set(self.day(life, problems)), {OK})
        # The last one was 24 hours ago.
        self.assertIsNone(life.until(ALARM, NOTHING, 1))
        self.assertIn(life.until(ALARM, NOTHING, 10), range(1, 6))
        self.assertEqual(life.passes(own(AuditProblems=0)), OK)

    def test_a_stage_that_never_had_an_audit_is_told(self):
        self.assertIsNotNone(self.life("audit-absent").until(ALARM, NOTHING, 30))


@unittest.skipUnless(made.TERRAFORM, "terraform (1.11 or newer) is not installed")
class Reports(unittest.TestCase):
    """A look whether reports are due, each hour at the least."""

    def life(self):
        alarms = made.values("watch.tftest.hcl", "everything", "aws_cloudwatch_metric_alarm")
        return Life(Alarm(alarms["reports-absent"]), bad=own(ReportsBehindSeconds=0), step=HOUR)

    def test_two_hours_in_which_nobody_looked_are_told(self):
        life = self.life()
        for behind in [0, 0, 9_000]:
            self.assertEqual(life.passes(own(ReportsBehindSeconds=behind)), OK, "late ones are told by another")
        self.assertIn(life.until(ALARM, NOTHING, 5), (2, 3, 4))
        self.assertEqual(life.passes(own(ReportsBehindSeconds=0)), OK)


@unittest.skipUnless(made.TERRAFORM, "terraform (1.11 or newer) is not installed")
class Erasures(unittest.TestCase):
    """A look at the open erasures each day, each hour a step."""

    def test_one_that_is_open_for_days_longer_than_promised_is_told_until_it_is_closed(self):
        alarms = made.values("watch.tftest.hcl", "everything", "aws_cloudwatch_metric_alarm")
        life = Life(Alarm(alarms["erasure-overdue"]), step=HOUR)
        day = lambda days: [life.passes(own(ErasuresOpen=1, ErasureOverdueSeconds=days * 24 * HOUR) if hour == 0 else NOTHING) for hour in range(24)]
        # Vacuum, which it waits for, may come a day later.
        for days in [0, 0, 1]:
            self.assertEqual(set(day(days)), {OK})
        self.assertEqual(set(day(2.1)), {ALARM})
        self.assertEqual(set(day(3.1)), {ALARM})
        self.assertEqual(set(day(0)), {OK})
