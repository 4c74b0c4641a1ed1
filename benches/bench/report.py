"""The figures as Markdown, from results.json."""
import statistics

from phases import steady

BEGIN, END = "<!-- figures: written by benches/run -->", "<!-- end of figures -->"
MIB = 2**20
MODES = (("kept-alive", "32 connections, kept alive", 1.10), ("per-request", "a connection per request, 32 at a time", 1.15))
# One byte kept of each of a million tokens would be a thousand; the allocator's own swing is a tenth of that.
NO_GROWTH_KIB = 256
# Some figures have no goal.
MET = {True: "yes", False: "**no**", None: ""}
# Within a state of the machine, the next dearer round costs bare hyper less than this much more.
STATES_APART = 1.3


def spread(values, form="{:.2f}"):
    """The median, and between what the middle half lies."""
    low, middle, high = statistics.quantiles(values, n=4) if len(values) > 1 else list(values) * 3
    return f"{form.format(middle)} ({form.format(low)}–{form.format(high)})"


def bare(its):
    """What bare hyper cost in this round."""
    return (its["bare-before"]["cpu_ms_per_1000"] + its["bare-after"]["cpu_ms_per_1000"]) / 2


def states(rounds):
    """The steady rounds, those of each state of the machine apart: the same request may cost twice as much for minutes, and
    what a server adds to it does not double with it."""
    found = []
    for its in sorted(steady(rounds), key=bare):
        if found and bare(its) < STATES_APART * bare(found[-1][-1]):
            found[-1].append(its)
        else:
            found.append([its])
    return found


def ratios(rounds, server):
    """The CPU time of a server by bare hyper's before and after it, round by round."""
    return [its[server]["cpu_ms_per_1000"] / bare(its) for its in rounds]


def number(rounds):
    return f"{len(rounds)} round{'s' if len(rounds) != 1 else ''}"


# Each of these yields (what was measured, goal, figure, whether the goal is met).

def goals_of_requests(figures):
    for mode, words, goal in MODES:
        found = [(rounds, ratios(rounds, "rolecall")) for rounds in states(figures[mode])]
        yield (f"CPU of a credentials GET by bare hyper's; {words}", f"≤ {goal:.2f}",
               "; ".join(f"{spread(each)} where that is {statistics.median(map(bare, rounds)):.1f} µs, {number(rounds)}"
                         for rounds, each in found),
               all(statistics.median(each) <= goal for _, each in found))


def goals_of_stall(figures):
    slowest = max(pair["renewing"]["max_us"] for pair in figures["windows"]) / 1e3
    calm = max(pair["calm"]["max_us"] for pair in figures["windows"]) / 1e3
    tails = [pair["renewing"]["p999_us"] / pair["calm"]["p999_us"] for pair in figures["windows"]]
    yield ("slowest GET of a held session while its renewal takes 20 s", "< 20 ms",
           f"{slowest:.1f} ms (with nothing to renew: {calm:.1f} ms)", slowest < 20)
    yield "p99.9 then, by that with nothing to renew", "≤ 1.25", spread(tails), statistics.median(tails) <= 1.25


def goals_of_fan_in(figures):
    for case, words in (("all-stay", ""), ("first-leaves", ", the first caller of each role leaves")):
        found = figures[case]
        refused = found["answers"] - found["with_credentials"]
        yield (f"STS calls for 10,000 callers waiting for 100 cold roles{words}", "100, nobody refused",
               f"{found['calls']}, {refused or 'nobody'} refused",
               found["calls"] == found["roles_called_once"] == 100 and not refused)


def goals_of_memory(figures):
    roles, idle, tokens = figures["roles"], figures["idle_kib"], figures["tokens"]
    growth = tokens["anonymous_after_kib"] - tokens["anonymous_before_kib"]
    yield ("resident memory of a held role, of 10,000 (400-byte tokens)", "≤ 4 KiB",
           f"{roles['kib_each']:.2f} KiB; {roles['with_configuration_kib_each']:.2f} KiB with its configuration and a grant; "
           f"{figures['callers']['kib_each']:.2f} KiB where each is another caller's", roles["kib_each"] <= 4)
    yield "idle daemon, resident, after a session from STS", "≤ 8 MiB", f"{idle / 1024:.1f} MiB", idle <= 8192
    yield (f"growth over {tokens['issued'] / 1e6:.1f} million issued tokens", "none", f"{growth} KiB",
           growth <= NO_GROWTH_KIB)


def goals_of_start(figures):
    for key, words in (("first_ms", "the very first time"), ("again_ms", "with its state")):
        found = figures[key]
        yield (f"start to first local credential, {words}", "≤ 13 ms", spread(found, "{:.1f}") + " ms",
               statistics.median(found) <= 13)


def goals_of_restart(figures):
    for count in (1_000, 10_000):
        callers, roles = (figures[f"{kind}_{count}"] for kind in ("callers", "roles"))
        for key, words, goal in (("first_ms", "exec to the first answer with a session of before", 50),
                                 ("whole_ms", "SIGTERM to that answer", 500)):
            yield (f"{words}; {count:,} held by as many callers", f"≤ {goal} ms", spread(callers[key], "{:.0f}") + " ms",
                   statistics.median(callers[key]) <= goal)
        yield (f"the same two; {count:,} held of as many roles, whose configuration is read first", "",
               "; ".join(spread(roles[key], "{:.0f}") for key in ("first_ms", "whole_ms")) + " ms", None)


def goals_of_size(figures):
    size = figures["stripped_bytes"] / MIB
    yield "binary, stripped", "≤ 10 MiB", f"{size:.1f} MiB", size <= 10


def goals_of_grants(figures):
    shapes = ("units", "users", "containers")
    each = {key: [run[key] for run in figures["runs"]] for key in figures["runs"][0]}
    slowest = max((each[f"{shape}_known_ns"] for shape in shapes), key=statistics.median)
    yield ("answer over a known connection, 1,000 grants", "≤ 200 ns", spread(slowest, "{:.0f}") + " ns",
           statistics.median(slowest) <= 200)
    new = {shape: statistics.median(each[f"{shape}_new_ns"]) / 1e3 for shape in ("one", *shapes)}
    # A credentials GET on a connection of its own takes about 15 µs of the server's CPU time.
    yield ("decision over a new connection, 1,000 grants of others by unit, by user, by container's image; one grant alone",
           "< 15 µs", "; ".join(f"{new[shape]:.1f}" for shape in (*shapes, "one")) + " µs", max(new.values()) < 15)


def goals_of_proofs(figures):
    words = {"basic": "passwords of the users file", "ldap": "a silent directory", "pam": "a slow PAM stack"}
    slowest = {way: max(its["max_us"] for its in found["windows"]) / 1e3 for way, found in figures.items()}
    calm = max(its["max_us"] for found in figures.values() for its in found["calm"]) / 1e3
    yield (f"slowest GET of a held session while proofs wait as many as can: {'; '.join(words[way] for way in figures)}", "< 20 ms",
           f"{'; '.join(f'{each:.1f}' for each in slowest.values())} ms (with nothing to prove: {calm:.1f} ms)",
           max(slowest.values()) < 20)


def goals_of_accounts(figures):
    each = {key: [run[key] for run in figures["runs"]] for key in figures["runs"][0]}
    lists = [statistics.median(each[f"list_{kind}_ns"]) / 1e6 for kind in ("grants", "groups")]
    yield ("CPU of AFP's list of 1,000 roles, by a grant each; by a group each", "< 2 ms",
           "; ".join(f"{each:.2f}" for each in lists) + " ms", max(lists) < 2)
    cost = [person / program for person, program in zip(each["credentials_ns"], each["metadata_ns"])]
    yield ("CPU of AFP's credentials of a held session, password proved a moment ago, by a metadata document's", "≤ 1.50",
           spread(cost), statistics.median(cost) <= 1.5)


def goals_of_signatures(figures):
    each = {key: [run[key] / 1e3 for run in figures["runs"]] for key in figures["runs"][0]}
    found = {key: spread(each[f"{key}_ns"], "{:.1f}") for key in ("header", "query", "ec2tokens", "ec2tokens_wrong")}
    yield ("CPU of the verification of a signed request of 1 KiB: by the header; by the query", "≤ 15 µs",
           f"{found['header']}; {found['query']} µs", max(map(statistics.median, (each["header_ns"], each["query_ns"]))) <= 15)
    yield ("the same as a service tells Keystone of it, in JSON; with a wrong signature", "",
           f"{found['ec2tokens']}; {found['ec2tokens_wrong']} µs", None)


def goals_of_authority(figures):
    each = {key: [run[key] for run in figures["runs"]] for key in figures["runs"][0]}
    by_document = {key: [cost / document for cost, document in zip(each[f"{key}_ns"], each["metadata_ns"])]
                   for key in ("held_upstream", "held_local", "caller_identity")}
    yield ("CPU of AssumeRole for a held session of a cloud, by a metadata document's", "≤ 2.00",
           spread(by_document["held_upstream"]), statistics.median(by_document["held_upstream"]) <= 2)
    yield ("the same for a held local session; of GetCallerIdentity", "",
           f"{spread(by_document['held_local'])}; {spread(by_document['caller_identity'])}", None)
    for key, words, goal in (("issued_local", "AssumeRole for a local session that is issued", 65), ("ec2tokens", "ec2tokens", 50)):
        costs = [cost / 1e3 for cost in each[f"{key}_ns"]]
        yield f"CPU of {words}", f"≤ {goal} µs", spread(costs, "{:.1f}") + " µs", statistics.median(costs) <= goal


def goals_of_connectors(figures):
    lists = [figures[f"list_{of}_ns"] / 1e6 for of in ("some", "all", "administrator")]
    yield ("CPU of a list of 100,000 stored connectors: whose 1,000 are; all; an administrator", "< 50 ms",
           "; ".join(f"{each:.1f}" for each in lists) + " ms", max(lists) < 50)
    one = [figures[f"{of}_ns"] / 1e3 for of in ("one", "list_page")]
    yield ("CPU of one of them: by its id; as a page of the list", "< 200 µs", "; ".join(f"{each:.0f}" for each in one) + " µs",
           max(one) < 200)
    slowest = max(its["max_us"] for its in figures["windows"]) / 1e3
    yield ("slowest GET of a held session while an administrator lists all of them, again and again", "< 20 ms",
           f"{slowest:.1f} ms", slowest < 20)
    yield ("start to listening with them", "≤ 13 ms", spread(figures["listening_ms"], "{:.1f}") + " ms",
           statistics.median(figures["listening_ms"]) <= 13)
    yield ("start to the first answer from the store, of it CPU", "",
           f"{spread(figures['open_ms'], '{:.0f}')} ms, {spread(figures['open_cpu_ms'], '{:.0f}')} ms", None)
    yield ("resident memory with them; after the whole list was asked for", "",
           f"{figures['resident_kib'] / 1024:.0f}; {figures['resident_after_lists_kib'] / 1024:.0f} MiB", None)
    yield ("idle daemon with a store of one connector and TLS, resident, after each was used", "",
           f"{figures['idle_kib'] / 1024:.1f} MiB", None)


GOALS = {"requests": goals_of_requests, "stall": goals_of_stall, "fan-in": goals_of_fan_in, "memory": goals_of_memory,
         "start": goals_of_start, "restart": goals_of_restart, "size": goals_of_size, "grants": goals_of_grants,
         "proofs": goals_of_proofs, "accounts": goals_of_accounts, "connectors": goals_of_connectors,
         "signatures": goals_of_signatures, "authority": goals_of_authority}


def request_rows(figures):
    for mode, words, _ in MODES:
        for rounds in states(figures[mode]):
            for name, key in (("rolecall", "rolecall"), ("bare hyper", "bare-after"), ("nginx", "nginx")):
                runs = [its[key] for its in rounds]
                middle = {figure: statistics.median(run[figure] for run in runs)
                          for figure in ("cpu_ms_per_1000", "cpu_use", "p50_us", "p99_us", "p999_us")}
                ratio = statistics.median(ratios(rounds, key)) if key != "bare-after" else 1
                rate = statistics.median(run["requests"] / run["seconds"] for run in runs)
                yield (f"| {words} | {name} | {middle['cpu_ms_per_1000']:.2f} | {ratio:.2f} | {rate:,.0f} | "
                       f"{middle['cpu_use']:.0%} | {middle['p50_us']:.0f} | {middle['p99_us']:.0f} | {middle['p999_us']:.0f} |")
            yield f"| | *{len(rounds)} of {number(figures[mode])}* | | | | | | | |"


def abouts(results):
    """One line for each different machine or build that the phases ran on."""
    lines = {}
    for phase, its in results.items():
        m, v = its["machine"], its["versions"]
        line = (f"{m['cpu']}, {m['cores']} cores, {m['memory_gib']} GiB, Linux {m['kernel']}, {m['libc']}; "
                f"rolecall {v['rolecall']} ({v['commit']}), rustc {v['rustc']}, hyper {v['hyper']}, tokio {v['tokio']}, "
                f"nginx {v['nginx']}, wrk {v['wrk']}, Python {v['python']}; {its['date']}")
        lines.setdefault(line, []).append(f"{phase} ({its['others']:.0%})")
    return [f"* {', '.join(phases)}: {line}" for line, phases in lines.items()]


def tables(results):
    out = ["| measured | goal | median (quartiles) | met |", "|---|---|---|---|"]
    out += [f"| {what} | {goal} | {figure} | {MET[met]} |"
            for phase, its in results.items() for what, goal, figure, met in GOALS[phase](its["figures"])]
    if "requests" in results:
        out += ["", "| credentials GET | server | CPU ms for 1,000 | × bare hyper | requests/s | CPU use | p50 µs | p99 µs "
                "| p99.9 µs |", "|---|---|---:|---:|---:|---:|---:|---:|---:|", *request_rows(results["requests"]["figures"])]
    if "start" in results:
        found = results["start"]["figures"]
        out += ["", f"Bare hyper, started the same way, gives its first answer after {spread(found['hyper_bare_ms'], '{:.1f}')} ms. "
                f"The embedded default takes {spread(found['cpu_ms'], '{:.1f}')} ms of CPU time for its own, and idles at "
                f"{found['idle_kib'][-1] / 1024:.1f} MiB."]
    return "\n".join([*out, "", "Where each phase ran, and in parentheses the share of the machine's time that other work took "
                      "meanwhile:", "", *abouts(results)])


def write(results, readme):
    before, _, rest = readme.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    readme.write_text(f"{before}{BEGIN}\n{tables(results)}\n{END}{after}")
