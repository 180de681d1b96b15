"""The checklist in words and as steps are one: docs/aws-checklist.md and infra/smoke."""

import argparse
import datetime
import gzip
import http.server
import io
import json
import pathlib
import re
import shutil
import sys
import threading
import time
import types
import unittest
from unittest import mock

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "infra/smoke"))

import run  # noqa: E402
from stage import Answer, Stage, in_words  # noqa: E402
from steps import STEPS, Failed, Skipped, Step  # noqa: E402

DAY = 24 * 3600


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


class Canned:
    """A stage whose answers are made up: by the command's first words, or by method and path."""

    def __init__(self, of=(), answers=(), aws=(), is_emulator=False, **more):
        self.of = {"api_url": "https://api", "buffer_seconds": "5", **dict(of)}
        self.prefix, self.is_emulator = "alluvium-dev", is_emulator
        self._answers, self._aws, self._more = dict(answers), dict(aws), more
        self.asked = []

    def aws(self, *words):
        self.asked.append(words)
        answer = self._aws[" ".join(words[:2])]
        return answer.pop(0) if isinstance(answer, list) else answer

    def ask(self, method, address, token=None, body=None, headers=()):
        self.asked.append((method, address, token, headers))
        answer = self._answers[f"{method} {address}"]
        return answer.pop(0) if isinstance(answer, list) else answer

    def call(self, method, path, token=None, body=None, headers=()):
        answer = self.ask(method, self.of["api_url"] + path, token, body, headers)
        return answer.status, answer.text

    def token(self, *roles, owner="smoke"):
        return f"{owner} {' '.join(roles)}"

    def function(self, name):
        return f"{self.prefix}-{name}"

    def __getattr__(self, name):
        canned = self.__dict__["_more"][name]
        return canned if callable(canned) else lambda *_, **__: canned


def answer(status, text="", **headers):
    return Answer(status, text, {name.replace("_", "-"): value for name, value in headers.items()})


class TheSteps(unittest.TestCase):
    """Each new step passes on what AWS should answer, and fails on what it should not."""

    def outcome(self, number, stage):
        word, said = run.outcome_of(STEPS[number], stage, set(run.NEEDS))
        return word, said

    def api(self, described, routes, apigateways="1"):
        document = {"paths": {path: {method.lower(): {}} for method, path in (route.split() for route in described)}}
        return Canned(
            answers={
                "GET https://api/v1/telemetry": [answer(401), answer(403)],
                "GET https://api/health": answer(200),
                "GET https://api/openapi.json": answer(200, json.dumps(document), x_request_id="1", apigw_requestid=apigateways),
                "HEAD https://api/openapi.json": answer(200),
            },
            aws={
                "apigatewayv2 get-apis": {"Items": [{"ApiId": "a", "ApiEndpoint": "https://api"}]},
                "apigatewayv2 get-routes": {"Items": [{"RouteKey": route} for route in routes]},
            },
        )

    def test_the_document_is_held_to_the_routes(self):
        routes = ["GET /data", "HEAD /data"]
        self.assertEqual(self.outcome(7, self.api(["GET /data"], routes))[0], "pass")
        self.assertIn("POST /data", self.outcome(7, self.api(["GET /data", "POST /data"], routes))[1])
        self.assertEqual(self.outcome(7, self.api(["GET /data"], [*routes, "GET /none"]))[0], "FAIL")
        self.assertIn("called", self.outcome(7, self.api(["GET /data"], routes, apigateways="2"))[1])

    def test_items_that_expired_long_ago_are_found(self):
        ttl = {"TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}}
        for expired, word in [(0, "pass"), (3, "FAIL")]:
            stage = Canned({"hot_table": "hot"}, aws={"dynamodb describe-time-to-live": ttl, "dynamodb scan": {"Count": expired, "ScannedCount": 90}})
            self.assertEqual(self.outcome(29, stage)[0], word)

    def test_an_alarm_has_to_be_what_its_queue_says(self):
        for notes, state, word in [(0, "OK", "pass"), (2, "ALARM", "pass")]:
            self.assertEqual(self.outcome(36, Canned(queue="url", waiting=notes, alarm=state))[0], word)

    def test_refusals_of_the_direct_route_are_problems(self):
        def stage(changed=()):
            def ask(_method, address, token=None, _body=None, headers=()):
                def problem(status, slug):
                    return answer(status, json.dumps({"type": f"/problems/{slug}"}), content_type="application/problem+json")

                if "no_such_dataset" in address:
                    return problem(404, "no-such-route")
                if token is None:
                    return problem(401, "no-token")
                if token == "x":
                    return problem(403, "not-permitted")
                if "image/png" in headers[0]:
                    return problem(415, "unknown-media-type")
                if "?" in address or len(headers) > 1:
                    return problem(400, "not-on-this-route")
                return problem(413, "body-too-large") if _body else answer(400)

            of = Canned({"direct_url": "https://direct"})
            of.ask = lambda *words, **more: dict(changed).get(words[2], None) or ask(*words, **more)
            return of

        self.assertEqual(self.outcome(42, stage())[0], "pass")
        word, said = self.outcome(42, stage([("x", answer(403, "Forbidden"))]))
        self.assertEqual(word, "FAIL")
        self.assertIn("a bad token again", said)
        self.assertEqual(self.outcome(42, Canned())[0], "skip")

    def test_a_network_has_no_way_out_and_no_function_outside(self):
        def stage(outside=None, gateways=()):
            of = {"alluvium-dev-query": "vpc-1", "alluvium-dev-authorizer": outside}
            return Canned(
                aws={"ec2 describe-internet-gateways": {"InternetGateways": list(gateways)}, "ec2 describe-nat-gateways": {"NatGateways": []}},
                functions=list(of), send="source", rows_of=20,
                settings=lambda name: ({}, {"VpcConfig": {"VpcId": of[f"alluvium-dev-{name}"]}}),
            )  # fmt: skip

        self.assertEqual(self.outcome(46, stage(outside="vpc-1"))[0], "pass")
        self.assertIn("authorizer", self.outcome(46, stage())[1])
        self.assertEqual(self.outcome(46, stage(outside="vpc-1", gateways=["igw"]))[0], "FAIL")

    def test_a_day_of_maintenance_is_read_from_its_log(self):
        def stage(used, failed=0):
            report = f"REPORT RequestId: 1 Duration: 9000.5 ms Billed Duration: 9001 ms Memory Size: 2048 MB Max Memory Used: {used} MB"
            return Canned(queue="url", waiting=failed, log=lambda _function, pattern, *_, **__: [report] if "Memory" in pattern else ["a table was compacted"])

        self.assertEqual(self.outcome(48, stage(300)), ("pass", "1 runs, the longest 9 s, 300 of 2048 MB, 1 tables compacted, 0 given up"))
        self.assertEqual(self.outcome(48, stage(2000))[0], "FAIL")
        self.assertEqual(self.outcome(48, stage(300, failed=1))[0], "FAIL")

    def test_a_failure_leaves_a_note_that_is_taken_away(self):
        note = json.dumps({"requestPayload": {"task": "tidy"}, "responsePayload": {"errorMessage": "there is no task `tidy`"}})
        stage = Canned(queue="url", waiting=0, aws={
            "lambda invoke": {}, "sqs receive-message": [{}, {"Messages": [{"Body": note, "ReceiptHandle": "r"}]}], "sqs delete-message": {},
        })  # fmt: skip
        self.assertEqual(self.outcome(51, stage)[0], "pass")
        self.assertEqual(stage.asked[-1][:2], ("sqs", "delete-message"))

    def test_a_result_is_saved_by_its_address_and_nobody_elses(self):
        def stage(other=404, folder="0123456789abcdef" * 2):
            saved = answer(200, '"n"\n"1"\n', content_disposition='attachment; filename="q.csv"')
            return Canned({"results": "results"}, statement=("q", {"state": "succeeded"}), answers={
                "GET https://api/v1/queries/q/results.csv": answer(302, location="https://s3/q.csv?signed"),
                "GET https://s3/q.csv?signed": saved,
                "GET https://api/v1/queries/q": answer(other),
            }, aws={"s3api list-objects-v2": {"CommonPrefixes": [{"Prefix": f"api/{folder}/"}]}})  # fmt: skip

        self.assertEqual(self.outcome(52, stage())[0], "pass")
        self.assertEqual(self.outcome(52, stage(other=200))[0], "FAIL")
        self.assertIn("smoke-admin", self.outcome(52, stage(folder="smoke-admin"))[1])

    def test_a_report_without_a_result_is_named_with_its_reason(self):
        def stage(results, age=10 * DAY, **more):
            hourly = {"name": "hourly", "results": results, "window": "1h", "delay": "10m", "broken": None, "failure": {"error": "no such column"}, **more}
            daily = {"name": "daily", "results": [{}], "window": "1d", "delay": "15m", "broken": None, "failure": None}
            return Canned(answers={"GET https://api/v1/reports": answer(200, json.dumps({"reports": [hourly, daily]}))}, sql=[{"n": 3}], age=age)

        self.assertEqual(self.outcome(55, stage([{}])), ("pass", "rows of each report's table: {'hourly': 3, 'daily': 3}"))
        word, said = self.outcome(55, stage([]))
        self.assertEqual(word, "FAIL")
        self.assertIn("no such column", said)
        # A window, its delay and a pause: two hours and ten minutes.
        self.assertEqual(self.outcome(55, stage([], age=131 * 60))[0], "FAIL")
        word, said = self.outcome(55, stage([], age=129 * 60))
        self.assertEqual(word, "skip")
        self.assertIn("the stage is 2 hours old, and is to have a result of `hourly` within 2 hours (no such column); rows", said)
        self.assertIn("{'daily': 3}", said)
        self.assertEqual(self.outcome(55, stage([], age=60, window=None, delay=None, broken="no `window`", failure=None))[0], "FAIL")

    def test_a_stage_is_as_old_as_its_stream(self):
        # As the second version of AWS's command line says it, and as the first does.
        for created in [(datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=3)).isoformat(), time.time() - 3 * 3600]:
            described = {"StreamDescriptionSummary": {"StreamCreationTimestamp": created}}
            stage = Canned({"stream_name": "events"}, aws={"kinesis describe-stream-summary": described})
            self.assertAlmostEqual(Stage.age(stage), 3 * 3600, delta=60)
        self.assertEqual([in_words(90), in_words(7 * 60 + 59), in_words(26 * 3600), in_words(3 * DAY)], ["90 seconds", "7 minutes", "26 hours", "3 days"])

    def test_views_that_nobody_made_are_left_out_with_the_command_that_makes_them(self):
        def stage(views, ids=0):
            return Canned({"database": "alluvium_dev", "workgroup": "alluvium-dev"}, answers={"POST https://api/v1/telemetry": answer(202)}, aws={
                "glue get-tables": {"TableList": views}, "athena list-named-queries": {"NamedQueryIds": ["q1", "q2"]},
                "athena get-named-query": [{"NamedQuery": {"Name": "view-data"}}, {"NamedQuery": {"Name": "view-telemetry"}}],
            }, sql=[{"n": 4, "ids": 4 - ids}])  # fmt: skip

        word, said = self.outcome(20, stage([]))
        self.assertEqual(word, "skip")
        self.assertIn("aws athena start-query-execution --work-group alluvium-dev", said)
        self.assertIn("--named-query-id q2", said)
        with mock.patch("time.sleep"):
            self.assertEqual(self.outcome(20, stage([{"Name": "telemetry"}]))[0], "pass")
            self.assertEqual(self.outcome(20, stage([{"Name": "telemetry"}], ids=1))[0], "FAIL")

    def test_a_backup_is_waited_for_until_firehose_has_made_one(self):
        def stage(after):
            def objects(_bucket, _prefix):
                asked.append(1)
                return [{"Key": "source/a", "LastModified": "2026"}] if len(asked) > after else []

            def aws(*words):
                pathlib.Path(words[-1]).write_bytes(gzip.compress(b'{"a": 1}\n'))

            asked, settings = [], {"delivery": "firehose", "delivery_stream": "d", "raw_backup_days": "7", "landing": "landing"}
            of = Canned(settings, send="source", objects=objects)
            of.aws = aws
            return of

        for after, word, slept in [(0, "pass", 0), (3, "pass", 3), (1000, "FAIL", 32)]:
            with mock.patch("time.sleep") as sleep:
                self.assertEqual(self.outcome(16, stage(after))[0], word)
            self.assertEqual(sleep.call_count, slept)

    def test_the_first_audit_is_waited_for_and_no_longer(self):
        def stage(hours, there=False, balances=True, state="ENABLED", name="alluvium-dev-audit"):
            last = {"at": datetime.datetime.now(datetime.timezone.utc).isoformat().replace("+00:00", "Z"), "balances": balances}
            made = [{"Name": name, "State": state, "CreationDate": time.time() - hours * 3600}]
            return Canned({"lake_url": "s3://lake/lake"}, aws={"scheduler list-schedules": {"Schedules": made}}, objects=[{}] if there else [],
                          run=types.SimpleNamespace(stdout=json.dumps(last)))  # fmt: skip

        self.assertEqual(self.outcome(50, stage(1, there=True))[0], "pass")
        self.assertEqual(self.outcome(50, stage(1, there=True, balances=False))[0], "FAIL")
        self.assertEqual(self.outcome(50, stage(25)), ("skip", "no audit was made yet, and their schedule is 25 hours old: ask again when it is 26 hours old"))
        self.assertEqual(self.outcome(50, stage(27))[0], "FAIL")
        self.assertEqual(self.outcome(50, stage(27, state="DISABLED"))[0], "skip")
        self.assertEqual(self.outcome(50, stage(27, name="alluvium-dev-compact"))[0], "skip")

    def test_what_waits_to_be_deleted_is_not_left(self):
        def stage(state, *more):
            arns = ["arn:aws:kms:eu-west-1:123456789012:key/k", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:s", *more]
            of = Canned(aws={"resourcegroupstaggingapi get-resources": {"ResourceTagMappingList": [{"ResourceARN": arn} for arn in arns]},
                             "kms describe-key": {"KeyMetadata": {"KeyState": state}}}, run=None)  # fmt: skip
            of.application, of.stage = "alluvium", "dev"
            return of

        self.assertEqual(self.outcome(34, stage("PendingDeletion")), ("pass", "nothing is left"))
        self.assertIn("key/k", self.outcome(34, stage("Enabled"))[1])
        self.assertEqual(self.outcome(34, stage("PendingDeletion", "arn:aws:s3:::alluvium-dev-lake")), ("FAIL", "left: ['arn:aws:s3:::alluvium-dev-lake']"))


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers what it was sent; a HEAD without it."""

    def do_POST(self):
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = json.dumps({"method": self.command, "body": sent.hex(), "token": self.headers.get("Authorization")}).encode()
        self.send_response(302 if self.path == "/moved" else 200)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST

    def log_message(self, *_):
        pass


@unittest.skipUnless(shutil.which("curl"), "curl is not installed")
class Calls(unittest.TestCase):
    def setUp(self):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.address = f"http://127.0.0.1:{server.server_address[1]}"
        self.stage = Stage.__new__(Stage)
        self.stage.of = {"api_url": self.address}

    def test_bytes_and_token_arrive_as_they_are(self):
        got = self.stage.ask("POST", self.address + "/x", "secret", b"\xff\x00\"\n")
        self.assertEqual((got.status, got.headers["location"]), (200, "/elsewhere"))
        self.assertEqual(json.loads(got.text), {"method": "POST", "body": "ff00220a", "token": "Bearer secret"})
        self.assertEqual(self.stage.call("POST", "/x", body="é")[1], json.dumps({"method": "POST", "body": "c3a9", "token": None}))

    def test_a_redirect_is_the_answer_and_a_head_has_no_body(self):
        self.assertEqual(self.stage.ask("GET", self.address + "/moved").status, 302)
        got = self.stage.ask("HEAD", self.address + "/x")
        self.assertEqual((got.status, got.text), (200, ""))

    def test_who_does_not_answer_fails_the_step(self):
        with self.assertRaises(Failed):
            self.stage.ask("GET", "http://127.0.0.1:9/")


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
