"""The examples of stages' settings can be used, those that are commented out as well."""

import pathlib
import re
import subprocess
import tempfile
import unittest

INFRA = pathlib.Path(__file__).parents[2]


class Examples(unittest.TestCase):
    def test_a_stage_can_be_made_of_each(self):
        examples = sorted((INFRA / "stages").glob("*.tfvars.example"))
        self.assertEqual(len(examples), 2)
        for example in examples:
            text = re.sub(r"(?m)^# (?=\w+ *= )", "", example.read_text())
            with self.subTest(example.name), tempfile.NamedTemporaryFile("w", suffix=".tfvars") as settings:
                settings.write(text.replace("certificate/...", "certificate/some"))
                settings.flush()
                command = ["terraform", f"-chdir={INFRA}", "test", "-no-color", f"-var-file={settings.name}", "-filter=tests/examples.tftest.hcl"]
                done = subprocess.run(command, capture_output=True, text=True)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertNotIn("Value for undeclared variable", done.stdout + done.stderr)
                self.assertIn("1 passed", done.stdout)


if __name__ == "__main__":
    unittest.main()
