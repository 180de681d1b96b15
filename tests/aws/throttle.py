"""DynamoDB as it is while a table is throttled."""

import json

from proxy import Answer, Proxy

# Amazon DynamoDB API Reference, `BatchWriteItem` and "Error handling with DynamoDB".
ERROR = {"__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
         "message": "The level of configured provisioned throughput for the table was exceeded. Consider increasing your provisioning "
                    "level with the UpdateTable API."}
WRITES = {"BatchWriteItem", "PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"}


class Throttle(Proxy):
    """Writes to `table` while it is throttled are refused, most as a whole and some item by item."""

    def __init__(self, endpoint, table):
        self.table = table
        self.throttled = False
        self.refused = 0
        super().__init__(endpoint)

    def answer(self, request):
        operation = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        if not self.throttled or operation not in WRITES:
            return self.pass_on(request)
        asked = json.loads(request.body)
        if self.table not in asked.get("RequestItems", {}) and asked.get("TableName") != self.table:
            return self.pass_on(request)
        self.refused += 1
        if operation == "BatchWriteItem" and self.refused % 4 == 0:
            status, answer = 200, {"UnprocessedItems": asked["RequestItems"]}
        else:
            status, answer = 400, ERROR
        return Answer(status, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(answer).encode())
