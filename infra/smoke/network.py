"""The console, the network and deploys: items 45 to 47."""

import json

from steps import Skipped, expect, step

GUARDS = ("content-security-policy", "strict-transport-security")


@step(45, "The console", no_emulator="it has no CloudFront that serves anything")
def console(stage):
    if "console_url" not in stage.of:
        raise Skipped("the stage has no `console`")
    page = stage.ask("GET", stage.of["console_url"] + "/")
    missing = [name for name in GUARDS if name not in page.headers]
    expect(page.status == 200 and not missing, f"the page: {page.status}, without {missing}")
    health = stage.ask("GET", stage.of["console_url"] + "/health")
    expect(health.status == 200 and json.loads(health.text)["datasets"], f"/health: {health.status} {health.text[:200]}")
    lake = stage.of["lake_url"].removeprefix("s3://").split("/")[0]
    bucket = lake.replace(f"{stage.prefix}-lake-", f"{stage.prefix}-console-")
    direct = stage.ask("GET", f"https://{bucket}.s3.amazonaws.com/index.html").status
    return expect(direct in (301, 307, 403), f"the bucket's own address answers {direct}; in a browser: sign in, see records, press Live")


@step(46, "No way out", no_emulator="it forgets what endpoints are made with")
def no_way_out(stage):
    of = {name: stage.settings(name.removeprefix(f"{stage.prefix}-")) for name in stage.functions()}
    within = {name: found.get("VpcConfig", {}).get("VpcId") for name, (_, found) in of.items()}
    if not any(within.values()):
        raise Skipped("the stage has no `network_cidr`")
    # An identity provider's keys are on the internet.
    outside = [name for name, network in within.items() if not network and "ALLUVIUM_AUTH__JWKS_URL" not in of[name][0]]
    expect(not outside, f"outside of the network: {outside}")
    [network] = {network for network in within.values() if network}
    gateways = stage.aws("ec2", "describe-internet-gateways", "--filters", f"Name=attachment.vpc-id,Values={network}")["InternetGateways"]
    translators = stage.aws("ec2", "describe-nat-gateways", "--filter", f"Name=vpc-id,Values={network}", "Name=state,Values=available")["NatGateways"]
    expect(not gateways and not translators, f"{len(gateways)} internet gateways, {len(translators)} NAT gateways")
    source = stage.send("network", 20)
    rows = stage.rows_of(source, 20)
    return expect(rows == 20, f"no way out of {network}, and of 20 events that were sent in {rows} are in the lake")


@step(47, "GitHub", no_emulator="it is about GitHub")
def github(_stage):
    raise Skipped("a run of `deploy`, and calls under its roles, as the page says")
