"""`init.sh` and `stage.sh` with a Terraform that only writes down what it is asked."""

import os
import pathlib
import shutil
import stat
import subprocess
import tempfile
import unittest

INFRA = pathlib.Path(__file__).parents[1]
TERRAFORM = '#!/bin/sh\nprintf "%s\\n" "$*" >>"$ASKED"\n'


class Scripts(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        root = pathlib.Path(folder.name)
        self.infra = root / "infra"
        (self.infra / "stages").mkdir(parents=True)
        (root / "target/package/arm64").mkdir(parents=True)
        for script in ["init.sh", "stage.sh"]:
            shutil.copy(INFRA / script, self.infra / script)
        for function in self.functions():
            (root / f"target/package/arm64/{function}.zip").touch()
        terraform = root / "terraform"
        terraform.write_text(TERRAFORM)
        terraform.chmod(terraform.stat().st_mode | stat.S_IXUSR)
        self.asked = root / "asked"
        self.environment = {**os.environ, "PATH": f"{root}:{os.environ['PATH']}", "ASKED": str(self.asked)}
        self.environment.pop("PLAN", None)
        self.environment.pop("PACKAGE_DIR", None)

    @staticmethod
    def functions():
        line = next(line for line in (INFRA / "stage.sh").read_text().splitlines() if line.strip().startswith("for function in"))
        return line.split(" in ")[1].removesuffix("; do").split()

    def run_script(self, *command, **environment):
        self.asked.unlink(missing_ok=True)
        subprocess.run([self.infra / command[0], *command[1:]], env={**self.environment, **environment}, check=True, capture_output=True)
        return self.asked.read_text().splitlines()

    @property
    def override(self):
        return self.infra / "backend_override.tf"

    def test_the_state_is_local_unless_said_otherwise(self):
        self.assertEqual(self.run_script("init.sh"), ["init -input=false -no-color -lockfile=readonly"])
        self.assertFalse(self.override.exists())

    def test_a_backends_settings_send_the_state_there(self):
        (self.infra / "backend.hcl").touch()
        self.assertEqual(self.run_script("init.sh"), ["init -input=false -no-color -lockfile=readonly -backend-config=backend.hcl"])
        self.assertIn('backend "s3" {}', self.override.read_text())
        checked = self.run_script("init.sh", "-backend=false")
        self.assertEqual(checked, ["init -input=false -no-color -lockfile=readonly -backend=false"])

    def test_what_was_made_for_a_backend_goes_with_it_and_what_was_not_stays(self):
        settings = self.infra / "backend.hcl"
        settings.touch()
        self.run_script("init.sh")
        settings.unlink()
        self.run_script("init.sh")
        self.assertFalse(self.override.exists())
        self.override.write_text("# somebody's own\n")
        self.run_script("init.sh")
        self.assertTrue(self.override.exists())

    def test_a_stage_has_its_settings_and_workspace(self):
        (self.infra / "stages/dev.tfvars").touch()
        asked = self.run_script("stage.sh", "plan", "dev", "-out=/tmp/a.plan")
        self.assertEqual(asked[1:], ["workspace select -or-create dev", "plan -var stage=dev -var-file stages/dev.tfvars -out=/tmp/a.plan"])

    def test_a_plan_is_applied_as_it_was_looked_at(self):
        (self.infra / "stages/dev.tfvars").touch()
        asked = self.run_script("stage.sh", "apply", "dev", "-input=false", PLAN="/tmp/a.plan")
        self.assertEqual(asked[2:], ["apply -input=false /tmp/a.plan"])


if __name__ == "__main__":
    unittest.main()
