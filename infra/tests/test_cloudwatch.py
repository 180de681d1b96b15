"""The evaluator of alarms against the examples of the CloudWatch user guide, so that what it says of ours is worth something."""

import json
import unittest

from cloudwatch import ALARM, INSUFFICIENT, OK, Expression, Metric, Metrics, evaluate

KEPT = "the state before"


def points(text):
    return [{"0": False, "X": True, "-": None}[point] for point in text.split()]


class MissingData(unittest.TestCase):
    """The two tables of "How alarm state is evaluated when data is missing"."""

    def assert_table(self, to_alarm, rows):
        for text, *states in rows:
            for missing, state in zip(["missing", "ignore", "breaching", "notBreaching"], states):
                with self.subTest(points=text, missing=missing):
                    self.assertEqual(evaluate(points(text), 3, to_alarm, missing, KEPT), state)

    def test_three_out_of_three(self):
        self.assert_table(3, [
            ("0 - X - X", OK, OK, OK, OK),
            ("0 - - - -", OK, OK, OK, OK),
            ("- - - - -", INSUFFICIENT, KEPT, ALARM, OK),
            ("0 X X - X", ALARM, ALARM, ALARM, ALARM),
            ("- - X - -", ALARM, KEPT, ALARM, OK),
        ])

    def test_two_out_of_three(self):
        self.assert_table(2, [
            ("0 - X - X", ALARM, ALARM, ALARM, ALARM),
            ("0 0 X 0 X", ALARM, ALARM, ALARM, ALARM),
            ("0 - X - -", OK, OK, ALARM, OK),
            ("- - - - 0", OK, OK, ALARM, OK),
            ("- - - X -", ALARM, KEPT, ALARM, OK),
        ])

    def test_a_young_breach_alone_is_no_alarm_yet(self):
        self.assertNotEqual(evaluate(points("- - - - X"), 3, 3, "missing", OK), ALARM)
        self.assertNotEqual(evaluate(points("- - - X -"), 3, 3, "missing", OK), ALARM)


class Math(unittest.TestCase):
    def value(self, text, **series):
        series = {name: {at: value for at, value in enumerate(values) if value is not None} for name, values in series.items()}
        return Expression(text).value(series, range(5))

    def test_comparisons_take_what_is_missing_for_zero(self):
        self.assertEqual(self.value("one < two", one=[30, 20, 0, 0], two=[20, None, 20, None]), {0: 0, 1: 0, 2: 1, 3: 0})
        self.assertEqual(self.value("one >= 30", one=[30, 20, 0, 0]), {0: 1, 1: 0, 2: 0, 3: 0})

    def test_if_drops_what_the_guide_drops(self):
        chosen = self.value("IF(one, two, three)", one=[1, 1, 0, 0, None], two=[30, None, 0, 0, 30], three=[0, 0, 20, None, 20])
        self.assertEqual(chosen, {0: 30, 1: 0, 2: 20})

    def test_arithmetic(self):
        self.assertEqual(self.value("100 * one / two", one=[1, 2, None], two=[4, 0, 5]), {0: 25, 2: 0})
        self.assertEqual(self.value("FILL(one, 7)", one=[1, None]), {0: 1, 1: 7, 2: 7, 3: 7, 4: 7})
        self.assertEqual(self.value("one > 1 AND two > 1", one=[2, 2, 0], two=[2, 0, 2]), {0: 1, 1: 0, 2: 0})
        with self.assertRaises(ValueError):
            self.value("RATE(one)", one=[1])


class Lines(unittest.TestCase):
    def test_a_line_counts_for_each_set_of_its_dimensions_alone(self):
        metrics = Metrics()
        metrics.put_line(json.dumps({
            "_aws": {"Timestamp": 5_000, "CloudWatchMetrics": [{
                "Namespace": "Alluvium", "Dimensions": [["Stage"], ["Stage", "Reason"]], "Metrics": [{"Name": "DeadLetters"}],
            }]},
            "Stage": "dev", "Reason": "not_json", "DeadLetters": [2, 3],
        }))
        for dimensions, total in [({"Stage": "dev"}, {0: 5}), ({"Stage": "dev", "Reason": "not_json"}, {0: 5}), ({}, {}), ({"Stage": "x"}, {})]:
            self.assertEqual(metrics.series(Metric("Alluvium", "DeadLetters", dimensions, "Sum"), [0, 60], 60), total)

    def test_statistics(self):
        metrics = Metrics()
        metrics.put(0, "N", "M", {}, *range(1, 101))
        for name, value in [("Sum", 5050), ("Average", 50.5), ("Minimum", 1), ("Maximum", 100), ("SampleCount", 100), ("p50", 50.5)]:
            self.assertEqual(metrics.series(Metric("N", "M", {}, name), [0], 60), {0: value})
        self.assertAlmostEqual(metrics.series(Metric("N", "M", {}, "p99"), [0], 60)[0], 99.01)
