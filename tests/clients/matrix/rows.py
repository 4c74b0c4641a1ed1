"""The rows of the matrix: what happens to a client, and what must come of it. Each row gives the words
that stand in the table, or raises `cell.Failed`."""

from dataclasses import dataclass
from typing import Callable

from matrix.cell import Failed
from matrix.daemon import OTHER_ROLE

SOMEBODY_ELSE = 4343
NO_CREDENTIALS = "fact told"
SLOW_SECONDS = 1.5


def cold(cell):
    """The daemon has nothing yet: the client's first ask makes it fetch."""
    cell.start_daemon()
    cell.served(cell.program())
    return _served(cell)


def slow(cell):
    """As cold, but the upstream takes longer than most clients wait for an answer."""
    cell.sts.behave(delay=SLOW_SECONDS)
    cell.start_daemon()
    program = cell.program()
    if cell.client.proof == "identity":
        cell.served(program)
        return NO_CREDENTIALS
    if cell.client.bears_slow:
        cell.served(program)
        return "served at the first ask"
    _plain(cell.refused(program))
    cell.served_soon(program)
    return "served at a later ask"


def restart(cell):
    """The client goes on after the daemon was restarted: with a token that is still good, then with one
    that a daemon without its state directory cannot know."""
    cell.sts.behave(lifetime=cell.client.life)
    cell.start_daemon()
    program = _going_on(cell)
    first = cell.served(program)
    if cell.client.held_token == "fresh" or not cell.client.steady:
        _restart(cell, forget=True)
        _ask_again(cell, program, first)
        return f"{_served(cell)}; holds no token"
    _restart(cell, forget=False)
    second = _ask_again(cell, program, first)
    if cell.client.held_token == "path":
        return "old path served"
    _restart(cell, forget=True)
    return f"old token served; {_lost_token(cell, program, second)}"


def renewal(cell):
    """The daemon renews the session; before the old one ends the client has the new one."""
    cell.sts.behave(lifetime=cell.client.life)
    cell.start_daemon()
    program = _going_on(cell)
    first = cell.served(program)
    _longer_sessions(cell)
    cell.daemon.refresh()
    _ask_again(cell, program, first)
    if cell.client.proof == "identity":
        return NO_CREDENTIALS
    if cell.client.asks_again_at < 0:
        return "new key seen at expiry"
    return "new key seen" if cell.client.steady else "new key seen by the next process"


def dead_with_session(cell):
    """The upstream is gone, but a session is held."""
    cell.start_daemon(prefetch=True)
    held = list(cell.sts.issued)
    if len(held) != 1:
        raise Failed(f"ready with {len(held)} prefetched sessions")
    cell.sts.behave(listening=False)
    got = cell.served(cell.program())
    if cell.client.proof != "identity" and got != held[0]:
        raise Failed(f"served {got}, but {held[0]} was held")
    return _served(cell)


def dead_without_session(cell):
    """The upstream refuses connections and was never there, then it is silent: a plain error, soon."""
    cell.sts.behave(listening=False)
    cell.start_daemon()
    if cell.client.proof == "identity":
        cell.served(cell.program())
        return NO_CREDENTIALS
    _plain(cell.refused(cell.program()))
    cell.sts.behave(listening=True, answer="silence")
    _plain(cell.refused(cell.program()))
    return f"plain error within {cell.client.patience:.0f} s"


def wrong_role(cell):
    """No grant gives the caller a role, or it asks for one that is another's."""
    if cell.client.imds is not None:
        cell.start_daemon(grant_to=SOMEBODY_ELSE)
        if cell.client.proof == "identity":
            cell.served(cell.program())
            return NO_CREDENTIALS
        _plain(cell.refused(cell.program(), denial=True))
        cell.daemon.stop()
    if cell.client.container is not None:
        _start_container_only(cell)
        variables = cell.container_variables(f"/role/{OTHER_ROLE}", cell.token())
        # Without a token, as in the relative form, no role is looked at and so none denied.
        _plain(cell.refused(cell.program(variables), denial=cell.client.container == "full"))
    return "refused"


def v1_off(cell):
    """IMDSv1 is off, which is how the daemon ships."""
    cell.start_daemon(imdsv1=False)
    if cell.client.imds == "v1":
        _plain(cell.refused(cell.program(), denial=True))
        return "refused: it knows only v1"
    cell.served(cell.program(cell.own_way() | {"AWS_EC2_METADATA_V1_DISABLED": "true"}))
    return f"{_served(cell)}; does not ask IMDS" if cell.client.imds is None else _served(cell)


def right_token(cell):
    if cell.client.container is None:
        return _ignores_container(cell)
    _start_container_only(cell)
    if cell.client.container == "relative":
        cell.served(cell.program(cell.container_variables(cell.relative_path())), "container")
        return "served by its unguessable path"
    cell.served(cell.program(cell.container_variables("/creds", cell.token())), "container")
    return "served"


def container_restart(cell):
    """The daemon was restarted; what an orchestrator once set must go on to work."""
    if cell.client.container is None:
        return _ignores_container(cell)
    cell.sts.behave(lifetime=cell.client.life)
    _start_container_only(cell)
    if cell.client.container == "relative":
        variables = cell.container_variables(cell.relative_path())
    else:
        variables = cell.container_variables("/creds", cell.token())
    program = _going_on(cell, variables)
    first = cell.served(program, "container")
    cell.daemon.stop()
    _longer_sessions(cell)
    _start_container_only(cell)
    _move_on(cell, program)
    cell.served(program, "container", other_than=first)
    return "old path served" if cell.client.container == "relative" else "old token served"


def wrong_token(cell):
    if cell.client.container is None:
        return _ignores_container(cell)
    _start_container_only(cell)
    if cell.client.container == "relative":
        _plain(cell.refused(cell.program(cell.container_variables(_altered(cell.relative_path())))))
        return "refused: wrong path"
    variables = cell.container_variables("/creds", _altered(cell.token()))
    _plain(cell.refused(cell.program(variables)))
    return "refused"


def missing_token(cell):
    if cell.client.container is None:
        return _ignores_container(cell)
    _start_container_only(cell)
    _plain(cell.refused(cell.program(cell.container_variables("/creds"))))
    return "refused"


@dataclass(frozen=True)
class Row:
    name: str
    title: str
    run: Callable
    timed: bool = False  # close to the clients' own timeouts: wants a quiet machine


ROWS = [
    Row("cold", "cold", cold),
    Row("slow", "cold, the upstream takes 1.5 s", slow, timed=True),
    Row("restart", "after a restart with an old token", restart),
    Row("renewal", "renewal seen before expiry", renewal),
    Row("dead-held", "upstream dead, session held", dead_with_session),
    Row("dead-none", "upstream dead, none held", dead_without_session),
    Row("wrong-role", "wrong role", wrong_role),
    Row("v1-off", "IMDSv1 off", v1_off),
    Row("right-token", "container: right token", right_token),
    Row("container-restart", "container: after a restart", container_restart),
    Row("wrong-token", "container: wrong token", wrong_token),
    Row("missing-token", "container: no token", missing_token),
]


def _served(cell):
    return NO_CREDENTIALS if cell.client.proof == "identity" else "served"


def _plain(text):
    if not text.strip():
        raise Failed("the client failed without a word")


def _ignores_container(cell):
    """Names a container endpoint to a client that knows none: it must go on as without."""
    cell.start_daemon()
    variables = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:8170/creds",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": cell.relative_path(),
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": cell.token(),
    }
    cell.served(cell.program(cell.own_way() | variables), "imds")
    return "knows none: told by IMDS" if cell.client.proof == "identity" else "knows none: served by IMDS"


def _start_container_only(cell):
    """Without IMDS, to which some clients slide when the container endpoint refuses them."""
    cell.start_daemon(imds=False)


def _altered(text):
    """The same, but for its last character."""
    return text[:-1] + ("0" if text[-1] != "0" else "1")


def _going_on(cell, environment=None):
    """A process that is asked more than once, with a clock that can be moved if it heeds that."""
    return cell.program(environment, clock=cell.client.clock in ("wall", "all") and cell.client.steady)


def _restart(cell, forget):
    cell.daemon.stop()
    if forget:
        cell.daemon.forget_state()
    _longer_sessions(cell)
    cell.start_daemon()


def _lost_token(cell, program, second):
    """What becomes of a client whose token the daemon no longer knows."""
    how = cell.client.held_token
    if how == "renewed":
        _ask_again(cell, program, second)
        return "a lost one renewed"
    _move_on(cell, program)
    cell.not_served_anew(program, second)
    if how == "next":
        cell.served(program, other_than=second)
        return "a lost one costs one failed ask"
    if how == "later":
        program.move_clock(cell.client.token_retry, further=True)
        cell.served(program, other_than=second)
        return "a lost one renewed some minutes later"
    cell.served(cell.program())
    return "a lost one is kept until the client restarts"


def _longer_sessions(cell):
    """Where the client's clock is moved the next session must outlive the one before by a whole life."""
    if cell.client.clock != "real":
        cell.sts.behave(lifetime=cell.sts.behaviour.lifetime + cell.client.life)


def _ask_again(cell, program, before):
    """Brings the client to where it asks again, and asks until it has another key than before."""
    _move_on(cell, program)
    return cell.served(program, other_than=before)


def _move_on(cell, program):
    """To shortly before the client's session ends: its clock is moved, or real time passes."""
    client = cell.client
    if client.steady and client.clock == "real":
        cell.wait(client.life - client.asks_again_at + 1)
    elif client.steady and client.clock != "none":
        ends_in = cell.sts.behaviour.lifetime - client.life
        program.move_clock(ends_in - client.asks_again_at)
