"""The stack: items 1 to 6."""

from stage import ROOT
from steps import Skipped, expect, step

OWN_STATE = "its stack is applied with a state of its own, by `make test-aws`, whose tests look at it"


@step(1, "A second plan is empty", no_emulator=OWN_STATE)
def second_plan(stage):
    done = stage.run(ROOT / "infra/stage.sh", "plan", stage.stage, "-detailed-exitcode", "-lock=false", "-no-color", check=False)
    expect(done.returncode in (0, 2), f"terraform plan: {done.stderr[-600:]}")
    changes = [line.strip() for line in done.stdout.splitlines() if line.strip().startswith("# ")]
    return expect(done.returncode == 0, f"changes: {'; '.join(changes)[:600]}" if changes else "no changes")


@step(2, "The secret is nowhere else", no_emulator=OWN_STATE)
def secret_is_nowhere_else(stage):
    state = stage.run("terraform", f"-chdir={ROOT / 'infra'}", "state", "pull").stdout
    return expect(stage.secret() not in state, "the state holds the secret" if stage.secret() in state else "the state does not hold it")


@step(3, "Only TLS", no_emulator="it speaks plain HTTP itself")
def only_tls(stage):
    seen = {}
    for bucket in buckets(stage):
        url = f"http://{bucket}.s3.amazonaws.com/"
        seen[bucket] = stage.run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", url).stdout
    return expect(all(status in ("403", "301", "307") for status in seen.values()), f"{seen}")


@step(4, "No public bucket", no_emulator="it judges no policies")
def no_public_bucket(stage):
    public = {bucket: stage.aws("s3api", "get-bucket-policy-status", "--bucket", bucket)["PolicyStatus"]["IsPublic"] for bucket in buckets(stage)}
    return expect(not any(public.values()), f"public: {public}")


@step(5, "Rights suffice")
def rights_suffice(stage):
    source = stage.send("rights", 100)
    rows = stage.rows_of(source, 100)
    expect(rows == 100, f"100 events were sent, and the lake has {rows}")
    status, text = stage.call("GET", f"/v1/telemetry?source={source}&from=-1h&limit=100", stage.token("data.read"))
    expect(status == 200 and text.count('"id"') >= 100, f"GET answered {status}: {text[:200]}")
    if not stage.is_emulator:
        [row] = stage.sql(f"select count(*) as n from telemetry_raw where source = '{source}'", athena=True)
        expect(row["n"] == 100, f"Athena counts {row['n']} of 100")
    denied = {}
    for name in stage.functions():
        group = f"/aws/lambda/{name}"
        found = stage.aws("logs", "filter-log-events", "--log-group-name", group, "--filter-pattern", "AccessDenied", "--max-items", "5")
        denied[name] = len(found["events"])
    return expect(not any(denied.values()), f"lines with AccessDenied: {denied}")


@step(6, "Firehose takes its role", no_emulator="its Firehose is not attached: it does not behave like AWS's")
def firehose_takes_its_role(stage):
    name = delivery_stream(stage)
    described = stage.aws("firehose", "describe-delivery-stream", "--delivery-stream-name", name)
    status = described["DeliveryStreamDescription"]["DeliveryStreamStatus"]
    return expect(status == "ACTIVE", f"{name} is {status}")


def buckets(stage):
    return [stage.of["lake_url"].removeprefix("s3://").split("/")[0], stage.of["landing"], stage.of["results"]]


def delivery_stream(stage):
    if stage.of["delivery"] != "firehose":
        raise Skipped("the stage's `delivery` is not `firehose`")
    return stage.of["delivery_stream"]
