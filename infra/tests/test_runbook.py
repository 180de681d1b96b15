"""The runbook and the alarms know each other: no alarm sends anybody to a section that is not there, no section is about an alarm that is not."""

import collections
import re
import unittest

import made

RUNBOOK = made.INFRA.parent / "docs" / "runbook.md"
METRICS = (RUNBOOK.parent / "metrics.md").read_text()
PARTS = ["Alarms:", "Means", "Callers see", "Look", "Mend", "Harmless"]


def anchor(heading):
    """What GitHub makes of a heading: small letters, no punctuation, hyphens for spaces."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def sections():
    """The text below each heading of the third level, by the heading of the second level and the anchor of its own."""
    found, part, current = collections.defaultdict(dict), None, None
    for line in RUNBOOK.read_text().splitlines():
        if line.startswith("## "):
            part, current = line[3:], None
        elif line.startswith("### "):
            current = anchor(line[4:])
            assert current not in found[part], f"{current} is there twice"
            found[part][current] = ""
        elif current:
            found[part][current] += line + "\n"
    return found


class Runbook(unittest.TestCase):
    def test_anchors_are_made_as_github_makes_them(self):
        for heading, made_of_it in [("API errors", "api-errors"), ("What, has `no` alarm?", "what-has-no-alarm"), ("Set-aside", "set-aside")]:
            self.assertEqual(anchor(heading), made_of_it)

    def test_every_section_of_an_alarm_says_all_that_is_asked_at_night(self):
        self.assertGreater(len(sections()["Alarms"]), 20)
        for name, text in sections()["Alarms"].items():
            for part in PARTS:
                self.assertIn(f"**{part}", text, name)

    def test_links_within_the_page_lead_somewhere(self):
        text = RUNBOOK.read_text()
        headings = {anchor(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}
        links = set(re.findall(r"\]\(#([^)]*)\)", text))
        self.assertTrue(links)
        self.assertEqual(links - headings, set())

    def test_links_to_other_pages_lead_somewhere(self):
        for page in set(re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", RUNBOOK.read_text())):
            self.assertTrue((RUNBOOK.parent / page).exists(), page)

    @unittest.skipUnless(made.TERRAFORM, "terraform (1.11 or newer) is not installed")
    def test_each_alarm_has_its_section_and_each_section_its_alarm(self):
        alarms = made.values("watch.tftest.hcl", "everything", "aws_cloudwatch_metric_alarm")
        named = {name: re.search(r"docs/runbook\.md#(\S+)$", values["alarm_description"])[1] for name, values in alarms.items()}
        written = sections()["Alarms"]
        self.assertEqual(set(named.values()), set(written))
        functions = {"hot-writer", "loader", "maintain", "report"}
        for name, section in named.items():
            [listed] = re.findall(r"^\*\*Alarms:\*\* (.*)$", written[section], re.MULTILINE)
            kind = name.rsplit("-", 1)
            generic = kind[0] in functions and f"`…-{kind[-1]}`" in listed
            self.assertTrue(f"`{name}`" in listed or generic, f"{section} does not list {name}")
        for section, text in written.items():
            for name in re.findall(r"`([a-z-]+)`", re.search(r"^\*\*Alarms:\*\* (.*)$", text, re.MULTILINE)[1]):
                self.assertEqual(named.get(name), section, f"{section} lists {name}")

    @unittest.skipUnless(made.TERRAFORM and "## On AWS" in METRICS, "needs terraform, and the functions' metrics in docs/metrics.md")
    def test_what_is_watched_and_shown_are_metrics_that_there_are(self):
        alarms = made.values("watch.tftest.hcl", "everything", "aws_cloudwatch_metric_alarm").values()
        [board] = made.values("watch.tftest.hcl", "everything", "aws_cloudwatch_dashboard").values()
        shown = re.findall(r'"Alluvium","(\w+)"', board["dashboard_body"])
        queried = [query["metric"][0] for alarm in alarms for query in alarm["metric_query"] or [] if query["metric"]]
        watched = [metric["metric_name"] for metric in [*alarms, *queried] if metric["namespace"] == "Alluvium"]
        self.assertTrue(shown and watched)
        self.assertEqual(set(shown + watched) - set(re.findall(r"`(\w+)`", METRICS)), set())

    @unittest.skipUnless(made.TERRAFORM, "terraform (1.11 or newer) is not installed")
    def test_settings_that_it_names_exist(self):
        variables = set(re.findall(r'^variable "(\w+)"', (made.INFRA / "variables.tf").read_text(), re.MULTILINE))
        thresholds = set(re.findall(r"(\w+) += optional\(number", (made.INFRA / "variables.tf").read_text()))
        for name in re.findall(r"`([a-z]+(?:_[a-z]+)+)`", RUNBOOK.read_text()):
            known = {"dead_letters", "hot_retention", "jwks_url", "integration_error", "authorizer_error"} | variables | thresholds
            self.assertIn(name, known)
