"""Lambda on this machine: starts a function as Lambda does, and serves the Runtime API that it asks for events.

The API is that of AWS's developer guide, "Custom runtimes: the Lambda runtime API", version 2018-06-01.
"""

import http.server
import os
import pathlib
import queue
import subprocess
import threading
import time
import uuid

PATIENCE_SECONDS = 60


def body_of(handler):
    """The body of a request, by its length or in chunks."""
    if handler.headers.get("Transfer-Encoding", "").lower() != "chunked":
        return handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
    body = bytearray()
    while size := int(handler.rfile.readline().split(b";")[0], 16):
        body += handler.rfile.read(size)
        handler.rfile.readline()
    while handler.rfile.readline().strip():
        pass
    return bytes(body)


def answer(handler, status, body=b"", **headers):
    """Answers a request, the headers named with underscores."""
    handler.send_response(status)
    for name, value in {"Content_Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


class Server(http.server.ThreadingHTTPServer):
    """A server on a free port of the loopback interface, in threads of its own, that says nothing."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, handler):
        class Quiet(handler, http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Quiet)
        self.address = f"127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def handle_error(self, *_):
        """A function that was killed leaves its connections."""


class RuntimeApi:
    """What a function sees of the API."""

    def do_GET(self):
        if not self.path.endswith("/invocation/next"):
            return answer(self, 404)
        self.server.said.put(("next", time.perf_counter(), b""))
        event = self.server.events.get()
        deadline = int((time.time() + 300) * 1000)
        answer(
            self, 200, event, Content_Type="application/json", Lambda_Runtime_Aws_Request_Id=str(uuid.uuid4()),
            Lambda_Runtime_Deadline_Ms=str(deadline), Lambda_Runtime_Trace_Id="Root=1-00000000-000000000000000000000000",
            Lambda_Runtime_Invoked_Function_Arn="arn:aws:lambda:eu-west-1:000000000000:function:bench:live",
        )  # fmt: skip

    def do_POST(self):
        body = body_of(self)
        self.server.said.put((self.path.rsplit("/", 1)[1], time.perf_counter(), body))
        answer(self, 202)


class Function:
    """One environment of a function: a process that was started and has asked for its first event."""

    def __init__(self, folder, name, variables, megabytes):
        self.server = Server(RuntimeApi)
        self.server.events = queue.SimpleQueue()
        self.server.said = queue.SimpleQueue()
        self.name = name
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "LAMBDA_TASK_ROOT": str(folder),
            "LAMBDA_RUNTIME_DIR": "/var/runtime",
            "_HANDLER": "bootstrap",
            "AWS_LAMBDA_RUNTIME_API": self.server.address,
            "AWS_LAMBDA_FUNCTION_NAME": f"alluvium-bench-{name}",
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(megabytes),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/alluvium-bench-{name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/01/[1]00000000000000000000000000000000",
            "AWS_EXECUTION_ENV": "AWS_Lambda_provided.al2023",
            "AWS_REGION": "eu-west-1",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_SESSION_TOKEN": "bench",
            **variables,
        }
        self.log = (pathlib.Path(folder) / "log").open("w+b")
        started = time.perf_counter()
        self.process = subprocess.Popen(
            [str(pathlib.Path(folder) / "bootstrap")], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=self.log,
            stderr=self.log,
        )  # fmt: skip
        self.init_seconds = self._await("next")[0] - started

    def invoke(self, event):
        """Hands over an event. Returns the seconds until the response, and the response."""
        started = time.perf_counter()
        self.server.events.put(event)
        answered, response = self._await("response")
        self._await("next")
        return answered - started, response

    def peak_bytes(self):
        """The most memory that the process had at a time."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError(f"{self.name} has ended")

    def stop(self):
        """Ends the process. Returns the seconds of CPU time that it took in all."""
        self.process.kill()
        _, _, used = os.wait4(self.process.pid, 0)
        self.process.returncode = -9
        self.server.shutdown()
        self.server.server_close()
        self.log.close()
        return used.ru_utime + used.ru_stime

    def _await(self, wanted):
        """The next thing that the function says, which must be `wanted`: when, and the body."""
        until = time.perf_counter() + PATIENCE_SECONDS
        while True:
            try:
                kind, moment, body = self.server.said.get(timeout=0.2)
            except queue.Empty:
                if self.process.poll() is None and time.perf_counter() < until:
                    continue
                kind, body = ("nothing for a minute", b"") if self.process.returncode is None else ("its end", b"")
            if kind == wanted:
                return moment, body
            self.log.seek(0)
            log = self.log.read()[-2000:].decode(errors="replace")
            raise RuntimeError(f"{self.name}: {kind} instead of {wanted}: {body[:2000].decode(errors='replace')}\n{log}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.returncode is None:
            self.stop()
