"""The console as a bucket serves it, before an API that lacks what the one on AWS lacks: records, SQL and health are a node's behind it."""

import http.server
import json
import mimetypes
import re
import threading

import requests

from program import ROOT

CONSOLE = ROOT / "query/console"
#: The routes of the HTTP API, see infra/modules/serving/api.tf.
ROUTES = [("GET", r"/health"), ("GET", r"/v1/[^/]+"), ("POST", r"/v1/queries"), ("GET|DELETE", r"/v1/queries/[^/]+"),
          ("GET", r"/v1/queries/[^/]+/results")]
NO_LIVE_TAIL = {"type": "/problems/no-live-tail", "title": "No live tail", "status": 501, "detail": "there are no live tails on AWS"}


class Elsewhere:
    def __init__(self, node):
        self.node = node
        self.asked = []
        elsewhere = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                elsewhere.answer(self)

            do_POST = do_DELETE = do_GET

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, call):
        path = call.path.partition("?")[0]
        body = call.rfile.read(int(call.headers.get("Content-Length") or 0))
        # As the bucket's keys are: the page at the root, the rest under console/.
        name = "index.html" if path == "/" else path.removeprefix("/console/")
        file = CONSOLE / name
        if call.command == "GET" and "/" not in name and file.is_file():
            kind = {".js": "text/javascript", ".css": "text/css"}.get(file.suffix) or mimetypes.guess_type(name)[0]
            return self.send(call, 200, f"{kind}; charset=utf-8", file.read_bytes())
        self.asked.append((call.command, path))
        status, kind, said, headers = self.api(call, path, body)
        self.send(call, status, kind, said, headers)

    def api(self, call, path, body):
        """What API Gateway and the functions behind it answer."""
        json_of = lambda status, said, kind="application/json": (status, kind, json.dumps(said).encode(), {"apigw-requestid": "JKJaXmPLvHcESHA="})
        if not any(re.fullmatch(method, call.command) and re.fullmatch(route, path) for method, route in [*ROUTES, ("GET", r"/v1/[^/]+/live")]):
            return json_of(404, {"message": "Not Found"})
        if path.endswith("/live"):
            return json_of(501, NO_LIVE_TAIL, "application/problem+json")
        headers = {name: value for name, value in call.headers.items() if name.lower() in ("authorization", "content-type", "accept")}
        answer = requests.request(call.command, self.node.url + call.path, headers=headers, data=body, timeout=60)
        if path == "/v1/reports" or (path != "/health" and answer.status_code == 401):
            # The authorizer says yes or no, and no reason.
            return json_of(404 if path == "/v1/reports" else 403, {"message": "Not Found" if path == "/v1/reports" else "Forbidden"})
        return answer.status_code, answer.headers.get("Content-Type", "application/json"), answer.content, {}

    @staticmethod
    def send(call, status, kind, body, headers=None):
        call.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
            call.send_header(name, value)
        call.end_headers()
        call.wfile.write(body)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
