# A network for the functions, of private subnets alone: no gateway to the internet, no address that is seen from there. What the functions
# talk to is reached through endpoints, and through nothing else.

locals {
  zones = slice(data.aws_availability_zones.here.names, 0, var.zones)

  # Lambda writes logs, polls queues and fetches the functions' own credentials from outside of the network, and Athena asks Glue itself,
  # so that none of these needs an endpoint.
  interfaces = toset(concat(["athena", "kinesis-streams", "secretsmanager", "sqs"], var.more_endpoints))
  gateways   = toset(["dynamodb", "s3"])

  # An endpoint serves this account's own roles, and so no credentials that somebody else brought.
  own_account = {
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OwnAccount"
      Effect    = "Allow"
      Principal = "*"
      Action    = "*"
      Resource  = "*"
      Condition = { StringEquals = { "aws:PrincipalAccount" = var.account.id } }
    }]
  }
}

data "aws_availability_zones" "here" {
  #checkov:skip=CKV_AWS_394:Subnets stay in the zones that they were made in.
  state = "available"

  filter {
    name   = "zone-type"
    values = ["availability-zone"]
  }
}

resource "aws_vpc" "this" {
  #checkov:skip=CKV2_AWS_11:Flow logs cost by what flows, and all that flows here goes to endpoints of AWS, which CloudTrail logs.
  cidr_block           = var.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true

  tags = { Name = var.prefix }
}

# Whatever is put into the network without a group of its own reaches nothing.
resource "aws_default_security_group" "closed" {
  vpc_id = aws_vpc.this.id
}

resource "aws_subnet" "private" {
  count = var.zones

  vpc_id                  = aws_vpc.this.id
  availability_zone       = local.zones[count.index]
  cidr_block              = cidrsubnet(var.cidr, 4, count.index)
  map_public_ip_on_launch = false

  tags = { Name = "${var.prefix}-private-${count.index}" }

  lifecycle {
    # A zone that AWS adds must not move subnets that are in use.
    ignore_changes = [availability_zone]
  }
}

# No route but those within the network and those of the gateway endpoints.
resource "aws_route_table" "private" {
  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.prefix}-private" }
}

resource "aws_route_table_association" "private" {
  count = var.zones

  subnet_id      = aws_subnet.private[count.index].id
  route_table_id = aws_route_table.private.id
}

resource "aws_vpc_endpoint" "gateway" {
  for_each = local.gateways

  vpc_id            = aws_vpc.this.id
  vpc_endpoint_type = "Gateway"
  service_name      = "com.amazonaws.${var.account.region}.${each.key}"
  route_table_ids   = [aws_route_table.private.id]
  policy            = jsonencode(local.own_account)

  tags = { Name = "${var.prefix}-${each.key}" }
}

resource "aws_vpc_endpoint" "interface" {
  for_each = local.interfaces

  vpc_id              = aws_vpc.this.id
  vpc_endpoint_type   = "Interface"
  service_name        = "com.amazonaws.${var.account.region}.${each.key}"
  subnet_ids          = aws_subnet.private[*].id
  security_group_ids  = [aws_security_group.endpoints.id]
  private_dns_enabled = true
  policy              = jsonencode(local.own_account)

  tags = { Name = "${var.prefix}-${each.key}" }
}

resource "aws_security_group" "functions" {
  #checkov:skip=CKV2_AWS_5:The functions are put into it by their own module.
  name        = "${var.prefix}-functions"
  description = "The functions: they call endpoints, and nobody calls them here."
  vpc_id      = aws_vpc.this.id
}

resource "aws_security_group" "endpoints" {
  name        = "${var.prefix}-endpoints"
  description = "The endpoints: called by the functions alone."
  vpc_id      = aws_vpc.this.id
}

resource "aws_vpc_security_group_egress_rule" "to_endpoints" {
  security_group_id            = aws_security_group.functions.id
  description                  = "TLS to the endpoints."
  referenced_security_group_id = aws_security_group.endpoints.id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_security_group_egress_rule" "to_gateways" {
  for_each = local.gateways

  security_group_id = aws_security_group.functions.id
  description       = "TLS to ${each.key}, by its gateway endpoint."
  prefix_list_id    = aws_vpc_endpoint.gateway[each.key].prefix_list_id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_ingress_rule" "from_functions" {
  security_group_id            = aws_security_group.endpoints.id
  description                  = "TLS from the functions."
  referenced_security_group_id = aws_security_group.functions.id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

output "services" {
  description = "The services that are reached by an interface endpoint each."
  value       = keys(aws_vpc_endpoint.interface)
}

output "place" {
  description = "Where functions are put: `subnet_ids` and `security_group_ids`."

  value = {
    subnet_ids         = aws_subnet.private[*].id
    security_group_ids = [aws_security_group.functions.id]
  }

  # A function that started before its way out is there would fail.
  depends_on = [
    aws_vpc_endpoint.gateway, aws_vpc_endpoint.interface, aws_route_table_association.private,
    aws_vpc_security_group_egress_rule.to_endpoints, aws_vpc_security_group_egress_rule.to_gateways,
    aws_vpc_security_group_ingress_rule.from_functions,
  ]
}
