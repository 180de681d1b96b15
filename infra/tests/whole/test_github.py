"""The roles by which GitHub deploys a stage suffice for what the stack makes with everything switched on, and reach no further.

What IAM would say of every call nobody can ask without an account; these are the rights that a change of the stack forgets.
"""

import fnmatch
import json
import pathlib
import re
import sys
import unittest

INFRA = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(INFRA / "tests"))

import made  # noqa: E402

#: Terraform reads these to see whether they are as they were: what they hold, and not only how they are set.
READ_WHOLE = {"aws_secretsmanager_secret_version", "aws_dynamodb_table_item"}


def rights(purpose):
    """The statements of a role for the stage `prod`, as if they were for the stage `test`."""
    policy = made.values("bootstrap.tftest.hcl", "roles", "aws_iam_role_policy")[purpose]["policy"]
    return {statement["Sid"]: statement for statement in json.loads(policy.replace("alluvium-prod-", "alluvium-test-"))["Statement"]}


def reaches(statement, name):
    return any(fnmatch.fnmatchcase(f"arn:aws:iam::123456789012:role/{name}", resource) for resource in statement["Resource"])


class Roles(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        resources = made.states("everything.tftest.hcl")["everything"]
        cls.roles = [one["values"] for one in resources if one["type"] == "aws_iam_role"]
        cls.resources = resources

    def test_every_role_of_the_stack_can_be_handed_to_whom_it_trusts(self):
        trusted = {statement["Principal"]["Service"] for role in self.roles for statement in json.loads(role["assume_role_policy"])["Statement"]}
        passed = rights("deploy")["HandRolesOver"]["Condition"]["StringEquals"]["iam:PassedToService"]
        self.assertEqual(trusted, set(passed))

    def test_every_role_of_the_stack_can_be_made(self):
        statements = rights("deploy")
        self.assertGreater(len(self.roles), 10)
        for role in self.roles:
            for sid, reached in [("OwnRoles", True), ("HandRolesOver", True), ("NotItself", False)]:
                self.assertEqual(reaches(statements[sid], role["name"]), reached, f"{sid}: {role['name']}")

    def test_the_roles_of_github_are_out_of_reach_of_every_stage(self):
        for name in ["alluvium-test-github-deploy", "alluvium-test-2-github-plan", "alluvium-prod-github-deploy"]:
            self.assertTrue(reaches(rights("deploy")["NotItself"], name), name)

    def test_a_plan_looks_at_nothing_that_it_may_not_read(self):
        # A secret's value is not made in a test: so it is looked for in what is written, too.
        written = set(re.findall(r'(?m)^resource "(\w+)"', "".join(file.read_text() for file in INFRA.glob("**/*.tf"))))
        self.assertEqual(READ_WHOLE & (written | {one["type"] for one in self.resources}), set())
        buckets = {one["values"]["id"]: one["values"]["bucket"] for one in self.resources if one["type"] == "aws_s3_bucket"}
        objects = {f"arn:aws:s3:::{buckets[one['values']['bucket']]}/{one['values']['key']}" for one in self.resources if one["type"] == "aws_s3_object"}
        self.assertTrue(objects)
        readable = rights("plan")["NoObjects"]["NotResource"]
        self.assertEqual({one for one in objects if not any(fnmatch.fnmatchcase(one, pattern) for pattern in readable)}, set())
        self.assertFalse(any(fnmatch.fnmatchcase("arn:aws:s3:::alluvium-test-console-lake-123456789012-eu-west-1/x", pattern) for pattern in readable))


if __name__ == "__main__":
    unittest.main()
