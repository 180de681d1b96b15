# The network: no way to or from the internet, and endpoints that serve the functions and this account alone.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  stage          = "test"
  network_cidr   = "10.90.0.0/24"
  secret_version = 0
}

run "the_network" {
  command = apply

  module {
    source = "./modules/network"
  }

  variables {
    prefix         = "alluvium-test"
    account        = { id = "123456789012", region = "eu-west-1", partition = "aws" }
    cidr           = "10.90.0.0/24"
    zones          = 2
    more_endpoints = ["sns"]
  }

  assert {
    condition     = alltrue([for subnet in aws_subnet.private : !subnet.map_public_ip_on_launch]) && length(aws_subnet.private) == 2
    error_message = "Nothing in it has an address of the internet."
  }

  assert {
    condition     = aws_subnet.private[*].cidr_block == ["10.90.0.0/28", "10.90.0.16/28"] && length(distinct(aws_subnet.private[*].availability_zone)) == 2
    error_message = "Its subnets lie in different zones."
  }

  assert {
    condition     = toset(keys(aws_vpc_endpoint.gateway)) == toset(["dynamodb", "s3"]) && toset(keys(aws_vpc_endpoint.interface)) == toset(["athena", "kinesis-streams", "secretsmanager", "sns", "sqs"])
    error_message = "There is an endpoint for each service that functions call."
  }

  assert {
    condition = alltrue([
      for endpoint in concat(values(aws_vpc_endpoint.gateway), values(aws_vpc_endpoint.interface)) :
      jsondecode(endpoint.policy).Statement[0].Condition.StringEquals["aws:PrincipalAccount"] == "123456789012"
    ])
    error_message = "An endpoint serves this account's roles alone."
  }

  assert {
    condition     = alltrue([for endpoint in values(aws_vpc_endpoint.interface) : endpoint.private_dns_enabled && endpoint.security_group_ids == toset([aws_security_group.endpoints.id])])
    error_message = "The services' own names lead to the endpoints."
  }

  assert {
    condition = (
      aws_vpc_security_group_ingress_rule.from_functions.referenced_security_group_id == aws_security_group.functions.id
      && alltrue([
        for rule in concat([aws_vpc_security_group_ingress_rule.from_functions, aws_vpc_security_group_egress_rule.to_endpoints], values(aws_vpc_security_group_egress_rule.to_gateways)) :
        rule.from_port == 443 && rule.to_port == 443 && rule.ip_protocol == "tcp" && rule.cidr_ipv4 == null && rule.cidr_ipv6 == null
      ])
    )
    error_message = "The groups let through TLS between functions and endpoints, and no address."
  }
}

run "the_functions_in_it" {
  command = apply

  assert {
    condition     = alltrue([for function in values(local.every_function) : length(function.network) == 2])
    error_message = "A function is outside of the network."
  }

  assert {
    condition = alltrue([
      for function in values(local.every_function) : anytrue([
        for statement in jsondecode(function.policy).Statement :
        statement.Effect == "Deny" && contains(statement.Action, "ec2:CreateNetworkInterface")
        && endswith(try(statement.Condition.ArnEquals["lambda:SourceFunctionArn"][0], ""), ":function:${function.own_name}")
      ])
    ])
    error_message = "Lambda joins functions to the network; their own code may not change it."
  }
}

run "keys_on_the_internet" {
  command = apply

  variables {
    auth = { jwks_url = "https://issuer.example/keys" }
  }

  assert {
    condition     = [for name, function in local.every_function : name if length(function.network) == 0] == ["authorizer"]
    error_message = "The authorizer alone, which fetches an identity provider's keys, stays outside."
  }
}

run "none_by_default" {
  command = apply

  variables {
    network_cidr = null
  }

  assert {
    condition     = length(module.network) == 0 && alltrue([for function in values(local.every_function) : length(function.network) == 0 && !strcontains(function.policy, "ec2:")])
    error_message = "Without network_cidr there is no network, and no right to one."
  }
}
