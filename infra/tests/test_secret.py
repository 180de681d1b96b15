"""The signing secret's value: made by a command, seen by nobody, and by no test."""

import os
import pathlib
import re
import shutil
import stat
import subprocess
import tempfile
import unittest

INFRA = pathlib.Path(__file__).parents[1]
# Writes down what it is asked, and what it is told on the side.
AWS = '#!/bin/sh\nprintf "%s\\n" "$*" >>"$ASKED"\ncat /dev/stdin >"$TOLD"\necho a-version\nexit "${FAILS:-0}"\n'


class Value(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        aws = self.folder / "aws"
        aws.write_text(AWS)
        aws.chmod(aws.stat().st_mode | stat.S_IXUSR)

    def put(self, **environment):
        """What was asked for, what was told, and how it ended."""
        asked, told = self.folder / "asked", self.folder / "told"
        asked.unlink(missing_ok=True)
        given = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        given |= {"PATH": f"{self.folder}:{os.environ['PATH']}", "ASKED": str(asked), "TOLD": str(told), "SECRET": "an-arn", "AWS_REGION": "eu-west-1"}
        done = subprocess.run([shutil.which("bash"), INFRA / "modules/serving/new_secret.sh"], env=given | environment, capture_output=True, text=True)
        return asked.read_text() if asked.exists() else "", told.read_text() if told.exists() else "", done

    def test_is_256_bits_that_no_command_line_and_no_log_shows(self):
        values = set()
        for _ in range(3):
            asked, told, done = self.put()
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(told, r"\A[0-9a-f]{64}\Z")
            self.assertNotIn(told, asked + done.stdout + done.stderr)
            values.add(told)
        self.assertEqual(len(values), 3)

    def test_goes_to_the_secret_of_its_region_and_to_an_emulator_if_there_is_one(self):
        self.assertIn("put-secret-value --secret-id an-arn", self.put()[0])
        self.assertIn("--region eu-west-1", self.put()[0])
        self.assertNotIn("--endpoint-url", self.put()[0])
        self.assertIn("--endpoint-url http://127.0.0.1:4566", self.put(AWS_ENDPOINT_URL="http://127.0.0.1:4566")[0])

    def test_that_could_not_be_put_stops_the_deploy(self):
        self.assertNotEqual(self.put(FAILS="254")[2].returncode, 0)
        (self.folder / "aws").unlink()
        done = self.put(PATH=str(self.folder))[2]
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("the AWS command line is not installed", done.stderr)


class Tests(unittest.TestCase):
    def test_of_terraform_run_no_command(self):
        """A mocked provider does not keep Terraform from running it, with the credentials of whoever tests."""
        looked_at = 0
        for file in sorted((INFRA / "tests").glob("*.tftest.hcl")):
            runs = re.split(r'(?m)^run "', file.read_text())
            for run in runs[1:]:
                module = re.search(r'source = "([^"]*)"', run)
                if "command = apply" in run and (module is None or module[1] == "./modules/serving"):
                    looked_at += 1
                    self.assertRegex(runs[0] + run, r"secret_version += 0", f"{file.name}, {run.split(chr(34))[0]}: it needs secret_version = 0")
        self.assertGreater(looked_at, 10)


if __name__ == "__main__":
    unittest.main()
