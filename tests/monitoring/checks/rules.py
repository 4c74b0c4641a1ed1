"""The alert rules, with promtool."""

import re

from parts import ROOT, RULES, RULES_TESTS, alerts, promtool


def check_the_rules_are_valid(_):
    status, said = promtool("check", "rules", RULES)
    assert status == 0 and "SUCCESS" in said, said


def check_alerts_fire_when_they_should_and_not_otherwise(_):
    status, said = promtool("test", "rules", RULES_TESTS)
    assert status == 0 and "SUCCESS" in said, said


def check_no_alert_can_be_taken_away_or_made_deaf_unnoticed(directory):
    """Each in turn is called otherwise, and each in turn fires at everything: the tests fail."""
    tests = RULES_TESTS.read_text().replace("../../monitoring/rules.yml", "rules.yml")
    (directory / "tests.yml").write_text(tests)
    names = list(alerts())
    assert len(names) > 10, names
    for name in names:
        for changed in (gone(name), always(name)):
            (directory / "rules.yml").write_text(changed)
            assert promtool("check", "rules", directory / "rules.yml")[0] == 0, changed
            assert promtool("test", "rules", directory / "tests.yml")[0] != 0, f"nobody misses {name}"


def gone(name):
    return RULES.read_text().replace(f"- alert: {name}\n", f"- alert: {name}Gone\n")


def always(name):
    """The rules with an alert that is raised for whatever there is."""
    block = alerts()[name]
    deaf = re.sub(r"expr: .*?\n(?=        (for|labels):)", "expr: '{job=\"rolecall\"} > -9e9'\n", block, flags=re.S)
    assert deaf != block
    return RULES.read_text().replace(f"- alert: {block}", f"- alert: {deaf}")


def check_every_alert_has_its_heading_in_the_runbook(_):
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    section = runbook.split("\n## Alerts\n")[1].split("\n## ")[0]
    assert re.findall(r"^### (\w+)$", section, re.M) == list(alerts())
    for name, block in alerts().items():
        link = re.search(r"runbook: (\S+)", block)[1]
        assert link == f"docs/runbook.md#{name.lower()}", (name, link)
        assert re.search(r"severity: (critical|warning|info)\n", block), name
        assert "summary: " in block, name
