"""DynamoDB as it is while a table is throttled: a proxy before the emulator, which has no limits of its own."""

import http.client
import http.server
import json
import threading
import urllib.parse

# Amazon DynamoDB API Reference, `BatchWriteItem` and "Error handling with DynamoDB".
ERROR = {"__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
         "message": "The level of configured provisioned throughput for the table was exceeded. Consider increasing your provisioning "
                    "level with the UpdateTable API."}
WRITES = {"BatchWriteItem", "PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"}


class Throttle:
    """Passes on what comes, but writes to `table` while it is throttled: those are refused, most as a whole and some item by item."""

    def __init__(self, endpoint, table):
        self.table = table
        self.throttled = False
        self.refused = 0
        target = urllib.parse.urlsplit(endpoint)
        throttle = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = throttle.answer(self.headers.get("X-Amz-Target", "").rpartition(".")[2], body)
                if answer is None:
                    connection = http.client.HTTPConnection(target.hostname, target.port, timeout=60)
                    connection.request("POST", self.path, body, dict(self.headers))
                    passed = connection.getresponse()
                    answer = (passed.status, passed.getheader("Content-Type", "application/x-amz-json-1.0"), passed.read())
                    connection.close()
                status, kind, body = answer
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, operation, body):
        """What a throttled table answers; `None`: the request is passed on."""
        if not self.throttled or operation not in WRITES:
            return None
        request = json.loads(body)
        if self.table not in request.get("RequestItems", {}) and request.get("TableName") != self.table:
            return None
        self.refused += 1
        if operation == "BatchWriteItem" and self.refused % 4 == 0:
            status, answer = 200, {"UnprocessedItems": request["RequestItems"]}
        else:
            status, answer = 400, ERROR
        return status, "application/x-amz-json-1.0", json.dumps(answer).encode()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
