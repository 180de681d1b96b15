"""S3 that fails now and then, and one that lets two race for a version of a table."""

import collections
import re
import threading

from proxy import Answer, Proxy


def error(status, code, message):
    """Amazon S3 API Reference, "Error responses"."""
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Answer(status, {"Content-Type": "application/xml"}, body.encode())


def kind_of(path):
    """What is put there: a data file, or what the first folder with an underscore is for."""
    return next((part for part in path.split("?")[0].split("/") if part.startswith("_")), "data")


class FailingStore(Proxy):
    """Of each kind of object every tenth put fails: in turn it is done and its answer is lost, and it is not done."""

    def __init__(self, endpoint):
        self.lock = threading.Lock()
        self.puts = collections.Counter()
        self.lost, self.refused = collections.Counter(), collections.Counter()
        super().__init__(endpoint)

    def answer(self, request):
        if request.method != "PUT":
            return self.pass_on(request)
        kind = kind_of(request.path)
        with self.lock:
            number = self.puts[kind]
            self.puts[kind] += 1
        if number % 10 != 3:
            return self.pass_on(request)
        if number % 20 == 3:
            self.pass_on(request)
            self.lost[kind] += 1
            return error(500, "InternalError", "We encountered an internal error. Please try again.")
        self.refused[kind] += 1
        return error(503, "SlowDown", "Please reduce your request rate.")


class Race(Proxy):
    """Holds back the first put of a table's version until somebody else puts the same version."""

    VERSION = re.compile(r"/_delta_log/\d{20}\.json")
    PATIENCE_SECONDS = 40

    def __init__(self, endpoint):
        self.changed = threading.Condition()
        self.come = collections.Counter()
        self.raced_for = None
        self.statuses = []
        super().__init__(endpoint)

    def answer(self, request):
        if request.method != "PUT" or not self.VERSION.search(request.path):
            return self.pass_on(request)
        with self.changed:
            self.come[request.path] += 1
            if self.raced_for is None and self.come[request.path] == 2:
                self.raced_for = request.path
                self.changed.notify_all()
            self.changed.wait_for(lambda: self.raced_for is not None, self.PATIENCE_SECONDS)
        answer = self.pass_on(request)
        if request.path == self.raced_for:
            self.statuses.append(answer.status)
        return answer
