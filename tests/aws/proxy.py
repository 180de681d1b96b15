"""A proxy before the emulator, which has neither limits nor faults of its own, and how functions are sent through it."""

import contextlib
import dataclasses
import email.message
import http.client
import http.server
import threading
import urllib.parse


@dataclasses.dataclass
class Request:
    method: str
    path: str
    headers: email.message.Message
    body: bytes


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict
    body: bytes


class Proxy:
    """Passes on what comes, but what `answer` of a subclass makes of it."""

    def __init__(self, endpoint):
        self.target = urllib.parse.urlsplit(endpoint)
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_request(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                answer = proxy.answer(Request(self.command, self.path, self.headers, body))
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                # A HEAD tells of a length and has no body.
                if "Content-Length" not in answer.headers:
                    self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_request

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request):
        return self.pass_on(request)

    def pass_on(self, request):
        """What the emulator answers."""
        connection = http.client.HTTPConnection(self.target.hostname, self.target.port, timeout=60)
        try:
            connection.request(request.method, request.path, request.body, dict(request.headers))
            answer = connection.getresponse()
            hop_by_hop = {"connection", "keep-alive", "transfer-encoding", "date", "server"}
            if request.method != "HEAD":
                hop_by_hop.add("content-length")
            headers = {name: value for name, value in answer.getheaders() if name.lower() not in hop_by_hop}
            return Answer(answer.status, headers, answer.read())
        finally:
            connection.close()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@contextlib.contextmanager
def through(stage, proxy, functions, variable):
    """Another version of each of these functions, whose `variable` names the proxy; taken back afterwards."""
    client = stage.emulator.client("lambda")
    before = {}
    for function in functions:
        name = stage.out["functions"][function]
        configuration = client.get_function_configuration(FunctionName=name)
        before[name] = (client.get_alias(FunctionName=name, Name="live")["FunctionVersion"], configuration["Environment"])
        variables = {**configuration["Environment"]["Variables"], variable: proxy.endpoint}
        client.update_function_configuration(FunctionName=name, Environment={"Variables": variables})
        version = client.publish_version(FunctionName=name)["Version"]
        client.update_alias(FunctionName=name, Name="live", FunctionVersion=version)
    try:
        yield proxy
    finally:
        for name, (version, environment) in before.items():
            client.update_alias(FunctionName=name, Name="live", FunctionVersion=version)
            client.update_function_configuration(FunctionName=name, Environment=environment)
        proxy.stop()
