"""A function's program by itself, as Lambda would run it: an API for its runtime, its output, and a daemon for its traces.

AWS Lambda Developer Guide, "Using the Lambda runtime API for custom runtimes"; AWS X-Ray Developer Guide, "Sending segment documents to the
X-Ray daemon".
"""

import http.server
import json
import pathlib
import queue
import socket
import subprocess
import threading
import time
import uuid

from stage import ALLUVIUM, ROOT

ANSWER_SECONDS = 60
DAEMON_HEADER = {"format": "json", "version": 1}


class Daemon:
    """X-Ray's daemon, as far as a function knows it: documents by UDP."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0.5)
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]

    def documents(self):
        """What has come since this was last asked."""
        documents = []
        while True:
            try:
                header, document = self.socket.recv(65536).split(b"\n", 1)
            except TimeoutError:
                return documents
            assert json.loads(header) == DAEMON_HEADER
            documents.append(json.loads(document))


class Function:
    """A running program, and the API that it asks for its next event."""

    def __init__(self, name, environment, daemon):
        self.name = name
        self.events, self.answers = queue.Queue(), queue.Queue()
        function = self

        class Api(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                event, headers = function.events.get()
                self.answer(200, event, headers)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])) if "Content-Length" in self.headers else self.chunks()
                function.answers.put((self.path.rsplit("/", 1)[1], body))
                self.answer(202, b"", {})

            def chunks(self):
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def answer(self, status, body, headers):
                self.send_response(status)
                for header, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(header, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.api = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
        self.api.daemon_threads = True
        threading.Thread(target=self.api.serve_forever, daemon=True).start()
        program = pathlib.Path(ALLUVIUM).parent / f"alluvium-lambda-{name}"
        self.process = subprocess.Popen([program], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={
            **environment, "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:%d" % self.api.server_address[1],
            "AWS_LAMBDA_FUNCTION_NAME": f"alluvium-test-{name}", "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256", "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/alluvium-test-{name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": "stream", "LAMBDA_TASK_ROOT": str(ROOT), "AWS_XRAY_DAEMON_ADDRESS": daemon.address,
            "ALLUVIUM_STAGE": "test",
        })
        self.output = []
        threading.Thread(target=lambda: self.output.extend(self.process.stdout), daemon=True).start()

    def invoke(self, event, trace):
        """The answer to an event, and the lines that the function wrote meanwhile, each an object."""
        request_id = str(uuid.uuid4())
        written = len(self.output)
        self.events.put((json.dumps(event).encode(), {
            "Lambda-Runtime-Aws-Request-Id": request_id, "Lambda-Runtime-Trace-Id": trace,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + ANSWER_SECONDS) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": f"arn:aws:lambda:eu-west-1:000000000000:function:alluvium-test-{self.name}",
            "Content-Type": "application/json",
        }))
        try:
            kind, body = self.answers.get(timeout=ANSWER_SECONDS)
        except queue.Empty:
            raise AssertionError(f"{self.name} did not answer:\n{''.join(self.output)[-4000:]}") from None
        assert kind == "response", f"{self.name}: {body[-4000:]!r}\n{''.join(self.output)[-4000:]}"
        # What was written before the answer may still be on its way here.
        time.sleep(0.3)
        lines = [json.loads(line) for line in self.output[written:]]
        return json.loads(body), request_id, lines

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.api.shutdown()
