"""People's browsers: a headless Chromium signs in to a console, a page of the daemon's own origin calls the connectors
API with a cookie, and pages of other origins try the same with what the browser keeps for the daemon."""

import contextlib
import http.client
import json
import uuid
from dataclasses import dataclass
from urllib.parse import urlsplit

import scripted_sts
from chromium import Browser, key_hash
from parts import ANSWER_SECONDS, HASH, PASSWORD, Daemon, basic, certificates, write_private
from sites import TOKEN, Handler, Loopback, Signin

REST = "/rest/identity-federation-for-aws/2.0"
SERVLET = "/plugins/servlet/identity-federation-for-aws/aws-console-login"
MAKE = f"{REST}/accounts?skipValidation=true"
JSON = {"Content-Type": "application/json"}
NO_CHECK = {"X-Atlassian-Token": "no-check"}
ENCODINGS = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
DEMO = uuid.uuid5(uuid.NAMESPACE_URL, "prod/demo")

CONFIGURATION = """
[[listener]]
name = "api"
bind = "127.0.0.1:0"
apis = ["accounts", "connectors"]
{tls}
[[listener.mount]]
prefix = "/"
authenticate = ["basic"]

[people]
users-file = "{directory}/users"
groups-file = "{directory}/groups"
administrators = ["ann"]

[account.prod]
id = "123456789012"
region = "eu-central-1"
endpoint = "{sts}"
signin-endpoint = "{signin}"
console-endpoint = "{signin}"
credentials = {{ from = "key", access-key-id = "{key}", secret-access-key = "file:{directory}/secret" }}
[account.prod.role.demo]

[[grant]]
role = "prod/demo"
when = {{ group = "aws-web" }}
"""

POST = """
const POST = (target, encoding, window) => {
  const form = document.createElement("form");
  Object.assign(form, {action: target.make, method: "post", enctype: encoding, target: window});
  // As text/plain the field's name and value make one JSON object, with the sign between them in a name.
  const {name, ...rest} = JSON.parse(target.account);
  form.append(Object.assign(document.createElement("input"), {
    name: JSON.stringify(rest).slice(0, -1) + ',"name":"', value: name + '"}',
  }));
  document.body.append(form);
  form.submit();
};
"""

# Everything a page of another origin can make a browser send, each until it has come to an end.
ATTACK = """
async target => {
  const ended = (element, into = document.body) => new Promise(done => {
    element.onload = element.onerror = done;
    into.append(element);
  });
  const make = (name, attributes) => Object.assign(document.createElement(name), attributes);
  const posted = encoding => new Promise(done => {
    const frame = make("iframe", {name: "into-" + encoding});
    document.body.append(frame);
    frame.onload = done;
    POST(target, encoding, frame.name);
  });
  const asks = [];
  const ask = async (url, options) => {
    try {
      asks.push(await (await fetch(url, {credentials: "include", ...options})).text());
    } catch {}
  };
  const json = {"Content-Type": "application/json", "X-Atlassian-Token": "no-check"};
  for (const encoding of target.encodings) {
    await posted(encoding);
  }
  for (const url of target.read) {
    await ended(make("img", {src: url}));
    await ended(make("script", {src: url}));
    await ended(make("link", {rel: "stylesheet", href: url}));
    await ended(make("iframe", {src: url}));
    await ask(url);
    await ask(url, {mode: "no-cors"});
    await ask(url, {headers: {"X-Atlassian-Token": "no-check"}});
  }
  await ask(target.make, {method: "POST", body: target.account, mode: "no-cors"});
  await ask(target.make, {method: "POST", body: target.account});
  await ask(target.make, {method: "POST", body: target.account, headers: json});
  await ask(target.delete, {method: "DELETE", headers: json});
  return asks;
}
"""


def check_a_browser_opens_the_console_with_a_password_over_loopback(directory):
    open_console(directory, tls=False)


def check_a_browser_opens_the_console_with_a_password_over_tls(directory):
    open_console(directory, tls=True)


def open_console(directory, tls):
    with cloud() as (sts, signin), people(directory, sts, signin, tls) as daemon:
        trusted = key_hash(directory / "localhost.pem") if tls else None
        origin = f"{'https' if tls else 'http'}://127.0.0.1:{daemon.port}"
        url = f"{origin}{SERVLET}/{DEMO}"
        with Browser(directory, trusted) as browser:
            # As typed into the address bar, with the answers to the dialog.
            browser.open(url.replace("://", f"://ann:{PASSWORD}@"))
            signed_in_at(browser, signin, url)
            cookie = browser.cookies(origin)["JSESSIONID"]
            told = {name: cookie.get(name) for name in ("httpOnly", "sameSite", "secure", "session")}
            assert told == {"httpOnly": True, "sameSite": "Lax", "secure": tls, "session": True}, told
        with Browser(directory / "second", trusted) as browser:
            browser.call("Network.setCookie", name="JSESSIONID", value=cookie["value"], url=origin, httpOnly=True)
            browser.open(f"{origin}/status")
            # A link on a page, which is what the next site is told of unless it is kept from it.
            browser.lead(f"location.href = {json.dumps(url)}")
            sent = [told["request"] for told in browser.told("Network.requestWillBeSent")]
            assert any("Referer" in request["headers"] for request in sent if request["url"] == url), sent
            signed_in_at(browser, signin, url)


def signed_in_at(browser, signin, url):
    """Holds the way to the sign-in endpoint against what it must be."""
    assert browser.run("document.body.textContent") == "signed in", browser.run("location.href")
    sent = browser.told("Network.requestWillBeSent")
    redirects = [told["redirectResponse"] for told in sent if "redirectResponse" in told]
    # The first URL has name and password in it.
    ways = [(redirect["status"], redirect["url"].replace(f"ann:{PASSWORD}@", "")) for redirect in redirects]
    assert ways == [(302, url)], ways
    (asked,) = [request for request in signin.requests if request.action == "getSigninToken"]
    (login,) = [request for request in signin.requests if request.action == "login"]
    assert json.loads(asked.query["Session"][0])["sessionId"].startswith("ASIA"), "no session was exchanged"
    assert login.query["SigninToken"] == [TOKEN], login
    kept = {name for name in login.headers if name in ("referer", "origin", "authorization")}
    assert not kept, f"the sign-in endpoint was told {kept}"
    headers = {name.lower(): value for name, value in redirects[0]["headers"].items()}
    assert (headers.get("cache-control"), headers.get("referrer-policy")) == ("no-store", "no-referrer"), headers
    signin.requests.clear()


def check_a_page_of_the_same_origin_calls_with_the_cookie(directory):
    with cloud() as (sts, signin), people(directory, sts, signin) as daemon, Browser(directory) as browser:
        browser.open(f"http://127.0.0.1:{daemon.port}/status")
        assert fetched(browser, f"{REST}/connectors", credentials="omit")[0] == 401
        proof = {"Authorization": basic("ann", PASSWORD)}
        assert fetched(browser, f"{REST}/connectors", headers=proof)[0] == 200
        assert browser.run("document.cookie") == "", "scripts read the cookie"
        status, listed = fetched(browser, f"{REST}/connectors")
        by_password = daemon.get(f"{REST}/connectors", "ann", PASSWORD)
        assert (status, listed) == (200, by_password.body.decode()), (status, listed)
        before = state(daemon)
        for headers in (JSON, JSON | {"X-Atlassian-Token": "check"}):
            refused = fetched(browser, MAKE, method="POST", headers=headers, body=account("made"))
            assert refused[0] == 403, refused
            assert state(daemon) == before
        made = make(browser, "made")
        assert names(state(daemon)) == sorted([*names(before), "made"])
        path = f"{REST}/accounts/{made['id']}"
        assert fetched(browser, path, method="DELETE")[0] == 403
        assert "made" in names(state(daemon))
        assert fetched(browser, path, method="DELETE", headers=NO_CHECK)[0] == 204
        assert state(daemon) == before


def check_a_page_of_another_port_uses_no_cookie(directory):
    # Cookies know no ports: to the browser this is the same site, and it sends them.
    attack(directory, "127.0.0.1", {"JSESSIONID"})


def check_a_page_of_another_site_uses_no_password(directory):
    attack(directory, "localhost", {"Basic"})


def attack(directory, host, carried):
    """Lets a page of this host do its worst to a browser that is signed in in every way. `carried` is what the browser
    sends along all the same, so that it is the daemon that refuses."""
    with contextlib.ExitStack() as stack:
        sts, signin = stack.enter_context(cloud())
        daemon = stack.enter_context(people(directory, sts, signin))
        relay = stack.enter_context(Relay(daemon.port))
        page = stack.enter_context(Page())
        browser = stack.enter_context(Browser(directory))
        origin = f"http://127.0.0.1:{relay.port}"
        browser.open(f"{origin.replace('://', f'://ann:{PASSWORD}@')}{REST}/connectors")
        assert "JSESSIONID" in browser.cookies(origin), "the browser is not signed in"
        browser.open(f"{origin}/status")
        kept = make(browser, "kept")["id"]
        before = state(daemon)
        target = {
            "read": [
                origin + path for path in (
                    f"{REST}/connectors", f"{REST}/accounts", f"{REST}/connectors/{DEMO}/credentials",
                    "/account/prod/demo/credentials", f"{SERVLET}/{DEMO}",
                )
            ],
            "make": origin + MAKE, "account": account("theirs"), "encodings": ENCODINGS,
            "delete": f"{origin}{REST}/accounts/{kept}",
        }
        relay.passed.clear()
        theirs, sent = f"http://{host}:{page.port}/", json.dumps(target)
        browser.open(theirs)
        read = browser.run(f"{POST}({ATTACK})({sent})")
        # The whole window is led there: that carries a password from any site. Only to the servlet a link may lead.
        leads = [f"location.href = {json.dumps(url)}" for url in target["read"] if SERVLET not in url]
        leads += [f"{POST}POST({sent}, {json.dumps(encoding)}, '_top')" for encoding in ENCODINGS]
        for lead in leads:
            browser.open(theirs)
            browser.lead(lead)
            assert browser.run("location.origin") == origin
        passed = list(relay.passed)
        told = "\n".join(map(str, passed))

        assert {one.method for one in passed} >= {"GET", "POST", "OPTIONS"}, told
        assert {urlsplit(url).path for url in target["read"]} <= {one.path for one in passed}, told
        for proof in carried:
            assert any(proof in one.proofs and one.method == "POST" for one in passed), f"no {proof} was sent\n{told}"
            assert any(proof in one.proofs and one.method == "GET" for one in passed), f"no {proof} was sent\n{told}"
        assert state(daemon) == before, "something was changed"
        assert not sts.calls and not signin.requests, "AWS was asked"
        assert not [one for one in passed if one.status < 400 or one.allows], told
        assert set(read) <= {""}, read

        # The same browser may, on a page that is the daemon's own: what it keeps is good.
        browser.open(f"{origin}/status")
        own = fetched(browser, "/account/local/web/credentials")
        assert own[0] == 200, own
        # The trail is in order: what was handed out before stands there by now.
        assert daemon.await_audit("hand-out", lambda event: event["role"] == "local/web"), "hand-outs are not audited"
        assert [event["role"] for event in daemon.audit("hand-out")] == ["local/web"], daemon.audit("hand-out")
        make(browser, "own")
        assert names(state(daemon)) == sorted([*names(before), "own"])


def fetched(browser, url, **options):
    """Status and body of what the window's page fetches."""
    return browser.run(
        f"fetch({json.dumps(url)}, {json.dumps(options)}).then(async answer => [answer.status, await answer.text()])"
    )


def make(browser, name):
    """Has the window's page make an account."""
    status, body = fetched(browser, MAKE, method="POST", headers=JSON | NO_CHECK, body=account(name))
    assert status == 201, f"{status} {body}"
    return json.loads(body)


class Page(Loopback):
    """Another site: an empty page."""

    class handler(Handler):
        def do_GET(self):
            self.answer(200, b"<!doctype html><title>other</title><body>", [("Content-Type", "text/html")])


@dataclass(frozen=True)
class Passed:
    """What went through the relay: a request, what it carried of the browser's own, and the answer."""

    method: str
    path: str
    proofs: tuple
    status: int
    allows: bool


class Relay(Loopback):
    """Passes requests on to the daemon as they are, and keeps what they were."""

    class handler(Handler):
        def pass_on(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            connection = http.client.HTTPConnection("127.0.0.1", self.of.to, timeout=ANSWER_SECONDS)
            with contextlib.closing(connection):
                connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    connection.putheader(name, value)
                connection.endheaders(body or None)
                answered = connection.getresponse()
                headers = answered.getheaders()
                answer = answered.read()
            proofs = []
            if "JSESSIONID=" in self.headers.get("Cookie", ""):
                proofs.append("JSESSIONID")
            if self.headers.get("Authorization", "").startswith("Basic "):
                proofs.append("Basic")
            allows = any(name.lower().startswith("access-control-") for name, _ in headers)
            path = urlsplit(self.path).path
            self.of.passed.append(Passed(self.command, path, tuple(proofs), answered.status, allows))
            own = {"content-length", "connection", "server", "date", "transfer-encoding"}
            self.answer(answered.status, answer, [one for one in headers if one[0].lower() not in own])

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = pass_on

    def __init__(self, to):
        self.to = to
        self.passed = []


@contextlib.contextmanager
def cloud():
    """STS and the sign-in endpoint."""
    sts = scripted_sts.ScriptedSts()
    try:
        with Signin() as signin:
            yield sts, signin
    finally:
        sts.close()


def people(directory, sts, signin, tls=False):
    write_private(directory, users=f"ann:{HASH}\n", groups="aws-web: ann\n", secret=scripted_sts.BASE_SECRET)
    table = ""
    if tls:
        certificates(directory, "localhost")
        table = f'tls = {{ certificate = "{directory}/localhost.pem", key = "file:{directory}/localhost.key" }}'
    configuration = CONFIGURATION.format(
        directory=directory, tls=table, sts=sts.url, signin=signin.url, key=scripted_sts.BASE_KEY,
    )
    return Daemon(directory, configuration)


def state(daemon):
    """What the API has of connectors and accounts."""
    answers = [daemon.get(f"{REST}/{kind}", "ann", PASSWORD) for kind in ("connectors", "accounts")]
    assert [answer.status for answer in answers] == [200, 200], answers
    return [answer.json()["values"] for answer in answers]


def names(state):
    """Those of a state's accounts."""
    return sorted(account["name"] for account in state[1])


def account(name):
    """A new account, as it is sent."""
    sent = {"name": name, "awsAccessKeyId": "AKIAOTHER", "awsSecretKey": "secret", "cloudProviderKey": "aws"}
    return json.dumps(sent)
