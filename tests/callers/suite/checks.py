"""What must hold of every kind of caller: one function a column of the table."""

from concurrent.futures import ThreadPoolExecutor

from suite import Failed, sdks
from suite.sdks import Refused


def gets_its_role(host, kind):
    """Every SDK finds credentials of the kind's own role, issued upstream and unchanged."""
    subject = host.subjects[kind.title]
    with ThreadPoolExecutor(2) as pool:
        keys = list(pool.map(lambda sdk: host.upstream.ask(subject, sdk, kind.environment), kind.sdks))
    for sdk, key in zip(kind.sdks, keys, strict=True):
        role = host.upstream.sts.issued[key].role
        if role != kind.role:
            raise Failed(f"{sdk.name} got {role} instead of {kind.role}")
    return ", ".join(sdk.name for sdk in kind.sdks)


def cannot_get_anothers(host, kind):
    """It gets its own role by name and no other, and its neighbour without a grant gets nothing."""
    others = [other.role for other in host.kinds if other is not kind]
    answer = host.metadata(host.subjects[kind.title], [kind.role, *others], kind.environment)
    if answer["own"] != 200 or answer["roles"].pop(kind.role) != 200:
        raise Failed(f"it is not served its own role: {answer}")
    if 200 in answer["roles"].values():
        raise Failed(f"it was served another role: {answer}")
    gets_nothing(host, host.siblings[kind.title], kind.environment)
    return "others by name refused, a neighbour without a grant too"


def gets_nothing(host, subject, environment=None):
    """No SDK finds credentials, and no role is given by its name."""
    try:
        key = host.upstream.ask(subject, sdks.BOTO3, environment)
    except Refused:
        pass
    else:
        raise Failed(f"{subject.name} got {host.upstream.sts.issued[key].role}")
    answer = host.metadata(subject, [kind.role for kind in host.kinds], environment)
    if 200 in (answer["own"], *answer["roles"].values()):
        raise Failed(f"{subject.name} was served: {answer}")
    return "nothing"


def is_explained(host, kind):
    """`explain` names role, grant and fact of the caller's process, and of its container where only that is known; and the
    key that its neighbour fails."""
    subject, neighbour = host.subjects[kind.title], host.siblings[kind.title]
    explained = host.daemon.explain("--pid", subject.pid())
    number = f"grant {host.kinds.index(kind) + 1}"
    if kind.fact is None:
        _fails(explained, number, kind)
        return f"`{kind.key}`: only a token tells it"
    _gives(host, kind, explained, number)
    if kind.evidence == "container-address":
        _gives(host, kind, host.daemon.explain("--container", subject.sandbox or subject.id), number)
    _fails(host.daemon.explain("--pid", neighbour.pid()), number, kind)
    return f"`{kind.key}`: {filled(host, kind, kind.fact)}"


def _gives(host, kind, explained, number):
    """Insists that this grant, which is the kind's, is told to give its role, and the fact that it asks for."""
    given = _answer(explained).get("role") or {}
    if (given.get("role"), given.get("reason"), given.get("grant")) != (f"prod/{kind.role}", kind.title, number):
        raise Failed(f"it is not told of its grant: {explained}")
    known = {fact["name"]: fact["value"] for fact in explained["known"]}
    fact = filled(host, kind, kind.fact)
    if known.get(kind.key) != fact:
        raise Failed(f"{kind.key} is not {fact}: {explained}")


def _fails(explained, number, kind):
    """Insists that this grant, which is the kind's, is told not to match for its key."""
    tried = next(tried for tried in _answer(explained)["grants"] if tried["grant"] == number)
    told = (tried.get("role"), tried["verdict"], tried["why"].startswith(f"{kind.key} is "))
    if told != (f"prod/{kind.role}", "fails", True):
        raise Failed(f"{number} does not fail for {kind.key}: {explained}")


def is_audited(host, kind):
    """Every hand-out of its role was to this caller, by this grant, of a key issued under the session name told."""
    events = host.daemon.audit("hand-out", role=f"prod/{kind.role}")
    if not events:
        raise Failed("no hand-out of its role is in the trail")
    for event in events:
        wanted = filled(host, kind, kind.caller)
        evidence = "; ".join(part.split()[0] for part in event["evidence"].split("; "))
        if (event["caller"], evidence, event["reason"]) != (wanted, kind.evidence, kind.title):
            raise Failed(f"not {wanted} by {kind.evidence}, or not its grant: {event}")
        issued = host.upstream.sts.issued.get(event["access_key_id"])
        if issued is None or (issued.role, issued.session_name) != (kind.role, event["session_name"]):
            raise Failed(f"upstream issued {issued}, the trail tells {event}")
    return f"{kind.caller.format(id='ID', sandbox='ID', **host.users)}, by {kind.evidence}"


def filled(host, kind, text):
    """The text with the ids of this run in their places, shortened as they are shown."""
    subject = host.subjects[kind.title]
    return text.format(id=subject.id[:12], sandbox=subject.sandbox[:12], **host.users)


def _answer(explained):
    return next(answer for answer in explained["answers"] if "metadata" in answer["listeners"])


COLUMNS = {
    "gets its role": gets_its_role,
    "cannot get another's": cannot_get_anothers,
    "explain names the reason": is_explained,
    "audit has the evidence": is_audited,
}
