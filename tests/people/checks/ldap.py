"""A real directory: OpenLDAP's slapd, which answers nobody who does not encrypt."""

import signal
import subprocess
from contextlib import ExitStack

from parts import Daemon, certificates, expect, write_private
from server import Server, answers, free_port

SCHEMAS = "".join(f"include /etc/ldap/schema/{name}.schema\n" for name in ("core", "cosine", "inetorgperson", "nis"))
DAEMON = ("cn=rolecall,dc=example", "the daemon's")


def entry(dn, *lines):
    return "\n".join((f"dn: {dn}", *lines, "", ""))


def person(name, password, unit="people"):
    return entry(
        f"uid={name},ou={unit},dc=example",
        "objectClass: inetOrgPerson", f"cn: {name}", "sn: x", f"userPassword: {password}",
    )


def group(name, *members):
    return entry(f"cn={name},ou=groups,dc=example", "objectClass: groupOfNames", *(f"member: {one}" for one in members))


def named(name):
    return f"cn={name},ou=groups,dc=example"


def content():
    jane, many = "uid=jane,ou=people,dc=example", "uid=many,ou=people,dc=example"
    parts = [
        entry("dc=example", "objectClass: dcObject", "objectClass: organization", "o: example"),
        *(entry(f"ou={unit},dc=example", "objectClass: organizationalUnit") for unit in ("people", "guests", "groups")),
        entry(DAEMON[0], "objectClass: person", "sn: x", f"userPassword: {DAEMON[1]}"),
        person("jane", "hers"), person("many", "theirs"), person("john", "his"),
        person("twin", "one"), person("twin", "one", "guests"),
        group("aws-web", jane),
        # A group in a group in itself.
        group("aws-admin", named("aws-web"), named("loop")), group("loop", named("aws-admin")),
        entry(named("aws-ops"), "objectClass: posixGroup", "gidNumber: 4000", "memberUid: jane"),
        *(group(f"g{number:04}", many) for number in range(1000)), group("aws-last", named("g0999")),
        # Whose members are elsewhere.
        entry("ou=elsewhere,dc=example", "objectClass: referral", "objectClass: extensibleObject",
              "ref: ldap://127.0.0.1:1/ou=elsewhere,dc=other"),
    ]
    return "".join(parts)


class Directory:
    """slapd; used as a context."""

    def __init__(self, place):
        self.place = place
        self.plain, self.encrypted = free_port(), free_port()

    def __enter__(self):
        place = self.place
        certificates(place, "localhost")
        (place / "data").mkdir()
        (place / "slapd.conf").write_text(f"""{SCHEMAS}
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCACertificateFile {place}/ca.pem
TLSCertificateFile {place}/localhost.pem
TLSCertificateKeyFile {place}/localhost.key
security ssf=128
database mdb
maxsize 67108864
suffix dc=example
rootdn cn=root,dc=example
directory {place}/data
index objectClass,uid,member,memberUid eq
limits dn.exact="{DAEMON[0]}" size.prtotal=unlimited
access to attrs=userPassword by anonymous auth
access to * by dn.exact="{DAEMON[0]}" read
""")
        (place / "content.ldif").write_text(content())
        subprocess.run(
            ["slapadd", "-f", place / "slapd.conf", "-l", place / "content.ldif"],
            check=True, capture_output=True, timeout=60,
        )
        addresses = f"ldap://127.0.0.1:{self.plain} ldaps://127.0.0.1:{self.encrypted}"
        ready = lambda: answers(("127.0.0.1", self.plain)) and answers(("127.0.0.1", self.encrypted))
        command = ["slapd", "-d", "0", "-f", place / "slapd.conf", "-h", addresses]
        self.server = Server(command, ready, place / "slapd.log").__enter__()
        return self

    def url(self):
        return f"ldaps://localhost:{self.encrypted}"

    def __exit__(self, *reason):
        self.server.__exit__(*reason)


def configuration(place, url, bind_password=DAEMON[1], ca="ca.pem"):
    write_private(place, secret=bind_password)
    return f"""
[[listener]]
name = "api"
bind = ["127.0.0.1:0"]
apis = ["accounts"]
[[listener.mount]]
prefix = "/"
authenticate = ["ldap"]

[people.ldap]
url = "{url}"
base-users = "dc=example"
base-groups = "ou=groups,dc=example"
bind-dn = "{DAEMON[0]}"
bind-password = "file:{place}/secret"
ca-file = "{place}/{ca}"
"""


def check_people_are_known_over_ldaps_and_after_starttls(place):
    with Directory(place) as directory:
        urls = f"ldaps://localhost:{directory.encrypted}", f"ldap://localhost:{directory.plain}"
        for number, url in enumerate(urls):
            folder = place / str(number)
            folder.mkdir()
            with Daemon(folder, configuration(place, url)) as daemon:
                # Direct, nested, looped, and by memberUid.
                expect(daemon.get("/account", "jane", "hers"), 200, "jane", ["web", "admin", "ops"])
                expect(daemon.get("/account", "JANE", "hers"), 200, "jane", ["web", "admin", "ops"])
                expect(daemon.get("/account", "john", "his"), 200, "john", [])
                expect(daemon.get("/account", "jane", "his"), 401)
                expect(daemon.get("/account", "jane", ""), 401)
                expect(daemon.get("/account", "nobody", "x"), 401)
                expect(daemon.get("/account"), 401)


def check_a_thousand_groups_are_all_read(place):
    with Directory(place) as directory, Daemon(place, configuration(place, directory.url())) as daemon:
        # The last of them is in a group that counts.
        expect(daemon.get("/account", "many", "theirs"), 200, "many", ["last"])


def check_names_are_values_and_never_filters(place):
    with Directory(place) as directory, Daemon(place, configuration(place, directory.url())) as daemon:
        for name in ("*", "j*", "jane)(uid=*", "*)(|(uid=*", "jane\\", "uid=jane,ou=people,dc=example"):
            expect(daemon.get("/account", name, "hers"), 401)
        # Two of one name are nobody, and no password of theirs is tried.
        answer = daemon.get("/account", "twin", "one")
        assert answer.status != 200, answer
        assert daemon.warned("a name is that of several users")


def check_a_directory_that_hangs_holds_up_nobody(place):
    with Directory(place) as directory, ExitStack() as stack:
        daemon = stack.enter_context(Daemon(place, configuration(place, directory.url())))
        expect(daemon.get("/account", "jane", "hers"), 200)
        directory.server.signal(signal.SIGSTOP)
        answer = daemon.get("/account", "john", "his")
        assert answer.status != 200, answer
        assert daemon.warned("it took too long")
        directory.server.signal(signal.SIGCONT)
        expect(daemon.get("/account", "john", "his"), 200, "john", [])


def check_a_connection_that_was_kept_and_ended_is_made_anew(place):
    with Directory(place) as directory:
        url = directory.url()
        with Daemon(place, configuration(place, url)) as daemon:
            expect(daemon.get("/account", "jane", "hers"), 200)
            directory.server.__exit__()
            answer = daemon.get("/account", "john", "his")
            assert answer.status != 200, answer
            directory.server.__enter__()
            expect(daemon.get("/account", "john", "his"), 200, "john", [])


def check_nobody_else_is_the_directory(place):
    other = place / "other"
    other.mkdir()
    certificates(other, "localhost")
    with Directory(place) as directory:
        for number, (url, password, ca, words) in enumerate((
            (f"ldaps://localhost:{directory.encrypted}", DAEMON[1], "other/ca.pem", "TLS with it fails"),
            (f"ldap://localhost:{directory.plain}", DAEMON[1], "other/ca.pem", "TLS with it fails"),
            (f"ldaps://localhost:{directory.plain}", DAEMON[1], "ca.pem", "TLS with it fails"),
            (f"ldaps://localhost:{directory.encrypted}", "not the daemon's", "ca.pem", "the daemon's own bind"),
            (f"ldap://localhost:{free_port()}", DAEMON[1], "ca.pem", "it cannot be reached"),
        )):
            folder = place / str(number)
            folder.mkdir()
            with Daemon(folder, configuration(place, url, password, ca)) as daemon:
                answer = daemon.get("/account", "jane", "hers")
                assert answer.status not in (200, 401), answer
                assert daemon.warned(words), words


def check_a_directory_that_refers_elsewhere_is_not_followed(place):
    users = 'base-users = "{}dc=example"'
    referring = configuration(place, "PLACE").replace(users.format(""), users.format("ou=elsewhere,"))
    with Directory(place) as directory:
        url = directory.url()
        with Daemon(place, referring.replace("PLACE", url)) as daemon:
            answer = daemon.get("/account", "jane", "hers")
            assert answer.status not in (200, 401), answer
            assert daemon.warned("it refers a search to another directory")
