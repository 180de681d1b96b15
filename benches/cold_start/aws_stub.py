"""AWS as far as a function's benchmark needs it: takes every call at once, keeps nothing, counts what came.

Objects are put, chunks and commit messages are taken, secrets are there; whatever is asked for of the lake is not there.
"""

import collections
import hashlib
import json

from lambda_host import Server, answer, body_of

SECRET = "0123456789abcdef0123456789abcdef0123456789abcdef"


class Api:
    """S3 by its paths, DynamoDB, SQS and Secrets Manager by their targets."""

    def do_PUT(self):
        body = body_of(self)
        self.server.count("objects", 1, len(body))
        answer(self, 200, ETag=f'"{hashlib.md5(body).hexdigest()}"')

    def do_HEAD(self):
        body_of(self)
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self):
        body_of(self)
        if "list-type=2" in self.path:
            listed = b"<ListBucketResult><IsTruncated>false</IsTruncated><KeyCount>0</KeyCount></ListBucketResult>"
            return answer(self, 200, listed, Content_Type="application/xml")
        answer(self, 404, b"<Error><Code>NoSuchKey</Code><Message>not here</Message></Error>", Content_Type="application/xml")

    def do_DELETE(self):
        body_of(self)
        answer(self, 204)

    def do_POST(self):
        body = body_of(self)
        target = self.headers.get("X-Amz-Target", "").rsplit(".", 1)[-1]
        said = json.loads(body or b"{}")
        response = {}
        if target == "BatchWriteItem":
            self.server.count("chunks", sum(map(len, said["RequestItems"].values())), len(body))
            response = {"UnprocessedItems": {}}
        elif target == "PutItem":
            self.server.count("items", 1, len(body))
        elif target == "SendMessage":
            self.server.count("messages", 1, len(body))
            digest = hashlib.md5(said["MessageBody"].encode()).hexdigest()
            response = {"MessageId": "00000000-0000-0000-0000-000000000000", "MD5OfMessageBody": digest}
        elif target == "GetSecretValue":
            response = {"ARN": said["SecretId"], "Name": "bench", "SecretString": SECRET, "VersionId": "0" * 32}
        elif target not in ("GetItem", "Query"):
            self.server.count(f"unknown call {target}", 1, len(body))
        answer(self, 200, json.dumps(response).encode(), Content_Type="application/x-amz-json-1.0")


class Aws(Server):
    """The endpoint: `url`, and `counts` of what came, each a number and the bytes."""

    def __init__(self):
        self.counts = collections.Counter()
        super().__init__(Api)
        self.url = f"http://{self.address}"

    def count(self, what, number, size):
        self.counts[what] += number
        self.counts[f"{what}, bytes"] += size

    def taken(self):
        """The counts since the last call."""
        counts, self.counts = self.counts, collections.Counter()
        return dict(counts)
