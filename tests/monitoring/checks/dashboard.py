"""The dashboard: a form that Grafana reads, and questions that have answers."""

import itertools
import json
import re

from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from parts import DASHBOARD, ROOT, alerts, documented_metrics, panels, plain


def check_grafana_reads_every_key_of_the_dashboard(_):
    dashboard = json.loads(DASHBOARD.read_text())
    assert list(unread(dashboard)) == []
    # And would not read what is misspelt, at the top and in a panel.
    dashboard["panells"] = []
    dashboard["panels"][1]["fieldConfig"]["defaults"]["units"] = "s"
    assert sorted(unread(dashboard)) == ["panells", "panels.1.fieldConfig.defaults.units"]


def unread(dashboard):
    """The keys that are not as they were once Grafana's types have read and written the dashboard."""
    plugins.register_default_plugins()
    read = Dashboard.from_json(json.loads(json.dumps(dashboard)))
    return lost(dashboard, json.loads(JSONEncoder().encode(read)))


def lost(ours, theirs, path=()):
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            yield from lost(value, theirs.get(key, "nothing"), (*path, key))
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for at, (one, other) in enumerate(zip(ours, theirs)):
            yield from lost(one, other, (*path, str(at)))
    elif ours != theirs:
        yield ".".join(path)


def check_panels_stand_beside_each_other(_):
    shown = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in shown}) == len(shown)
    places = [panel["gridPos"] for panel in shown]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in itertools.combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, (one, other)


def check_panels_and_alerts_ask_for_what_there_is(_):
    metrics = documented_metrics()
    values = vocabulary()
    asked = set()
    for title, expression in questions():
        names = set(re.findall(r"\brolecall_\w+", expression))
        assert names and names <= set(metrics) or re.search(r"\bup\{", expression), (title, names)
        asked |= names
        known = {"job", "instance"}.union(*(metrics[name] for name in names))
        for label in labels(expression):
            assert label in known, (title, label)
        for label, alternatives in re.findall(r'(\w+)[=!]~?"([^"]*)"', expression):
            for value in alternatives.split("|") if label in values else ():
                assert any(re.fullmatch(value, one) for one in values[label]), (title, label, value)
    assert asked == set(metrics), set(metrics) - asked


def questions():
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], plain(target["expr"])
    for name, block in alerts().items():
        yield name, re.search(r"expr: (.*?)\n        (for|labels):", block, re.S)[1]


def labels(expression):
    grouped = re.findall(r"\b(?:by|on) \(([^)]*)\)", expression)
    matched = re.findall(r'(\w+)[=!]~?"', expression)
    return {label.strip() for group in grouped for label in group.split(",")} | set(matched)


def vocabulary():
    """The values that labels have, from the sources."""
    sources = {path: path.read_text() for path in (ROOT / "src").rglob("*.rs")}
    api = "\n".join(text for path, text in sources.items() if "api" in path.parts)
    telemetry = (ROOT / "docs" / "telemetry.md").read_text()
    rows = [line for line in telemetry.splitlines() if line.startswith("| `rolecall_")]
    routes = "".join(re.findall(r"LABELS: &\[&str\] = &\[(.*?)\];", api, re.S))
    return {
        "api": set(re.findall(r'const API: &str = "(\w+)"', api)),
        "route": set(re.findall(r'"([\w-]+)"', routes)),
        "code": set(re.findall(r'\(\d+, "(\d+)"\)', sources[ROOT / "src/telemetry/metrics.rs"])),
        "result": {value for row in rows if "{result" in row for value in re.findall(r"`([\w-]+)`", row)},
    }
