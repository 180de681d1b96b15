"""CloudWatch's alarms, as its user guide describes them, over metrics that a test puts.

No emulator evaluates alarms so: ministack looks at neither dimensions nor missing data nor metric math, moto at nothing. The rules are
those of "Alarm evaluation", "Configuring how CloudWatch alarms treat missing data" and "Using math expressions with CloudWatch
metrics"; test_cloudwatch.py holds them against the examples on these pages. What is taken for granted beyond them: a window slides with
each evaluation, and two periods more than the evaluation periods are looked at, as in the guide's examples.
"""

import ast
import collections
import json
import math
import operator
import re

OK, ALARM, INSUFFICIENT = "OK", "ALARM", "INSUFFICIENT_DATA"
# How many periods beyond the evaluation periods are retrieved.
FURTHER_PERIODS = 2


class Metrics:
    """What was put: values by namespace, name and exactly these dimensions."""

    def __init__(self):
        self._values = collections.defaultdict(list)

    def put(self, at, namespace, name, dimensions, *values):
        self._values[namespace, name, frozenset(dimensions.items())] += [(at, value) for value in values]

    def put_line(self, line):
        """Takes a log line in the embedded metric format in: each metric for each set of dimensions."""
        line = json.loads(line)
        for directive in line["_aws"]["CloudWatchMetrics"]:
            for names in directive["Dimensions"]:
                dimensions = {name: line[name] for name in names}
                for metric in directive["Metrics"]:
                    values = line[metric["Name"]]
                    at = line["_aws"]["Timestamp"] / 1000
                    self.put(at, directive["Namespace"], metric["Name"], dimensions, *(values if isinstance(values, list) else [values]))

    def series(self, metric, starts, period):
        """The statistic of each period that has values, by the period's start."""
        found = collections.defaultdict(list)
        for at, value in self._values[metric.namespace, metric.name, frozenset(metric.dimensions.items())]:
            if starts[0] <= at < starts[-1] + period:
                found[starts[int((at - starts[0]) // period)]].append(value)
        return {start: statistic(metric.statistic, values) for start, values in found.items()}


Metric = collections.namedtuple("Metric", "namespace name dimensions statistic")


def statistic(name, values):
    simple = {"Sum": sum, "Minimum": min, "Maximum": max, "SampleCount": len, "Average": lambda found: sum(found) / len(found)}
    if name in simple:
        return simple[name](values)
    ordered, rank = sorted(values), float(re.fullmatch(r"p([0-9.]+)", name)[1]) / 100 * (len(values) - 1)
    low = ordered[math.floor(rank)]
    return low + (ordered[math.ceil(rank)] - low) * (rank % 1)


class Expression:
    """Metric math, of which is here what the alarms use: arithmetic, comparisons, AND, OR, IF and FILL."""

    ARITHMETIC = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
    COMPARISON = {ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Lt: operator.lt, ast.LtE: operator.le,
                  ast.Eq: operator.eq, ast.NotEq: operator.ne}

    def __init__(self, text):
        words = text.replace("&&", " AND ").replace("||", " OR ")
        self.tree = ast.parse(re.sub(r"\bAND\b", "and", re.sub(r"\bOR\b", "or", words)), mode="eval").body

    def value(self, series, starts):
        """The series that comes of those named in it."""
        return self._value(self.tree, series, starts)

    def _value(self, node, series, starts):
        inner = lambda node: self._value(node, series, starts)
        match node:
            case ast.Constant(value):
                return value
            case ast.Name(name):
                return series[name]
            case ast.UnaryOp(ast.USub(), operand):
                return each(operator.sub, 0, inner(operand))
            case ast.BinOp(left, operation, right):
                return each(self.ARITHMETIC[type(operation)], inner(left), inner(right))
            case ast.Compare(left, [operation], [right]):
                compare = self.COMPARISON[type(operation)]
                return each(lambda one, other: int(compare(one, other)), inner(left), inner(right))
            case ast.BoolOp(operation, values):
                combine = all if isinstance(operation, ast.And) else any
                result = inner(values[0])
                for value in values[1:]:
                    result = each(lambda one, other: int(combine([one != 0, other != 0])), result, inner(value))
                return result
            case ast.Call(ast.Name("FILL"), [filled, filler]):
                found = inner(filled)
                return {start: found.get(start, inner(filler)) for start in starts}
            case ast.Call(ast.Name("IF"), [condition, *branches]):
                return choose(inner(condition), *map(inner, branches))
        raise ValueError(f"this metric math is not known here: {ast.unparse(node)}")


def each(operation, left, right):
    """Point by point. Between two series a missing value is 0; what divides by zero is dropped."""
    if not isinstance(left, dict) and not isinstance(right, dict):
        return operation(left, right)
    starts = {start for side in (left, right) if isinstance(side, dict) for start in side}
    at = lambda side, start: side.get(start, 0) if isinstance(side, dict) else side
    result = {}
    for start in starts:
        try:
            result[start] = operation(at(left, start), at(right, start))
        except ZeroDivisionError:
            pass
    return result


def choose(condition, when_true, when_false=None):
    """IF: a value that is missing where the condition holds is 0, where it does not the point is dropped."""
    result = {}
    for start, holds in condition.items():
        branch = when_true if holds else when_false
        if isinstance(branch, dict):
            branch = branch.get(start, 0 if holds else None)
        if branch is not None:
            result[start] = branch
    return result


class Alarm:
    """An alarm as Terraform plans it: the attributes of `aws_cloudwatch_metric_alarm`."""

    def __init__(self, values):
        self.name = values["alarm_name"]
        self.description = values["alarm_description"]
        self.periods = values["evaluation_periods"]
        self.to_alarm = values["datapoints_to_alarm"] or self.periods
        self.threshold = values["threshold"]
        self.breaches = {"GreaterThanThreshold": operator.gt, "LessThanThreshold": operator.lt}[values["comparison_operator"]]
        self.missing = values["treat_missing_data"]
        queries = [query for query in values["metric_query"] or [] if query["metric"]]
        if queries:
            [result] = [query for query in values["metric_query"] if query["return_data"]]
            self.expression = Expression(result["expression"])
            self.metrics = {
                query["id"]: Metric(query["metric"][0]["namespace"], query["metric"][0]["metric_name"],
                                    query["metric"][0]["dimensions"] or {}, query["metric"][0]["stat"])
                for query in queries
            }
            [self.period] = {query["metric"][0]["period"] for query in queries}
        else:
            self.expression = Expression("only")
            self.metrics = {"only": Metric(values["namespace"], values["metric_name"], values["dimensions"] or {},
                                           values["statistic"] or values["extended_statistic"])}
            self.period = values["period"]
            if values["namespace"] == "AWS/DynamoDB":
                # "Alarms that evaluate metrics in the AWS/DynamoDB namespace always ignore missing data".
                self.missing = "ignore"

    def state(self, metrics, now, before):
        """The state at a time, after the state `before`."""
        count = self.periods + FURTHER_PERIODS
        starts = [now - self.period * (count - number) for number in range(count)]
        series = {name: metrics.series(metric, starts, self.period) for name, metric in self.metrics.items()}
        values = self.expression.value(series, starts)
        points = [self.breaches(values[start], self.threshold) if start in values else None for start in starts]
        return evaluate(points, self.periods, self.to_alarm, self.missing, before)


def evaluate(points, periods, to_alarm, missing, before):
    """The state that points make, the newest last: True breaches, None is missing."""
    existing = [point for point in points if point is not None]
    if len(existing) < periods and missing in ("breaching", "notBreaching"):
        existing += [missing == "breaching"] * (periods - len(existing))
    if len(existing) >= periods:
        return ALARM if sum(existing[-periods:]) >= to_alarm else OK
    if sum(existing) >= to_alarm:
        return ALARM
    if False in existing:
        return OK
    if missing == "ignore":
        return before
    # Only breaching points, too few of them: they do when the oldest of them is old enough.
    old_enough = True in existing and len(points) - points.index(True) >= to_alarm
    return ALARM if old_enough else INSUFFICIENT
