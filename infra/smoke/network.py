"""The console, the network and deploys: items 45 to 47."""

from steps import Skipped, step


@step(45, "The console", no_emulator="it has no CloudFront that serves anything")
def console(_stage):
    raise Skipped("with `console`: in a browser, as the page says")


@step(46, "No way out", no_emulator="it forgets what endpoints are made with")
def no_way_out(_stage):
    raise Skipped("with `network_cidr`: by the call of the page")


@step(47, "GitHub", no_emulator="it is about GitHub")
def github(_stage):
    raise Skipped("a run of `deploy`, and calls under its roles, as the page says")
