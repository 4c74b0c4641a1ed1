"""The daemon's own page of metrics, and a Prometheus that reads it."""

from types import SimpleNamespace

from parts import Prometheus, alerts, daemon, documented_metrics, get, panels, plain, promtool
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families


def check_the_page_is_openmetrics_and_named_as_prometheus_wants(directory):
    with daemon(directory) as address:
        status, page = get(address, "/metrics")
    assert status == 200, page
    families = list(text_string_to_metric_families(page))
    shown = {sample.name: set(sample.labels) for family in families for sample in family.samples}
    for name, labels in shown.items():
        assert documented_metrics()[name] == labels, (name, labels)
    # promtool reads the older form only.
    older = generate_latest(SimpleNamespace(collect=lambda: families)).decode()
    status, said = promtool("check", "metrics", input=older)
    assert status == 0 and not said, said


def check_a_prometheus_understands_page_rules_and_panels(directory):
    with daemon(directory) as address, Prometheus(directory, address) as prometheus:
        up = 'up{job="rolecall"} == 1'
        prometheus.await_(lambda: prometheus.ask("query", query=up)["result"], bool)
        groups = prometheus.await_(lambda: prometheus.ask("rules")["groups"], are_evaluated)
        rules = {rule["name"]: rule for group in groups for rule in group["rules"]}
        assert list(rules) == list(alerts())
        for name, rule in rules.items():
            assert rule["health"] == "ok", (name, rule)
        firing = [name for name, rule in rules.items() if rule["state"] != "inactive"]
        assert firing == [], firing
        for panel in panels():
            for target in panel["targets"]:
                prometheus.ask("query", query=plain(target["expr"]))
        # What is there from the start is seen, with its kind.
        kinds = {name: told[0]["type"] for name, told in prometheus.ask("metadata").items()}
        assert kinds["rolecall_requests"] == "counter", kinds
        assert kinds["rolecall_sessions_held"] == "gauge", kinds
        held = prometheus.ask("query", query="rolecall_sessions_held")["result"]
        assert [series["value"][1] for series in held] == ["1"], held


def are_evaluated(groups):
    return bool(groups) and all(rule["health"] != "unknown" for group in groups for rule in group["rules"])
