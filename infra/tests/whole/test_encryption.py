"""All that the stack makes, with everything switched on, encrypts what it keeps and takes no call without TLS.

Terraform applies `tests/everything.tftest.hcl` with a mocked provider and says what there is then; every resource of it is held to a rule
of its type. A type that has none fails: whoever adds one says here how it is encrypted, or that it holds nothing.
"""

import json
import pathlib
import subprocess
import unittest

INFRA = pathlib.Path(__file__).parents[2]

#: They say how things are, and hold nothing of anybody's; or AWS encrypts them always (log groups: Amazon CloudWatch Logs User Guide,
#: "Encrypt log data in CloudWatch Logs"; secrets: AWS Secrets Manager User Guide, "Secret encryption and decryption"; functions: AWS Lambda
#: Developer Guide, "Data encryption at rest for AWS Lambda"), or they have an address of HTTPS alone (both kinds of API of API Gateway).
HOLDS_NOTHING = {
    "aws_api_gateway_account", "aws_api_gateway_authorizer", "aws_api_gateway_deployment", "aws_api_gateway_gateway_response",
    "aws_api_gateway_integration", "aws_api_gateway_integration_response", "aws_api_gateway_method", "aws_api_gateway_method_response",
    "aws_api_gateway_method_settings", "aws_api_gateway_resource", "aws_api_gateway_stage", "aws_apigatewayv2_authorizer",
    "aws_apigatewayv2_integration", "aws_apigatewayv2_route", "aws_apigatewayv2_stage", "aws_athena_named_query", "aws_cloudfront_origin_access_control",
    "aws_cloudfront_response_headers_policy", "aws_cloudwatch_dashboard", "aws_cloudwatch_event_rule", "aws_cloudwatch_event_target",
    "aws_cloudwatch_log_metric_filter", "aws_cloudwatch_log_stream", "aws_cloudwatch_metric_alarm", "aws_cloudwatch_query_definition",
    "aws_default_security_group", "aws_glue_catalog_database", "aws_glue_catalog_table", "aws_iam_role", "aws_iam_role_policy",
    "aws_iam_role_policy_attachment", "aws_lambda_alias", "aws_lambda_event_source_mapping", "aws_lambda_function_event_invoke_config",
    "aws_lambda_permission", "aws_route_table", "aws_route_table_association", "aws_s3_bucket_cors_configuration", "aws_s3_bucket_lifecycle_configuration",
    "aws_s3_bucket_notification", "aws_s3_bucket_ownership_controls", "aws_s3_bucket_versioning", "aws_scheduler_schedule",
    "aws_scheduler_schedule_group", "aws_security_group", "aws_sns_topic_subscription", "aws_sqs_queue_redrive_allow_policy", "aws_subnet", "aws_vpc",
    "aws_vpc_endpoint", "aws_vpc_security_group_egress_rule", "aws_vpc_security_group_ingress_rule",
}
ENCRYPTED_ALWAYS = {"aws_cloudwatch_log_group", "aws_kms_key", "aws_secretsmanager_secret"}
HTTPS_ALONE = {"aws_api_gateway_rest_api", "aws_apigatewayv2_api"}
#: They are part of what they are about, which is checked.
OF_ANOTHER = {"aws_s3_bucket_policy", "aws_s3_bucket_public_access_block", "aws_s3_bucket_server_side_encryption_configuration", "aws_s3_object",
              "aws_sns_topic_policy", "aws_sqs_queue_policy"}


def denies_plain(policy):
    """Whether a policy denies everything to whoever comes without TLS. What the mocked provider makes up is none."""
    return policy.startswith("{") and any(
        statement["Effect"] == "Deny" and statement["Principal"] == "*" and statement["Action"] in ("s3:*", "sqs:*", "sns:*", "sns:Publish")
        and statement.get("Condition", {}).get("Bool", {}).get("aws:SecureTransport") == "false"
        for statement in json.loads(policy)["Statement"]
    )


class Stack:
    """The resources, and who is about whom: within a module, for mocked names are alike across modules."""

    def __init__(self, resources):
        self.resources = resources

    def of(self, kind):
        return [one for one in self.resources if one["type"] == kind]

    def beside(self, resource, kind):
        module = resource["address"].rpartition(resource["type"])[0]
        return [one["values"] for one in self.of(kind) if one["address"].rpartition(kind)[0] == module]

    def fault(self, resource):
        """What is wrong with a resource, or nothing."""
        kind, values = resource["type"], resource["values"]
        if kind in HOLDS_NOTHING | ENCRYPTED_ALWAYS | HTTPS_ALONE | OF_ANOTHER:
            return None
        rule = getattr(self, kind, None)
        return rule(resource, values) if rule else "nothing says here how it is encrypted"

    def aws_s3_bucket(self, resource, values):
        rules = [rule for one in self.beside(resource, "aws_s3_bucket_server_side_encryption_configuration") for rule in one["rule"]]
        if not any(rule["apply_server_side_encryption_by_default"][0]["sse_algorithm"] in ("AES256", "aws:kms") for rule in rules):
            return "its objects are not encrypted"
        if not any(denies_plain(one["policy"]) for one in self.beside(resource, "aws_s3_bucket_policy")):
            return "it takes calls without TLS"
        if not any(one["block_public_policy"] and one["restrict_public_buckets"] for one in self.beside(resource, "aws_s3_bucket_public_access_block")):
            return "it may become public"

    def aws_sqs_queue(self, resource, values):
        if not (values["sqs_managed_sse_enabled"] or values.get("kms_master_key_id")):
            return "its messages are not encrypted"
        policies = [one for one in self.beside(resource, "aws_sqs_queue_policy") if denies_plain(one["policy"])]
        if len(policies) < len(self.beside(resource, "aws_sqs_queue")):
            return "a queue beside it takes calls without TLS"

    def aws_sns_topic(self, resource, values):
        if not values.get("kms_master_key_id"):
            return "its messages are not encrypted"
        policies = [values.get("policy")] + [one["policy"] for one in self.beside(resource, "aws_sns_topic_policy")]
        if not any(policy and denies_plain(policy) for policy in policies):
            return "it takes calls without TLS"

    def aws_dynamodb_table(self, resource, values):
        if not any(one["enabled"] for one in values["server_side_encryption"]):
            return "it is not encrypted by a key of the account's"

    def aws_kinesis_stream(self, resource, values):
        if values["encryption_type"] != "KMS":
            return "its records are not encrypted"

    def aws_kinesis_firehose_delivery_stream(self, resource, values):
        if not values["kinesis_source_configuration"] and not any(one["enabled"] for one in values["server_side_encryption"]):
            return "it keeps records that are not encrypted; only those of a stream are by the stream's key"

    def aws_athena_workgroup(self, resource, values):
        settings = values["configuration"][0]
        if not settings["result_configuration"][0]["encryption_configuration"]:
            return "its results are not encrypted"
        # One that leaves it to its clients where results go keeps them in the same bucket, which encrypts whatever is asked for.
        location = settings["result_configuration"][0]["output_location"]
        others = [one["configuration"][0] for one in self.beside(resource, "aws_athena_workgroup") if one is not values]
        buckets = {one["result_configuration"][0]["output_location"].split("/")[2] for one in others if one["enforce_workgroup_configuration"]}
        if not settings["enforce_workgroup_configuration"] and location.split("/")[2] not in buckets:
            return "its results are not encrypted whoever asks"

    def aws_ssm_parameter(self, resource, values):
        if values["type"] != "SecureString" and any(word in values["name"].lower() for word in ("password", "token", "key")):
            return "it is plain and sounds like a secret"

    def aws_lambda_function(self, resource, values):
        plain = [name for one in values["environment"] for name, value in one["variables"].items() if str(value).startswith("http://")]
        if plain:
            return f"it is told to call without TLS: {plain}"

    def aws_cloudfront_distribution(self, resource, values):
        behaviors = values["default_cache_behavior"] + values["ordered_cache_behavior"]
        if any(behavior["viewer_protocol_policy"] not in ("https-only", "redirect-to-https") for behavior in behaviors):
            return "it answers without TLS"
        if values["aliases"] and values["viewer_certificate"][0]["minimum_protocol_version"] != "TLSv1.2_2021":
            return "it takes TLS before 1.2"
        custom = [one for origin in values["origin"] for one in origin["custom_origin_config"]]
        if any(one["origin_protocol_policy"] != "https-only" or one["origin_ssl_protocols"] != ["TLSv1.2"] for one in custom):
            return "it asks an origin without TLS 1.2"
        if any(not origin["custom_origin_config"] and not origin["origin_access_control_id"] for origin in values["origin"]):
            return "it asks a bucket as anybody"


def resources_of(module):
    yield from (one for one in module.get("resources", []) if one["mode"] == "managed")
    for child in module.get("child_modules", []):
        yield from resources_of(child)


def applied(run):
    """What a run of tests/everything.tftest.hcl leaves."""
    command = ["terraform", f"-chdir={INFRA}", "test", "-json", "-verbose", "-filter=tests/everything.tftest.hcl"]
    done = subprocess.run(command, capture_output=True, text=True)
    said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    states = [one for one in said if one["type"] == "test_state" and one.get("@testrun") == run]
    assert states, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return list(resources_of(states[0]["test_state"]["root_module"]))


class Everything(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.resources = applied("everything")

    def test_is_encrypted_and_takes_no_call_without_tls(self):
        stack = Stack(self.resources)
        faults = {one["address"]: fault for one in self.resources if (fault := stack.fault(one))}
        self.assertEqual(faults, {})

    def test_is_all_there(self):
        kinds = {one["type"] for one in self.resources}
        for kind in ["aws_s3_bucket", "aws_sqs_queue", "aws_dynamodb_table", "aws_kinesis_stream", "aws_kinesis_firehose_delivery_stream",
                     "aws_cloudfront_distribution", "aws_api_gateway_rest_api", "aws_cloudwatch_log_group", "aws_lambda_function"]:
            self.assertIn(kind, kinds)
        self.assertEqual(len([one for one in self.resources if one["type"] == "aws_s3_bucket"]), 6)

    def test_would_be_found_out_if_it_were_not(self):
        def broken(kind, change):
            resources = json.loads(json.dumps(self.resources))
            for one in [one for one in resources if one["type"] == kind]:
                change(one["values"])
            stack = Stack(resources)
            return [one["address"] for one in resources if stack.fault(one)]

        def plain(values):
            values["policy"] = json.dumps({"Statement": []})

        for kind, change in [
            ("aws_s3_bucket_server_side_encryption_configuration", lambda values: values["rule"].clear()),
            ("aws_s3_bucket_policy", plain),
            ("aws_s3_bucket_public_access_block", lambda values: values.update(restrict_public_buckets=False)),
            ("aws_sqs_queue", lambda values: values.update(sqs_managed_sse_enabled=False)),
            ("aws_sqs_queue_policy", plain),
            ("aws_dynamodb_table", lambda values: values["server_side_encryption"].clear()),
            ("aws_kinesis_stream", lambda values: values.update(encryption_type="NONE")),
            ("aws_athena_workgroup", lambda values: values["configuration"][0].update(enforce_workgroup_configuration=False)),
            ("aws_cloudfront_distribution", lambda values: values["ordered_cache_behavior"][0].update(viewer_protocol_policy="allow-all")),
            ("aws_lambda_function", lambda values: values["environment"][0]["variables"].update(AWS_ENDPOINT_URL="http://other")),
        ]:
            self.assertTrue(broken(kind, change), kind)
        unknown = [{"address": "aws_efs_file_system.this", "type": "aws_efs_file_system", "values": {}}]
        self.assertIsNotNone(Stack(unknown).fault(unknown[0]))


if __name__ == "__main__":
    unittest.main()
