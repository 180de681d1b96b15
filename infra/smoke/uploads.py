"""Files in: items 57 and 58."""

import json
import time

from steps import Skipped, expect, step


def asked(stage, token):
    status, text = stage.call("POST", "/v1/uploads", token, json.dumps({"dataset": "telemetry", "format": "ndjson"}))
    expect(status == 201, f"POST /v1/uploads answered {status}: {text[:300]}")
    return json.loads(text)


def put(stage, url, content):
    """The status of a plain PUT to a link, which no command line shows."""
    config = f'url = "{url}"\nrequest = "PUT"\nsilent\nshow-error\nmax-time = 60\nwrite-out = "\\n%{{http_code}}"\ndata-binary = {json.dumps(content)}\n'
    return int(stage.run("curl", "--config", "-", input=config).stdout.rpartition("\n")[2])


def needs_uploads(stage):
    if "uploads_dead" not in stage.of:
        raise Skipped("the stage has no uploads: deploy it with uploads = { enabled = true }")


@step(57, "A file by a link")
def a_file(stage):
    needs_uploads(stage)
    token, source = stage.token("data.write"), f"smoke-file-{time.time_ns()}"
    upload = asked(stage, token)
    content = "".join(json.dumps({"source": source, "value": float(number)}) + "\n" for number in range(100))
    status = put(stage, upload["url"], content)
    expect(status == 200, f"the link answered {status}")
    deadline = time.monotonic() + 180
    while True:
        seen = json.loads(stage.call("GET", f"/v1/uploads/{upload['id']}", token)[1])
        if seen["state"] in ("done", "failed") or time.monotonic() > deadline:
            break
        time.sleep(2)
    expect((seen["state"], seen["accepted"]) == ("done", 100), f"{seen}")
    rows = stage.rows_of(source, 100)
    return expect(rows == 100, f"{rows} of 100 events are in the lake")


@step(58, "A link that is not good")
def a_bad_link(stage):
    needs_uploads(stage)
    token = stage.token("data.write")
    one, other = asked(stage, token), asked(stage, token)
    seen = {
        "of another upload": put(stage, one["url"].replace(one["id"], other["id"]), "{}"),
        "made to last": put(stage, one["url"].replace("X-Amz-Expires=900", "X-Amz-Expires=90000"), "{}"),
    }
    for upload in (one, other):
        stage.call("DELETE", f"/v1/uploads/{upload['id']}", token)
    return expect(set(seen.values()) == {403}, f"{seen}")
